import process from 'node:process';

import type { Compression } from '../../src/client/index.js';
import type { Measured } from './drive.js';
import type { Job, ValueSpec } from './driver/job.js';
import { type FloorResult, runFloor } from './floor.js';
import { MillraceSystem } from './millrace.js';
import { floorLine } from './report.js';
import { MIB, mebibytesPerSecond, recordsPerSecond } from './scenarios/scenario.js';
import type { Stoppables } from './stoppables.js';

export type SingleKind = 'produce' | 'fetch' | 'latency';

/** One workload with the options of the command line. */
export interface SingleOptions {
  readonly kind: SingleKind;
  readonly partitions: number;
  readonly recordBytes: number;
  readonly batchBytes: number;
  readonly compression: Compression;
  /** Cut values from this file; undefined: random bytes. */
  readonly valueFile: string | undefined;
  readonly topicConfig: Readonly<Record<string, string>>;
  readonly seconds: number;
  /** Of `latency`; 0: one at a time. */
  readonly recordsPerSecond: number;
  readonly rttMs: number;
  readonly hasFloor: boolean;
}

export interface SingleRow extends Measured {
  readonly name: SingleKind;
}

export interface SingleReport {
  readonly rows: readonly SingleRow[];
  readonly floor: FloorResult | undefined;
}

const TOPIC = 'bench';
const FLOOR_MEBIBYTES_PER_SECOND = 40;
const FLOOR_MEBIBYTES_MIN = 64;

function jobsOf(options: SingleOptions): Job[] {
  const { partitions, seconds, recordBytes: bytes, valueFile, batchBytes, compression } = options;
  const values: ValueSpec =
    valueFile === undefined
      ? { kind: 'random', bytes }
      : { kind: 'log', bytes, files: [valueFile] };
  const target = { topic: TOPIC, partitions };
  const span = { warmupSeconds: 0, seconds };
  const produce: Job = {
    ...{ kind: 'produce', ...target, ...span, values, batchBytes, compression, lingerMs: 20 },
  };
  switch (options.kind) {
    case 'produce':
      return [produce];
    case 'fetch':
      return [produce, { kind: 'fetch', ...target, seconds: 0 }];
    case 'latency': {
      const { recordsPerSecond: rate } = options;
      // Connections and leaders are looked up before the clock starts.
      return [
        { kind: 'latency', ...target, ...span, warmupSeconds: 0.5, values, recordsPerSecond: rate },
      ];
    }
  }
}

export async function runSingle(
  options: SingleOptions,
  stoppables: Stoppables,
): Promise<SingleReport> {
  const { rttMs, partitions, topicConfig, batchBytes, seconds } = options;
  const rows = await stoppables.using(
    () => MillraceSystem.start(rttMs > 0 ? { delayMs: rttMs / 2 } : {}),
    async (system) => {
      await system.create(TOPIC, partitions, topicConfig);
      const done: SingleRow[] = [];
      for (const job of jobsOf(options)) {
        done.push({ name: job.kind as SingleKind, ...(await system.run(job)) });
      }
      return done;
    },
  );
  const totalMebibytes = Math.max(
    FLOOR_MEBIBYTES_MIN,
    Math.round(seconds * FLOOR_MEBIBYTES_PER_SECOND),
  );
  const hasFloor = options.hasFloor && options.kind !== 'latency';
  const floor = hasFloor ? await runFloor({ totalMebibytes, batchBytes }) : undefined;
  return { rows, floor };
}

/** How producing did beside the floor; undefined: there is nothing to compare. */
export function shareOfFloor(row: SingleRow, floor: FloorResult | undefined): number | undefined {
  if (floor === undefined || row.name !== 'produce') return undefined;
  return mebibytesPerSecond(row) / floor.mebibytesPerSecond;
}

export function printSingle({ rows, floor }: SingleReport, batchBytes: number): void {
  const f = (value: number, digits = 1): string => value.toFixed(digits);
  const pairs = (values: Readonly<Record<string, number>>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${f(value)}`)
      .join(', ');
  for (const row of rows) {
    const { p50, p90, p99, p999, max } = row.latencyMs;
    const share = shareOfFloor(row, floor);
    process.stdout.write(
      `${row.name}: ${Math.round(recordsPerSecond(row)).toLocaleString('en')} records/s, ` +
        `${f(mebibytesPerSecond(row))} MiB/s of values, ${row.records} records in ${f(row.seconds)} s\n` +
        `  latency ms: p50 ${f(p50, 2)}, p90 ${f(p90, 2)}, p99 ${f(p99, 2)}, ` +
        `p99.9 ${f(p999, 2)}, max ${f(max, 2)}\n` +
        `  cpu s: ${pairs(row.cpuSeconds)}; ms a MiB: ${f(cpuMsPerMebibyte(row), 2)}\n` +
        `  peak MiB of its own: ${pairs(row.peakMebibytes)}\n` +
        `  event loop delay p99 ms: ${pairs(row.loopDelayP99Ms)}\n` +
        (share === undefined ? '' : `  ${f(share, 2)} x the floor\n`),
    );
  }
  if (floor !== undefined) process.stdout.write(`${floorLine(batchBytes, floor)}\n`);
}

function cpuMsPerMebibyte(row: SingleRow): number {
  const seconds = Object.values(row.cpuSeconds).reduce((sum, value) => sum + value, 0);
  return (seconds * 1000) / (row.bytes / MIB);
}
