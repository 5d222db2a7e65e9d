import { expect } from 'chai';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { faultLibrary, FaultShim } from '../../scripts/lib/fault-shim/fault-shim.js';
import { Prng } from '../../src/base/prng.js';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { entry, IDENTITY, readAll, texts } from '../conformance/broker-store.suite.js';
import { filler, notTriedHere, temporaryDirectory, withReplica } from './damage-kit.js';
import { killAfter } from './kill-after.js';
import { expectStep } from './steps-held.js';

const WRITER = fileURLToPath(new URL('./killed-writer.ts', import.meta.url));
const STEPPER = fileURLToPath(new URL('./killed-stepper.ts', import.meta.url));

const library = faultLibrary();

/** Real files below a library that knows what was synced, and takes everything else away. */
describe('a power cut', function () {
  this.timeout(120_000);
  let root: string;
  let directory: string;
  let shim: FaultShim;

  if ('missing' in library) {
    notTriedHere(library.missing);
    return;
  }

  beforeEach(async () => {
    root = await temporaryDirectory();
    directory = path.join(root, 'data');
    const made = FaultShim.make({ under: directory, directory: path.join(root, 'shim') });
    if (typeof made === 'string') throw new Error(made);
    shim = made;
  });
  afterEach(() => {
    shim.close();
    rmSync(root, { recursive: true });
  });

  for (const [what, isHard] of [
    ['everything', true],
    ['some', false],
  ] as const) {
    it(`that loses ${what} that was not synced takes nothing that was acknowledged`, async () => {
      let last = 0;
      for (let round = 0; round < 3; round += 1) {
        const { acknowledged } = await killAfter(WRITER, directory, 150, { env: shim.environment });
        const cut = shim.powerCut(isHard ? {} : { prng: new Prng(round) });
        expect(cut.bytesCut + cut.bytesRestored + cut.namesUndone).to.be.greaterThan(0);
        expect(acknowledged).to.be.greaterThan(last);
        last = acknowledged;
        await withReplica(directory, async (store, loaded) => {
          expect(loaded.verdict.kind).to.equal('sound');
          const end = loaded.raft.last.index;
          expect(end).to.be.at.least(acknowledged);
          const want = Array.from({ length: end }, (_, i) => entry(1, i + 1, filler(i + 1, 9_000)));
          expect(await readAll(store, 1, end + 1)).to.deep.equal(texts(want));
        });
      }
    });
  }

  for (let round = 0; round < 6; round += 1) {
    it(`leaves what a step left, or what was before it: cut ${round + 1}`, async () => {
      const broker = await LevelBrokerStore.open(directory);
      await broker.saveIdentity(IDENTITY);
      await broker.close();
      const { acknowledged } = await killAfter(STEPPER, directory, 20 + round * 23, {
        env: shim.environment,
      });
      shim.powerCut(round % 2 === 0 ? {} : { prng: new Prng(round) });
      await expectStep(directory, acknowledged);
    });
  }
});
