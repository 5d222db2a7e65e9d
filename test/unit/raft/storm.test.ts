import { expect } from 'chai';
import { RaftFuzz } from '../../support/raft-fuzz.js';

describe('raft in a storm', () => {
  it('stays safe, and everything heals', () => {
    let committed = 0;
    let leaders = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const result = new RaftFuzz({ seed, steps: 1500, isBeyondRepair: false }).run();
      committed += result.committed;
      leaders += result.leaders;
    }
    // A storm in which nothing happens proves nothing.
    expect(committed).greaterThan(300);
    expect(leaders).greaterThan(60);
  });

  it('stays safe when more is damaged than can be repaired', () => {
    let committed = 0;
    let leaders = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const result = new RaftFuzz({ seed, steps: 1500, isBeyondRepair: true }).run();
      committed += result.committed;
      leaders += result.leaders;
    }
    expect(committed).greaterThan(200);
    expect(leaders).greaterThan(40);
  });

  it('takes the same course for the same seed', () => {
    const options = { seed: 11, steps: 1500, isBeyondRepair: false };
    expect(new RaftFuzz(options).run()).deep.equal(new RaftFuzz(options).run());
  });
});
