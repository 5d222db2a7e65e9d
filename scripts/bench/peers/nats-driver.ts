/**
 * The client of a benchmark against NATS JetStream: the same jobs with NATS's own client. A record is a
 * message, as JetStream has no batches; each partition of a topic is a stream.
 */
import { randomFillSync } from 'node:crypto';
import process from 'node:process';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

import type { EndToEndJob, JobResult, LatencyJob, ProduceJob, Target } from '../driver/job.js';
import { Latencies } from '../driver/latencies.js';
import { driverContext, tell, type DriverContext } from '../driver/stage.js';
import { timedSpan } from '../driver/timed.js';
import { valueSource } from '../driver/values.js';
import { connectNats, type Connected } from './nats-client.js';

type Order =
  | ({ readonly kind: 'create' } & Target)
  | { readonly kind: 'drop'; readonly topic: string }
  | ProduceJob
  | LatencyJob
  | EndToEndJob;

/** What NATS's Go client lets be in flight by default. */
const IN_FLIGHT_MAX = 4_000;
const RECORDS_PER_TURN = 256;
const DUE_BYTES = 8;
/** Instead of a record's number, in the message that shows that a stream is read. */
const FIRST = -1;
const FOLLOW_MS_MAX = 30_000;
/** So that the client notices soon when a consumer is dead. */
const WATCHED = { expires: 5_000, idle_heartbeat: 1_000 } as const;
/** What is offered and not read so long after the end counts with the time that it has taken so far. */
const DRAIN_MS_MAX = 10_000;
const NOTHING: JobResult = {
  ...{ records: 0, bytes: 0, seconds: 0, histogram: '' },
  latencyMs: { p50: 0, p90: 0, p99: 0, p999: 0, max: 0 },
};

const streamOf = (topic: string, partition: number): string => `${topic}_${partition}`;
const subjectOf = (topic: string, partition: number): string => `${topic}.${partition}`;

async function create({ manager }: Connected, { topic, partitions }: Target): Promise<JobResult> {
  for (let i = 0; i < partitions; i += 1) {
    await manager.streams.add({
      ...{ name: streamOf(topic, i), subjects: [subjectOf(topic, i)] },
      ...{ num_replicas: 3, storage: 'file', discard: 'old' },
    });
  }
  return NOTHING;
}

async function drop({ manager }: Connected, topic: string): Promise<JobResult> {
  for (let i = 0; ; i += 1) {
    const isGone = await manager.streams.delete(streamOf(topic, i)).catch(() => false);
    if (!isGone) return NOTHING;
  }
}

function first(): Buffer {
  const message = Buffer.alloc(DUE_BYTES);
  message.writeDoubleBE(FIRST, 0);
  return message;
}

/** As many messages in flight as allowed; waits for room, and at the end for all. */
class Window {
  private readonly failed: (error: unknown) => void;
  private open = 0;
  private wake: (() => void) | undefined;

  constructor(failed: (error: unknown) => void) {
    this.failed = failed;
  }

  add(publishing: Promise<unknown>, done: () => void): void {
    this.open += 1;
    publishing.then(() => {
      done();
      this.open -= 1;
      this.wake?.();
    }, this.failed);
  }

  async below(count: number): Promise<void> {
    while (this.open >= count) await new Promise<void>((resolve) => (this.wake = resolve));
  }
}

async function produce(
  { stream }: Connected,
  job: ProduceJob,
  context: DriverContext,
  failed: (error: unknown) => void,
): Promise<JobResult> {
  const source = valueSource(job.values);
  const latencies = new Latencies();
  const window = new Window(failed);
  const forSeconds = async (seconds: number): Promise<number> => {
    const endAt = performance.now() + seconds * 1000;
    let sent = 0;
    for (let now = performance.now(); now < endAt; now = performance.now()) {
      await window.below(IN_FLIGHT_MAX);
      const start = source.next();
      const value = source.pool.subarray(start, start + source.bytes);
      const sentAt = performance.now();
      window.add(stream.publish(subjectOf(job.topic, sent % job.partitions), value), () =>
        latencies.note(performance.now() - sentAt),
      );
      sent += 1;
    }
    await window.below(1);
    return sent;
  };
  return await timedSpan(job, source.bytes, context, latencies, forSeconds);
}

