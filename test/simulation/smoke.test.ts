import { expect } from 'chai';
import { runSeed, type Level } from './run.js';

const SEEDS = 12;

/** Seeds of both levels; `npm run sim` runs thousands. */
describe('simulation', () => {
  for (const level of ['raft', 'broker'] satisfies Level[]) {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      it(`seed ${seed} at the ${level} level keeps every promise, and runs the same way twice`, async () => {
        const replay = `npm run sim -- --seed ${seed} --level ${level} --verbose`;
        const first = await runSeed(seed, { level });
        expect(first.error, replay).to.equal(undefined);
        expect(first.acked, replay).to.be.greaterThan(0);
        const second = await runSeed(seed, { level });
        expect(second.hash, replay).to.equal(first.hash);
      }).timeout(60_000);
    }
  }
});
