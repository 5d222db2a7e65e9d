import { expect } from 'chai';

import type { CommitReport, GroupConsumer } from '../../../src/client/index.js';
import type { ClusterMethods } from '../../../src/client/types.js';
import { BrokerError } from '../../../src/model/errors.js';
import { Member, put, setup, type Setup } from './group-members.js';

/** From now on no commit is taken, for a reason that may pass. */
function block(s: Setup): void {
  s.cluster.onCall = (method) =>
    method === 'commitOffsets' ? new BrokerError('NO_QUORUM', 'none') : undefined;
}

const at = (offset: number): Parameters<GroupConsumer['commit']>[0] => [
  { topic: 'events', partition: 0, offset },
];

describe('commits of a group consumer', () => {
  it('count the time in line behind earlier ones', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { autoCommit: false, requestTimeoutMs: 1_500 }).read();
    await s.world.advance(100);
    block(s);
    const fromMs = s.world.nowMs;
    const both = [1, 2, 3].map((o) => a.consumer.commit(at(o)));
    const ends = await s.world.until(Promise.allSettled(both));
    expect(ends.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected', 'rejected']);
    expect(s.world.nowMs - fromMs, 'not one after the other').to.be.at.most(1_600);
    s.cluster.onCall = () => undefined;
    await s.world.until(a.consumer.commit(at(3)));
    expect(s.cluster.commits).to.deep.equal([{ partition: 0, offset: 3 }]);
  });

  it('have a number each, which an attempt anew does not change', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { autoCommit: false }).read();
    await s.world.advance(100);
    const numbers: (number | undefined)[] = [];
    s.cluster.onCall = (method, request) => {
      if (method !== 'commitOffsets') return undefined;
      numbers.push((request as ClusterMethods['commitOffsets']['request']).commitSequence);
      return numbers.length === 1 ? new BrokerError('NO_QUORUM', 'none') : undefined;
    };
    await s.world.until(a.consumer.commit(at(1)));
    await s.world.until(a.consumer.commit(at(2)));
    expect(numbers).to.deep.equal([1, 1, 2]);
  });

  it('are refused when too many stand in line, and go on when they do not', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { autoCommit: false }).read();
    await s.world.advance(100);
    const many = Array.from({ length: 1_000 }, async () => await a.consumer.commit(at(1)));
    const refused = await a.consumer.commit(at(2)).catch((thrown: unknown) => thrown);
    expect(refused).to.have.property('code', 'THROTTLED');
    await s.world.until(Promise.all(many));
    await s.world.until(a.consumer.commit(at(3)));
    expect(s.cluster.committed.get('g/0')).to.equal(3);
  });

  it('are no success where the answer leaves the partition out', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { autoCommitIntervalMs: 1_000 }).read();
    await s.world.advance(100);
    s.cluster.onCall = (method) => (method === 'commitOffsets' ? [] : undefined);
    const refused = a.consumer.commit().catch((thrown: unknown) => thrown);
    const error = await s.world.until(refused);
    expect(error).to.have.property('code', 'INTERNAL');
    expect(error).to.have.property('outcome', 'unknown');
    s.cluster.onCall = () => undefined;
    await s.world.advance(1_500);
    expect(s.cluster.commits, 'so it is due again').to.deep.equal([{ partition: 0, offset: 3 }]);
  });

  it('are not known to be nothing when the rest of them failed', async () => {
    const s = setup(2);
    put(s.cluster, 0);
    put(s.cluster, 1);
    const a = new Member(s, { autoCommit: false, requestTimeoutMs: 2_000 }).read();
    await s.world.advance(100);
    let calls = 0;
    s.cluster.onCall = (method) => {
      if (method !== 'commitOffsets') return undefined;
      calls += 1;
      if (calls > 1) return new BrokerError('INVALID_ARGUMENT', 'no');
      const error = new BrokerError('THROTTLED', 'later');
      return [undefined, error].map((e, partition) => ({ topic: 'events', partition, error: e }));
    };
    const refused = a.consumer.commit().catch((thrown: unknown) => thrown);
    const error = await s.world.until(refused);
    expect(error).to.have.property('code', 'INVALID_ARGUMENT');
    expect(error).to.have.property('outcome', 'unknown');
  });

  for (const [later, answer] of [
    ['its call', new BrokerError('INVALID_ARGUMENT', 'no')],
    [
      'the answer',
      [{ topic: 'events', partition: 0, error: new BrokerError('UNKNOWN_MEMBER', 'evicted') }],
    ],
  ] as const) {
    it(`are not known to be nothing when an attempt was lost and ${later} was refused later`, async () => {
      const s = setup(1);
      put(s.cluster, 0, 3);
      const a = new Member(s, { autoCommit: false }).read();
      await s.world.advance(100);
      let calls = 0;
      s.cluster.onCall = (method) => {
        if (method !== 'commitOffsets') return undefined;
        calls += 1;
        return calls === 1 ? new BrokerError('UNKNOWN_OUTCOME', 'lost') : answer;
      };
      const error = await s.world.until(
        a.consumer.commit(at(1)).catch((thrown: unknown) => thrown),
      );
      expect(calls).to.equal(2);
      expect(error).to.have.property('outcome', 'unknown');
    });
  }

  it('are not known to be nothing when one answer left it open and the next was a refusal', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { autoCommit: false }).read();
    await s.world.advance(100);
    const left = [
      new BrokerError('THROTTLED', 'now, but perhaps not before', { outcome: 'unknown' }),
      new BrokerError('UNKNOWN_MEMBER', 'evicted'),
    ];
    s.cluster.onCall = (method) =>
      method === 'commitOffsets'
        ? [{ topic: 'events', partition: 0, error: left.shift() }]
        : undefined;
    const error = await s.world.until(a.consumer.commit(at(1)).catch((thrown: unknown) => thrown));
    expect(left).to.have.length(0);
    expect(error).to.include({ code: 'UNKNOWN_MEMBER', outcome: 'unknown' });
  });

  for (const occasion of ['close', 'revocation'] as const) {
    it(`give way to those of a ${occasion}, if they are the consumer's own`, async () => {
      const s = setup(2);
      put(s.cluster, 0, 3);
      put(s.cluster, 1, 3);
      const reports: [code: string | undefined, atMs: number][] = [];
      const a = new Member(s, {
        autoCommitIntervalMs: 100,
        requestTimeoutMs: 60_000,
        onCommit: ({ error }) => reports.push([error?.code, s.world.nowMs]),
      }).read();
      await s.world.advance(50);
      block(s);
      await s.world.advance(5_000);
      expect(reports, 'it is tried again and again').to.deep.equal([]);
      const fromMs = s.world.nowMs;
      const closing = occasion === 'close' ? a.consumer.close() : undefined;
      const b = new Member(s).read();
      await s.world.advance(1_000);
      expect(reports.map(([code]) => code)).to.deep.equal(['NO_QUORUM']);
      expect(reports[0]?.[1]).to.be.within(fromMs, fromMs + 300);
      s.cluster.onCall = () => undefined;
      await s.world.advance(3_000);
      await closing;
      expect(b.owned).to.have.length(occasion === 'close' ? 2 : 1);
      expect(b.got, 'all of it was committed').to.deep.equal([]);
    });
  }

  it('are those of the member that they were begun as, not of what it has come back as', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { autoCommit: false }).read();
    await s.world.advance(100);
    block(s);
    const inTheWay = a.consumer.commit(at(1)).catch(() => undefined);
    const held = a.consumer.commit(at(2)).catch((error: unknown) => error);
    s.cluster.coordinator.evict(a.consumer.memberId);
    // Whoever had the partition in between has taken the group further.
    s.cluster.committed.set('g/0', 3);
    await s.world.advance(500);
    expect(a.events).to.deep.equal(['assigned 0', 'lost 0', 'assigned 0']);
    s.cluster.onCall = () => undefined;
    await s.world.until(inTheWay);
    expect(await s.world.until(held)).to.have.property('code', 'STALE_MEMBER_EPOCH');
    expect(s.cluster.committed.get('g/0')).to.equal(3);
  });

  it('of what was processed do not go back behind one whose answer was lost', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { autoCommitIntervalMs: 600_000, requestTimeoutMs: 500 });
    a.workMs = 100;
    a.read();
    await s.world.advance(150);
    a.workMs = 60_000;
    await s.world.advance(150);
    expect(a.offsets(0), 'the last one is in hand').to.deep.equal([0, 1, 2]);
    s.cluster.onCall = (method) => {
      if (method !== 'commitOffsets') return undefined;
      s.cluster.committed.set('g/0', 3);
      return new BrokerError('NO_QUORUM', 'taken, but nobody was told');
    };
    const failure = await s.world.until(a.consumer.commit().catch((thrown: unknown) => thrown));
    expect(failure).to.have.property('outcome', 'unknown');
    s.cluster.onCall = () => undefined;
    await s.world.until(a.consumer.close());
    expect(s.cluster.commits).to.deep.equal([{ partition: 0, offset: 3 }]);
    expect(s.cluster.committed.get('g/0')).to.equal(3);
  });

  it('of a revocation are those of the member that gave up the partition', async () => {
    const s = setup(2);
    put(s.cluster, 0, 3);
    put(s.cluster, 1, 3);
    const a = new Member(s, { autoCommitIntervalMs: 600_000 }).read();
    await s.world.advance(100);
    block(s);
    const inTheWay = a.consumer.commit(at(1)).catch(() => undefined);
    const b = new Member(s);
    const joining = b.consumer.start();
    await s.world.advance(500);
    expect(a.events).to.have.length(2);
    // It stands in line with the commit of what it gives up, while it is evicted and comes back alone.
    s.cluster.coordinator.evict(a.consumer.memberId);
    await s.world.advance(100);
    await s.world.until(Promise.allSettled([b.consumer.close(), joining]));
    s.cluster.committed.set('g/0', 3).set('g/1', 3);
    s.cluster.onCall = () => undefined;
    await s.world.until(inTheWay);
    await s.world.advance(1_000);
    expect(a.owned).to.deep.equal([0, 1]);
    expect(s.cluster.commits).to.deep.equal([]);
  });

  it('of a revocation leave out what is in hand, also when the member has given up meanwhile', async () => {
    const s = setup(2);
    put(s.cluster, 1, 3);
    const a = new Member(s, {
      ...{ autoCommitIntervalMs: 600_000, requestTimeoutMs: 20_000 },
      ...{ rebalanceTimeoutMs: 5_000, processingTimeoutMs: 3_000 },
    });
    a.workMs = 100;
    a.read();
    await s.world.advance(50);
    a.workMs = 60_000;
    await s.world.advance(150);
    expect(a.offsets(1), 'the second one is in hand').to.deep.equal([0, 1]);
    block(s);
    const inTheWay = a.consumer.commit([{ topic: 'events', partition: 0, offset: 0 }]);
    const b = new Member(s);
    const joining = b.consumer.start();
    await s.world.advance(2_700);
    expect(a.events, 'its commit stands in line').to.deep.equal(['assigned 0,1', 'revoked 1']);
    await s.world.advance(1_000);
    expect(a.lost.map(({ code }) => code)).to.deep.equal(['PROCESSING_TIMEOUT']);
    s.cluster.onCall = () => undefined;
    await s.world.until(Promise.allSettled([inTheWay, joining]));
    await s.world.advance(1_000);
    expect(s.cluster.commits.filter(({ partition }) => partition === 1)).to.deep.equal([
      { partition: 1, offset: 1 },
    ]);
  });

  it('are told to onCommit, also the last one before a member gives up', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const reports: CommitReport[] = [];
    const a = new Member(s, {
      processingTimeoutMs: 2_000,
      onCommit: (report) => reports.push(report),
    });
    a.workMs = 1_000;
    a.read();
    await s.world.advance(1_500);
    a.workMs = 10_000;
    await s.world.advance(4_000);
    expect(a.events).to.deep.equal(['assigned 0', 'lost 0']);
    expect(reports).to.deep.equal([
      { offsets: [{ topic: 'events', partition: 0, offset: 2 }], error: undefined },
    ]);
    expect(s.cluster.committed.get('g/0')).to.equal(2);
  });
});