async function latency(
  { stream }: Connected,
  job: LatencyJob,
  context: DriverContext,
): Promise<JobResult> {
  const source = valueSource(job.values);
  const latencies = new Latencies();
  const forSeconds = async (seconds: number): Promise<number> => {
    const endAt = performance.now() + seconds * 1000;
    let records = 0;
    for (; performance.now() < endAt; records += 1) {
      const start = source.next();
      const value = source.pool.subarray(start, start + source.bytes);
      const dueAt = performance.now();
      await stream.publish(subjectOf(job.topic, records % job.partitions), value);
      latencies.note(performance.now() - dueAt);
    }
    return records;
  };
  return await timedSpan(job, source.bytes, context, latencies, forSeconds);
}

async function endToEnd(
  { stream }: Connected,
  job: EndToEndJob,
  context: DriverContext,
  failed: (error: unknown) => void,
): Promise<JobResult> {
  const everyMs = 1000 / job.recordsPerSecond;
  const warmup = Math.floor((job.warmupSeconds * 1000) / everyMs);
  const count = warmup + Math.floor((job.seconds * 1000) / everyMs);
  const latencies = new Latencies();
  const unread = new Uint8Array(count).fill(1);
  let startedAt = 0;
  let read = 0;
  let following = 0;
  const take = ({ data }: { readonly data: Uint8Array }): void => {
    const index = new DataView(data.buffer, data.byteOffset, DUE_BYTES).getFloat64(0);
    if (index === FIRST) {
      following += 1;
      return;
    }
    if (unread[index] !== 1) failed(new Error(`message ${index} is unknown or came twice`));
    unread[index] = 0;
    read += 1;
    if (index >= warmup) latencies.note(performance.now() - (startedAt + index * everyMs));
  };
  for (let i = 0; i < job.partitions; i += 1) {
    const consumer = await stream.consumers.get(streamOf(job.topic, i));
    await consumer.consume({ callback: take, ...WATCHED });
    await stream.publish(subjectOf(job.topic, i), first());
  }
  // A consumer that was made while its stream settled may have to be made anew, by the client itself.
  const followBy = performance.now() + FOLLOW_MS_MAX;
  while (following < job.partitions && performance.now() < followBy) await sleep(10);
  if (following < job.partitions) throw new Error(`only ${following} streams are followed`);
  const window = new Window(failed);
  const value = randomFillSync(Buffer.alloc(job.recordBytes));
  startedAt = performance.now();
  const giveUpAt = startedAt + count * everyMs + DRAIN_MS_MAX;
  for (let i = 0; i < count && performance.now() < giveUpAt; i += 1) {
    const dueAt = startedAt + i * everyMs;
    if (i === warmup) context.begins();
    while (performance.now() < dueAt) await sleep(Math.max(1, dueAt - performance.now()));
    // Also when it is late, what comes is read meanwhile.
    if (i % RECORDS_PER_TURN === 0) await turn();
    await window.below(IN_FLIGHT_MAX);
    const own = Buffer.from(value);
    own.writeDoubleBE(i, 0);
    window.add(stream.publish(subjectOf(job.topic, i % job.partitions), own), () => undefined);
  }
  while (read < count && performance.now() < giveUpAt) await sleep(1);
  const endedAt = performance.now();
  const seconds = (endedAt - startedAt) / 1000 - job.warmupSeconds;
  const eventLoopDelayP99Ms = context.ends();
  let records = 0;
  for (let i = warmup; i < count; i += 1) {
    if (unread[i] === 0) records += 1;
    else latencies.note(endedAt - (startedAt + i * everyMs));
  }
  const bytes = records * job.recordBytes;
  return { records, bytes, seconds, eventLoopDelayP99Ms, ...latencies.report() };
}

function fail(error: unknown): void {
  tell({ kind: 'failed', error: error instanceof Error ? (error.stack ?? '') : String(error) });
}

async function run(order: Order, servers: readonly string[]): Promise<JobResult> {
  const connected = await connectNats(servers);
  const context = driverContext(servers);
  switch (order.kind) {
    case 'create':
      return await create(connected, order);
    case 'drop':
      return await drop(connected, order.topic);
    case 'produce':
      return await produce(connected, order, context, fail);
    case 'latency':
      return await latency(connected, order, context);
    case 'endToEnd':
      return await endToEnd(connected, order, context, fail);
  }
}

process.on('uncaughtException', fail);
// It stays until it is told to go, and goes with whoever started it.
process.stdin.on('end', () => process.exit(0)).resume();
const [servers = '', order = ''] = process.argv.slice(2);
try {
  tell({ kind: 'result', result: await run(JSON.parse(order) as Order, servers.split(',')) });
} catch (error) {
  fail(error);
}
