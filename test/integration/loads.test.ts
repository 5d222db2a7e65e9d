import { expect } from 'chai';

import { sizesOf, type Sizes } from '../../scripts/loads/load.js';
import { LOADS } from '../../scripts/loads/loads.js';
import { runLoad } from '../../scripts/loads/run.js';

/** As small as each can be and still judge; `npm run loads` runs them in full. */
const SMALLEST: Readonly<Record<string, Sizes>> = {
  members: { members: 30, partitions: 6, quietSeconds: 0.5 },
  groups: { groups: 20, quietSeconds: 0.5 },
  commits: { seconds: 1, groups: 10, partitions: 4, lanes: 8, clients: 1 },
  idempotence: { retries: 20, failovers: 2, partitions: 2 },
  retention: { quotaMebibytes: 2, times: 3, partitions: 1, checkMs: 300 },
  'slow-consumer': { minutes: 0.06, partitions: 2, recordsPerSecond: 200, valueBytes: 200 },
  compaction: {
    ...{ updates: 3_000, keys: 50, partitions: 2, valueBytes: 20 },
    ...{ readers: 1, dirtyPercent: 10, checkMs: 300 },
  },
  'producers-idle': { producers: 200, streams: 50, polls: 50, idleSeconds: 0.2, quietSeconds: 0.2 },
};

describe('the loads of npm run loads', function () {
  this.timeout(300_000);

  it('are all tried here', () => {
    expect(Object.keys(SMALLEST).sort()).to.deep.equal(Object.keys(LOADS).sort());
  });

  for (const [name, sizes] of Object.entries(SMALLEST)) {
    it(`${name} finds nothing wrong with three brokers`, async () => {
      const load = LOADS[name];
      if (load === undefined) throw new Error(`no load ${name}`);
      const said: string[] = [];
      const { findings } = await runLoad(load, sizesOf(load, true, sizes), {
        say: (text) => said.push(text),
        keep: false,
      });
      const { verdict, problems, doubts, figures } = findings;
      expect({ verdict, problems, doubts }, said.join('\n')).to.deep.equal({
        verdict: 'PASS',
        problems: [],
        doubts: [],
      });
      expect(Object.keys(figures)).to.have.length.greaterThan(3);
    });
  }

  it('name the sizes there are when one is unknown, and take no size that is none', () => {
    const load = LOADS['members'];
    if (load === undefined) throw new Error('no load members');
    expect(() => sizesOf(load, false, { meters: 1 })).to.throw(RangeError, /--members/);
    expect(() => sizesOf(load, false, { members: Number.NaN })).to.throw(RangeError);
    expect(sizesOf(load, true, { members: 7 })).to.include({ members: 7, partitions: 12 });
  });
});
