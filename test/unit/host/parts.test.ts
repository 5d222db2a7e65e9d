import { expect } from 'chai';

import { EarlyRequests } from '../../../src/host/early-requests.js';
import { LogUpkeep } from '../../../src/host/log-upkeep.js';
import { campaignRank, transferTargets } from '../../../src/host/leadership.js';
import { MembershipHistory } from '../../../src/host/membership-history.js';
import { RateLimitedLog } from '../../../src/host/rate-limited-log.js';
import { RecentBudget, type RecentHolder } from '../../../src/host/recent-budget.js';
import { Waiters } from '../../../src/host/waiters.js';
import {
  brokerId,
  incarnation,
  logIndex,
  raftGroupId,
  term,
  type BrokerId,
} from '../../../src/model/ids.js';
import { membershipOf } from '../../../src/model/membership.js';
import type { PeerStatus, RaftStatus } from '../../../src/raft/io.js';
import type { PreVoteRequest } from '../../../src/raft/message.js';
import { FakeWorld } from './support/fake-world.js';
import { testTelemetry, type LogLine } from './support/test-cluster.js';

describe('the budget for recent entries', () => {
  class Holder implements RecentHolder {
    bytes = 0;
    trims = 0;
    recentBytes(): number {
      return this.bytes;
    }
    trimRecent(bytesMax: number): void {
      this.trims += 1;
      this.bytes = Math.min(this.bytes, bytesMax);
    }
  }

  it('takes from those that were quiet longest', () => {
    const budget = new RecentBudget(100);
    const holders = [new Holder(), new Holder(), new Holder()];
    for (const holder of holders) {
      holder.bytes = 40;
      budget.used(holder);
    }
    budget.used(holders[0]!);
    budget.enforce();
    expect(holders.map((h) => h.bytes)).to.deep.equal([40, 20, 20]);
    expect(budget.totalBytes).to.equal(80);
  });

  it('leaves everybody alone while there is room, and forgets who has gone', () => {
    const budget = new RecentBudget(100);
    const [a, b] = [new Holder(), new Holder()];
    a.bytes = 60;
    b.bytes = 60;
    budget.used(a);
    budget.used(b);
    budget.forget(a);
    budget.enforce();
    expect([a.trims, b.trims, budget.totalBytes]).to.deep.equal([0, 0, 60]);
  });
});

describe('the history of memberships', () => {
  const [m1, m2, m3] = [membershipOf([1]), membershipOf([1, 2]), membershipOf([1, 2, 3])];

  it('knows the membership as of every applied index', () => {
    const above = [
      { index: logIndex(7), membership: m2 },
      { index: logIndex(20), membership: m3 },
    ];
    const history = new MembershipHistory(
      { index: logIndex(5), membership: m1 },
      above,
      logIndex(9),
    );
    expect(history.at(logIndex(6))).to.equal(m1);
    expect(history.at(logIndex(7))).to.equal(m2);
    expect(history.at(logIndex(30))).to.equal(m2, 'what is not applied does not count');
    history.applied(logIndex(10), m3);
    history.truncated(logIndex(8));
    expect(history.at(logIndex(8))).to.equal(m2);
    expect(history.at(logIndex(10))).to.equal(m3);
    expect(() => history.at(logIndex(4))).to.throw(/known/);
    expect(() => history.applied(logIndex(10), m1)).to.throw(/in order/);
  });
});

