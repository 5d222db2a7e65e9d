import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { crc32c } from '../../../src/base/crc32c.js';
import { AbortWatch } from '../../../src/client/abort.js';
import type { Abortable, Admin, ProducerOptions } from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { setup, type Setup } from './client-setup.js';
import type { FakeCluster } from './fake-cluster.js';

const at0 = { topic: 'events', partition: 0 };
const outcome = async (promise: Promise<unknown>): Promise<string> =>
  await promise.then(
    () => 'done',
    (thrown: unknown) => {
      const { code, outcome: what } = BrokerError.from(thrown);
      return `${code}/${what}`;
    },
  );

function put(cluster: FakeCluster, values: readonly string[]): void {
  const builder = new RecordBatchBuilder();
  for (const value of values) builder.append({ value: Buffer.from(value) }, 1_700_000_000_000);
  cluster.append(0, builder.finish(NO_PRODUCER, crc32c));
}

const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();

/** Nobody answers any more. */
function silence({ cluster }: Setup): void {
  for (const broker of [1, 2, 3]) cluster.kill(broker);
}

/** The call waits, until it is aborted: then it rejects at once, with the caller's reason. */
async function expectAbort(
  s: Setup,
  call: (options: Abortable) => Promise<unknown>,
  name = 'call',
): Promise<void> {
  const controller = new AbortController();
  const reason = new Error('enough');
  const state = { isOver: false };
  const ended = call({ signal: controller.signal })
    .then(
      () => undefined,
      (thrown: unknown) => BrokerError.from(thrown),
    )
    .finally(() => (state.isOver = true));
  await s.world.advance(500);
  expect(state.isOver, `${name} waits`).to.equal(false);
  const abortedMs = s.world.nowMs;
  controller.abort(reason);
  const error = await s.world.until(ended, 1_000);
  expect(s.world.nowMs - abortedMs, `${name} rejects at once`).to.be.at.most(5);
  expect(error?.code, name).to.equal('CANCELLED');
  expect(error?.cause, name).to.equal(reason);
  expect(error?.message).to.contain('enough');
  expect(getEventListeners(controller.signal, 'abort'), name).to.be.empty;
  const early = await outcome(call({ signal: AbortSignal.abort() }));
  expect(early, `${name} does not begin`).to.equal('CANCELLED/none');
}

