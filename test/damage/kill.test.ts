import { expect } from 'chai';
import { fileURLToPath } from 'node:url';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { entry, IDENTITY, readAll, rejection, texts } from '../conformance/broker-store.suite.js';
import { filler, removeAll, temporaryDirectory, withReplica } from './damage-kit.js';
import { killAfter } from './kill-after.js';
import { expectStep } from './steps-held.js';

const WRITER = fileURLToPath(new URL('./killed-writer.ts', import.meta.url));
const STEPPER = fileURLToPath(new URL('./killed-stepper.ts', import.meta.url));

describe('a killed process', function () {
  this.timeout(60_000);

  it('loses nothing it acknowledged, and blocks no restart', async () => {
    const directory = await temporaryDirectory();
    try {
      let last = 0;
      for (let round = 0; round < 3; round += 1) {
        const { opened, acknowledged } = await killAfter(WRITER, directory, 150, {
          whileRunning: async () => {
            const error = await rejection(LevelBrokerStore.open(directory));
            expect(error.name).to.equal('DataDirectoryInUseError');
          },
        });
        const [, verdict, first] = opened.split(' ');
        expect(verdict).to.equal(round === 0 ? 'empty' : 'sound');
        expect(Number(first)).to.be.at.least(last);
        last = acknowledged;
      }
      await withReplica(directory, async (store, loaded) => {
        expect(loaded.verdict.kind).to.equal('sound');
        const end = loaded.raft.last.index;
        expect(end).to.be.at.least(last);
        const want = Array.from({ length: end }, (_, i) => entry(1, i + 1, filler(i + 1, 9_000)));
        expect(await readAll(store, 1, end + 1)).to.deep.equal(texts(want));
      });
    } finally {
      await removeAll([directory]);
    }
  });

  it('leaves what a step left, or what was before it, wherever it dies', async () => {
    for (let round = 0; round < 5; round += 1) {
      const directory = await temporaryDirectory();
      try {
        const broker = await LevelBrokerStore.open(directory);
        await broker.saveIdentity(IDENTITY);
        await broker.close();
        const { acknowledged } = await killAfter(STEPPER, directory, 20 + round * 29);
        await expectStep(directory, acknowledged);
      } finally {
        await removeAll([directory]);
      }
    }
  });
});
