import { runFloor, type FloorResult } from './floor.js';
import { details, floorLine, isReached, type ScenarioReport, table } from './report.js';
import { S8 } from './scenarios/delayed.js';
import { S7 } from './scenarios/fetch.js';
import { S9, S10 } from './scenarios/many.js';
import { S11 } from './scenarios/restart.js';
import { S5, S6 } from './scenarios/latency.js';
import type { Bench, Floors, Outcome, Scenario, Sizes } from './scenarios/scenario.js';
import { S1, S2, S3, S4 } from './scenarios/throughput.js';
import type { Stoppables } from './stoppables.js';

export const SCENARIOS: readonly Scenario[] = [...[S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11]];

const FLOOR_BATCH_BYTES = [256, 512, 1_024].map((kib) => kib * 1024);

export interface SuiteOptions {
  readonly sizes: Sizes;
  readonly scenarios: readonly Scenario[];
  readonly valueFiles: readonly string[];
  /** Progress. */
  readonly say: (text: string) => void;
  readonly stoppables: Stoppables;
  /** Measured already; else they are measured first. */
  readonly floors?: Floors;
}

export interface SuiteReport {
  readonly reports: readonly ScenarioReport[];
  readonly floors: Floors;
}

async function measureFloors(sizes: Sizes, say: (text: string) => void): Promise<Floors> {
  const byBatchBytes = new Map<number, FloorResult>();
  let bestBatchBytes = 0;
  let best = 0;
  for (const batchBytes of FLOOR_BATCH_BYTES) {
    const result = await runFloor({ totalMebibytes: sizes.floorMebibytes, batchBytes });
    say(floorLine(batchBytes, result));
    byBatchBytes.set(batchBytes, result);
    if (result.mebibytesPerSecond <= best) continue;
    best = result.mebibytesPerSecond;
    bestBatchBytes = batchBytes;
  }
  return { bestBatchBytes, byBatchBytes };
}

/** Runs the scenarios one after the other, and the floor before them. */
export async function runSuite(options: SuiteOptions): Promise<SuiteReport> {
  const { sizes, scenarios, valueFiles, say, stoppables } = options;
  const floors = options.floors ?? (await measureFloors(sizes, say));
  const bench: Bench = {
    ...{ sizes, valueFiles, say, floors },
    using: async (start, run) => await stoppables.using(start, run),
  };
  const reports: ScenarioReport[] = [];
  for (const { id, about, run } of scenarios) {
    say(`${id}: ${about}`);
    const report = { id, about, outcome: await run(bench).catch(unfinished) };
    say(details(report));
    reports.push(report);
  }
  return { reports, floors };
}

/** One that fails leaves the others to be measured. */
function unfinished(error: unknown): Outcome {
  const why = error instanceof Error ? error.message : String(error);
  return { conditions: `did not finish: ${why}`, figures: [], parts: [] };
}

export function suiteText({ reports, floors }: SuiteReport): string {
  const lines = [...floors.byBatchBytes].map(([bytes, floor]) => floorLine(bytes, floor));
  return [table(reports), '', ...lines, ...reports.map(details)].join('\n');
}

/** What `--json` prints: everything that was measured. */
export function suiteJson({ reports, floors }: SuiteReport): unknown {
  return {
    floors: Object.fromEntries(floors.byBatchBytes),
    scenarios: reports.map(({ id, about, outcome }) => ({
      ...{ id, about, conditions: outcome.conditions, parts: outcome.parts },
      figures: outcome.figures.map((figure) => ({ ...figure, reached: isReached(figure) })),
    })),
  };
}
