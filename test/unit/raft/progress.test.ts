import { expect } from 'chai';
import { InvariantError } from '../../../src/base/assert.js';
import { brokerId, incarnation, logIndex } from '../../../src/model/ids.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import { Inflights, Progress } from '../../../src/raft/progress.js';

const i = logIndex;

function peer(next: number): Progress {
  const config = { ...DEFAULT_RAFT_CONFIG, inflightMax: 2, inflightBytesMax: 100 };
  return new Progress(brokerId(2), i(next), config);
}

function replicating(match: number): Progress {
  const p = peer(match + 1);
  p.maybeAdvance(i(match));
  p.becomeReplicate(false);
  return p;
}

describe('in-flight window', () => {
  it('is full by count or by bytes, and takes one message of any size', () => {
    const byCount = new Inflights(2, 1000);
    byCount.add(i(1), 1);
    expect(byCount.isFull).equal(false);
    byCount.add(i(2), 1);
    expect(byCount.isFull).equal(true);
    const byBytes = new Inflights(10, 100);
    byBytes.add(i(1), 5000);
    expect(byBytes.isFull).equal(true);
    byBytes.freeTo(i(1));
    expect(byBytes).include({ isFull: false, count: 0, bytes: 0 });
  });

  it('frees everything an acknowledgement covers, and nothing for a stale one', () => {
    const window = new Inflights(200, 1e9);
    for (let at = 1; at <= 150; at++) window.add(i(at), 10);
    window.freeTo(i(0));
    expect(window.count).equal(150);
    window.freeTo(i(100));
    expect(window).include({ count: 50, bytes: 500 });
    window.freeTo(i(100));
    expect(window).include({ count: 50, bytes: 500 });
    for (let at = 151; at <= 300; at++) window.add(i(at), 10);
    expect(window.isFull).equal(true);
    expect(() => {
      window.add(i(301), 1);
    }).throw(InvariantError);
    window.freeTo(i(300));
    expect(window).include({ count: 0, bytes: 0 });
  });
});

