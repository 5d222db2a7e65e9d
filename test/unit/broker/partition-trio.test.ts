import { expect } from 'chai';
import { viewOf } from '../../../src/base/bytes.js';
import { crc32c } from '@node-rs/crc32';
import { BATCH_HEADER_BYTES } from '../../../src/model/record-batch.js';
import { RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { splitBatches } from '../../../src/model/record.js';
import type { FetchedPartition, ProduceResult } from '../../../src/broker/types.js';
import { TOPIC, specOf } from './partition-fixture.js';
import { Trio } from './partition-trio.js';
import { recordsOf } from '../../support/records-of.js';

const IN_FLIGHT = 5;

/** An idempotent producer with five batches in flight, as simple as one can be and still be right. */
class SimpleProducer {
  readonly acked = new Map<string, number>();
  isStopped = false;
  private readonly trio: Trio;
  private readonly id: number;
  private readonly valueBytes: number;
  private readonly queue: { sequence: number; value: string; isAnswered: boolean }[] = [];
  private next = 0;
  private target = 1;

  constructor(trio: Trio, id: number, valueBytes: number) {
    this.trio = trio;
    this.id = id;
    this.valueBytes = valueBytes;
  }

  get pending(): number {
    return this.queue.length;
  }

  async run(): Promise<void> {
    while (!this.isStopped || this.queue.length > 0) {
      while (!this.isStopped && this.queue.length < IN_FLIGHT) {
        this.queue.push({
          sequence: this.next,
          value: `${this.id}/${this.next}`,
          isAnswered: false,
        });
        this.next += 1;
      }
      // Everything that is not acknowledged goes out again, in order.
      await Promise.all(this.queue.map((item) => this.send(item)));
      const failed = this.queue.filter((item) => !item.isAnswered);
      this.queue.splice(0, this.queue.length, ...failed);
      await this.trio.sleep(40);
    }
  }

  private async send(item: {
    sequence: number;
    value: string;
    isAnswered: boolean;
  }): Promise<void> {
    const result = await this.call(this.batch(item));
    if (result === undefined) {
      this.target = (this.target % 3) + 1;
      return;
    }
    if (result.error === undefined) {
      item.isAnswered = true;
      this.acked.set(item.value, result.baseOffset);
      return;
    }
    const { code, facts } = result.error;
    // A gap is legal only behind a batch that failed before it.
    const isExpected = result.error.retriable || code === 'OUT_OF_ORDER_SEQUENCE';
    if (!isExpected) this.trio.scheduler.fail(result.error);
    this.target = facts.leader?.brokerId ?? (this.target % 3) + 1;
  }

  private call(batch: Uint8Array): Promise<ProduceResult | undefined> {
    const broker = this.trio.brokers.get(this.target);
    return new Promise((resolve) => {
      // The answer of a broker that died never comes: the connection breaks.
      void this.trio.client.timers.after(1_500, () => resolve(undefined));
      broker?.floor.produce.produce(
        {
          topic: TOPIC,
          partition: 0,
          topicId: undefined,
          acks: 'quorum',
          batch,
          timeoutMs: 1_000,
          allowForward: false,
        },
        (result) => {
          if (broker.process.isAlive) resolve(result);
        },
      );
    });
  }

  private batch({ sequence, value }: { sequence: number; value: string }): Uint8Array {
    const builder = new RecordBatchBuilder();
    const bytes = new Uint8Array(this.valueBytes);
    new TextEncoder().encodeInto(value.padEnd(20), bytes);
    builder.append({ value: bytes }, 1_000 + sequence);
    return builder.finish(
      { producerId: this.id, producerEpoch: 0, baseSequence: sequence },
      crc32c,
    );
  }
}

/** Reads everything from offset 0 on, following leaders. */
class SimpleReader {
  readonly seen = new Map<string, number>();
  at = 0;
  epoch = 0;
  highWatermark = 0;
  isStopped = false;
  private readonly trio: Trio;

  constructor(trio: Trio) {
    this.trio = trio;
  }

  async run(): Promise<void> {
    while (!this.isStopped) {
      const id = this.trio.leader();
      const got = id === undefined ? undefined : await this.fetch(id);
      if (got === undefined || got.error !== undefined) {
        if (got?.error?.code === 'OFFSET_OUT_OF_RANGE') this.trio.scheduler.fail(got.error);
        await this.trio.sleep(20);
        continue;
      }
      this.take(got);
    }
  }

  private take(got: FetchedPartition): void {
    expect(got.highWatermark, 'the high watermark never falls').to.be.at.least(this.highWatermark);
    this.highWatermark = got.highWatermark;
    this.epoch = got.leaderEpoch;
    for (const bytes of got.batches) {
      for (const { header } of splitBatches(bytes, crc32c)) {
        expect(viewOf(bytes).getInt32(12)).to.be.at.most(got.leaderEpoch);
        for (const record of recordsOf(header, bytes.subarray(BATCH_HEADER_BYTES))) {
          expect(record.offset, 'offsets are dense').to.equal(this.at);
          const value = new TextDecoder().decode(record.value?.subarray(0, 20)).trim();
          expect(this.seen.has(value), `${value} twice`).to.equal(false);
          this.seen.set(value, record.offset);
          this.at += 1;
        }
      }
    }
    expect(got.nextOffset).to.equal(this.at);
  }

  private fetch(id: number): Promise<FetchedPartition | undefined> {
    const broker = this.trio.brokers.get(id);
    const partition = { topic: TOPIC, partition: 0, topicId: undefined };
    return new Promise((resolve) => {
      void this.trio.client.timers.after(700, () => resolve(undefined));
      broker?.floor.fetch
        .fetch({
          partitions: [
            { ...partition, offset: this.at, maxBytes: 200_000, leaderEpoch: this.epoch },
          ],
          minBytes: 1,
          maxBytes: 1_000_000,
          maxWaitMs: 300,
          linearizable: false,
          allowForward: false,
        })
        .then(
          (result) => (broker.process.isAlive ? resolve(result.partitions[0]) : undefined),
          (error: unknown) => this.trio.scheduler.fail(error),
        );
    });
  }
}

/** Everything acknowledged is there once, at its offset, in its producer's order. */
function check(producers: readonly SimpleProducer[], reader: SimpleReader): void {
  for (const producer of producers) {
    let last = -1;
    for (const [value, at] of producer.acked) {
      expect(reader.seen.get(value), `${value} was acknowledged at ${at}`).to.equal(at);
      expect(at).to.be.above(last);
      last = at;
    }
  }
}

function statesOf(trio: Trio): string[] {
  return [...trio.brokers.values()].map(({ host }) => {
    const replica = host.replicas.get(specOf(0).groupId);
    const state = replica?.machine.encode() ?? new Uint8Array();
    return Buffer.from(state).toString('hex');
  });
}

describe('three replicas of a partition', () => {
  const run = async (
    seed: number,
    options: { readonly valueBytes: number; readonly trims: boolean; readonly kills: number },
  ): Promise<Trio> => {
    const trio = new Trio(seed);
    for (const id of [1, 2, 3]) await trio.start(id);
    await trio.run(10, () => trio.leader() !== undefined);
    const producers = [1, 2, 3].map((id) => new SimpleProducer(trio, id, options.valueBytes));
    const reader = new SimpleReader(trio);
    const failed = (error: unknown): void => trio.scheduler.fail(error);
    const running = [...producers, reader].map((p) => p.run().catch(failed));
    for (let kill = 0; kill < options.kills; kill += 1) {
      await trio.run(0.2 + trio.prng.float());
      const leader = trio.leader();
      const victim = leader !== undefined && trio.prng.chance(0.7) ? leader : 1 + trio.prng.int(3);
      trio.kill(victim);
      await trio.run(0.1 + 2 * trio.prng.float());
      if (options.trims) {
        const leads = trio.brokers.get(trio.leader() ?? 0);
        leads?.host
          .trim(specOf(0).groupId, Math.max(0, reader.at - 5), { deadlineMs: 500 })
          .catch(() => undefined);
        await trio.run(1);
      }
      await trio.start(victim);
    }
    for (const producer of producers) producer.isStopped = true;
    const isQuiet = (): boolean =>
      producers.every((p) => p.pending === 0) && new Set(statesOf(trio)).size === 1;
    expect(await trio.run(30, isQuiet), 'everything is acknowledged and equal').to.equal(true);
    const acked = producers.reduce((sum, p) => sum + p.acked.size, 0);
    expect(acked).to.be.above(50);
    expect(await trio.run(10, () => reader.at >= acked), 'everything is read').to.equal(true);
    reader.isStopped = true;
    await trio.run(2);
    await Promise.all(running);
    check(producers, reader);
    expect(reader.seen.size, 'nothing but what was acknowledged').to.equal(acked);
    return trio;
  };

  for (const seed of [1, 2, 3, 4]) {
    it(`loses, repeats and reorders nothing while leaders die (seed ${seed})`, async function () {
      this.timeout(30_000);
      await run(seed, { valueBytes: 100, trims: false, kills: 6 });
    });
  }

  for (const seed of [11, 12, 13]) {
    it(`does so while the log's prefix is given up (seed ${seed})`, async function () {
      this.timeout(30_000);
      const trio = await run(seed, { valueBytes: 20_000, trims: true, kills: 6 });
      const first = [...trio.brokers.values()].map((b) =>
        b.host.group(specOf(0).groupId)?.firstIndex(),
      );
      expect(Math.max(...first.map(Number)), 'bytes were given back').to.be.above(1);
    });
  }
});
