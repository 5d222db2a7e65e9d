import type { MillraceClient } from '../../../src/client/index.js';
import { connect } from './client.js';
import type { FetchJob, JobResult } from './job.js';
import { Latencies } from './latencies.js';
import type { DriverContext } from './stage.js';
import { type Done, timed } from './timed.js';
import { NumberedCheck } from './values.js';

/** Everything from the beginning to the end as it is, and every value. */
async function pass(
  client: MillraceClient,
  topic: string,
  latencies: Latencies,
  check: NumberedCheck | undefined,
): Promise<Done> {
  const consumer = client.consumer({ topic, from: 'beginning', stopAtEnd: true });
  let records = 0;
  let bytes = 0;
  let lastAt = performance.now();
  for await (const view of consumer.views()) {
    check?.within(view.bytes);
    for (let i = 0; i < view.count; i += 1) {
      const start = view.valueStart(i);
      const end = view.valueEnd(i);
      if (start < 0) throw new Error('a record without a value');
      bytes += end - start;
      check?.take(start, end);
    }
    records += view.count;
    const now = performance.now();
    latencies.note(now - lastAt);
    lastAt = now;
  }
  check?.endPass();
  await consumer.close();
  return { records, bytes };
}

export async function fetchAll(job: FetchJob, context: DriverContext): Promise<JobResult> {
  const client = connect(context.bootstrap);
  const latencies = new Latencies();
  const { expected } = job;
  const check = expected && new NumberedCheck(expected.records, expected.bytes);
  // What is read again comes from memory, so that a first pass is no warm-up for reading once.
  if (job.seconds > 0) await pass(client, job.topic, latencies, check);
  const result = await timed(context, latencies, async () => {
    const endAt = performance.now() + job.seconds * 1000;
    let records = 0;
    let bytes = 0;
    do {
      const read = await pass(client, job.topic, latencies, check);
      records += read.records;
      bytes += read.bytes;
    } while (performance.now() < endAt);
    return { records, bytes };
  });
  await client.close();
  return result;
}
