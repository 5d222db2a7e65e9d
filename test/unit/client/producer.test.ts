import { expect } from 'chai';
import fc from 'fast-check';
import { MillraceClient } from '../../../src/client/index.js';
import type { BatchReport, RecordMetadata } from '../../../src/client/accumulator.js';
import type { ProducerOptions } from '../../../src/client/producer-options.js';
import type { Producer } from '../../../src/client/producer.js';
import { BrokerError } from '../../../src/model/errors.js';
import { readBatchHeader } from '../../../src/model/record-batch.js';
import { FakeCluster, type Fate } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';
import { recordsOf } from '../../support/records-of.js';

const at0 = { topic: 'events', partition: 0 };
const SERVE: Fate = { kind: 'serve' };
const refuse = (code: ConstructorParameters<typeof BrokerError>[0], facts = {}): Fate => ({
  kind: 'refuse',
  error: new BrokerError(code, code, facts),
});

interface Setup {
  readonly world: VirtualWorld;
  readonly cluster: FakeCluster;
  readonly producer: Producer;
}

function setup(
  options: ProducerOptions = {},
  shape: { partitions?: number; seed?: number } = {},
): Setup {
  const world = new VirtualWorld(shape.seed);
  const cluster = new FakeCluster(world, { partitions: shape.partitions ?? 1 });
  const client = new MillraceClient({ bootstrap: 'b:1,b:2,b:3', world, transport: cluster });
  return { world, cluster, producer: client.producer(options) };
}

/** Fates for the first requests; the rest is served. */
function script(cluster: FakeCluster, fates: readonly Fate[]): void {
  const left = [...fates];
  cluster.fate = () => left.shift() ?? SERVE;
}

type Outcome = RecordMetadata | BrokerError;

/** Sends values one after the other, each in its own batch, and waits for all of them. */
async function sendEach(
  { world, producer }: Setup,
  values: readonly string[],
  gapMs = 6,
): Promise<Outcome[]> {
  const sent: Promise<Outcome>[] = [];
  for (const value of values) {
    sent.push(
      producer
        .send({ topic: 'events', partition: 0, value })
        .catch((thrown: unknown) => thrown as BrokerError),
    );
    await world.advance(gapMs);
  }
  return await world.until(Promise.all(sent));
}

const offsets = (outcomes: readonly Outcome[]): (number | string)[] =>
  outcomes.map((o) => (o instanceof BrokerError ? `${o.code}/${o.outcome}` : o.offset));

const seven = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

