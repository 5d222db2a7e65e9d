import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { JobResult } from '../../test/simulation/worker.js';

/** One seed's run as a ledger keeps it. */
export interface LedgerRow extends JobResult {
  /** Of the sources that ran. */
  readonly fingerprint: string;
  /** The Node that ran them. */
  readonly node: string;
}

const ERROR_LENGTH_MAX = 2_000;

/** Runs of one seed at one level are the same run; a seed that draws its level has only one. */
const nameOf = ({ seed, level }: Pick<LedgerRow, 'seed' | 'level'>): string => `${seed} ${level}`;

/**
 * What a long sweep has found so far, one JSON line a seed in a file that only grows: a sweep that is
 * cut off goes on where it was. A line that was cut off in the middle is left out.
 */
export class Ledger {
  private readonly rows = new Map<string, LedgerRow>();
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (!line.endsWith('}')) continue;
      const row = JSON.parse(line) as LedgerRow;
      this.rows.set(nameOf(row), row);
    }
  }

  /** The latest of each seed. */
  all(): LedgerRow[] {
    return [...this.rows.values()];
  }

  add(row: LedgerRow): void {
    const error = row.error?.slice(0, ERROR_LENGTH_MAX);
    const times = { wallMs: Math.round(row.wallMs), cpuMs: Math.round(row.cpuMs) };
    const line = JSON.stringify({ ...row, ...times, error });
    appendFileSync(this.file, `${line}\n`);
    this.rows.set(nameOf(row), row);
  }

  find(row: Pick<LedgerRow, 'seed' | 'level'>): LedgerRow | undefined {
    return this.rows.get(nameOf(row));
  }
}

/** Seeds whose runs went otherwise in another ledger, of which both were made from the same sources. */
export function compareRows(
  rows: readonly LedgerRow[],
  other: Ledger,
): {
  compared: number;
  otherSources: number;
  differing: number[];
} {
  let compared = 0;
  let otherSources = 0;
  const differing: number[] = [];
  for (const row of rows) {
    const known = other.find(row);
    if (known === undefined) continue;
    compared += 1;
    if (known.fingerprint !== row.fingerprint) otherSources += 1;
    if (known.hash !== row.hash) differing.push(row.seed);
  }
  return { compared, otherSources, differing };
}
