import { setTimeout as sleep } from 'node:timers/promises';

import { connect } from './client.js';
import type { JobResult, LatencyJob } from './job.js';
import { Latencies } from './latencies.js';
import type { DriverContext } from './stage.js';
import { timedSpan } from './timed.js';
import { valueSource } from './values.js';

type Send = () => Promise<unknown>;

async function oneByOne(send: Send, latencies: Latencies, seconds: number): Promise<number> {
  const endAt = performance.now() + seconds * 1000;
  let records = 0;
  for (; performance.now() < endAt; records += 1) {
    const dueAt = performance.now();
    await send();
    latencies.note(performance.now() - dueAt);
  }
  return records;
}

/**
 * A client that spun until the next record is due would take a core from the brokers: it sleeps, and
 * what the timer is late by counts as latency.
 */
async function atRate(
  send: Send,
  latencies: Latencies,
  seconds: number,
  recordsPerSecond: number,
): Promise<number> {
  const everyMs = 1000 / recordsPerSecond;
  const startedAt = performance.now();
  const count = Math.floor((seconds * 1000) / everyMs);
  const open: Promise<void>[] = [];
  for (let i = 0; i < count; i += 1) {
    const dueAt = startedAt + i * everyMs;
    while (performance.now() < dueAt) await sleep(Math.max(1, dueAt - performance.now()));
    open.push(send().then(() => latencies.note(performance.now() - dueAt)));
  }
  await Promise.all(open);
  return count;
}

/** One record at a time, or an offered rate: latency counts from when a record was due. */
export async function latency(job: LatencyJob, context: DriverContext): Promise<JobResult> {
  const client = connect(context.bootstrap);
  const producer = client.producer({ lingerMs: 0 });
  const source = valueSource(job.values);
  const latencies = new Latencies();
  let sent = 0;
  const send: Send = () => {
    const start = source.next();
    const partition = sent % job.partitions;
    sent += 1;
    const value = source.pool.subarray(start, start + source.bytes);
    return producer.send({ topic: job.topic, partition, value });
  };
  const forSeconds = (seconds: number): Promise<number> =>
    job.recordsPerSecond === 0
      ? oneByOne(send, latencies, seconds)
      : atRate(send, latencies, seconds, job.recordsPerSecond);
  const result = await timedSpan(job, source.bytes, context, latencies, forSeconds);
  await client.close();
  return result;
}
