import { percentile } from '../bench/statistics.js';
import type { Ack } from './workload.js';

/** A fault that took effect, and the partitions it hit. */
export interface Fault {
  readonly kind: string;
  readonly atMs: number;
  /** Until when it went on taking effect; `atMs` for what happens at once. */
  untilMs: number;
  readonly keys: readonly string[];
}

export interface GapSummary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Answers that were under way when a fault took effect may come for so long after it. */
const REACH_MS = 250;

/** Acknowledgements by partition, each in the order of their answers. */
export class AckTimes {
  private readonly byKey = new Map<string, number[]>();

  constructor(acks: readonly Ack[]) {
    for (const { key, atMs } of acks) {
      const times = this.byKey.get(key);
      if (times === undefined) this.byKey.set(key, [atMs]);
      else times.push(atMs);
    }
  }

  get keys(): string[] {
    return [...this.byKey.keys()];
  }

  /**
   * The longest time without an acknowledged write that a fault explains: it ended after the fault, and
   * began before the answers that were under way had come. Undefined if nothing was written around it.
   */
  gap(key: string, { atMs, untilMs }: Pick<Fault, 'atMs' | 'untilMs'>): number | undefined {
    const times = this.byKey.get(key) ?? [];
    let longest: number | undefined;
    for (let at = firstAfter(times, atMs); at < times.length; at += 1) {
      const before = times[at - 1];
      const after = times[at];
      if (before === undefined || after === undefined) continue;
      if (before > untilMs + REACH_MS) break;
      longest = Math.max(longest ?? 0, after - before);
    }
    return longest;
  }

  /** Times between acknowledgements of a partition up to then. */
  spacings(untilMs: number): number[] {
    const spacings: number[] = [];
    for (const times of this.byKey.values()) {
      const end = firstAfter(times, untilMs);
      for (let at = 1; at < end; at += 1) spacings.push((times[at] ?? 0) - (times[at - 1] ?? 0));
    }
    return spacings;
  }
}

/** The place of the first time after this one. */
function firstAfter(times: readonly number[], ms: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? 0) > ms) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function summarize(gaps: readonly number[]): GapSummary {
  return {
    count: gaps.length,
    p50: percentile(gaps, 0.5),
    p90: percentile(gaps, 0.9),
    p99: percentile(gaps, 0.99),
    max: percentile(gaps, 1),
  };
}
