import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import type { GroupConsumer, GroupConsumerOptions } from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { Member, put, putAll, setup, upTo } from './group-members.js';

describe('group consumer', () => {
  it('reads everything alone, and commits in intervals what was processed', async () => {
    const s = setup();
    putAll(s.cluster, 5);
    const a = new Member(s, { autoCommitIntervalMs: 1_000 }).read();
    await s.world.advance(200);
    expect(a.owned).to.deep.equal([0, 1, 2, 3]);
    expect(a.events).to.deep.equal(['assigned 0,1,2,3']);
    for (const p of upTo(4)) expect(a.offsets(p)).to.deep.equal(upTo(5));
    expect(s.cluster.commits).to.deep.equal([]);
    await s.world.advance(1_000);
    expect(upTo(4).map((p) => s.cluster.committed.get(`g/${p}`))).to.deep.equal([5, 5, 5, 5]);
    const { length } = s.cluster.commits;
    await s.world.advance(5_000);
    expect(s.cluster.commits, 'nothing new, nothing committed').to.have.length(length);
  });

  it('shares partitions with a newcomer, moving only what has to move', async () => {
    const s = setup();
    putAll(s.cluster, 5);
    const a = new Member(s).read();
    await s.world.advance(200);
    const before = s.cluster.fetches.length;
    const b = new Member(s).read();
    await s.world.advance(200);
    expect([...a.owned, ...b.owned].sort()).to.deep.equal([0, 1, 2, 3]);
    expect([a.owned.length, b.owned.length]).to.deep.equal([2, 2]);
    expect(a.events).to.deep.equal(['assigned 0,1,2,3', `revoked ${b.owned.join()}`]);
    expect(b.events).to.deep.equal([`assigned ${b.owned.join()}`]);
    expect(s.cluster.fetches.length).to.be.greaterThan(before);
    putAll(s.cluster, 5);
    await s.world.advance(200);
    for (const p of upTo(4)) {
      const all = [...a.offsets(p), ...b.offsets(p)];
      expect(all, 'each record once: it was committed before it moved').to.deep.equal(upTo(10));
    }
  });

  it('gives its partitions to the others when it leaves', async () => {
    const s = setup();
    const a = new Member(s).read();
    const b = new Member(s).read();
    await s.world.advance(300);
    putAll(s.cluster, 3);
    await s.world.advance(50);
    await s.world.until(b.consumer.close());
    expect(b.isDone).to.equal(true);
    putAll(s.cluster, 3);
    await s.world.advance(200);
    expect(a.owned).to.deep.equal([0, 1, 2, 3]);
    for (const p of upTo(4)) {
      expect([...b.offsets(p), ...a.offsets(p)]).to.deep.equal(upTo(6));
    }
  });

  it('waits with a revoked partition for the record in hand, and hands out no more of it', async () => {
    const s = setup(2);
    const a = new Member(s);
    a.workMs = 3_000;
    a.read();
    await s.world.advance(100);
    put(s.cluster, 1, 5);
    await s.world.advance(100);
    expect(a.got).to.deep.equal([[1, 0]]);
    const b = new Member(s).read();
    await s.world.advance(1_000);
    expect(s.cluster.coordinator.ownerOf(1)).to.equal(a.consumer.memberId);
    expect(b.owned).to.deep.equal([]);
    await s.world.advance(2_500);
    expect(a.got, 'nothing of it after the revocation').to.deep.equal([[1, 0]]);
    expect(s.cluster.commits).to.deep.equal([{ partition: 1, offset: 1 }]);
    expect(b.got).to.deep.equal([1, 2, 3, 4].map((o) => [1, o]));
  });

  it('gives a revoked partition up at last although its record is still in hand', async () => {
    const s = setup(2);
    const a = new Member(s, { rebalanceTimeoutMs: 10_000 });
    a.workMs = 60_000;
    a.read();
    await s.world.advance(100);
    put(s.cluster, 1, 2);
    await s.world.advance(100);
    const b = new Member(s).read();
    await s.world.advance(7_000);
    expect(s.cluster.commits, 'it was not processed').to.deep.equal([]);
    expect(b.got, 'at least once').to.deep.equal([
      [1, 0],
      [1, 1],
    ]);
    expect(a.lost).to.deep.equal([]);
  });

  it('goes on through a failover of the coordinator without a rebalance', async () => {
    const s = setup();
    const a = new Member(s).read();
    const b = new Member(s).read();
    await s.world.advance(300);
    const { groupEpoch } = s.cluster.coordinator;
    const owned = [a.owned, b.owned];
    for (const to of [2, 3, 1]) {
      s.cluster.kill(s.cluster.controller);
      for (const p of upTo(4)) {
        if (s.cluster.isDown(s.cluster.partition(p).leader)) s.cluster.moveLeader(p);
      }
      putAll(s.cluster, 2);
      await s.world.advance(700);
      expect(a.got.length + b.got.length, 'reading needs no coordinator').to.equal(
        4 * s.cluster.partition(0).end,
      );
      s.cluster.down.clear();
      s.cluster.moveController(to);
      await s.world.advance(1_000);
      for (const m of s.cluster.coordinator.members.values()) {
        expect(m.link?.broker).to.equal(to);
      }
    }
    expect(s.cluster.coordinator.groupEpoch).to.equal(groupEpoch);
    expect([a.owned, b.owned]).to.deep.equal(owned);
    const joins = s.cluster.coordinator.requests.filter((r) => r.kind === 'join').slice(-2);
    expect(joins.map((j) => j.memberEpoch)).to.deep.equal([groupEpoch, groupEpoch]);
    const held = joins.flatMap((j) => j.owned.flatMap((t) => t.partitions));
    expect(held.sort(), 'they said what they hold').to.deep.equal([0, 1, 2, 3]);
    expect([...a.events, ...b.events].filter((e) => e.startsWith('lost'))).to.deep.equal([]);
  });

  it('leaves a coordinator that no longer answers', async () => {
    const s = setup();
    const a = new Member(s, { sessionTimeoutMs: 6_000 }).read();
    await s.world.advance(100);
    const { coordinator } = s.cluster;
    coordinator.isMute = true;
    await s.world.advance(3_000);
    coordinator.isMute = false;
    await s.world.advance(2_000);
    expect(a.lost).to.deep.equal([]);
    expect(coordinator.requests.filter((r) => r.kind === 'join').length).to.be.within(2, 20);
    expect(coordinator.members.get(a.consumer.memberId)?.epoch).to.equal(1);
  });

  it('starts anew when it was evicted, and says so', async () => {
    const s = setup();
    putAll(s.cluster, 3);
    const a = new Member(s).read();
    await s.world.advance(100);
    s.cluster.coordinator.evict(a.consumer.memberId);
    await s.world.advance(200);
    expect(a.events).to.deep.equal(['assigned 0,1,2,3', 'lost 0,1,2,3', 'assigned 0,1,2,3']);
    expect(a.lost[0]).to.have.property('code', 'UNKNOWN_MEMBER');
    expect(a.offsets(0), 'nothing was committed').to.deep.equal([0, 1, 2, 0, 1, 2]);
    expect(s.cluster.commits).to.deep.equal([]);
  });

  it('hands out nothing once its session may be over, and goes on if it was not', async () => {
    const s = setup();
    const a = new Member(s, { sessionTimeoutMs: 5_000 }).read();
    await s.world.advance(300);
    const { coordinator } = s.cluster;
    coordinator.isMute = true;
    await s.world.advance(4_000);
    put(s.cluster, 0);
    await s.world.advance(100);
    expect(a.offsets(0)).to.deep.equal([0]);
    // A failover gives everyone their whole session again, which the member cannot know.
    s.cluster.moveController(2);
    await s.world.advance(1_500);
    put(s.cluster, 0);
    await s.world.advance(1_000);
    expect(a.offsets(0)).to.deep.equal([0]);
    coordinator.isMute = false;
    await s.world.advance(2_400);
    expect(a.offsets(0)).to.deep.equal([0, 1]);
    expect(a.lost).to.deep.equal([]);
  });

  it('gives its partitions up after the processing timeout, and reads again after the error', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { processingTimeoutMs: 5_000 });
    a.workMs = 2_000;
    a.read();
    await s.world.advance(1_000);
    a.workMs = 8_000;
    await s.world.advance(8_000);
    expect(a.events).to.deep.equal(['assigned 0', 'lost 0']);
    expect(s.cluster.coordinator.members.size).to.equal(0);
    expect(s.cluster.commits, 'what was processed before').to.deep.equal([
      { partition: 0, offset: 1 },
    ]);
    await s.world.advance(4_000);
    expect(a.error).to.have.property('code', 'PROCESSING_TIMEOUT');
    a.workMs = 0;
    a.read();
    await s.world.advance(500);
    expect(a.offsets(0)).to.deep.equal([0, 1, 1, 2]);
    expect(a.error).to.equal(undefined);
  });

  it('stays while it waits for records for longer than the processing timeout', async () => {
    const s = setup(1);
    const a = new Member(s, { processingTimeoutMs: 2_000 }).read();
    await s.world.advance(60_000);
    put(s.cluster, 0);
    await s.world.advance(100);
    expect(a.offsets(0)).to.deep.equal([0]);
    expect(a.events).to.deep.equal(['assigned 0']);
  });

  it('does not count a record as processed when its loop is left, unless it is committed', async () => {
    const s = setup(1);
    put(s.cluster, 0, 5);
    const first = new Member(s).consumer;
    const take = async (consumer: GroupConsumer, count: number): Promise<number[]> => {
      const offsets: number[] = [];
      for await (const r of consumer) {
        offsets.push(r.offset);
        if (offsets.length === count) break;
      }
      return offsets;
    };
    expect(await s.world.until(take(first, 2))).to.deep.equal([0, 1]);
    await s.world.until(first.close());
    expect(s.cluster.committed.get('g/0')).to.equal(1);
    const second = new Member(s).consumer;
    expect(await s.world.until(take(second, 2))).to.deep.equal([1, 2]);
    expect(await s.world.until(take(second, 1)), 'a loop goes on where one ended').to.deep.equal([
      3,
    ]);
    await s.world.until(second.commit());
    await s.world.until(second.close());
    expect(s.cluster.committed.get('g/0')).to.equal(4);
  });

  it('never commits behind an explicit commit of what is in hand', async () => {
    const s = setup(1);
    put(s.cluster, 0, 5);
    const { consumer } = new Member(s);
    const reading = (async () => {
      for await (const batch of consumer.batches()) {
        await consumer.commit([{ topic: 'events', partition: 0, offset: batch.nextOffset - 2 }]);
        break;
      }
      await consumer.close();
    })();
    await s.world.until(reading);
    expect(s.cluster.commits).to.deep.equal([{ partition: 0, offset: 3 }]);
  });

  it('takes a view for processed when the loop comes back for the next one', async () => {
    const s = setup(1);
    put(s.cluster, 0, 2);
    put(s.cluster, 0, 3);
    const { consumer } = new Member(s);
    const counts: number[] = [];
    const reading = (async () => {
      for await (const view of consumer.views()) {
        counts.push(view.count);
        if (counts.length === 2) break;
      }
      await consumer.close();
    })();
    await s.world.until(reading);
    expect(counts).to.deep.equal([2, 3]);
    expect(s.cluster.committed.get('g/0'), 'the second is still in hand').to.equal(2);
  });

  it('does not heap up commits while the coordinator is away', async () => {
    const s = setup(1);
    const a = new Member(s, { autoCommitIntervalMs: 100 }).read();
    await s.world.advance(50);
    put(s.cluster, 0, 3);
    s.cluster.onCall = (method) =>
      method === 'commitOffsets' ? new BrokerError('NO_QUORUM', 'none') : undefined;
    await s.world.advance(20_000);
    const asked = s.cluster.calls.filter((c) => c === 'commitOffsets').length;
    expect(asked, 'one commit with its retries').to.be.within(20, 120);
    s.cluster.onCall = () => undefined;
    await s.world.advance(1_000);
    expect(s.cluster.commits).to.deep.equal([{ partition: 0, offset: 3 }]);
    expect(a.error).to.equal(undefined);
  });

  it('without autoCommit commits nothing by itself', async () => {
    const s = setup(1);
    put(s.cluster, 0, 5);
    const a = new Member(s, { autoCommit: false }).read();
    await s.world.advance(20_000);
    await s.world.until(a.consumer.close());
    expect(a.offsets(0)).to.deep.equal(upTo(5));
    expect(s.cluster.commits).to.deep.equal([]);
  });

  it('refuses to commit what it does not hold', async () => {
    const s = setup(2);
    const a = new Member(s).read();
    const b = new Member(s).read();
    await s.world.advance(300);
    const [theirs = 0] = b.owned;
    const committing = a.consumer
      .commit([{ topic: 'events', partition: theirs, offset: 0 }])
      .catch((thrown: unknown) => thrown);
    expect(await s.world.until(committing)).to.have.property('code', 'STALE_MEMBER_EPOCH');
  });

  it('with from end skips nothing that came after it first had the partition', async () => {
    const s = setup(1);
    put(s.cluster, 0, 5);
    const a = new Member(s, { from: 'end' }).read();
    await s.world.advance(100);
    expect(s.cluster.commits).to.deep.equal([{ partition: 0, offset: 5 }]);
    s.cluster.coordinator.evict(a.consumer.memberId);
    put(s.cluster, 0, 2);
    await s.world.advance(300);
    expect(a.offsets(0)).to.deep.equal([5, 6]);
  });

  it('moves nothing when a static member restarts', async () => {
    const s = setup();
    const a = new Member(s, { instanceId: 'one' }).read();
    const b = new Member(s, { instanceId: 'two' }).read();
    await s.world.advance(300);
    const { groupEpoch } = s.cluster.coordinator;
    const owned = a.owned;
    const events = [...b.events];
    await s.world.until(a.consumer.close());
    await s.world.advance(2_000);
    const again = new Member(s, { instanceId: 'one' }).read();
    await s.world.advance(300);
    expect(again.owned).to.deep.equal(owned);
    expect(s.cluster.coordinator.groupEpoch).to.equal(groupEpoch);
    expect(b.events, 'the other heard nothing of it').to.deep.equal(events);
    await s.world.until(again.consumer.close({ leave: true }));
    await s.world.advance(300);
    expect(b.owned).to.deep.equal([0, 1, 2, 3]);
  });

  it('tells that another member has its instance id', async () => {
    const s = setup();
    new Member(s, { instanceId: 'one' }).read();
    await s.world.advance(300);
    const b = new Member(s, { instanceId: 'one' }).read();
    await s.world.advance(300);
    expect(b.error).to.have.property('code', 'UNRELEASED_INSTANCE_ID');
  });

  it('tells what the coordinator will never take, also where start is awaited', async () => {
    const s = setup();
    s.cluster.coordinator.refusal = new BrokerError('UNKNOWN_ASSIGNOR', 'no such');
    const a = new Member(s).read();
    await s.world.advance(100);
    expect(a.error).to.have.property('code', 'UNKNOWN_ASSIGNOR');
    s.cluster.coordinator.refusal = new BrokerError('INVALID_SUBSCRIPTION', 'bad pattern');
    const starting = new Member(s).consumer.start().catch((thrown: unknown) => thrown);
    expect(await s.world.until(starting)).to.have.property('code', 'INVALID_SUBSCRIPTION');
  });

  it('waits where there is no coordinator, and joins once there is one', async () => {
    const s = setup();
    putAll(s.cluster);
    s.cluster.kill(1);
    for (const p of upTo(4)) if (s.cluster.partition(p).leader === 1) s.cluster.moveLeader(p);
    const a = new Member(s, { requestTimeoutMs: 3_000 });
    const starting = a.consumer.start().catch((thrown: unknown) => thrown);
    const late = await s.world.until(starting);
    expect(late).to.have.property('code', 'DEADLINE_EXCEEDED');
    expect((late as Error).message).to.match(/within 3000 ms: (refused|not the coordinator)/);
    const impatient = new Member(s, { unavailableTimeoutMs: 2_000 }).read();
    await s.world.advance(3_500);
    expect(impatient.error).to.have.property('code', 'DEADLINE_EXCEEDED');
    await s.world.until(impatient.consumer.close());
    a.read();
    await s.world.advance(2_000);
    s.cluster.moveController(2);
    await s.world.advance(1_500);
    expect(a.got).to.have.length(4);
  });

  it('ends its loops, commits and leaves when its signal is aborted', async () => {
    const s = setup(1);
    put(s.cluster, 0, 5);
    const stop = new AbortController();
    const a = new Member(s, { signal: stop.signal });
    a.workMs = 1_000;
    a.read();
    await s.world.advance(2_500);
    stop.abort();
    await s.world.advance(1_500);
    expect(a.isDone).to.equal(true);
    expect(a.offsets(0)).to.deep.equal([0, 1, 2]);
    expect(s.cluster.committed.get('g/0'), 'with the record in hand').to.equal(3);
    expect(s.cluster.coordinator.members.size).to.equal(0);
  });

  it('reads to the ends and finishes, if told to', async () => {
    const s = setup();
    putAll(s.cluster, 3);
    const a = new Member(s, { stopAtEnd: true }).read();
    await s.world.advance(500);
    expect(a.isDone).to.equal(true);
    expect(a.got).to.have.length(12);
    await s.world.until(a.consumer.close());
    const again = new Member(s, { stopAtEnd: true }).read();
    await s.world.advance(500);
    expect([again.isDone, again.got.length]).to.deep.equal([true, 0]);
  });

  it('leaves even before it got a place', async () => {
    const s = setup();
    s.cluster.coordinator.planMs = 1_000;
    const { consumer } = new Member(s);
    await s.world.until(consumer.start());
    expect([s.cluster.coordinator.members.size, consumer.memberEpoch]).to.deep.equal([1, 0]);
    await s.world.until(consumer.close());
    expect(s.cluster.coordinator.members.size).to.equal(0);
  });

  it('finishes where there are more members than partitions', async () => {
    const s = setup(1);
    const a = new Member(s).read();
    await s.world.advance(200);
    const b = new Member(s, { stopAtEnd: true }).read();
    await s.world.advance(2_000);
    expect([a.owned, b.owned, b.isDone]).to.satisfy(
      ([x, y, isDone]: [number[], number[], boolean]) => x.length + y.length === 1 && isDone,
    );
  });

  it('throws at the next read what a callback threw', async () => {
    const s = setup(1);
    const a = new Member(s, {
      onAssigned: () => {
        throw new RangeError('no');
      },
    }).read();
    await s.world.advance(100);
    expect(a.error).to.be.instanceOf(RangeError);
  });

  it('may seek when partitions come, and commits from there', async () => {
    const s = setup(1);
    put(s.cluster, 0, 5);
    const a: Member = new Member(s, {
      onAssigned: async ([at]) => {
        if (at !== undefined) await a.consumer.seek(at, { offset: 3 });
      },
    }).read();
    await s.world.advance(100);
    expect(a.offsets(0)).to.deep.equal([3, 4]);
  });

  const refused: [string, Partial<GroupConsumerOptions>, string][] = [
    ['nothing', { topics: [] }, 'INVALID_SUBSCRIPTION'],
    ['no group', { group: '' }, 'INVALID_ARGUMENT'],
    ['too short a session', { sessionTimeoutMs: 10 }, 'INVALID_ARGUMENT'],
    ['no time to process', { processingTimeoutMs: 0 }, 'INVALID_ARGUMENT'],
  ];
  for (const [what, options, code] of refused) {
    it(`refuses ${what}`, () => {
      expect(() => new Member(setup(), options))
        .to.throw(BrokerError)
        .with.property('code', code);
    });
  }
});

