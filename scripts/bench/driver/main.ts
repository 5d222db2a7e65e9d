/**
 * The client of a benchmark: one job in a process of its own, as plain JavaScript, so that neither a
 * transpiler nor what is left of an earlier job is measured. Started by drive.ts with the bootstrap
 * addresses and the job as JSON.
 */
import process from 'node:process';

import { endToEnd } from './end-to-end.js';
import { fetchAll } from './fetch.js';
import type { Job, JobResult } from './job.js';
import { latency } from './latency.js';
import { fill, produce } from './produce.js';
import { driverContext, tell, type DriverContext } from './stage.js';

async function run(job: Job, context: DriverContext): Promise<JobResult> {
  switch (job.kind) {
    case 'produce':
      return await produce(job, context);
    case 'fill':
      return await fill(job, context);
    case 'latency':
      return await latency(job, context);
    case 'endToEnd':
      return await endToEnd(job, context);
    case 'fetch':
      return await fetchAll(job, context);
  }
}

function fail(error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  tell({ kind: 'failed', error: text });
}

process.on('uncaughtException', fail);
// It stays until it is told to go, as the books of a process that is gone cannot be read; and it goes with
// whoever started it.
process.stdin.on('end', () => process.exit(0)).resume();
const [bootstrap = '', job = ''] = process.argv.slice(2);
try {
  const result = await run(JSON.parse(job) as Job, driverContext(bootstrap.split(',')));
  tell({ kind: 'result', result });
} catch (error) {
  fail(error);
}
