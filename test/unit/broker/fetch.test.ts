import { expect } from 'chai';
import { getEventListeners } from 'node:events';
import type { FetchedPartition } from '../../../src/broker/types.js';
import { concatBytes } from '../../../src/base/bytes.js';
import { crc32c } from '../../../src/base/crc32c.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import { brokerId, raftGroupId, term } from '../../../src/model/ids.js';
import { decodeFetchRequest, encodeFetchResult } from '../../../src/broker/forward-codec.js';
import { splitBatches } from '../../../src/model/record.js';
import { producedBatch } from '../partition/log-fixture.js';
import { FloorFixture, OTHER, settled, type FakeGroup } from './partition-fixture.js';

const offsetsOf = (fetched: FetchedPartition | undefined): number[] =>
  splitBatches(concatBytes(fetched?.batches ?? []), crc32c).map((b) => b.header.baseOffset);

function expectError(fetched: FetchedPartition | undefined, code: ErrorCode): BrokerError {
  expect(fetched?.error?.code).to.equal(code);
  return fetched?.error ?? new BrokerError('INTERNAL', 'there is one');
}

describe('fetch', () => {
  let fixture: FloorFixture;
  let group: FakeGroup;

  /** Appends and commits batches of two records each. */
  const fill = (batches: number, valueBytes = 100): void => {
    for (let i = 0; i < batches; i += 1) {
      fixture.produce(producedBatch({ records: 2, valueBytes }));
    }
    group.commit();
  };
  const watch = (promise: Promise<readonly FetchedPartition[]>): { got?: FetchedPartition } => {
    const answer: { got?: FetchedPartition } = {};
    promise.then(
      ([first]) => {
        if (first !== undefined) answer.got = first;
      },
      (error: unknown) => {
        answer.got = { error: BrokerError.from(error) } as FetchedPartition;
      },
    );
    return answer;
  };

  beforeEach(async () => {
    fixture = new FloorFixture();
    group = await fixture.open();
    group.lead();
  });

  it('gives whole batches, the first may start before the offset', async () => {
    fill(3);
    const [got] = await fixture.fetch({ offset: 3 });
    expect(offsetsOf(got)).to.deep.equal([2, 4]);
    expect(got).to.include({ highWatermark: 6, logStartOffset: 0, leaderEpoch: 1, nextOffset: 6 });
  });

  it('leaves nothing behind on the signal of a stream that goes on', async () => {
    fill(1);
    const { signal } = new AbortController();
    await fixture.fetch({}, { maxWaitMs: 500 }, signal);
    expect(getEventListeners(signal, 'abort')).to.have.length(0);
    const waits = watch(fixture.fetch({ offset: 2 }, { maxWaitMs: 500 }, signal));
    expect(getEventListeners(signal, 'abort')).to.have.length(1);
    fill(1);
    await settled();
    expect(waits.got?.nextOffset).to.equal(4);
    expect(getEventListeners(signal, 'abort')).to.have.length(0);
  });

  it('serves the stored bytes untouched, without a copy', async () => {
    fill(1);
    const [got] = await fixture.fetch({});
    expect(got?.batches[0]).to.equal(group.entries[1]?.payload);
  });

  it('gives at least one batch, else no more than the budget', async () => {
    fill(5);
    const size = group.entries[1]?.payload.length ?? 0;
    const bytes = async (maxBytes: number): Promise<number[]> =>
      offsetsOf((await fixture.fetch({ maxBytes }))[0]);
    expect(await bytes(1)).to.deep.equal([0]);
    expect(await bytes(2 * size)).to.deep.equal([0, 2]);
    expect(await bytes(3 * size - 1)).to.deep.equal([0, 2]);
  });

  it('reads everything one after another, from memory and from the store', async () => {
    fill(50);
    for (const recentFrom of [1, 20, 1_000]) {
      group.recentFrom = recentFrom;
      const seen: number[] = [];
      for (let at = 0; at < 100;) {
        const [got] = await fixture.fetch({ offset: at, maxBytes: 1_000 });
        seen.push(...offsetsOf(got));
        expect(got?.nextOffset).to.be.above(at);
        at = got?.nextOffset ?? 100;
      }
      expect(seen).to.deep.equal(Array.from({ length: 50 }, (_, i) => i * 2));
    }
  });

  it('goes on without a search, with one read for each fetch', async () => {
    fill(50);
    group.recentFrom = 1_000;
    for (let at = 0; at < 100;) {
      group.reads = 0;
      const [got] = await fixture.fetch({ offset: at, maxBytes: 1_000 });
      expect(group.reads).to.equal(1);
      at = got?.nextOffset ?? 100;
    }
  });

  it('answers out of range with what can be read', async () => {
    fill(5);
    const trimmed = fixture.floor.host.trim(group.id, 4, { deadlineMs: 1_000 });
    group.commit();
    await trimmed;
    for (const offset of [3, 11]) {
      const error = expectError((await fixture.fetch({ offset }))[0], 'OFFSET_OUT_OF_RANGE');
      expect(error.facts).to.include({ logStartOffset: 4, highWatermark: 10 });
    }
    expect(offsetsOf((await fixture.fetch({ offset: 4 }))[0])).to.deep.equal([4, 6, 8]);
    expect((await fixture.fetch({ offset: 10 }))[0]?.error).to.equal(undefined);
  });

  it('waits between high watermark and log end, and never shows what is not committed', async () => {
    fill(1);
    fixture.produce(producedBatch({ records: 3 }));
    const between = watch(fixture.fetch({ offset: 4 }, { maxWaitMs: 1_000 }));
    const [now] = await fixture.fetch({ offset: 0 });
    expect(offsetsOf(now)).to.deep.equal([0]);
    expect(now?.highWatermark).to.equal(2);
    await settled();
    expect(between.got).to.equal(undefined);
    group.commit();
    await settled();
    expect(offsetsOf(between.got)).to.deep.equal([2]);
    expectError((await fixture.fetch({ offset: 6 }))[0], 'OFFSET_OUT_OF_RANGE');
  });

  it('wakes in the turn of the commit, and answers at the deadline with watermarks', async () => {
    const woken = watch(fixture.fetch({}, { maxWaitMs: 500 }));
    fill(1);
    await settled();
    expect(offsetsOf(woken.got)).to.deep.equal([0]);
    const late = watch(fixture.fetch({ offset: 2 }, { maxWaitMs: 500 }));
    fixture.world.advance(499);
    await settled();
    expect(late.got).to.equal(undefined);
    fixture.world.advance(20);
    await settled();
    expect(late.got).to.include({ highWatermark: 2, nextOffset: 2, error: undefined });
  });

  it('waits for as many bytes as were asked for', async () => {
    fill(1);
    const size = group.entries[1]?.payload.length ?? 0;
    const waiting = watch(fixture.fetch({}, { maxWaitMs: 500, minBytes: 3 * size }));
    fill(1);
    await settled();
    expect(waiting.got).to.equal(undefined);
    fill(1);
    await settled();
    expect(offsetsOf(waiting.got)).to.deep.equal([0, 2, 4]);
  });

  it('ends a long poll when leadership is lost', async () => {
    const waiting = watch(fixture.fetch({}, { maxWaitMs: 500 }));
    await settled();
    group.stepDown();
    await settled();
    expect(expectError(waiting.got, 'NOT_LEADER').facts.leader?.brokerId).to.equal(2);
  });

  it('says nothing of a new leadership before it is ready, and waits for that', async () => {
    fill(2);
    group.stepDown('nobody');
    group.elect();
    expectError((await fixture.fetch({}))[0], 'LEADER_UNKNOWN');
    const waiting = watch(fixture.fetch({}, { maxWaitMs: 500 }));
    await settled();
    expect(waiting.got).to.equal(undefined);
    group.commit();
    await settled();
    expect(offsetsOf(waiting.got)).to.deep.equal([0, 2]);
  });

  it('gives up waiting for a leader at the deadline', async () => {
    group.stepDown('nobody');
    const waiting = watch(fixture.fetch({}, { maxWaitMs: 500 }));
    fixture.world.advance(520);
    await settled();
    expectError(waiting.got, 'LEADER_UNKNOWN');
  });

  it('tells a reader that the records it read under an epoch are gone', async () => {
    fill(1);
    group.stepDown();
    group.lead();
    fill(1);
    expect((await fixture.fetch({ offset: 2, leaderEpoch: 1 }))[0]?.error).to.equal(undefined);
    const lost = expectError(
      (await fixture.fetch({ offset: 3, leaderEpoch: 1 }))[0],
      'LOG_TRUNCATED',
    );
    expect(lost.facts).to.include({ logStartOffset: 0, highWatermark: 4, logEndOffset: 2 });
    const beyond = (await fixture.fetch({ offset: 9, leaderEpoch: 3 }))[0];
    expect(expectError(beyond, 'LOG_TRUNCATED').facts.logEndOffset).to.equal(4);
    expect((await fixture.fetch({ offset: 3, leaderEpoch: 3 }))[0]?.error).to.equal(undefined);
    expectError((await fixture.fetch({ offset: 3, leaderEpoch: 9 }))[0], 'LEADER_UNKNOWN');
  });

  it('says that an offset lies beyond the end only when a quorum confirms that it leads', async () => {
    fill(1);
    expectError((await fixture.fetch({ offset: 4 }))[0], 'OFFSET_OUT_OF_RANGE');
    group.barrier = () => Promise.reject(new BrokerError('NOT_LEADER', 'deposed'));
    expectError((await fixture.fetch({ offset: 4 }))[0], 'LEADER_UNKNOWN');
    fixture.leaders.learn(group.id, OTHER, term(7));
    expectError((await fixture.fetch({ offset: 4 }))[0], 'NOT_LEADER');
  });

  it('looks again once it is confirmed: more may be there by then', async () => {
    fill(1);
    let confirm = (): void => undefined;
    group.barrier = () => new Promise((resolve) => (confirm = resolve));
    const reading = watch(fixture.fetch({ offset: 4 }));
    fill(2);
    confirm();
    await settled();
    expect(offsetsOf(reading.got)).to.deep.equal([4]);
  });

  it('confirms leadership before a linearizable answer', async () => {
    fill(1);
    let confirm = (): void => undefined;
    group.barrier = () => new Promise((resolve) => (confirm = resolve));
    const reading = watch(fixture.fetch({}, { linearizable: true }));
    await settled();
    expect(reading.got).to.equal(undefined);
    fill(1);
    confirm();
    await settled();
    expect(offsetsOf(reading.got)).to.deep.equal([0, 2]);
    group.barrier = () => Promise.reject(new BrokerError('NOT_LEADER', 'deposed'));
    expectError((await fixture.fetch({}, { linearizable: true }))[0], 'LEADER_UNKNOWN');
  });

  it('keeps errors to their partition', async () => {
    fill(1);
    const got = await fixture.fetch([
      { partition: 0 },
      { partition: 1 },
      { partition: 5 },
      { topic: 'x' },
    ]);
    expect(got.map((p) => p.error?.code)).to.deep.equal([
      undefined,
      'LEADER_UNKNOWN',
      'UNKNOWN_PARTITION',
      'UNKNOWN_TOPIC',
    ]);
  });

  it('shares one budget among partitions, and serves none of them last for ever', async () => {
    const other = await fixture.open(1);
    other.lead();
    fill(2);
    fixture.produce(producedBatch({ records: 2, valueBytes: 100 }), { partition: 1 });
    other.commit();
    const served = new Set<number>();
    for (let i = 0; i < 2; i += 1) {
      const got = await fixture.fetch([{ partition: 0 }, { partition: 1 }], { maxBytes: 1 });
      expect(got.map((p) => p.partition)).to.deep.equal([0, 1]);
      const full = got.filter((p) => p.batches.length > 0);
      expect(full).to.have.length(1);
      served.add(full[0]?.partition ?? -1);
    }
    expect([...served].sort()).to.deep.equal([0, 1]);
  });

  it('wakes for whichever of its partitions has more', async () => {
    const other = await fixture.open(1);
    other.lead();
    const waiting = fixture.fetch([{ partition: 0 }, { partition: 1 }], { maxWaitMs: 500 });
    await settled();
    fixture.produce(producedBatch(), { partition: 1 });
    other.commit();
    const got = await waiting;
    expect(got.map((p) => p.batches.length)).to.deep.equal([0, 1]);
  });

  it('ends when its caller goes away, and when the broker stops', async () => {
    const controller = new AbortController();
    const cancelled = watch(fixture.fetch({}, { maxWaitMs: 500 }, controller.signal));
    const stopped = watch(fixture.fetch({}, { maxWaitMs: 500 }));
    await settled();
    controller.abort();
    await settled();
    expectError(cancelled.got, 'DEADLINE_EXCEEDED');
    await fixture.floor.stop();
    await settled();
    expectError(stopped.got, 'SHUTTING_DOWN');
  });

  it('retries where a truncation overtook the read, and says so where it overtook the offset', async () => {
    fill(10);
    group.recentFrom = 1_000;
    const before = watch(fixture.fetch({ offset: 10 }));
    // The read is on its way to an index that is gone when it arrives.
    group.base = { index: group.entries[5]?.index ?? group.last, state: new Uint8Array() };
    await settled();
    expect(offsetsOf(before.got)).to.deep.equal([10, 12, 14, 16, 18]);
  });

  it('never gives a watermark below what it gives, though more commits while it reads', async () => {
    fill(10);
    group.recentFrom = 1_000;
    const answer = watch(fixture.fetch({ offset: 0 }));
    fill(5);
    await settled();
    expect(answer.got?.nextOffset).to.be.above(20);
    expect(answer.got?.highWatermark).to.be.at.least(answer.got?.nextOffset ?? Infinity);
  });

  it('passes on what another broker leads', async () => {
    fill(1);
    const other = new FloorFixture();
    const leading = await other.open(1);
    leading.lead();
    other.produce(producedBatch({ records: 4 }), { partition: 1 });
    leading.commit();
    fixture.peers.remote = other.peers;
    const follower = await fixture.open(1);
    follower.stepDown();
    const got = await fixture.fetch([{ partition: 1 }, { partition: 0 }], {
      allowForward: true,
      maxWaitMs: 100,
    });
    expect(got.map((p) => [p.partition, p.nextOffset])).to.deep.equal([
      [1, 4],
      [0, 2],
    ]);
  });

  describe('of partitions that several brokers lead', () => {
    const leads = (partition: number, id: number): void =>
      fixture.leaders.learn(raftGroupId(partition + 1), brokerId(id), term(9));
    const nothingAt = (partition: number, batches: Uint8Array[] = []): FetchedPartition => ({
      topic: 'logs',
      partition,
      error: undefined,
      batches,
      highWatermark: 10,
      logStartOffset: 0,
      leaderEpoch: 9,
      nextOffset: batches.length,
    });
    const answer = (...partitions: FetchedPartition[]): Uint8Array =>
      encodeFetchResult({ partitions, brokerId: OTHER });

    beforeEach(() => {
      fixture = new FloorFixture(3);
      leads(0, 2);
      leads(1, 3);
      leads(2, 4);
    });

    it('comes back to the polls that it left at others', async () => {
      const underWay: { to: unknown; end: (body: Uint8Array) => void }[] = [];
      let calls = 0;
      fixture.peers.call = (to, _method, body) => {
        const { maxWaitMs, partitions } = decodeFetchRequest(body);
        const empty = partitions.map(({ partition }) => nothingAt(partition));
        if (maxWaitMs === 0) return Promise.resolve(answer(...empty));
        calls += 1;
        return new Promise((resolve) => underWay.push({ to, end: resolve }));
      };
      const both = [{ partition: 0 }, { partition: 1 }];
      for (let i = 0; i < 20; i += 1) {
        const fetched = fixture.fetch(both, { allowForward: true, maxWaitMs: 500, minBytes: 1 });
        await settled();
        const mine = underWay.findIndex(({ to }) => to === 2);
        underWay.splice(mine, 1)[0]?.end(answer(nothingAt(0, [producedBatch()])));
        expect((await fetched)[0]?.batches).to.have.length(1);
      }
      expect(underWay.map(({ to }) => to)).to.deep.equal([3]);
      expect(calls).to.equal(21);
    });

    it('answers when its time is over or its caller has gone, whatever the others do', async () => {
      fixture.peers.call = (_to, _method, body) => {
        const { maxWaitMs, partitions } = decodeFetchRequest(body);
        const empty = partitions.map(({ partition }) => nothingAt(partition));
        if (maxWaitMs === 0) return Promise.resolve(answer(...empty));
        return new Promise(() => undefined);
      };
      const both = [{ partition: 0 }, { partition: 1 }];
      const options = { allowForward: true, maxWaitMs: 500, minBytes: 1 };
      const caller = new AbortController();
      const late = watch(fixture.fetch(both, options));
      const gone = watch(fixture.fetch(both, options, caller.signal));
      await settled();
      caller.abort();
      await settled();
      expectError(gone.got, 'DEADLINE_EXCEEDED');
      expect(late.got).to.equal(undefined);
      fixture.world.advance(500);
      await settled();
      expect(late.got).to.include({ partition: 0, error: undefined, highWatermark: 10 });
    });

    it('shares the bytes among them, and leaves for later what is too much together', async () => {
      const asked: number[] = [];
      const batch = producedBatch({ records: 1, valueBytes: 1_000 });
      fixture.peers.call = (_to, _method, body) => {
        const { maxBytes, partitions } = decodeFetchRequest(body);
        asked.push(maxBytes);
        return Promise.resolve(
          answer(...partitions.map(({ partition }) => nothingAt(partition, [batch]))),
        );
      };
      const all = [{ partition: 0 }, { partition: 1 }, { partition: 2 }];
      const served = new Set<number>();
      for (let i = 0; i < 3; i += 1) {
        const got = await fixture.fetch(all, { allowForward: true, maxBytes: 900 });
        expect(got.map((p) => p.partition)).to.deep.equal([0, 1, 2]);
        const full = got.filter((p) => p.batches.length > 0);
        expect(full).to.have.length(1);
        for (const p of got) expect(p.nextOffset).to.equal(p.batches.length);
        served.add(full[0]?.partition ?? -1);
      }
      expect([...served].sort()).to.deep.equal([0, 1, 2]);
      expect(new Set(asked)).to.deep.equal(new Set([300]));
    });
  });
});
