import { expect } from 'chai';
import { jsonSerde, type AppendedRecords } from '../../../src/client/index.js';
import type { ProducerOptions } from '../../../src/client/producer-options.js';
import type { Producer } from '../../../src/client/producer.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import { readBatchHeader } from '../../../src/model/record-batch.js';
import { setup as clientSetup } from './client-setup.js';
import type { FakeCluster, Fate } from './fake-cluster.js';
import type { VirtualWorld } from './virtual-world.js';

const SERVE: Fate = { kind: 'serve' };

type Outcome = AppendedRecords | BrokerError;

interface Setup {
  readonly world: VirtualWorld;
  readonly cluster: FakeCluster;
  readonly producer: Producer;
  /** Appends values "0", "1", … as one batch, if the log ends there. */
  readonly appendAt: (expectedOffset: number, count?: number) => Promise<Outcome>;
}

function setup(options: ProducerOptions = {}): Setup {
  const { world, cluster, client } = clientSetup();
  const producer = client.producer(options);
  const appendAt = (expectedOffset: number, count = 1): Promise<Outcome> => {
    const records = Array.from({ length: count }, (_, i) => ({ value: `${expectedOffset}.${i}` }));
    return producer
      .appendIf({ topic: 'events', partition: 0, expectedOffset, records })
      .catch((thrown: unknown) => BrokerError.from(thrown));
  };
  return { world, cluster, producer, appendAt };
}

/** Fates for the first requests; the rest is served. */
function script(cluster: FakeCluster, fates: readonly Fate[]): void {
  const left = [...fates];
  cluster.fate = () => left.shift() ?? SERVE;
}

const shortOf = (outcome: Outcome): number | string =>
  outcome instanceof BrokerError ? `${outcome.code}/${outcome.outcome}` : outcome.offset;