describe('waiters', () => {
  let world: FakeWorld;
  let waiters: Waiters;
  beforeEach(() => {
    world = new FakeWorld();
    waiters = new Waiters(world.timers);
  });
  const ending = async (promise: Promise<void>): Promise<string> =>
    await promise.then(
      () => 'done',
      (error: unknown) => (error as { code: string }).code,
    );

  it('hold a read until its index is applied', async () => {
    const { token, promise } = waiters.barrier(1_000);
    let isDone = false;
    void promise.then(() => (isDone = true));
    waiters.barrierReached(token, logIndex(5), logIndex(4));
    await world.settle();
    expect(isDone).to.equal(false);
    waiters.applied(logIndex(5));
    await world.settle();
    expect(isDone).to.equal(true);
  });

  it('end a read by its deadline, or when leadership goes', async () => {
    const late = ending(waiters.barrier(100).promise);
    const { token, promise } = waiters.barrier(1_000);
    const lost = ending(promise);
    waiters.barrierFailed(token);
    await world.run(150);
    expect(await late).to.equal('DEADLINE_EXCEEDED');
    expect(await lost).to.equal('NOT_LEADER');
  });

  it('end a membership change with its final membership, not with a joint one', async () => {
    const target = membershipOf([1, 2, 4]);
    const joint = { ...target, votersOutgoing: membershipOf([1, 2, 3]).voters, autoLeave: true };
    const end = ending(waiters.membership(logIndex(10), target, 1_000));
    let isDone = false;
    void end.then(() => (isDone = true));
    waiters.membershipApplied(logIndex(10), joint);
    await world.settle();
    expect(isDone).to.equal(false);
    waiters.membershipApplied(logIndex(11), target);
    expect(await end).to.equal('done');
  });

  it('do not know how a change ends whose leader stepped down, unless it was committed', async () => {
    const target = membershipOf([1, 2, 4]);
    const lost = ending(waiters.membership(logIndex(10), target, 1_000));
    waiters.steppedDown(logIndex(10), logIndex(9));
    expect(await lost).to.equal('UNKNOWN_OUTCOME');
    const committed = ending(waiters.membership(logIndex(12), target, 1_000));
    waiters.steppedDown(logIndex(13), logIndex(11));
    waiters.membershipApplied(logIndex(12), target);
    waiters.applied(logIndex(12));
    expect(await committed).to.equal('done');
  });
});

describe('who looks for a leader first', () => {
  const voters = [1, 2, 3].map(brokerId);
  const ranks = (id: number, preferred?: number): (number | undefined)[] =>
    [1, 2, 3, 4].map((self) =>
      campaignRank(voters, brokerId(self), {
        id: raftGroupId(id),
        preferredLeader: preferred === undefined ? undefined : brokerId(preferred),
      }),
    );

  it('is the preferred leader, then the others in a circle, and never who has no vote', () => {
    expect(ranks(0, 1)).to.deep.equal([0, 1, 2, undefined]);
    expect(ranks(0, 2)).to.deep.equal([2, 0, 1, undefined]);
    expect(ranks(9, 3)).to.deep.equal([1, 2, 0, undefined]);
  });

  it('is another one for every group where no voter is preferred', () => {
    expect(ranks(0)).to.deep.equal([0, 1, 2, undefined]);
    expect(ranks(1)).to.deep.equal([1, 2, 0, undefined]);
    expect(ranks(5)).to.deep.equal([2, 0, 1, undefined]);
    expect(ranks(5, 4)).to.deep.equal([2, 0, 1, undefined]);
  });
});

describe('requests that come before their replica is open', () => {
  const clock = { nowMs: () => 0, monotonicMs: () => nowMs };
  let nowMs = 0;
  const request = (from: number, t: number): PreVoteRequest => ({
    kind: 'preVoteRequest',
    from: brokerId(from),
    to: brokerId(1),
    term: term(t),
    incarnation: incarnation(1),
    lastLog: { term: term(0), index: logIndex(0) },
  });
  beforeEach(() => {
    nowMs = 0;
  });

  it('are given once, the latest of each candidate', () => {
    const early = new EarlyRequests(clock, 1_000);
    for (const one of [request(2, 1), request(3, 1), request(2, 2)]) {
      expect(early.keep(raftGroupId(5), one)).to.equal(true);
    }
    expect(early.take(raftGroupId(6))).to.deep.equal([]);
    expect(early.take(raftGroupId(5))).to.deep.equal([request(2, 2), request(3, 1)]);
    expect(early.take(raftGroupId(5))).to.deep.equal([]);
  });

  it('grow old', () => {
    const early = new EarlyRequests(clock, 1_000);
    early.keep(raftGroupId(5), request(2, 1));
    nowMs = 600;
    early.keep(raftGroupId(5), request(3, 1));
    nowMs = 1_001;
    expect(early.take(raftGroupId(5))).to.deep.equal([request(3, 1)]);
  });

  it('are refused if they are of any other kind: those mean something only now', () => {
    const early = new EarlyRequests(clock, 1_000);
    const vote = { ...request(2, 1), kind: 'voteRequest', isTransfer: false } as const;
    expect(early.keep(raftGroupId(5), vote)).to.equal(false);
    expect(early.take(raftGroupId(5))).to.deep.equal([]);
  });

  it('are bounded, the oldest going first', () => {
    const early = new EarlyRequests(clock, 1_000);
    for (let id = 1; id <= 5_000; id += 1) early.keep(raftGroupId(id), request(2, 1));
    expect(early.groups).to.equal(4_096);
    expect(early.take(raftGroupId(904))).to.deep.equal([]);
    expect(early.take(raftGroupId(905))).to.deep.equal([request(2, 1)]);
  });
});

