import type { Measured } from '../drive.js';
import type { EndToEndJob, LatencyJob } from '../driver/job.js';
import { MillraceSystem } from '../millrace.js';
import type { System } from '../system.js';
import type { Bench, Figure, Outcome, Scenario } from './scenario.js';

const PARTITIONS = 12;
const RECORD_BYTES = 100;

export function oneByOneJob(bench: Bench, topic: string): LatencyJob {
  const { seconds, warmupSeconds } = bench.sizes;
  return {
    ...{ kind: 'latency', topic, partitions: PARTITIONS, seconds, warmupSeconds },
    values: { kind: 'random', bytes: RECORD_BYTES },
    recordsPerSecond: 0,
  };
}

export function offeredJob(bench: Bench, topic: string): EndToEndJob {
  const { seconds, warmupSeconds, offeredPerSecond } = bench.sizes;
  return {
    ...{ kind: 'endToEnd', topic, partitions: PARTITIONS, seconds, warmupSeconds },
    ...{ recordBytes: RECORD_BYTES, recordsPerSecond: offeredPerSecond },
    ...{ compression: 'none', lingerMs: 0 },
  };
}

export function quantileFigures(
  measured: readonly Measured[],
  goals: { readonly p50: number; readonly p99: number } | undefined,
): Figure[] {
  const figure = (quantile: 'p50' | 'p99' | 'p999', atMost?: number): Figure => ({
    ...{ what: quantile, unit: ' ms', digits: 2 },
    values: measured.map(({ latencyMs }) => latencyMs[quantile]),
    ...(atMost === undefined ? {} : { goal: { atMost } }),
  });
  return [figure('p50', goals?.p50), figure('p99', goals?.p99), figure('p999')];
}

/** One run over a topic of its own. */
export async function latencyRun(
  bench: Bench,
  system: System,
  job: LatencyJob | EndToEndJob,
): Promise<Measured> {
  await system.create(job.topic, job.partitions);
  const measured = await system.run(job);
  await system.drop(job.topic);
  const { p50, p99 } = measured.latencyMs;
  bench.say(`${job.topic} ${system.name}: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
  return measured;
}

async function latencies(
  bench: Bench,
  job: (i: number) => LatencyJob | EndToEndJob,
  rest: { readonly conditions: string; readonly goals: { p50: number; p99: number } },
): Promise<Outcome> {
  return await bench.using(
    () => MillraceSystem.start(),
    async (system) => {
      const measured: Measured[] = [];
      for (let i = 1; i <= bench.sizes.runs; i += 1) {
        measured.push(await latencyRun(bench, system, job(i)));
      }
      return {
        conditions: rest.conditions,
        figures: quantileFigures(measured, rest.goals),
        parts: [{ name: 'latency', measured }],
      };
    },
  );
}

export const S5: Scenario = {
  id: 'S5',
  about: 'one record at a time, one in flight',
  run: async (bench) =>
    await latencies(bench, (i) => oneByOneJob(bench, `s5-${i}`), {
      conditions: '100 bytes, 12 partitions in turn',
      goals: { p50: 1, p99: 3 },
    }),
};

export const S6: Scenario = {
  id: 'S6',
  about: '50,000 records/s offered, produce to consume end to end',
  run: async (bench) =>
    await latencies(bench, (i) => offeredJob(bench, `s6-${i}`), {
      conditions:
        `${bench.sizes.offeredPerSecond.toLocaleString('en')} records/s of 100 bytes, 12 partitions, written and read by one process; ` +
        'from when a record was due',
      goals: { p50: 3, p99: 12 },
    }),
};
