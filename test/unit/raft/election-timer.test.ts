import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import { ElectionTimer } from '../../../src/raft/election-timer.js';

const CONFIG = {
  ...DEFAULT_RAFT_CONFIG,
  electionTicks: 10,
  heartbeatTicks: 1,
  hintedRetryTicks: 2,
};

function timer(seed: number): ElectionTimer {
  return new ElectionTimer(CONFIG, new Prng(seed));
}

/** In which tick it is time to campaign. */
function ticksOf(t: ElectionTimer): number {
  for (let ticks = 1; ticks <= 100; ticks++) if (t.tick()) return ticks;
  return Infinity;
}

describe('election timer', () => {
  it('runs out after every number of ticks from one timeout to less than two, none too often', () => {
    const counts = new Map<number, number>();
    for (let seed = 1; seed <= 5000; seed++) {
      const ticks = ticksOf(timer(seed));
      counts.set(ticks, (counts.get(ticks) ?? 0) + 1);
    }
    const expected = Array.from({ length: 10 }, (_, i) => 10 + i);
    expect([...counts.keys()].sort((a, b) => a - b)).deep.equal(expected);
    for (const count of counts.values()) expect(count).within(400, 600);
  });

  it('is drawn anew each time', () => {
    const t = timer(7);
    const drawn = new Set<number>();
    for (let i = 0; i < 100; i++) {
      drawn.add(ticksOf(t));
      t.restart();
    }
    expect(drawn.size).equal(10);
  });

  it('seldom runs out first in two of five replicas at once', () => {
    let conflicts = 0;
    for (let group = 0; group < 1000; group++) {
      const ticks = [1, 2, 3, 4, 5].map((self) => ticksOf(timer(group * 5 + self)));
      const first = Math.min(...ticks);
      if (ticks.filter((t) => t === first).length > 1) conflicts++;
    }
    expect(conflicts).below(300);
  });

  it('follows a hint, tries again soon for as long as a timeout, and then takes its time', () => {
    const t = timer(3);
    t.hint(2);
    expect(ticksOf(t)).equal(2);
    for (let ticks = 2; ticks < 10;) {
      t.giveTime();
      const again = ticksOf(t);
      if (ticks + again < 10) expect(again).within(2, 4);
      ticks += again;
    }
    expect(t.isHinted).equal(false);
    t.giveTime();
    expect(ticksOf(t)).within(10, 19);
  });

  it('gives votes longer than pre-votes, as they wait for disks', () => {
    const vote = timer(3);
    vote.hint(0);
    vote.giveVoteTime();
    expect(ticksOf(vote)).within(2, 4);
    const slow = new ElectionTimer({ ...CONFIG, electionTicks: 40 }, new Prng(3));
    slow.hint(0);
    slow.giveVoteTime();
    expect(ticksOf(slow)).within(10, 20);
  });

  it('forgets a hint as soon as a leader is heard', () => {
    const t = timer(3);
    t.hint(1);
    t.restart();
    expect(t.isHinted).equal(false);
    expect(ticksOf(t)).within(10, 19);
  });
});
