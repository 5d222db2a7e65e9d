import process from 'node:process';
import { runSeed, type Level, type RunResult } from './run.js';

/** One piece of work for a worker process: a seed, run once or twice. */
export interface Job {
  readonly seed: number;
  readonly level: Level | undefined;
  readonly twice: boolean;
}

/** What a sweep hears of a run: its counts, without the lists. */
export interface JobResult extends Omit<RunResult, 'strikes' | 'kinds' | 'notes'> {
  /** The second run of the same seed went another way: something outside the seed decided. */
  readonly differs: boolean;
  /** Of a processor, for one run of it. */
  readonly cpuMs: number;
}

// Brokers and clients refuse a lot, and nobody reads where: a seed that fails is run again to be read.
Error.stackTraceLimit = 0;

async function work({ seed, level, twice }: Job): Promise<JobResult> {
  const before = process.cpuUsage();
  const result = await runSeed(seed, { level });
  const { user, system } = process.cpuUsage(before);
  const again = twice ? await runSeed(seed, { level }) : result;
  const differs = again.hash !== result.hash;
  const lists = { strikes: undefined, kinds: undefined, notes: undefined };
  return { ...result, ...lists, differs, cpuMs: (user + system) / 1_000 };
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
