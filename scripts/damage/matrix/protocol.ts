import type { Outcome } from './judge.js';
import type { Source } from './source.js';

/** What a worker process is started with. */
export interface WorkerStart {
  readonly source: Source;
  readonly seed: number;
  /** A directory of its own. */
  readonly scratch: string;
}

/** Some cases of one row, or repairs of them. */
export interface Task {
  readonly kind: 'open' | 'repair';
  readonly row: string;
  readonly cases: readonly number[];
  /** The one case is laid out already: an earlier process died over it, so many times. */
  readonly deaths: number;
}

/** A case that is more than a number in the table. */
export interface Remark {
  readonly case: number;
  readonly outcome: Outcome | 'ended' | 'unrepaired';
  readonly text: string;
}

/** What became of a task, or of several: sums. */
export interface Tally {
  readonly cases: number;
  readonly outcomes: Readonly<Partial<Record<Outcome | 'ended', number>>>;
  /** Things that damaged replicas gave and must not give. */
  readonly votes: number;
  /** Openings or reads that ended their process, or took so long that it was ended. */
  readonly deaths: number;
  readonly repaired: number;
  readonly unrepaired: number;
  /** Of all cases together. */
  readonly ms: number;
  readonly remarks: readonly Remark[];
  /** Why logs were found damaged, without numbers, and how often. */
  readonly reasons: Readonly<Partial<Record<string, number>>>;
}

export type FromWorker =
  | { readonly kind: 'ready' }
  /** Begins a case: whoever watches the time starts anew. */
  | { readonly kind: 'case'; readonly case: number }
  | { readonly kind: 'done'; readonly tally: Tally };

export const NO_TALLY: Tally = {
  cases: 0,
  outcomes: {},
  votes: 0,
  deaths: 0,
  repaired: 0,
  unrepaired: 0,
  ms: 0,
  remarks: [],
  reasons: {},
};

const REMARKS_MAX = 1_000;

export function sumOf(a: Tally, b: Tally): Tally {
  return {
    cases: a.cases + b.cases,
    outcomes: added(a.outcomes, b.outcomes),
    votes: a.votes + b.votes,
    deaths: a.deaths + b.deaths,
    repaired: a.repaired + b.repaired,
    unrepaired: a.unrepaired + b.unrepaired,
    ms: a.ms + b.ms,
    remarks: [...a.remarks, ...b.remarks].slice(0, REMARKS_MAX),
    reasons: added(a.reasons, b.reasons),
  };
}

function added<K extends string>(
  a: Readonly<Partial<Record<K, number>>>,
  b: Readonly<Partial<Record<K, number>>>,
): Partial<Record<K, number>> {
  const sum: Partial<Record<K, number>> = { ...a };
  for (const [key, count] of Object.entries(b) as [K, number][]) sum[key] = (sum[key] ?? 0) + count;
  return sum;
}