describe('producer', () => {
  it('tells every record its offset, in the order of the calls', async () => {
    const s = setup();
    const sent = seven.map((value) => s.producer.send({ topic: 'events', partition: 0, value }));
    const outcomes = await s.world.until(Promise.all(sent));
    expect(offsets(outcomes)).to.deep.equal([0, 1, 2, 3, 4, 5, 6]);
    expect(outcomes.map((o) => o.sequence)).to.deep.equal([0, 1, 2, 3, 4, 5, 6]);
    expect(s.cluster.partition().values()).to.deep.equal(seven);
    expect(s.cluster.produced).to.have.length(1);
  });

  it('sends a batch when it is full, and what is left after the linger time', async () => {
    const s = setup({ batchBytes: 300, lingerMs: 50 });
    const values = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(60));
    const sent = values.map((value) => s.producer.send({ topic: 'events', partition: 0, value }));
    await s.world.advance(20);
    const full = s.cluster.partition().values().length;
    expect(full).to.be.within(6, 9);
    await s.world.until(Promise.all(sent));
    expect(s.world.nowMs).to.be.within(50, 70);
    expect(s.cluster.partition().values()).to.deep.equal(values);
    for (const call of s.cluster.produced) expect(call.batch.length).to.be.at.most(300);
  });

  it('reads the clock once for many records of a turn, and anew in the next', async () => {
    const s = setup({ lingerMs: 50 });
    const first = s.producer.send({ topic: 'events', partition: 0, value: 'known' });
    await s.world.until(first);
    let looks = 0;
    const { clock } = s.world;
    const read = clock.nowMs;
    clock.nowMs = () => {
      looks += 1;
      return read();
    };
    const times: number[] = [];
    const value = Buffer.from('v');
    for (let turn = 0; turn < 3; turn += 1) {
      times.push(read());
      for (let i = 0; i < 60; i += 1) void s.producer.enqueueValue(at0, value, 0, 1);
      await s.world.advance(7);
    }
    clock.nowMs = read;
    expect(looks, 'no more than one a turn').to.equal(3);
    await s.world.until(s.producer.flush());
    const [, batch] = s.cluster.produced;
    const bytes = batch?.batch ?? new Uint8Array();
    const stamped = recordsOf(readBatchHeader(bytes), bytes.subarray(61)).map((r) => r.timestampMs);
    expect([...new Set(stamped)]).to.deep.equal(times);
  });

  it('never has more than five batches of a partition on their way', async () => {
    let ended = 0;
    let most = 0;
    const s = setup({ lingerMs: 0, onBatch: () => (ended += 1) });
    s.cluster.fate = () => {
      most = Math.max(most, s.cluster.produced.length - ended);
      return { kind: 'serve', delayMs: 20 };
    };
    const values = Array.from({ length: 40 }, (_, i) => `${i}`);
    const outcomes = await sendEach(s, values, 3);
    expect(offsets(outcomes)).to.deep.equal(Array.from({ length: 40 }, (_, i) => i));
    expect(most).to.equal(5);
  });

  const retried: [string, Fate[]][] = [
    ['a throttled first batch', [refuse('THROTTLED', { retryAfterMs: 30 })]],
    ['a leader that is not known', [refuse('LEADER_UNKNOWN'), refuse('LEADER_UNKNOWN')]],
    ['a batch in the middle', [SERVE, SERVE, refuse('THROTTLED')]],
    ['a lost connection before the append', [SERVE, { kind: 'break', afterAppend: false }]],
    ['a lost connection after the append', [SERVE, { kind: 'break', afterAppend: true }]],
    ['doubt about an append that happened', [{ kind: 'doubt', isAppended: true }]],
    ['doubt about an append that did not happen', [{ kind: 'doubt', isAppended: false }]],
    [
      'doubt about several',
      [
        { kind: 'doubt', isAppended: true },
        { kind: 'doubt', isAppended: true },
        { kind: 'doubt', isAppended: false },
      ],
    ],
    ['a frozen broker', [SERVE, { kind: 'freeze' }]],
    ['a deadline at the broker', [refuse('DEADLINE_EXCEEDED')]],
    ['a lagging broker that does not know the topic', [refuse('UNKNOWN_TOPIC')]],
  ];
  for (const [name, fates] of retried) {
    it(`delivers everything once and in order through ${name}`, async () => {
      const s = setup({ lingerMs: 1, requestTimeoutMs: 3_000 });
      script(s.cluster, fates);
      const outcomes = await sendEach(s, seven, 2);
      expect(offsets(outcomes)).to.deep.equal([0, 1, 2, 3, 4, 5, 6]);
      expect(s.cluster.partition().values()).to.deep.equal(seven);
      expect(s.cluster.producerEpochs.get(1)).to.equal(0);
    });
  }

  it('follows the hint of a broker that does not lead any more', async () => {
    const s = setup({ lingerMs: 1 });
    await sendEach(s, ['a']);
    s.cluster.moveLeader();
    const before = s.cluster.calls.length;
    const startMs = s.world.nowMs;
    expect(offsets(await sendEach(s, ['b', 'c']))).to.deep.equal([1, 2]);
    expect(s.cluster.calls.slice(before)).to.deep.equal([]);
    expect(s.world.nowMs - startMs).to.be.below(30);
  });

  it('finds the next leader when the one it knew is gone', async () => {
    const s = setup({ lingerMs: 1 });
    await sendEach(s, ['a']);
    s.cluster.kill(1);
    const sending = sendEach(s, ['b', 'c', 'd'], 10);
    s.world.timers.after(400, () => s.cluster.moveLeader());
    const startMs = s.world.nowMs;
    expect(offsets(await sending)).to.deep.equal([1, 2, 3]);
    expect(s.world.nowMs - startMs).to.be.within(400, 500);
    expect(s.cluster.partition().values()).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('sends again elsewhere what a deposed leader sits on', async () => {
    const s = setup({ lingerMs: 1 });
    await sendEach(s, ['a']);
    s.cluster.fate = (_call, broker) => (broker === 1 ? { kind: 'freeze' } : SERVE);
    const sending = sendEach(s, ['b', 'c']);
    s.world.timers.after(300, () => s.cluster.moveLeader());
    const startMs = s.world.nowMs;
    expect(offsets(await sending)).to.deep.equal([1, 2]);
    // Asked after a second of silence, not after the request's ten.
    expect(s.world.nowMs - startMs).to.be.below(1_300);
  });

  it('goes on under a new epoch when the broker forgot the producer', async () => {
    const s = setup({ lingerMs: 1 });
    await sendEach(s, ['a', 'b']);
    s.cluster.partition().producers.clear();
    expect(offsets(await sendEach(s, ['c', 'd', 'e', 'f'], 2))).to.deep.equal([2, 3, 4, 5]);
    expect(s.cluster.partition().values()).to.deep.equal(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(s.cluster.producerEpochs.get(1)).to.equal(1);
  });

  it('never sends what may be appended under another sequence', async () => {
    const s = setup({ lingerMs: 1 });
    await sendEach(s, ['a', 'b']);
    script(s.cluster, [{ kind: 'doubt', isAppended: false }]);
    const sending = sendEach(s, ['c', 'd'], 2);
    // The broker forgets while it is in doubt: nothing can tell any more whether c was appended.
    s.world.timers.after(3, () => s.cluster.partition().producers.clear());
    expect(offsets(await sending)).to.deep.equal(['UNKNOWN_OUTCOME/unknown', 2]);
    expect(s.cluster.partition().values()).to.deep.equal(['a', 'b', 'd']);
    const c = s.cluster.produced.filter((p) => Buffer.from(p.batch).includes('c'));
    const identities = c.map((p) => readBatchHeader(p.batch)).map((h) => h.baseSequence);
    expect(new Set(identities)).to.deep.equal(new Set([2]));
  });

  it('closes the gap behind a batch that is refused for good', async () => {
    const s = setup({ lingerMs: 1 });
    await sendEach(s, ['a']);
    script(s.cluster, [refuse('BATCH_TOO_LARGE')]);
    expect(offsets(await sendEach(s, ['b', 'c', 'd'], 2))).to.deep.equal([
      'BATCH_TOO_LARGE/none',
      1,
      2,
    ]);
    expect(s.cluster.partition().values()).to.deep.equal(['a', 'c', 'd']);
  });

  it('says "not appended" when nothing was ever sent', async () => {
    const s = setup({ deliveryTimeoutMs: 2_000 });
    for (const broker of [1, 2, 3]) s.cluster.kill(broker);
    const [outcome] = await sendEach(s, ['a']);
    expect(outcome).to.be.instanceOf(BrokerError).with.property('outcome', 'none');
    expect(s.world.nowMs).to.be.within(1_500, 3_500);
  });

  it('says "not appended" of an overdue batch if every answer said so, whatever its code says', async () => {
    const s = setup({ deliveryTimeoutMs: 2_000 });
    s.cluster.fate = () => refuse('NO_QUORUM', { outcome: 'none' });
    expect(offsets(await sendEach(s, ['a']))).to.deep.equal(['NO_QUORUM/none']);
  });

  it('says that the topic was not found, not that there was no room', async () => {
    const s = setup({ deliveryTimeoutMs: 2_000 });
    s.cluster.onCall = (method) =>
      method === 'getMetadata' ? new Promise(() => undefined) : undefined;
    const [outcome] = await sendEach(s, ['a']);
    expect(outcome).to.have.property('code', 'BROKER_UNAVAILABLE');
    expect((outcome as BrokerError).message).to.contain('where topic events is');
  });

  it('waits for a topic no longer than it is told to', async () => {
    const s = setup({ topicTimeoutMs: 1_000 });
    for (const broker of [1, 2, 3]) s.cluster.kill(broker);
    const [outcome] = await sendEach(s, ['a']);
    expect(outcome).to.have.property('code', 'BROKER_UNAVAILABLE');
    expect(s.world.nowMs).to.be.at.most(1_500);
  });

  it('counts the wait for room into the delivery timeout', async () => {
    const s = setup({
      bufferBytesMax: 150,
      batchBytes: 200,
      lingerMs: 1,
      deliveryTimeoutMs: 2_000,
    });
    await sendEach(s, ['warm']);
    s.cluster.fate = () => ({ kind: 'serve', delayMs: 1_500 });
    const sent = ['a', 'b'].map(async (v) => {
      const startMs = s.world.nowMs;
      const error = await s.producer
        .send({ topic: 'events', partition: 0, value: v.repeat(100) })
        .catch((thrown: unknown) => thrown as BrokerError);
      return { error, tookMs: s.world.nowMs - startMs };
    });
    const [, late] = await s.world.until(Promise.all(sent));
    expect(late?.error).to.be.instanceOf(BrokerError).with.property('code', 'DEADLINE_EXCEEDED');
    expect(late?.tookMs).to.be.within(2_000, 2_500);
  });

  it('says "unknown" when the last word was never heard', async () => {
    const s = setup({ deliveryTimeoutMs: 2_000, lingerMs: 1 });
    await sendEach(s, ['a']);
    script(s.cluster, [{ kind: 'break', afterAppend: true }]);
    s.world.timers.after(4, () => [1, 2, 3].forEach((b) => s.cluster.kill(b)));
    const [outcome] = await sendEach(s, ['b'], 2);
    expect(outcome).to.be.instanceOf(BrokerError).with.property('outcome', 'unknown');
    expect(s.cluster.partition().values()).to.deep.equal(['a', 'b']);
  });

  it('does not repeat what may be appended without idempotence', async () => {
    const s = setup({ acks: 'leader', lingerMs: 1 });
    script(s.cluster, [SERVE, { kind: 'break', afterAppend: true }, refuse('NOT_LEADER')]);
    expect(offsets(await sendEach(s, ['a', 'b', 'c']))).to.deep.equal([
      0,
      'UNKNOWN_OUTCOME/unknown',
      2,
    ]);
    expect(s.cluster.partition().values()).to.deep.equal(['a', 'b', 'c']);
    expect(readBatchHeader(s.cluster.produced[0]!.batch).producerId).to.equal(-1);
  });

  it('lets callers wait while its buffer is full', async () => {
    const s = setup({ bufferBytesMax: 2_000, batchBytes: 500, lingerMs: 1 });
    s.cluster.fate = () => ({ kind: 'serve', delayMs: 50 });
    await sendEach(s, ['warm']);
    const values = Array.from({ length: 60 }, (_, i) => `${i}-`.padEnd(100, 'x'));
    let most = 0;
    for (const value of values) {
      const room = s.producer.enqueue({ topic: 'events', partition: 0, value });
      if (room !== undefined) await s.world.until(room);
      most = Math.max(most, s.producer.pendingBytes);
    }
    await s.world.until(s.producer.flush());
    expect(most).to.be.at.most(2_200);
    expect(s.cluster.partition().values().slice(1)).to.deep.equal(values);
  });

  it('delivers what it has when it is closed, and refuses more', async () => {
    const s = setup({ lingerMs: 10_000 });
    const sent = seven.map((value) => s.producer.send({ topic: 'events', partition: 0, value }));
    await s.world.advance(100);
    await s.world.until(s.producer.close(), 100);
    expect(offsets(await Promise.all(sent))).to.deep.equal([0, 1, 2, 3, 4, 5, 6]);
    const late = s.producer.send({ topic: 'events', value: 'x' });
    const error = await late.catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'SHUTTING_DOWN');
  });

  it('takes many records for one promise', async () => {
    const reports: BatchReport[] = [];
    const s = setup({ onBatch: (r) => reports.push(r), batchBytes: 500 }, { partitions: 3 });
    const records = Array.from({ length: 100 }, (_, i) => ({ value: `${i}`, partition: i % 3 }));
    const summary = await s.world.until(s.producer.sendMany('events', records));
    expect(summary.records).to.equal(100);
    expect([...summary.partitions.entries()].sort()).to.deep.equal([
      [0, { first: 0, last: 33 }],
      [1, { first: 0, last: 32 }],
      [2, { first: 0, last: 32 }],
    ]);
    expect(reports.reduce((sum, r) => sum + r.records, 0)).to.equal(100);
  });

  describe('and the memory of its batches', () => {
    /** The buffers of all attempts, as a transport sees them that copies or does not. */
    async function buffersOf(copies: boolean, fates: readonly Fate[]): Promise<ArrayBufferLike[]> {
      const s = setup({ lingerMs: 1 });
      const seen: ArrayBufferLike[] = [];
      const openProduce = s.cluster.openProduce.bind(s.cluster);
      Object.assign(s.cluster, {
        copiesBatches: copies,
        openProduce: (...[to, handlers]: Parameters<typeof openProduce>) => {
          const link = openProduce(to, handlers);
          const send = link.send.bind(link);
          link.send = (call) => {
            seen.push(call.batch.buffer);
            return send(call);
          };
          return link;
        },
      });
      script(s.cluster, fates);
      const values = ['a', 'b', 'c', 'd'];
      for (const value of values) await sendEach(s, [value]);
      expect(s.cluster.partition(0).values()).to.deep.equal(values);
      return seen;
    }

    it('uses it again once a batch is delivered', async () => {
      // The first is planned larger, as nothing is known of the partition yet.
      const [, second, third, fourth] = await buffersOf(true, []);
      expect(third).to.equal(second);
      expect(fourth).to.equal(second);
    });

    it('never uses that of a batch again that was sent twice', async () => {
      const [, second, again, third, fourth] = await buffersOf(true, [
        SERVE,
        { kind: 'break', afterAppend: true },
      ]);
      expect(again).to.equal(second);
      expect(third).not.to.equal(second);
      expect(fourth).to.equal(third);
    });

    it('never uses any again that the transport may still read', async () => {
      const seen = await buffersOf(false, []);
      expect(new Set(seen).size).to.equal(4);
    });
  });

  it('lets batches grow while others of their partition are on their way', async () => {
    const sizes: number[] = [];
    const s = setup({ onBatch: (r) => sizes.push(r.bytes) });
    const value = 'x'.repeat(10_000);
    const records = Array.from({ length: 400 }, () => ({ value }));
    await s.world.until(s.producer.sendMany('events', records));
    expect(sizes.slice(0, 2).every((bytes) => bytes <= 256 * 1024)).to.equal(true);
    expect(Math.max(...sizes)).to.be.within(1000 * 1024, 1024 * 1024);
  });

  it('refuses what can never be sent, before it is sent', async () => {
    const s = setup();
    const fail = async (record: Parameters<Producer['send']>[0]): Promise<unknown> =>
      await s.world.until(s.producer.send(record).catch((thrown: unknown) => thrown));
    await s.world.until(s.producer.send({ topic: 'events', value: 'ok' }));
    const produced = s.cluster.produced.length;
    const bad: [Parameters<Producer['send']>[0], string][] = [
      [{ topic: 'nowhere', value: 'x' }, 'UNKNOWN_TOPIC'],
      [{ topic: 'events', partition: 7, value: 'x' }, 'UNKNOWN_PARTITION'],
      [{ topic: 'events', partition: -1, value: 'x' }, 'UNKNOWN_PARTITION'],
      [{ topic: 'events', value: new Uint8Array(2 << 20) }, 'BATCH_TOO_LARGE'],
      [{ topic: 'events', value: 5 as unknown as string }, 'INVALID_ARGUMENT'],
      [{ topic: 'events', value: 'x', timestampMs: 0.5 }, 'INVALID_ARGUMENT'],
    ];
    for (const [record, code] of bad) {
      expect(await fail(record))
        .to.be.instanceOf(BrokerError)
        .with.property('code', code);
    }
    expect(s.cluster.produced).to.have.length(produced);
  });

  it('ends what waits when its topic is deleted and made anew', async () => {
    const s = setup({ lingerMs: 1 });
    await sendEach(s, ['a']);
    s.cluster.fate = (call) =>
      call.topicId === s.cluster.topicId ? SERVE : refuse('UNKNOWN_TOPIC');
    s.cluster.topicId = 'b'.repeat(32);
    s.cluster.partitions[0]!.batches.length = 0;
    s.cluster.partitions[0]!.producers.clear();
    expect(offsets(await sendEach(s, ['b']))).to.deep.equal(['UNKNOWN_TOPIC/none']);
    expect(offsets(await sendEach(s, ['c']))).to.deep.equal([0]);
  });

  it('spreads records without a key in whole batches, and keys by their hash', async () => {
    const s = setup({ batchBytes: 400, lingerMs: 1 }, { partitions: 4 });
    const keyed = Array.from({ length: 50 }, (_, i) => ({ key: `k${i % 5}`, value: `${i}` }));
    await s.world.until(s.producer.sendMany('events', keyed));
    const homes = new Map<string, Set<number>>();
    for (const [p, partition] of s.cluster.partitions.entries()) {
      for (const v of partition.values()) {
        const key = `k${Number(v) % 5}`;
        homes.set(key, (homes.get(key) ?? new Set()).add(p));
      }
    }
    expect([...homes.values()].every((h) => h.size === 1)).to.equal(true);
    const plain = Array.from({ length: 400 }, (_, i) => ({ value: `${i}`.padEnd(50) }));
    await s.world.until(s.producer.sendMany('events', plain));
    const counts = s.cluster.partitions.map((p) => p.batches.length);
    expect(Math.min(...counts)).to.be.above(5);
  });

  it('asks for acks of the leader only without idempotence', () => {
    expect(() => setup({ acks: 'leader', idempotent: true }))
      .to.throw(BrokerError)
      .with.property('code', 'INVALID_ARGUMENT');
  });

  it('lets no record wait for others beyond the time it has to be delivered', () => {
    for (const lingerMs of [1_000, 2 ** 31, -1, Number.NaN]) {
      expect(() => setup({ lingerMs, deliveryTimeoutMs: 1_000 })).to.throw(
        BrokerError,
        /lingerMs must be .* less than deliveryTimeoutMs \(1000\)/,
      );
    }
    setup({ deliveryTimeoutMs: 2 });
  });
});

describe('producer under random faults', () => {
  const fate = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .integer({ min: 0, max: 30 })
        .map((delayMs): Fate => ({ kind: 'serve', delayMs })),
    },
    { weight: 1, arbitrary: fc.constant(refuse('THROTTLED')) },
    { weight: 1, arbitrary: fc.constant(refuse('LEADER_UNKNOWN')) },
    { weight: 1, arbitrary: fc.constant(refuse('NO_QUORUM')) },
    { weight: 1, arbitrary: fc.constant(refuse('BATCH_TOO_LARGE')) },
    {
      weight: 1,
      arbitrary: fc.boolean().map((isAppended): Fate => ({ kind: 'doubt', isAppended })),
    },
    {
      weight: 1,
      arbitrary: fc.boolean().map((afterAppend): Fate => ({ kind: 'break', afterAppend })),
    },
    { weight: 1, arbitrary: fc.constant<Fate>({ kind: 'freeze' }) },
  );
  const event = fc.record({
    atMs: fc.integer({ min: 0, max: 1_500 }),
    kind: fc.constantFrom('move', 'forget', 'kill', 'revive'),
    partition: fc.integer({ min: 0, max: 1 }),
  });

  it('keeps order, appends nothing twice and never lies about an outcome', async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fate, { maxLength: 40 }),
        fc.array(event, { maxLength: 6 }),
        fc.integer(),
        async (fates, events, seed) => {
          const s = setup(
            { lingerMs: 1, requestTimeoutMs: 1_000, deliveryTimeoutMs: 6_000, batchBytes: 200 },
            { partitions: 2, seed },
          );
          script(s.cluster, fates);
          for (const e of events) s.world.timers.after(e.atMs, () => happen(s, e));
          const sent: { value: string; partition: number; outcome: Promise<Outcome> }[] = [];
          for (let i = 0; i < 60; i += 1) {
            const partition = i % 2;
            const value = `v${i}`;
            const outcome = s.producer
              .send({ topic: 'events', partition, value })
              .catch((thrown: unknown) => BrokerError.from(thrown));
            sent.push({ value, partition, outcome });
            if (i % 3 === 0) await s.world.advance(20);
          }
          s.world.timers.after(2_500, () => s.cluster.down.clear());
          await s.world.until(Promise.all(sent.map((x) => x.outcome)), 60_000);
          for (const p of [0, 1]) {
            const log = s.cluster.partition(p).values();
            expect(new Set(log).size, 'nothing twice').to.equal(log.length);
            const order = log.map((v) => Number(v.slice(1)));
            expect(order, 'in order').to.deep.equal([...order].sort((a, b) => a - b));
            for (const x of sent.filter((y) => y.partition === p)) {
              const outcome = await x.outcome;
              if (!(outcome instanceof BrokerError)) {
                expect(log[outcome.offset], 'acknowledged').to.equal(x.value);
              } else if (outcome.outcome === 'none') {
                expect(log, 'definitely not appended').not.to.include(x.value);
              }
            }
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  function happen({ cluster, producer }: Setup, e: { kind: string; partition: number }): void {
    const partition = cluster.partition(e.partition);
    if (e.kind === 'move') cluster.moveLeader(e.partition);
    // State is only ever forgotten long after the longest delivery timeout: never amid a doubt.
    if (e.kind === 'forget' && producer.pendingBytes === 0) partition.producers.clear();
    if (e.kind === 'revive') cluster.down.clear();
    if (e.kind !== 'kill' || cluster.down.size > 0) return;
    cluster.kill(partition.leader);
    for (const p of [0, 1])
      if (cluster.down.has(cluster.partition(p).leader)) cluster.moveLeader(p);
  }
});
