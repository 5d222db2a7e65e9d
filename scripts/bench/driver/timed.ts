import type { JobResult, Span } from './job.js';
import type { Latencies } from './latencies.js';
import type { DriverContext } from './stage.js';

/** What was done, in values and their bytes. */
export interface Done {
  readonly records: number;
  readonly bytes: number;
}

/** Measures this from its beginning until all that it does is answered. */
export async function timed(
  context: DriverContext,
  latencies: Latencies,
  run: () => Promise<Done>,
): Promise<JobResult> {
  // What was before does not count.
  latencies.reset();
  context.begins();
  const startedAt = performance.now();
  const { records, bytes } = await run();
  const seconds = (performance.now() - startedAt) / 1000;
  const eventLoopDelayP99Ms = context.ends();
  return { records, bytes, seconds, eventLoopDelayP99Ms, ...latencies.report() };
}

/** Measures how many values of so many bytes this sends in the time that counts, after the warm-up. */
export async function timedSpan(
  { warmupSeconds, seconds }: Span,
  valueBytes: number,
  context: DriverContext,
  latencies: Latencies,
  forSeconds: (seconds: number) => Promise<number>,
): Promise<JobResult> {
  await forSeconds(warmupSeconds);
  return await timed(context, latencies, async () => {
    const records = await forSeconds(seconds);
    return { records, bytes: records * valueBytes };
  });
}
