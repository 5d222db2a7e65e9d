import { expect } from 'chai';
import { runSeed } from './run.js';

const SEEDS = 200;
/** Of each so many, one is run twice. */
const TWICE_EVERY = 20;

/** The first seeds, of both levels as they draw; `npm run sim` runs thousands. */
describe('simulation', () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const isTwice = seed % TWICE_EVERY === 0;
    const twice = isTwice ? ', and runs the same way twice' : '';
    it(`seed ${seed} keeps every promise${twice}`, async () => {
      const replay = `npm run sim -- --seed ${seed} --verbose`;
      const first = await runSeed(seed);
      expect(first.error, replay).to.equal(undefined);
      expect(first.acked, replay).to.be.greaterThan(0);
      if (!isTwice) return;
      const second = await runSeed(seed);
      expect(second.hash, replay).to.equal(first.hash);
    }).timeout(60_000);
  }
});
