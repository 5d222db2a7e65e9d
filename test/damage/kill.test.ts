import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { entry, IDENTITY, readAll, rejection, texts } from '../conformance/broker-store.suite.js';
import { filler, removeAll, temporaryDirectory, withReplica } from './damage-kit.js';
import { lastOf, NEW_MODEL, stepAfter } from './model.js';

const WRITER = fileURLToPath(new URL('./killed-writer.ts', import.meta.url));
const STEPPER = fileURLToPath(new URL('./killed-stepper.ts', import.meta.url));

/** Runs a program until it has acknowledged `count` things, kills it, tells the last one. */
async function killAfter(
  program: string,
  directory: string,
  count: number,
  whileRunning?: () => Promise<void>,
): Promise<{ opened: string; acknowledged: number }> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let opened = '';
  let acknowledged = 0;
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (opened === '') {
      opened = line;
      await whileRunning?.();
      continue;
    }
    acknowledged = Number(line);
    seen += 1;
    if (seen === count) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).to.equal('SIGKILL');
  return { opened, acknowledged };
}

describe('a killed process', function () {
  this.timeout(60_000);

  it('loses nothing it acknowledged, and blocks no restart', async () => {
    const directory = await temporaryDirectory();
    try {
      let last = 0;
      for (let round = 0; round < 3; round += 1) {
        const { opened, acknowledged } = await killAfter(WRITER, directory, 150, async () => {
          const error = await rejection(LevelBrokerStore.open(directory));
          expect(error.name).to.equal('DataDirectoryInUseError');
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
        let before = NEW_MODEL;
        for (let i = 0; i < acknowledged; i += 1) before = stepAfter(before, i).after;
        const { after } = stepAfter(before, acknowledged);
        await withReplica(directory, async (store, loaded) => {
          expect(loaded.verdict.kind).to.not.equal('damaged');
          const { last, snapshot, hardState } = loaded.raft;
          const isAfter = JSON.stringify(last) !== JSON.stringify(lastOf(before));
          const held = isAfter || snapshot.last.index !== before.base.index ? after : before;
          expect(last).to.deep.equal(lastOf(held));
          expect(snapshot.last).to.deep.equal(held.base);
          expect([before.hardState, after.hardState]).to.deep.include(hardState);
          expect(hardState.term).to.be.at.least(last.term);
          const got = await readAll(store, held.base.index + 1, last.index + 1);
          // A rewriting leaves no other trace than itself.
          const isSame = JSON.stringify(lastOf(before)) === JSON.stringify(lastOf(after));
          const possible = isSame && held.base === after.base ? [held.log, after.log] : [held.log];
          expect(possible.map(texts)).to.deep.include(got);
        });
      } finally {
        await removeAll([directory]);
      }
    }
  });
});
