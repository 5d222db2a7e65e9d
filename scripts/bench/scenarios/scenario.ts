import type { Measured } from '../drive.js';
import type { FloorResult } from '../floor.js';

/** How large and how often; `--short` takes small ones, which show that it works and nothing else. */
export interface Sizes {
  readonly runs: number;
  /** Timed of each run, and untimed before it. */
  readonly seconds: number;
  readonly warmupSeconds: number;
  /** Timed of the bare pipeline, by the size of its batches. */
  readonly floorMebibytes: number;
  readonly floorMebibytesOfSmallBatches: number;
  /** Of "many partitions". */
  readonly manyPartitions: number;
  readonly settleSeconds: number;
  readonly idleSeconds: number;
  readonly offeredPerSecond: number;
  readonly recordsInMemory: number;
  readonly recordsOnDisk: number;
  readonly logGibibytes: number;
  readonly logReplicas: number;
}

const FULL: Sizes = {
  runs: 5,
  seconds: 10,
  warmupSeconds: 3,
  floorMebibytes: 384,
  floorMebibytesOfSmallBatches: 128,
  manyPartitions: 1_000,
  settleSeconds: 20,
  idleSeconds: 60,
  offeredPerSecond: 50_000,
  recordsInMemory: 500_000,
  recordsOnDisk: 10_000_000,
  logGibibytes: 10,
  logReplicas: 100,
};

const SHORT: Sizes = {
  runs: 1,
  seconds: 0.5,
  warmupSeconds: 0.2,
  floorMebibytes: 8,
  floorMebibytesOfSmallBatches: 2,
  manyPartitions: 20,
  settleSeconds: 0.2,
  idleSeconds: 0.5,
  offeredPerSecond: 5_000,
  recordsInMemory: 20_000,
  recordsOnDisk: 20_000,
  logGibibytes: 0.01,
  logReplicas: 10,
};

/** The sizes asked for; throws RangeError if one is no size. */
export function sizesOf(
  isShort: boolean,
  given: Partial<Pick<Sizes, 'runs' | 'seconds' | 'logGibibytes'>>,
): Sizes {
  for (const [name, value] of Object.entries(given)) {
    if (!(value > 0)) throw new RangeError(`${name} must be a number above 0`);
  }
  if (given.runs !== undefined && !Number.isInteger(given.runs)) {
    throw new RangeError('runs must be a whole number');
  }
  return { ...(isShort ? SHORT : FULL), ...given };
}

/** One figure of a scenario: a value for each run, and what was hoped of their median. */
export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** Digits after the point. */
  readonly digits: number;
  readonly goal?: { readonly atLeast: number } | { readonly atMost: number };
}

/** One thing that was measured, for those who want to know more than the figures. */
export interface Part {
  readonly name: string;
  readonly measured: readonly Measured[];
}

export interface Outcome {
  /** What the figures depend on that the scenario's name does not say. */
  readonly conditions: string;
  readonly figures: readonly Figure[];
  readonly parts: readonly Part[];
}

/** What the bare pipeline did in this call, by the size of its batches. */
export interface Floors {
  /** The size at which it was fastest. */
  readonly bestBatchBytes: number;
  readonly byBatchBytes: ReadonlyMap<number, FloorResult>;
}

/** What a scenario is given. */
export interface Bench {
  readonly sizes: Sizes;
  /** Files to cut records from; none: lines made up. */
  readonly valueFiles: readonly string[];
  readonly floors: Floors;
  say(text: string): void;
  /** Runs with something that is stopped afterwards, whatever happens, interruption included. */
  using<S extends { stop(): Promise<void> }, T>(
    start: () => Promise<S>,
    run: (system: S) => Promise<T>,
  ): Promise<T>;
}

export interface Scenario {
  readonly id: string;
  readonly about: string;
  readonly run: (bench: Bench) => Promise<Outcome>;
}

export const MIB = 1_048_576;

export function recordsPerSecond(measured: Measured): number {
  return measured.records / measured.seconds;
}

export function mebibytesPerSecond(measured: Measured): number {
  return measured.bytes / MIB / measured.seconds;
}

export function ratesOf(measured: readonly Measured[], goal?: Figure['goal']): Figure {
  return {
    ...{ what: 'records', unit: '/s', digits: 0, values: measured.map(recordsPerSecond) },
    ...(goal === undefined ? {} : { goal }),
  };
}

/** Of what was measured in turn: each of these beside the other of the same run. */
export function ratiosOf(values: readonly number[], others: readonly number[]): number[] {
  return values.map((value, i) => value / (others[i] ?? Number.NaN));
}
