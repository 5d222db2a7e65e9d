import { expect } from 'chai';

import { MillraceClient, type Consumer } from '../../../src/client/index.js';
import { partitionForKey } from '../../../src/client/partitioner.js';
import { BrokerError } from '../../../src/model/errors.js';
import { setup as clientSetup, type Setup } from './client-setup.js';
import { FakePartition } from './fake-cluster.js';

const REFRESH_MS = 10_000;
const TOPIC = 'events';

const setup = (): Setup => clientSetup(2, { metadataRefreshMs: REFRESH_MS });

function grow({ cluster }: Setup, to: number): void {
  while (cluster.partitions.length < to) {
    cluster.partitions.push(new FakePartition((cluster.partitions.length % 3) + 1));
  }
}

/** A key that goes to the last of four partitions, and not to it of two. */
const movingKey = ((): string => {
  for (let i = 0; ; i += 1) {
    if (partitionForKey(Buffer.from(`k${i}`), 4) === 3) return `k${i}`;
  }
})();

function collect(consumer: Consumer): { readonly values: string[]; readonly done: Promise<void> } {
  const values: string[] = [];
  const run = async (): Promise<void> => {
    for await (const { value } of consumer) values.push(Buffer.from(value ?? []).toString());
  };
  return { values, done: run() };
}