describe('appendIf', () => {
  it('appends its records together where it was told to, without lingering', async () => {
    const s = setup({ lingerMs: 1_000, batchBytes: 300 });
    const first = (await s.world.until(s.appendAt(0, 50))) as AppendedRecords;
    expect(first).to.deep.include({ topic: 'events', partition: 0, offset: 0, nextOffset: 50 });
    const second = (await s.world.until(s.appendAt(first.nextOffset))) as AppendedRecords;
    expect([second.offset, second.nextOffset]).to.deep.equal([50, 51]);
    expect(s.world.nowMs).to.be.below(200);
    const counts = s.cluster.produced.map(({ batch }) => readBatchHeader(batch).recordsCount);
    expect(counts).to.deep.equal([50, 1]);
  });

  it('says where the log ends if it ends elsewhere', async () => {
    const s = setup();
    await s.world.until(s.producer.send({ topic: 'events', value: 'x' }));
    const error = (await s.world.until(s.appendAt(0))) as BrokerError;
    expect([error.code, error.outcome]).to.deep.equal(['EXPECTATION_FAILED', 'none']);
    expect(error.facts.logEndOffset).to.equal(1);
    expect(shortOf(await s.world.until(s.appendAt(1)))).to.equal(1);
  });

  it('stands behind what was given before and in front of what came later', async () => {
    const s = setup({ lingerMs: 50 });
    const before = s.producer.send({ topic: 'events', partition: 0, value: 'before' });
    const middle = s.appendAt(1, 2);
    const after = s.producer.send({ topic: 'events', partition: 0, value: 'after' });
    const last = s.appendAt(4);
    const outcomes = await s.world.until(Promise.all([before, middle, after, last]));
    expect(outcomes.map((o) => shortOf(o as Outcome))).to.deep.equal([0, 1, 3, 4]);
    expect(s.cluster.partition().values()).to.deep.equal(['before', '1.0', '1.1', 'after', '4.0']);
  });

  it('goes alone: nothing behind it is sent before it has its answer', async () => {
    const s = setup({ lingerMs: 0 });
    await s.world.until(s.producer.send({ topic: 'events', value: 'warm' }));
    s.cluster.fate = () => ({ kind: 'serve', delayMs: 50 });
    const early = s.producer.send({ topic: 'events', partition: 0, value: 'early' });
    const condition = s.appendAt(2);
    const late = s.producer.send({ topic: 'events', partition: 0, value: 'late' });
    const sentAt: number[] = [];
    for (let i = 0; i < 30; i += 1) {
      sentAt.push(s.cluster.produced.length);
      await s.world.advance(10);
    }
    await s.world.until(Promise.all([early, condition, late]));
    expect(new Set(sentAt)).to.deep.equal(new Set([2, 3, 4]));
    const inTwo = sentAt.filter((count) => count === 2).length;
    expect(inTwo, 'each waits for the one before').to.be.at.least(4);
  });

  it('costs no producer epoch when it is refused', async () => {
    const s = setup({ lingerMs: 0 });
    const outcomes: Promise<Outcome | { offset: number }>[] = [];
    for (let i = 0; i < 10; i += 1) {
      outcomes.push(s.appendAt(i % 3 === 0 ? 99 : 0));
      outcomes.push(s.producer.send({ topic: 'events', partition: 0, value: `${i}` }));
    }
    const ended = await s.world.until(Promise.all(outcomes));
    const sent = ended.filter((_, i) => i % 2 === 1).map((o) => shortOf(o as Outcome));
    expect(sent).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const refused = ended.filter((_, i) => i % 2 === 0).map((o) => shortOf(o as Outcome));
    expect(new Set(refused)).to.deep.equal(new Set(['EXPECTATION_FAILED/none']));
    expect(s.cluster.calls.filter((method) => method === 'initProducer')).to.have.length(1);
  });

  const doubts: [string, Fate][] = [
    ['a connection that breaks after the append', { kind: 'break', afterAppend: true }],
    ['a connection that breaks before the append', { kind: 'break', afterAppend: false }],
    ['doubt about an append that happened', { kind: 'doubt', isAppended: true }],
    ['doubt about one that did not', { kind: 'doubt', isAppended: false }],
  ];
  for (const [what, fate] of doubts) {
    it(`is tried again after ${what}, and appended once`, async () => {
      const s = setup();
      script(s.cluster, [fate]);
      expect(shortOf(await s.world.until(s.appendAt(0)))).to.equal(0);
      expect(shortOf(await s.world.until(s.appendAt(1)))).to.equal(1);
      expect(s.cluster.partition().values()).to.deep.equal(['0.0', '1.0']);
    });
  }

  it('is refused for certain after a doubt if the log has gone past it', async () => {
    const s = setup();
    await s.world.until(s.producer.send({ topic: 'events', value: 'x' }));
    script(s.cluster, [{ kind: 'doubt', isAppended: false }]);
    expect(shortOf(await s.world.until(s.appendAt(0)))).to.equal('EXPECTATION_FAILED/none');
    expect(shortOf(await s.world.until(s.appendAt(1)))).to.equal(1);
    expect(s.cluster.calls.filter((method) => method === 'initProducer')).to.have.length(1);
  });

  it('stays in doubt while an earlier try may still come true, and its sequence is given up', async () => {
    const s = setup();
    script(s.cluster, [{ kind: 'doubt', isAppended: false }]);
    expect(shortOf(await s.world.until(s.appendAt(5)))).to.equal('UNKNOWN_OUTCOME/unknown');
    expect(shortOf(await s.world.until(s.appendAt(0)))).to.equal(0);
    expect(s.cluster.calls.filter((method) => method === 'initProducer')).to.have.length(2);
  });

  it('follows the leader', async () => {
    const s = setup();
    expect(shortOf(await s.world.until(s.appendAt(0)))).to.equal(0);
    s.cluster.moveLeader();
    expect(shortOf(await s.world.until(s.appendAt(1)))).to.equal(1);
    expect(shortOf(await s.world.until(s.appendAt(1)))).to.equal('EXPECTATION_FAILED/none');
  });

  it('waits for room in the buffer, in its turn', async () => {
    const s = setup({ bufferBytesMax: 1_000, lingerMs: 0 });
    const value = 'v'.repeat(900);
    const first = s.producer.send({ topic: 'events', partition: 0, value });
    const second = s.appendAt(1, 20);
    const third = s.producer.send({ topic: 'events', partition: 0, value });
    const outcomes = await s.world.until(Promise.all([first, second, third]));
    expect(outcomes.map((o) => shortOf(o as Outcome))).to.deep.equal([0, 1, 21]);
    await s.world.until(s.producer.flush());
    expect(s.producer.pendingBytes).to.equal(0);
  });

  it('is waited for by flush and close', async () => {
    const s = setup();
    const appended = s.appendAt(0);
    await s.world.until(s.producer.close());
    expect(shortOf(await appended)).to.equal(0);
    expect(shortOf(await s.appendAt(1))).to.equal('SHUTTING_DOWN/none');
  });

  it('is withdrawn by its signal while it waits, and goes on when it is on its way', async () => {
    const s = setup();
    const at = { topic: 'events', partition: 0, expectedOffset: 0, records: [{ value: 'v' }] };
    const failed = (thrown: unknown): BrokerError => BrokerError.from(thrown);
    const early = new AbortController();
    const waiting = s.producer.appendIf(at, { signal: early.signal }).catch(failed);
    early.abort();
    expect(((await s.world.until(waiting)) as BrokerError).outcome).to.equal('none');
    await s.world.until(s.producer.send({ topic: 'events', value: 'warm' }));
    expect(s.cluster.partition().values()).to.deep.equal(['warm']);
    const late = new AbortController();
    const sent = s.producer
      .appendIf({ ...at, expectedOffset: 1 }, { signal: late.signal })
      .catch(failed);
    late.abort();
    expect(((await s.world.until(sent)) as BrokerError).outcome).to.equal('unknown');
    await s.world.until(s.producer.flush());
    expect(s.cluster.partition().values()).to.deep.equal(['warm', 'v']);
  });

  it('writes with the serdes of its producer', async () => {
    const { world, cluster, client } = clientSetup();
    const producer = client.producer({ valueSerde: jsonSerde<{ n: number }>() });
    const at = { topic: 'events', partition: 0, expectedOffset: 0 };
    await world.until(producer.appendIf({ ...at, records: [{ value: { n: 1 } }] }));
    expect(cluster.partition().values()).to.deep.equal(['{"n":1}']);
  });

  it('compresses as the producer does', async () => {
    const s = setup({ compression: 'gzip' });
    const records = [{ value: 'a'.repeat(5_000) }];
    const at = { topic: 'events', partition: 0, expectedOffset: 0 };
    const ended: { appended?: AppendedRecords } = {};
    const appending = s.producer.appendIf({ ...at, records }).then((a) => (ended.appended = a));
    // The codec takes real time, of which the virtual clock knows nothing: they go at one pace.
    while (ended.appended === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await s.world.advance(1);
    }
    expect((await appending).nextOffset).to.equal(1);
    expect(s.cluster.produced[0]?.batch.length).to.be.below(500);
  });

  describe('refuses', () => {
    const good = { topic: 'events', partition: 0, expectedOffset: 0, records: [{ value: 'v' }] };
    const cases: [string, Partial<typeof good>, ErrorCode, RegExp][] = [
      ['an offset of -1', { expectedOffset: -1 }, 'INVALID_ARGUMENT', /expectedOffset .* -1/],
      ['half an offset', { expectedOffset: 0.5 }, 'INVALID_ARGUMENT', /expectedOffset/],
      ['no partition', { partition: undefined as never }, 'INVALID_ARGUMENT', /partition/],
      ['a partition that is not there', { partition: 7 }, 'UNKNOWN_PARTITION', /0 to 0, not 7/],
      ['a topic that is not there', { topic: 'none' }, 'UNKNOWN_TOPIC', /none/],
      ['no records', { records: [] }, 'INVALID_ARGUMENT', /1 to .* records, not 0/],
      [
        'a value that is no text',
        { records: [{ value: 5 as never }] },
        'INVALID_ARGUMENT',
        /value/,
      ],
      [
        'records that fit no batch',
        { records: Array.from({ length: 3 }, () => ({ value: 'x'.repeat(400_000) })) },
        'BATCH_TOO_LARGE',
        /batch of about 12\d{5} bytes/,
      ],
    ];
    for (const [what, change, code, text] of cases) {
      it(what, async () => {
        const s = setup({ topicTimeoutMs: 500 });
        const ended = s.producer.appendIf({ ...good, ...change }).then(
          () => undefined,
          (thrown: unknown) => BrokerError.from(thrown),
        );
        const error = await s.world.until(ended);
        expect([error?.code, error?.outcome]).to.deep.equal([code, 'none']);
        expect(error?.message).to.match(text);
        expect(s.producer.pendingBytes).to.equal(0);
      });
    }

    it('to be used without idempotence', async () => {
      const s = setup({ idempotent: false });
      const error = (await s.world.until(s.appendAt(0))) as BrokerError;
      expect([error.code, error.message]).to.deep.equal([
        'INVALID_ARGUMENT',
        'appendIf needs an idempotent producer',
      ]);
    });
  });
});
