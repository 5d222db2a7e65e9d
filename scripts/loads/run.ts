import { Findings } from './findings.js';
import { type Load, lookUp, type Sizes } from './load.js';
import { LoadStage } from './stage.js';

export interface LoadRun {
  readonly findings: Findings;
  readonly seconds: number;
  /** Where logs and data are, if they were kept. */
  readonly kept: string | undefined;
}

/** Runs one load on brokers of its own. What a failed run leaves is kept, for whoever asks why. */
export async function runLoad(
  load: Load,
  sizes: Sizes,
  options: {
    readonly say: (text: string) => void;
    readonly keep: boolean;
    readonly signal?: AbortSignal;
  },
): Promise<LoadRun> {
  const startedAt = performance.now();
  const findings = new Findings(options.say);
  const stage = await LoadStage.start(load, sizes, findings, options.say);
  try {
    await Promise.race([load.run(stage, lookUp(sizes)), aborted(options.signal)]);
  } catch (error) {
    // What was found so far is worth more than a stack trace alone.
    if (options.signal?.aborted === true) findings.needs(false, 'the run was interrupted');
    else findings.must(false, `the run ended with ${(error as Error).stack ?? String(error)}`);
  }
  const keep = options.keep || findings.problems.length > 0;
  await stage.stop({ keep });
  const seconds = (performance.now() - startedAt) / 1000;
  return { findings, seconds, kept: keep ? stage.cluster.dir : undefined };
}

async function aborted(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('interrupted')), { once: true });
  });
}
