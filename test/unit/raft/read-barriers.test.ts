import { expect } from 'chai';
import { logIndex } from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import { ReadBarriers } from '../../../src/raft/read-barriers.js';

describe('read barriers', () => {
  it('are confirmed by a round begun after their arrival, not by an earlier one', () => {
    const reads = new ReadBarriers();
    expect([reads.round, reads.wantsRound]).deep.equal([0, false]);
    reads.beginRound();
    reads.add(7, logIndex(3));
    expect(reads.wantsRound).equal(true);
    expect(reads.confirmed(1)).deep.equal([]);
    expect(reads.beginRound()).equal(2);
    expect([reads.round, reads.lastRoundBegun, reads.wantsRound]).deep.equal([2, 2, false]);
    expect(reads.confirmed(2)).deep.equal([{ token: 7, index: 3 }]);
    expect([reads.round, reads.count], 'nobody waits').deep.equal([0, 0]);
    expect(reads.confirmed(2), 'once').deep.equal([]);
  });

  it('are not confirmed by a round that was never begun', () => {
    const reads = new ReadBarriers();
    reads.add(7, logIndex(3));
    expect(reads.confirmed(9)).deep.equal([]);
    expect(reads.count).equal(1);
  });

  it('are confirmed in their order, those of later rounds later', () => {
    const reads = new ReadBarriers();
    reads.add(1, logIndex(3));
    reads.add(2, logIndex(4));
    reads.beginRound();
    reads.add(3, logIndex(5));
    reads.beginRound();
    expect(reads.confirmed(1).map(({ token }) => token)).deep.equal([1, 2]);
    expect(reads.confirmed(2)).deep.equal([{ token: 3, index: 5 }]);
  });

  it('wait for the first commit of the term, which becomes their index', () => {
    const reads = new ReadBarriers();
    reads.add(1, undefined);
    expect([reads.count, reads.round, reads.wantsRound]).deep.equal([1, 0, false]);
    reads.beginRound();
    expect(reads.confirmed(1)).deep.equal([]);
    reads.admitEarly(logIndex(6));
    expect([reads.count, reads.wantsRound]).deep.equal([1, true]);
    reads.beginRound();
    expect(reads.confirmed(2)).deep.equal([{ token: 1, index: 6 }]);
    reads.admitEarly(logIndex(7));
    expect(reads.count, 'admitted once').equal(0);
  });

  it('are as many as may wait, early ones included', () => {
    const reads = new ReadBarriers();
    for (let token = 1; token < LIMITS.fetchWaitersMax; token++) reads.add(token, logIndex(1));
    expect(reads.add(0, undefined)).equal(true);
    expect(reads.add(0, undefined)).equal(false);
    expect(reads.add(0, logIndex(1))).equal(false);
    expect(reads.count).equal(LIMITS.fetchWaitersMax);
  });

  it('are all handed back when the leader steps down', () => {
    const reads = new ReadBarriers();
    reads.add(1, logIndex(1));
    reads.add(2, undefined);
    reads.add(3, logIndex(1));
    expect(reads.drain().sort()).deep.equal([1, 2, 3]);
    expect([reads.count, reads.drain()]).deep.equal([0, []]);
  });
});
