import { batchingProducer, connect, type Acknowledged } from './client.js';
import type { FillJob, JobResult, ProduceJob } from './job.js';
import { Latencies } from './latencies.js';
import type { DriverContext } from './stage.js';
import { timed, timedSpan } from './timed.js';
import { valueSource } from './values.js';

/** Asking the clock for every record would be measured too. */
const RECORDS_PER_LOOK = 1024;

/** Sends values while it is told to go on, and waits until all are acknowledged. */
type Send = (goesOn: (sent: number) => boolean) => Promise<Acknowledged>;

/** Connects, and gives what the job does to the connected client. */
async function sending(
  job: ProduceJob | FillJob,
  context: DriverContext,
  run: (send: Send, valueBytes: number, latencies: Latencies) => Promise<JobResult>,
): Promise<JobResult> {
  const client = connect(context.bootstrap);
  const latencies = new Latencies();
  const { producer, acknowledged } = batchingProducer(client, job, (ms) => latencies.note(ms));
  const source = valueSource(job.values);
  const { pool, bytes } = source;
  const to = { topic: job.topic };
  const send: Send = async (goesOn) => {
    const before = { ...acknowledged };
    let sent = 0;
    for (; goesOn(sent); sent += 1) {
      const start = source.next();
      const room = producer.enqueueValue(to, pool, start, start + bytes);
      if (room !== undefined) await room;
    }
    await producer.flush();
    const records = acknowledged.records - before.records;
    if (records !== sent) throw new Error(`sent ${sent} records, ${records} were acknowledged`);
    return { records, bytes: acknowledged.bytes - before.bytes };
  };
  const result = await run(send, bytes, latencies);
  await client.close();
  return result;
}

export async function produce(job: ProduceJob, context: DriverContext): Promise<JobResult> {
  return await sending(job, context, async (send, valueBytes, latencies) => {
    let sentBytes = 0;
    const forSeconds = async (seconds: number): Promise<number> => {
      const endAt = performance.now() + seconds * 1000;
      const { records, bytes } = await send(
        (sent) => (sent & (RECORDS_PER_LOOK - 1)) !== 0 || performance.now() < endAt,
      );
      sentBytes = bytes;
      return records;
    };
    const result = await timedSpan(job, valueBytes, context, latencies, forSeconds);
    if (job.compression === 'none') return result;
    return { ...result, compressionRatio: result.bytes / sentBytes };
  });
}

export async function fill(job: FillJob, context: DriverContext): Promise<JobResult> {
  return await sending(job, context, async (send, valueBytes, latencies) =>
    timed(context, latencies, async () => {
      const { records } = await send((sent) => sent < job.records);
      return { records, bytes: records * valueBytes };
    }),
  );
}