describe('aborting what waits', () => {
  it('gives a signal one listener, however many wait for it', () => {
    const watch = new AbortWatch();
    const controller = new AbortController();
    const told: number[] = [];
    const cancels = [0, 1, 2, 3].map((i) => watch.watch(controller.signal, () => told.push(i)));
    expect(getEventListeners(controller.signal, 'abort')).to.have.length(1);
    cancels[1]?.();
    controller.abort();
    expect(told).to.deep.equal([0, 2, 3]);
  });

  it('listens to a signal only as long as somebody waits', () => {
    const watch = new AbortWatch();
    const controller = new AbortController();
    const told: string[] = [];
    for (const name of ['first', 'second']) {
      const cancel = watch.watch(controller.signal, () => told.push(name));
      cancel();
      cancel();
      expect(getEventListeners(controller.signal, 'abort')).to.be.empty;
    }
    watch.watch(controller.signal, () => told.push('third'));
    controller.abort();
    expect(told).to.deep.equal(['third']);
  });

  describe('a send', () => {
    function blocked(
      options: ProducerOptions = {},
    ): Setup & { readonly controller: AbortController } {
      const s = setup();
      s.cluster.fate = () => ({ kind: 'freeze' });
      return { ...s, controller: new AbortController(), ...options };
    }

    it('is not begun if it is aborted already', async () => {
      const s = setup();
      const signal = AbortSignal.abort();
      const producer = s.client.producer();
      expect(await outcome(producer.send({ ...at0, value: 'v' }, { signal }))).to.equal(
        'CANCELLED/none',
      );
      await s.world.until(producer.flush());
      expect(s.cluster.partition().values()).to.deep.equal([]);
    });

    it('goes on after it was put into a batch, and is only not waited for', async () => {
      const s = setup();
      const controller = new AbortController();
      const producer = s.client.producer({ lingerMs: 50 });
      await s.world.until(producer.send({ ...at0, value: 'first' }));
      const sent = outcome(producer.send({ ...at0, value: 'v' }, { signal: controller.signal }));
      await s.world.advance(10);
      controller.abort();
      expect(await sent).to.equal('CANCELLED/unknown');
      await s.world.until(producer.flush());
      expect(s.cluster.partition().values()).to.deep.equal(['first', 'v']);
    });

    it('is withdrawn as long as it waits for room, and lets the others pass', async () => {
      const s = setup();
      const producer = s.client.producer({ bufferBytesMax: 200 });
      const value = 'x'.repeat(100);
      const controllers = Array.from({ length: 8 }, () => new AbortController());
      const sent = controllers.map(({ signal }, i) =>
        outcome(producer.send({ ...at0, value: `${i}${value}` }, { signal })),
      );
      const flushed = producer.flush();
      for (const i of [2, 3, 4, 5, 7]) controllers[i]?.abort();
      const outcomes = await s.world.until(Promise.all(sent));
      await s.world.until(flushed);
      const kept = [0, 1, 6];
      expect(outcomes).to.deep.equal(
        controllers.map((_, i) => (kept.includes(i) ? 'done' : 'CANCELLED/none')),
      );
      expect(s.cluster.partition().values()).to.deep.equal(kept.map((i) => `${i}${value}`));
      expect(producer.pendingBytes).to.equal(0);
    });

    it('leaves nobody waiting behind it when all that wait are withdrawn', async () => {
      const s = setup();
      const controller = new AbortController();
      silence(s);
      const producer = s.client.producer();
      const sent = Array.from({ length: 100 }, (_, i) =>
        outcome(producer.send({ ...at0, value: `${i}` }, { signal: controller.signal })),
      );
      const flushed = producer.flush();
      await s.world.advance(100);
      controller.abort();
      expect(new Set(await Promise.all(sent))).to.deep.equal(new Set(['CANCELLED/none']));
      await s.world.until(flushed, 10);
      expect(producer.pendingBytes).to.equal(0);
      s.cluster.down.clear();
      expect(await s.world.until(outcome(producer.send({ ...at0, value: 'v' })))).to.equal('done');
    });

    it('of any other kind, and flushing, end as well', async () => {
      const s = blocked();
      const producer = s.client.producer({ bufferBytesMax: 100 });
      void producer.send({ ...at0, value: 'in the way' });
      await expectAbort(s, async (o) => await producer.send({ ...at0, value: 'v' }, o), 'send');
      const value = 'v'.repeat(90);
      await expectAbort(s, async (o) => await producer.enqueue({ ...at0, value }, o), 'enqueue');
      await expectAbort(s, async (o) => await producer.sendMany('events', [at0], o), 'sendMany');
      await expectAbort(s, async (o) => await producer.flush(o), 'flush');
    });

    it('of many takes no more of them', async () => {
      const s = setup();
      const controller = new AbortController();
      const producer = s.client.producer({ bufferBytesMax: 300 });
      function* records(): Generator<{ value: string }> {
        for (let i = 0; i < 1_000; i += 1) {
          if (i === 10) controller.abort();
          yield { value: `${i}` };
        }
      }
      const sent = producer.sendMany('events', records(), { signal: controller.signal });
      expect(await s.world.until(outcome(sent))).to.equal('CANCELLED/unknown');
      await s.world.until(producer.flush());
      expect(s.cluster.partition().values()).to.deep.equal([...Array(10).keys()].map(String));
    });

    it('does not hold up closing, once that is aborted', async () => {
      const s = blocked();
      const producer = s.client.producer({ bufferBytesMax: 100 });
      const sent = outcome(producer.send({ ...at0, value: 'on its way' }));
      const waiting = outcome(producer.send({ ...at0, value: 'v'.repeat(100) }));
      const closed = outcome(producer.close({ signal: s.controller.signal }));
      await s.world.advance(500);
      s.controller.abort();
      expect(await closed).to.equal('CANCELLED/unknown');
      expect(await sent).to.equal('UNKNOWN_OUTCOME/unknown');
      expect(await waiting).to.equal('SHUTTING_DOWN/none');
      expect(await outcome(producer.close())).to.equal('done');
    });
  });

  it('ends administrative calls at once, and asks no more brokers', async () => {
    const s = setup();
    silence(s);
    const calls: {
      readonly [Name in keyof Admin]-?: (admin: Admin, o: Abortable) => Promise<unknown>;
    } = {
      metadata: async (a, o) => await a.metadata(o),
      describeCluster: async (a, o) => await a.describeCluster(o),
      createTopic: async (a, o) => await a.createTopic({ topic: 't' }, o),
      deleteTopic: async (a, o) => await a.deleteTopic('t', o),
      addPartitions: async (a, o) => await a.addPartitions({ topic: 't', partitions: 2 }, o),
      describeTopic: async (a, o) => await a.describeTopic('t', o),
      alterTopic: async (a, o) => await a.alterTopic({ topic: 't' }, o),
      listOffsets: async (a, o) => await a.listOffsets([], o),
      trimPartition: async (a, o) => await a.trimPartition(at0, 1, o),
      commitOffsets: async (a, o) => await a.commitOffsets('g', [], o),
      fetchOffsets: async (a, o) => await a.fetchOffsets('g', [], o),
      listGroups: async (a, o) => await a.listGroups(o),
      describeGroup: async (a, o) => await a.describeGroup('g', o),
      resetOffsets: async (a, o) => await a.resetOffsets('g', 'beginning', o),
      deleteGroup: async (a, o) => await a.deleteGroup('g', o),
      deleteGroupOffsets: async (a, o) => await a.deleteGroupOffsets('g', [], o),
      transferLeadership: async (a, o) => await a.transferLeadership(at0, 1, o),
      moveReplicas: async (a, o) => await a.moveReplicas(at0, [1], o),
    };
    for (const [name, call] of Object.entries(calls)) {
      await expectAbort(s, async (o) => await call(s.client.admin, o), name);
    }
    await s.world.advance(1_000);
    expect(s.world.timersSet, 'nothing goes on behind it').to.equal(0);
  });

  describe('a consumer', () => {
    it('ends the loop, and loses nothing for the next', async () => {
      const s = setup();
      put(s.cluster, ['a', 'b', 'c']);
      put(s.cluster, ['d']);
      const consumer = s.client.consumer({ topic: 'events' });
      const got: string[] = [];
      const signals = [new AbortController(), new AbortController(), new AbortController()];
      const loop = async (): Promise<void> => {
        for await (const r of consumer.records({ signal: signals[0]?.signal })) {
          got.push(text(r.value));
          if (got.length === 2) signals[0]?.abort();
        }
        for await (const b of consumer.batches({ signal: signals[1]?.signal })) {
          got.push(b.records.map((r) => text(r.value)).join(''));
          if (got.length === 3) signals[1]?.abort();
        }
        for await (const r of consumer.records({ signal: signals[2]?.signal })) {
          got.push(text(r.value));
        }
      };
      const reading = loop();
      await s.world.advance(1_000);
      expect(got).to.deep.equal(['a', 'b', 'c', 'd']);
      signals[2]?.abort();
      await s.world.until(reading, 5);
      put(s.cluster, ['e']);
      for await (const r of consumer.records({ signal: AbortSignal.abort() }))
        got.push(text(r.value));
      const { value } = await s.world.until(consumer.records().next());
      expect(text(value?.value)).to.equal('e');
      for (const { signal } of signals) expect(getEventListeners(signal, 'abort')).to.be.empty;
    });

    it('ends a loop that has not found out yet where to begin', async () => {
      const s = setup();
      silence(s);
      const consumer = s.client.consumer({ topic: 'events' });
      const controller = new AbortController();
      const reading = outcome(consumer.records({ signal: controller.signal }).next());
      await s.world.advance(100);
      controller.abort();
      expect(await s.world.until(reading, 5)).to.equal('done');
    });

    it('ends lookups, assignments and commits', async () => {
      const s = setup();
      const consumer = s.client.consumer({ topic: 'events', group: 'g' });
      await s.world.until(consumer.start());
      const fresh = s.client.consumer({ topic: 'other' });
      silence(s);
      await expectAbort(s, async (o) => await fresh.start(o), 'start');
      await expectAbort(s, async (o) => await consumer.seek(at0, 'end', o), 'seek');
      await expectAbort(s, async (o) => await consumer.assign([at0], 'end', o), 'assign');
      await expectAbort(s, async (o) => await consumer.commit(undefined, o), 'commit');
      await expectAbort(s, async (o) => await consumer.committed(o), 'committed');
      expect(consumer.position(at0)).to.equal(0);
    });
  });

  describe('a member of a group', () => {
    it('ends the loop, and goes on with the next', async () => {
      const s = setup();
      put(s.cluster, ['a', 'b', 'c']);
      const consumer = s.client.groupConsumer({ group: 'g', topics: ['events'] });
      const controller = new AbortController();
      const got: string[] = [];
      const loop = async (): Promise<void> => {
        for await (const r of consumer.records({ signal: controller.signal })) {
          got.push(text(r.value));
          if (got.length === 2) controller.abort();
        }
        for await (const b of consumer.batches()) got.push(...b.records.map((r) => text(r.value)));
      };
      const reading = loop();
      await s.world.advance(1_000);
      expect(got).to.deep.equal(['a', 'b', 'c']);
      await s.world.until(consumer.close());
      await s.world.until(reading);
      expect(s.cluster.committed.get('g/0')).to.equal(3);
    });

    it('ends joining, commits, lookups and closing', async () => {
      const s = setup();
      put(s.cluster, ['a']);
      const consumer = s.client.groupConsumer({ group: 'g', topics: ['events'] });
      const first = consumer.records().next();
      await s.world.until(first);
      const fresh = s.client.groupConsumer({ group: 'h', topics: ['events'] });
      silence(s);
      await expectAbort(s, async (o) => await fresh.start(o), 'start');
      await expectAbort(s, async (o) => await consumer.commit(undefined, o), 'commit');
      await expectAbort(s, async (o) => await consumer.seek(at0, 'end', o), 'seek');
      await expectAbort(s, async (o) => await consumer.committed(o), 'committed');
      await expectAbort(s, async (o) => await consumer.close(o), 'close');
    });
  });
});
