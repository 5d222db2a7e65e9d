import { randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Consumer } from '../../../src/client/index.js';
import { batchingProducer, connect } from './client.js';
import type { EndToEndJob, JobResult } from './job.js';
import { Latencies } from './latencies.js';
import type { DriverContext } from './stage.js';

/** When the record was due, as a double. */
const DUE_BYTES = 8;
/** How long the last records may take after they were sent. */
const DRAIN_MS_MAX = 60_000;

/** Reads until told how many records there are, and has seen as many. */
class Reader {
  readonly latencies = new Latencies();
  /** Records due earlier belong to the warm-up. */
  measuredFrom = Number.POSITIVE_INFINITY;
  measured = 0;
  private seen = 0;
  private expected = Number.POSITIVE_INFINITY;
  private readonly stopped = new AbortController();
  private readonly consumer: Consumer;
  readonly done: Promise<void>;

  constructor(consumer: Consumer) {
    this.consumer = consumer;
    this.done = this.read();
  }

  /** Resolves when all have been read; rejects if they do not come. */
  async expect(records: number): Promise<void> {
    this.expected = records;
    if (this.seen >= records) this.stopped.abort();
    const timer = setTimeout(() => this.stopped.abort(), DRAIN_MS_MAX);
    await this.done;
    clearTimeout(timer);
    if (this.seen !== records) throw new Error(`sent ${records} records, read ${this.seen}`);
  }

  private async read(): Promise<void> {
    for await (const { records } of this.consumer.batches({ signal: this.stopped.signal })) {
      const now = performance.now();
      for (const { value } of records) {
        if (value === undefined) throw new Error('a record without a value');
        const dueAt = new DataView(value.buffer, value.byteOffset, DUE_BYTES).getFloat64(0);
        if (dueAt < this.measuredFrom) continue;
        this.latencies.note(now - dueAt);
        this.measured += 1;
      }
      this.seen += records.length;
      if (this.seen >= this.expected) this.stopped.abort();
    }
  }
}

/**
 * Offers a fixed rate whatever comes of it, and reads it in the same process. What its timers are late
 * by counts as latency: a record's time begins when it was due, not when it was sent.
 */
export async function endToEnd(job: EndToEndJob, context: DriverContext): Promise<JobResult> {
  const client = connect(context.bootstrap);
  const consumer = client.consumer({ topic: job.topic, from: 'end' });
  await consumer.start();
  const reader = new Reader(consumer);
  reader.done.catch(() => undefined);
  const { producer } = batchingProducer(client, job, () => undefined);
  const value = randomFillSync(Buffer.alloc(job.recordBytes));
  const to = { topic: job.topic };
  const everyMs = 1000 / job.recordsPerSecond;
  const warmup = Math.floor((job.warmupSeconds * 1000) / everyMs);
  const count = warmup + Math.floor((job.seconds * 1000) / everyMs);
  const startedAt = performance.now();
  reader.measuredFrom = startedAt + warmup * everyMs;
  for (let i = 0; i < count; i += 1) {
    const dueAt = startedAt + i * everyMs;
    if (i === warmup) context.begins();
    while (performance.now() < dueAt) await sleep(Math.max(1, dueAt - performance.now()));
    value.writeDoubleBE(dueAt, 0);
    const room = producer.enqueueValue(to, value, 0, value.length);
    if (room !== undefined) await room;
  }
  await producer.flush();
  await reader.expect(count);
  const seconds = (performance.now() - reader.measuredFrom) / 1000;
  const eventLoopDelayP99Ms = context.ends();
  await client.close();
  const { measured } = reader;
  if (measured !== count - warmup) throw new Error(`measured ${measured} records`);
  const bytes = measured * job.recordBytes;
  return { records: measured, bytes, seconds, eventLoopDelayP99Ms, ...reader.latencies.report() };
}