describe('progress of a peer', () => {
  it('probes with one message at a time', () => {
    const p = peer(5);
    expect(p.mayNotSend).equal(false);
    p.sent(i(7), 10, 1);
    expect(p).include({ mayNotSend: true, next: 5 });
  });

  it('counts the answered probe as in flight while it is not durable', () => {
    const p = peer(5);
    p.sent(i(7), 10, 1);
    p.maybeAdvance(i(4));
    p.becomeReplicate(true);
    expect(p).include({ match: 4, next: 8 });
    expect(p.inflights.count).equal(1);
    p.maybeAdvance(i(7));
    p.inflights.freeTo(i(7));
    expect(p.inflights.count).equal(0);
  });

  it('pipelines until the window is full', () => {
    const p = replicating(4);
    p.sent(i(5), 10, 1);
    expect(p).include({ mayNotSend: false, next: 6 });
    p.sent(i(9), 10, 1);
    expect(p).include({ mayNotSend: true, next: 10 });
    p.inflights.freeTo(i(5));
    expect(p.mayNotSend).equal(false);
  });

  it('never lets match fall, nor next below it', () => {
    const p = replicating(4);
    expect(p.maybeAdvance(i(3))).equal(false);
    expect(p.maybeAdvance(i(4))).equal(false);
    expect(p).include({ match: 4, next: 5 });
    expect(p.maybeAdvance(i(9))).equal(true);
    expect(p).include({ match: 9, next: 10 });
    expect(() => {
      p.becomeProbe(i(9));
    }).throw(InvariantError);
  });

  const refusals: {
    name: string;
    make: () => Progress;
    rejected: number;
    hint: number;
    next: number | 'ignored';
  }[] = [
    {
      name: 'of the probe under way, with a hint',
      make: () => peer(10),
      rejected: 9,
      hint: 3,
      next: 4,
    },
    { name: 'whose hint is no help', make: () => peer(10), rejected: 9, hint: 50, next: 9 },
    { name: 'of an earlier probe', make: () => peer(10), rejected: 7, hint: 3, next: 'ignored' },
    { name: 'of the very first entry', make: () => peer(1), rejected: 0, hint: 0, next: 'ignored' },
    { name: 'while pipelining', make: () => replicating(4), rejected: 8, hint: 0, next: 5 },
    {
      name: 'of what is acknowledged',
      make: () => replicating(4),
      rejected: 4,
      hint: 0,
      next: 'ignored',
    },
  ];
  for (const { name, make, rejected, hint, next } of refusals) {
    it(`goes back after a refusal ${name}: ${next}`, () => {
      const p = make();
      const before = p.next;
      expect(p.maybeBackOff(i(rejected), i(hint))).equal(next !== 'ignored');
      expect(p.next).equal(next === 'ignored' ? before : next);
      if (next !== 'ignored') expect(p.state).equal('probe');
    });
  }

  it('is full by bytes at its very limit, and by nothing while it is empty', () => {
    const window = new Inflights(10, 100);
    window.add(i(1), 99);
    expect(window.isFull).equal(false);
    window.add(i(2), 1);
    expect(window.isFull).equal(true);
    window.reset();
    expect(window).include({ isFull: false, count: 0, bytes: 0 });
    expect(new Inflights(10, 0).isFull).equal(false);
  });

  it('takes what is in flight in order only', () => {
    const window = new Inflights(10, 100);
    window.add(i(5), 1);
    expect(() => window.add(i(5), 1)).throw(InvariantError);
    expect(() => new Inflights(10, 100).add(i(0), 1)).throw(InvariantError);
  });

  it('goes on at what was acknowledged, unless a probe told more', () => {
    const p = peer(9);
    p.maybeAdvance(i(4));
    p.becomeReplicate(true);
    expect(p, 'no probe was out').include({ next: 5, state: 'replicate' });
    expect(p.inflights.count).equal(0);
    const stale = peer(5);
    stale.sent(i(7), 10, 1);
    stale.maybeAdvance(i(7));
    stale.becomeReplicate(true);
    expect(stale, 'the probe is durable').include({ next: 8 });
    expect(stale.inflights.count).equal(0);
    const other = peer(5);
    other.sent(i(7), 10, 1);
    other.maybeAdvance(i(4));
    other.becomeReplicate(false);
    expect(other, 'another message was answered').include({ next: 5 });
  });

  it('waits for an answer, a read or room before it sends more', () => {
    const p = replicating(4);
    p.pauseUntilAnswer();
    expect(p).include({ mayNotSend: true, movedAtTick: -Infinity });
    p.becomeProbe();
    expect(p).include({ mayNotSend: false, next: 5 });
    p.readFrom = i(5);
    expect(p.mayNotSend).equal(true);
    p.becomeSnapshot();
    expect(p.readFrom).equal(undefined);
    p.becomeProbe(i(9));
    expect(p).include({ mayNotSend: false, next: 9, state: 'probe' });
  });

  it('notes when it was last sent something to while nothing was in flight', () => {
    const p = replicating(4);
    p.sent(i(5), 10, 7);
    p.sent(i(6), 10, 9);
    expect(p.movedAtTick).equal(7);
    const probe = peer(5);
    probe.sent(i(4), 0, 3);
    expect(probe.movedAtTick).equal(3);
    expect(() => replicating(4).sent(i(4), 1, 1)).throw(InvariantError);
    expect(() => peer(0)).throw(InvariantError);
  });

  it('forgets everything of another life', () => {
    const p = replicating(4);
    p.sent(i(6), 10, 1);
    p.readFrom = i(7);
    p.readRound = 3;
    p.sentCommit = i(4);
    p.forget(incarnation(2), i(1));
    expect(p).include({ readFrom: undefined, readRound: 0, sentCommit: 0, next: 1 });
    expect(p.inflights.count).equal(0);
  });

  it('sends nothing beside a snapshot, and ignores refusals meanwhile', () => {
    const p = replicating(4);
    p.becomeSnapshot();
    expect(p.mayNotSend).equal(true);
    expect(p.maybeBackOff(i(9), i(3))).equal(false);
    expect(() => {
      p.sent(i(21), 1, 1);
    }).throw(InvariantError);
  });

  it('counts for nothing while under repair, and starts at 0 as another life', () => {
    const p = replicating(4);
    p.isRepairing = true;
    expect(p).include({ match: 4, countedMatch: 0 });
    p.forget(incarnation(2), i(8));
    expect(p).include({ match: 0, next: 8, state: 'probe', incarnation: 2 });
  });

  const uneven: [string, (p: Progress) => void][] = [
    ['is under repair', (p) => (p.isRepairing = true)],
    ['has not spoken yet', (p) => (p.incarnation = undefined)],
    ['is being probed', (p) => p.becomeProbe()],
    ['is not to be sent anything', (p) => (p.isPaused = true)],
    ['waits for a read', (p) => (p.readFrom = i(5))],
    ['has something on its way', (p) => p.sent(i(5), 1, 1)],
    ['has more by now', (p) => p.maybeAdvance(i(5))],
  ];
  for (const [what, change] of uneven) {
    it(`is not even when it ${what}`, () => {
      const p = replicating(4);
      p.incarnation = incarnation(1);
      expect([3, 4, 5].map((last) => p.isEven(i(last)))).deep.equal([false, true, false]);
      change(p);
      expect(p.isEven(i(4))).equal(false);
    });
  }
});