describe('group consumers that come and go', () => {
  for (const seed of upTo(12)) {
    it(`lose and skip nothing, and own alone (seed ${seed})`, async () => {
      const s = setup(6);
      const prng = new Prng(seed + 1);
      const members: Member[] = [];
      const polled = upTo(6).map(() => new Set<number>());
      const join = (): void => {
        const member = new Member(s, { autoCommitIntervalMs: 700, sessionTimeoutMs: 3_000 });
        member.workMs = prng.pick([0, 1, 20]);
        members.push(member.read());
      };
      join();
      for (let step = 0; step < 60; step += 1) {
        for (const p of upTo(6)) if (prng.chance(0.7)) put(s.cluster, p, 1 + prng.int(4));
        const open = members.filter((m) => !m.isDone && m.error === undefined);
        const one = open.length === 0 ? undefined : prng.pick(open);
        switch (prng.int(9)) {
          case 0:
            if (open.length < 5) join();
            break;
          case 1:
            if (open.length > 1) void one?.consumer.close();
            break;
          case 2:
            // Its session ends, and it has to find that out by itself.
            if (one !== undefined) s.cluster.coordinator.deafTo.add(one.consumer.memberId);
            break;
          case 3:
            s.cluster.moveController(1 + prng.int(3));
            break;
          case 4:
            s.cluster.moveLeader(prng.int(6));
            break;
          case 5:
            s.cluster.coordinator.isMute = prng.chance(0.5);
            break;
          case 6:
            s.cluster.coordinator.deafTo.clear();
            break;
          default:
        }
        await s.world.advance(prng.int(900));
        for (const p of upTo(6)) {
          const committed = s.cluster.committed.get(`g/${p}`) ?? 0;
          for (const m of members) for (const o of m.offsets(p)) polled[p]?.add(o);
          const missed = upTo(committed).filter((o) => polled[p]?.has(o) !== true);
          expect(missed, `committed ${committed} of ${p}, never handed out`).to.deep.equal([]);
        }
      }
      s.cluster.coordinator.isMute = false;
      s.cluster.coordinator.deafTo.clear();
      await s.world.advance(15_000);
      expect(members.map((m) => m.error).filter((e) => e !== undefined)).to.deep.equal([]);
      for (const p of upTo(6)) {
        const got = new Set(members.flatMap((m) => m.offsets(p)));
        expect([...got].sort((a, b) => a - b)).to.deep.equal(upTo(s.cluster.partition(p).end));
        expect(s.cluster.committed.get(`g/${p}`) ?? 0).to.equal(s.cluster.partition(p).end);
      }
    });
  }
});
