import type { MillraceClient, Producer } from '../../../src/client/index.js';
import { batchingProducer, connect, type Acknowledged } from './client.js';
import type { FillJob, JobResult, ProduceJob } from './job.js';
import { Latencies } from './latencies.js';
import type { DriverContext } from './stage.js';
import { valueSource, type ValueSource } from './values.js';

/** Asking the clock for every record would be measured too. */
const RECORDS_PER_LOOK = 1024;

async function sendUntil(
  producer: Producer,
  topic: string,
  source: ValueSource,
  isOver: (sent: number) => boolean,
): Promise<number> {
  const to = { topic };
  const { pool, bytes } = source;
  let sent = 0;
  while ((sent & (RECORDS_PER_LOOK - 1)) !== 0 || !isOver(sent)) {
    const start = source.next();
    const room = producer.enqueueValue(to, pool, start, start + bytes);
    sent += 1;
    if (room !== undefined) await room;
  }
  await producer.flush();
  return sent;
}

function begin(
  client: MillraceClient,
  job: ProduceJob | FillJob,
): {
  readonly producer: Producer;
  readonly acknowledged: Acknowledged;
  readonly latencies: Latencies;
} {
  const latencies = new Latencies();
  const made = batchingProducer(client, job, (elapsedMs) => latencies.note(elapsedMs));
  return { ...made, latencies };
}

export async function produce(job: ProduceJob, context: DriverContext): Promise<JobResult> {
  const client = connect(context.bootstrap);
  const { producer, acknowledged, latencies } = begin(client, job);
  const source = valueSource(job.values);
  const forSeconds = async (seconds: number): Promise<number> => {
    const endAt = performance.now() + seconds * 1000;
    return await sendUntil(producer, job.topic, source, () => performance.now() >= endAt);
  };
  if (job.warmupSeconds > 0) await forSeconds(job.warmupSeconds);
  latencies.reset();
  const before = { ...acknowledged };
  context.begins();
  const startedAt = performance.now();
  const sent = await forSeconds(job.seconds);
  const seconds = (performance.now() - startedAt) / 1000;
  const eventLoopDelayP99Ms = context.ends();
  await client.close();
  const records = acknowledged.records - before.records;
  if (records !== sent) throw new Error(`sent ${sent} records, ${records} were acknowledged`);
  const bytes = records * source.bytes;
  return {
    ...{ records, bytes, seconds, eventLoopDelayP99Ms },
    ...latencies.report(),
    ...(job.compression === 'none'
      ? {}
      : { compressionRatio: bytes / (acknowledged.bytes - before.bytes) }),
  };
}

export async function fill(job: FillJob, context: DriverContext): Promise<JobResult> {
  const client = connect(context.bootstrap);
  const { producer, acknowledged, latencies } = begin(client, job);
  const source = valueSource(job.values);
  context.begins();
  const startedAt = performance.now();
  let left = job.records;
  const to = { topic: job.topic };
  for (; left > 0; left -= 1) {
    const start = source.next();
    const room = producer.enqueueValue(to, source.pool, start, start + source.bytes);
    if (room !== undefined) await room;
  }
  await producer.flush();
  const seconds = (performance.now() - startedAt) / 1000;
  const eventLoopDelayP99Ms = context.ends();
  await client.close();
  const { records } = acknowledged;
  if (records !== job.records) throw new Error(`${records} of ${job.records} were acknowledged`);
  const bytes = records * source.bytes;
  return { records, bytes, seconds, eventLoopDelayP99Ms, ...latencies.report() };
}