describe('a client whose topic gets more partitions', () => {
  it('sends keys to them within one refresh, and what was sent stays where it is', async () => {
    const s = setup();
    const producer = s.client.producer();
    const send = async (): Promise<number> =>
      (await s.world.until(producer.send({ topic: TOPIC, key: movingKey, value: 'v' }))).partition;
    expect(await send()).to.equal(1);
    grow(s, 4);
    expect(await send(), 'not heard of yet').to.equal(1);
    await s.world.advance(REFRESH_MS + 10);
    expect(await send()).to.equal(3);
    expect(s.cluster.partition(1).values()).to.have.length(2);
    await s.world.until(s.client.close());
    expect(s.world.timersSet).to.equal(0);
  });

  it('asks at once for a partition that is named and not known', async () => {
    const s = setup();
    const producer = s.client.producer();
    await s.world.until(producer.send({ topic: TOPIC, partition: 0, value: 'v' }));
    grow(s, 3);
    const first = await s.world.until(
      producer.send({ topic: TOPIC, partition: 2, value: 'v' }).catch((e: unknown) => e),
    );
    expect(BrokerError.from(first).code).to.equal('UNKNOWN_PARTITION');
    await s.world.advance(100);
    await s.world.until(producer.send({ topic: TOPIC, partition: 2, value: 'v' }));
    expect(s.cluster.partition(2).values()).to.deep.equal(['v']);
    await s.world.until(s.client.close());
  });

  it('reads them from their beginning, also if it began at the end', async () => {
    const s = setup();
    const producer = s.client.producer();
    await s.world.until(producer.send({ topic: TOPIC, partition: 0, value: 'old' }));
    const consumer = s.client.consumer({ topic: TOPIC, from: 'end' });
    const { values, done } = collect(consumer);
    await s.world.advance(500);
    grow(s, 3);
    const other = new MillraceClient({ bootstrap: 'b:1', world: s.world, transport: s.cluster });
    const elsewhere = other.producer();
    await s.world.until(elsewhere.send({ topic: TOPIC, partition: 2, value: 'new' }));
    await s.world.until(elsewhere.send({ topic: TOPIC, partition: 0, value: 'more' }));
    await s.world.advance(REFRESH_MS + 500);
    expect(values).to.have.members(['more', 'new']);
    expect(consumer.assignment().map((p) => p.partition)).to.deep.equal([0, 1, 2]);
    await s.world.until(s.client.close());
    await done;
    await s.world.until(other.close());
    // Answers under way to nobody.
    await s.world.advance(6_000);
    expect(s.world.timersSet).to.equal(0);
  });

  it('reads them from their beginning where a group has no position and would begin at the end', async () => {
    const s = setup();
    const consumer = s.client.consumer({
      ...{ topic: TOPIC, group: 'g' },
      from: { committedOr: 'end' },
    });
    const { values, done } = collect(consumer);
    await s.world.advance(500);
    grow(s, 4);
    s.cluster.committed.set('g/3', 1);
    const other = new MillraceClient({ bootstrap: 'b:1', world: s.world, transport: s.cluster });
    const elsewhere = other.producer();
    for (const partition of [2, 3]) {
      for (const value of ['first', 'second']) {
        const record = { topic: TOPIC, partition, value: `${value} ${partition}` };
        await s.world.until(elsewhere.send(record));
      }
    }
    await s.world.advance(REFRESH_MS + 500);
    expect(values).to.have.members(['first 2', 'second 2', 'second 3']);
    await s.world.until(s.client.close());
    await done;
    await s.world.until(other.close());
  });

  it('tries again with the next news when a new partition cannot be looked up', async () => {
    const s = setup();
    const consumer = s.client.consumer({ topic: TOPIC, requestTimeoutMs: 1_000 });
    const { done } = collect(consumer);
    await s.world.advance(500);
    grow(s, 3);
    s.cluster.onCall = (method) =>
      method === 'listOffsets' ? new BrokerError('LEADER_UNKNOWN', 'not yet') : undefined;
    await s.world.advance(REFRESH_MS + 2_000);
    expect(consumer.assignment()).to.have.length(2);
    s.cluster.onCall = () => undefined;
    await s.world.advance(REFRESH_MS + 100);
    expect(consumer.assignment()).to.have.length(3);
    await s.world.until(s.client.close());
    await done;
  });

  it('leaves alone who reads chosen partitions, or only to the end', async () => {
    const s = setup();
    const chosen = s.client.consumer({ topic: TOPIC, partitions: [0] });
    const assigned = s.client.consumer({ topic: TOPIC });
    const reads = [collect(chosen), collect(assigned)];
    await s.world.advance(500);
    await s.world.until(assigned.assign([{ topic: TOPIC, partition: 1 }]));
    grow(s, 4);
    await s.world.advance(3 * REFRESH_MS);
    expect(chosen.assignment()).to.have.length(1);
    expect(assigned.assignment()).to.have.length(1);
    await s.world.until(s.client.close());
    await Promise.all(reads.map(async ({ done }) => await done));
  });

  it('asks one question for all that it follows, and another broker when one is down', async () => {
    const s = setup();
    s.client.producer();
    const producers = [s.client.producer(), s.client.producer()];
    for (const one of producers) {
      await s.world.until(one.send({ topic: TOPIC, value: 'v' }));
    }
    const asked = (): number => s.cluster.calls.filter((m) => m === 'getMetadata').length;
    const before = asked();
    await s.world.advance(REFRESH_MS);
    expect(asked() - before).to.equal(1);
    for (const broker of [1, 2]) s.cluster.kill(broker);
    grow(s, 4);
    await s.world.advance(REFRESH_MS + 3_000);
    const sent = s.world.until(producers[0]!.send({ topic: TOPIC, partition: 2, value: 'v' }));
    expect((await sent).partition).to.equal(2);
    await s.world.until(s.client.close());
  });

  it('fits batches to a limit that was lowered, and refuses at once what can never fit', async () => {
    const s = setup();
    const producer = s.client.producer();
    const outcome = async (bytes: number): Promise<string> =>
      await producer.send({ topic: TOPIC, partition: 0, value: 'x'.repeat(bytes) }).then(
        () => 'done',
        (thrown: unknown) => `${BrokerError.from(thrown).code} ${BrokerError.from(thrown).message}`,
      );
    const send = async (bytes: number): Promise<string> => await s.world.until(outcome(bytes));
    expect(await send(9_000)).to.equal('done');
    s.cluster.config = { 'max.batch.bytes': '5000' };
    expect(await send(9_000), 'the broker says it').to.match(/BATCH_TOO_LARGE/);
    await s.world.advance(100);
    const produced = s.cluster.produced.length;
    expect(await send(9_000), 'the client knows').to.match(
      /^BATCH_TOO_LARGE record of about 90\d\d bytes exceeds max.batch.bytes of events, 5000$/,
    );
    expect(s.cluster.produced).to.have.length(produced);
    const many = Promise.all(Array.from({ length: 20 }, async () => await outcome(1_000)));
    expect(new Set(await s.world.until(many))).to.eql(new Set(['done']));
    s.cluster.config = {};
    await s.world.advance(REFRESH_MS + 10);
    expect(await send(9_000)).to.equal('done');
    await s.world.until(s.client.close());
  });

  it('refuses a refresh that would flood brokers, or never come', () => {
    for (const metadataRefreshMs of [0, 99, -1, Number.NaN, 1e12]) {
      expect(() => new MillraceClient({ bootstrap: 'b:1', metadataRefreshMs })).to.throw(
        'metadataRefreshMs must be',
      );
    }
  });
});
