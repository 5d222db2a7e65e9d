import process from 'node:process';
import { runSeed, type Level, type RunResult } from './run.js';

/** One piece of work for a worker process: a seed, run once or twice. */
export interface Job {
  readonly seed: number;
  readonly level: Level | undefined;
  readonly twice: boolean;
}

export interface JobResult extends RunResult {
  /** The second run of the same seed went another way: something outside the seed decided. */
  readonly differs: boolean;
}

async function work({ seed, level, twice }: Job): Promise<JobResult> {
  const first = await runSeed(seed, { level });
  if (!twice) return { ...first, differs: false };
  const second = await runSeed(seed, { level });
  return { ...first, differs: second.hash !== first.hash };
}

process.on('message', (job: Job) => {
  work(job).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`seed ${job.seed}: ${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