describe('who takes over a leadership', () => {
  const peer = (id: number, change: Partial<PeerStatus> = {}): PeerStatus => ({
    id: brokerId(id),
    match: logIndex(9),
    next: logIndex(10),
    state: 'replicate',
    isActive: true,
    isRepairing: false,
    ...change,
  });
  const status = (peers: readonly PeerStatus[]): RaftStatus => ({
    self: brokerId(1),
    role: 'leader',
    term: term(1),
    leader: brokerId(1),
    votedFor: brokerId(1),
    needsRepair: false,
    commit: logIndex(9),
    applied: logIndex(9),
    last: { term: term(1), index: logIndex(9) },
    durable: logIndex(9),
    snapshotIndex: logIndex(0),
    membership: membershipOf([1, 2, 3, 4], [5]),
    peers,
    transferringTo: undefined,
  });

  const ANYONE = { mayLead: () => true, elseAnyone: true };

  it('is another one for every group, the able before the lagging', () => {
    const peers = [peer(2), peer(3), peer(4, { state: 'probe' })];
    expect(transferTargets(status(peers), raftGroupId(0), ANYONE)).to.deep.equal([2, 3, 4]);
    expect(transferTargets(status(peers), raftGroupId(1), ANYONE)).to.deep.equal([3, 2, 4]);
  });

  it('is nobody who is gone, damaged or a learner', () => {
    const peers = [peer(2, { isActive: false }), peer(3, { isRepairing: true }), peer(5)];
    expect(transferTargets(status(peers), raftGroupId(0), ANYONE)).to.deep.equal([]);
  });

  it('is who may lead; the others after them, if staying is no choice', () => {
    const peers = [peer(2), peer(3), peer(4, { state: 'probe' })];
    const mayLead = (id: BrokerId): boolean => id !== 2;
    const targets = (elseAnyone: boolean): BrokerId[] =>
      transferTargets(status(peers), raftGroupId(0), { mayLead, elseAnyone });
    expect(targets(false)).to.deep.equal([3, 4]);
    expect(targets(true)).to.deep.equal([3, 4, 2]);
  });
});

describe('the upkeep of a log', () => {
  it('waits for a verification no longer than until it is stopped, and begins none after', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const failures: unknown[] = [];
    const never = <T>(): Promise<T> => new Promise(() => undefined);
    const store = {
      snapshot: () => never<undefined>(),
      sizeBytes: () => never<number>(),
      rewrite: () => never<undefined>(),
      saveNote: () => never<undefined>(),
      note: () => never<undefined>(),
      verifyAll: (options: { readonly signal?: AbortSignal }) => {
        signals.push(options.signal);
        return never<number>();
      },
    };
    const upkeep = new LogUpkeep({
      store,
      reader: { fencing: (work) => work },
      log: testTelemetry([], new Map()).log,
      verifications: { add: () => undefined },
      failed: (error) => failures.push(error),
    });
    const verified = upkeep.verify(1);
    upkeep.stop();
    await verified;
    await upkeep.verify(1);
    expect(signals.map((signal) => signal?.aborted)).to.deep.equal([true]);
    expect(failures).to.deep.equal([]);
  });
});

describe('the rate-limited log', () => {
  it('says how often it kept quiet', () => {
    const lines: LogLine[] = [];
    const world = new FakeWorld();
    const log = new RateLimitedLog(testTelemetry(lines, new Map()).log, world.clock, 1_000);
    for (let i = 0; i < 5; i++) log.warn({ i }, 'again');
    world.freeze(1_500);
    log.warn({ i: 5 }, 'again');
    expect(lines.map((l) => [l.fields['i'], l.fields['suppressed']])).to.deep.equal([
      [0, 0],
      [5, 4],
    ]);
  });
});
