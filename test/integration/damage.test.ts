import { expect } from 'chai';
import { rmSync } from 'node:fs';
import path from 'node:path';

import { Prng } from '../../src/base/prng.js';
import { damageRound } from '../../scripts/damage/round.js';
import { DamageStage } from '../../scripts/damage/stage.js';

const SEED = 7;

/** One harm that is never without effect, on real processes; `npm run damage` does them all. */
describe('a damaged replica of a real broker', function () {
  this.timeout(300_000);
  let stage: DamageStage;

  before(async () => {
    stage = await DamageStage.start({ seed: SEED, recordsPerSecond: 500, valueBytes: 500 });
  });
  after(() => stage.stop({ keep: false }));

  it('is found out, rebuilt, and serves everything that was acknowledged', async () => {
    const loseCurrent = (database: string): string => {
      rmSync(path.join(database, 'CURRENT'));
      return 'CURRENT is gone';
    };
    const result = await damageRound(stage, loseCurrent, new Prng(SEED), new Set());
    expect(result.problems).to.deep.equal([]);
    expect(result).to.include({ isDetected: true, wrong: 0, lost: 0 });
    expect(result.rebuiltMs).to.be.a('number');
    expect(stage.ledger.acked.size).to.be.greaterThan(100);
  });
});
