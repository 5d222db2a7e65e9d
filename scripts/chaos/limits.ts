/** What docs/RELIABILITY.md says of write gaps after an event, in ms. */
export interface Goal {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Kinds of faults, by the word that stands for them in histories and reports. */
export const FAULTS = {
  'kill-leader': { p50: 150, p99: 400, max: 1_500 },
  'kill-metadata-leader': { p50: 150, p99: 400, max: 1_500 },
  'kill-follower': undefined,
  'kill-broker': { p50: 150, p99: 400, max: 1_500 },
  'kill-all': { p50: 3_000, p99: 5_000, max: 10_000 },
  term: { p50: 20, p99: 100, max: 500 },
  transfer: { p50: 20, p99: 100, max: 500 },
  'stop-leader': { p50: 1_000, p99: 1_800, max: 3_000 },
  'stop-follower': undefined,
  'isolate-leader': { p50: 1_000, p99: 1_800, max: 3_000 },
  'isolate-follower': undefined,
  'split-majority': { p50: 1_000, p99: 1_800, max: 3_000 },
} as const satisfies Readonly<Record<string, Goal | undefined>>;

/** What partitions may feel that are led elsewhere; the p99 is a multiple of the run's own quiet one. */
export const ELSEWHERE: Readonly<Record<string, { readonly max: number }>> = {
  'kill-leader': { max: 500 },
  'kill-metadata-leader': { max: 1_000 },
  'kill-follower': { max: 500 },
  'kill-broker': { max: 500 },
  'stop-follower': { max: 500 },
  'isolate-follower': { max: 500 },
};
/** The p99 of partitions led elsewhere, as a multiple of the fault-free p99 spacing of acks. */
export const ELSEWHERE_SPACINGS = 3;

/** Gaps of faults that the table says nothing of may be so long, unless a scenario says otherwise. */
export const LIMIT_MS_DEFAULT = 10_000;

export function goalOf(kind: string): Goal | undefined {
  return (FAULTS as Readonly<Record<string, Goal | undefined>>)[kind];
}
