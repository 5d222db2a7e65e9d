export const CHECK_IDS = [
  'C01',
  'C02',
  'C03',
  'C04',
  'C05',
  'C06',
  'C07',
  'C08',
  'C09',
  'C10',
  'C11',
  'C12',
  'C13',
  'C14',
  'C15',
  'C16',
  'C17',
  'C18',
  'C19',
  'C20',
  'C21',
  'C22',
  'C23',
  'C24',
  'C25',
] as const;
export type CheckId = (typeof CHECK_IDS)[number];

export interface Violation {
  readonly check: CheckId;
  readonly message: string;
}

export interface HistoryStats {
  readonly lines: number;
  readonly sends: number;
  readonly acked: number;
  readonly polledRecords: number;
  readonly keys: number;
  /** Longest time without an acknowledged write of any key, from the first nemesis line on. */
  readonly writeGapMaxMs: number;
}

export interface Verdict {
  readonly verdict: 'PASS' | 'FAIL' | 'INVALID';
  /** Why the history is INVALID. */
  readonly reason: string | undefined;
  /** At most ten of each check. */
  readonly violations: readonly Violation[];
  readonly counts: Readonly<Partial<Record<CheckId, number>>>;
  /** Checks that had no data. */
  readonly skipped: readonly CheckId[];
  readonly stats: HistoryStats;
}

const KEPT_MAX = 10;

/** Collects what checks find. */
export class Report {
  readonly violations: Violation[] = [];
  readonly counts: Partial<Record<CheckId, number>> = {};
  private readonly withData = new Set<CheckId>();

  violation(check: CheckId, message: string): void {
    this.withData.add(check);
    const count = (this.counts[check] ?? 0) + 1;
    this.counts[check] = count;
    if (count <= KEPT_MAX) this.violations.push({ check, message });
  }

  /** The history holds what this check looks at. */
  hasData(check: CheckId): void {
    this.withData.add(check);
  }

  skipped(): CheckId[] {
    return CHECK_IDS.filter((id) => !this.withData.has(id));
  }
}
