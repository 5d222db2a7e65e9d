import { percentile } from '../bench/statistics.js';
import type { Ack } from './workload.js';

/** A fault that took effect, and the partitions it hit. */
export interface Fault {
  readonly atMs: number;
  readonly keys: readonly string[];
}

export interface GapSummary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * Time without an acknowledged write, per fault and partition it hit: from the last acknowledgement
 * before the fault to the first one that came after it.
 */
export function writeGaps(faults: readonly Fault[], acks: readonly Ack[]): number[] {
  const byKey = new Map<string, number[]>();
  for (const { key, atMs } of acks) {
    const times = byKey.get(key);
    if (times === undefined) byKey.set(key, [atMs]);
    else times.push(atMs);
  }
  const gaps: number[] = [];
  for (const fault of faults) {
    for (const key of fault.keys) {
      const times = byKey.get(key) ?? [];
      const after = times.find((t) => t > fault.atMs);
      const before = times.findLast((t) => t <= fault.atMs);
      if (after !== undefined && before !== undefined) gaps.push(after - before);
    }
  }
  return gaps;
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
