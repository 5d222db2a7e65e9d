import { invariant } from '../base/assert.js';
import { lowerBound } from '../base/collections.js';
import { logIndex, term as toTerm, type LogIndex, type Term } from '../model/ids.js';
import type { EntryId } from '../model/log-entry.js';

export interface TermRun {
  readonly term: Term;
  readonly first: LogIndex;
}

/**
 * Knows the term of every entry of a log without holding the entries: runs of equal terms, of which
 * a log has a few. Owned by RaftLog.
 *
 * Invariants: runs ascend strictly in `term` and in `first`; the first run, if any, starts at
 * base.index + 1; `last` is the last index, base.index if there are no runs.
 */
export class TermIndex {
  private base: EntryId;
  private runs: TermRun[];
  private lastIndex: LogIndex;

  constructor(base: EntryId, runs: readonly TermRun[], last: EntryId) {
    this.base = base;
    this.runs = [];
    this.lastIndex = base.index;
    for (const run of runs) {
      // Stores list runs entry by entry or by run; equal neighbours are one run here.
      const before = this.runs.at(-1);
      if (before?.term === run.term) continue;
      invariant(run.term > (before?.term ?? -1), 'terms ascend', { run, before });
      invariant(run.first > (before?.first ?? base.index), 'runs ascend', { run, before });
      this.runs.push(run);
    }
    const first = this.runs[0]?.first ?? last.index + 1;
    invariant(first === base.index + 1, 'runs start above the snapshot', { first, base });
    invariant((this.runs.at(-1)?.term ?? base.term) === last.term, 'runs end in the last term', {
      last,
    });
    this.lastIndex = last.index;
  }

  get last(): EntryId {
    return { term: this.lastTerm, index: this.lastIndex };
  }

  get lastTerm(): Term {
    const run = this.runs[this.runs.length - 1];
    return run === undefined ? this.base.term : run.term;
  }

  /** undefined below the base and beyond the last entry. */
  termAt(index: LogIndex): Term | undefined {
    if (index > this.lastIndex || index < this.base.index) return undefined;
    if (index === this.base.index) return this.base.term;
    return this.runs[this.runAt(index)]?.term;
  }

  append(id: EntryId): void {
    invariant(id.index === this.lastIndex + 1, 'entries are contiguous', {
      id,
      last: this.lastIndex,
    });
    const before = this.lastTerm;
    invariant(id.term >= before, 'terms never descend', { id, before });
    // An entry of the base's own term opens a run too: the base lies outside the runs.
    if (this.runs.length === 0 || id.term > before) {
      this.runs.push({ term: id.term, first: id.index });
    }
    this.lastIndex = id.index;
  }

  truncateAfter(index: LogIndex): void {
    invariant(index >= this.base.index, 'the base stays', { index, base: this.base.index });
    while ((this.runs.at(-1)?.first ?? 0) > index) this.runs.pop();
    if (index < this.lastIndex) this.lastIndex = index;
  }

  /** The prefix up to and with `base` is gone; what follows it stays. */
  moveBase(base: EntryId): void {
    invariant(base.index <= this.lastIndex, 'the base is in the log', { base });
    invariant(this.termAt(base.index) === base.term, 'the base is an entry of this log', { base });
    const next = logIndex(base.index + 1);
    if (next > this.lastIndex) {
      this.runs = [];
    } else {
      const at = this.runAt(next);
      const run = this.runs[at];
      invariant(run !== undefined, 'every entry has a run', { next });
      this.runs = [{ term: run.term, first: next }, ...this.runs.slice(at + 1)];
    }
    this.base = base;
  }

  /** Everything is replaced by `base`. */
  reset(base: EntryId): void {
    this.base = base;
    this.runs = [];
    this.lastIndex = base.index;
  }

  /**
   * The last entry at or below `index` whose term is at most `term`: where two logs may still agree
   * if one has an entry of `term` at `index`. The base if all entries are of later terms.
   */
  lastAtMost(index: LogIndex, term: Term): EntryId {
    if (index < this.base.index) return { term: toTerm(0), index: logIndex(0) };
    const from = index > this.lastIndex ? this.lastIndex : index;
    if (from === this.base.index) return this.base;
    const at = this.runs.findLastIndex((run) => run.first <= from && run.term <= term);
    const run = this.runs[at];
    if (run === undefined) return this.base;
    const next = this.runs[at + 1];
    const end = next === undefined ? from : Math.min(from, next.first - 1);
    return { term: run.term, index: logIndex(end) };
  }

  list(): readonly TermRun[] {
    return this.runs;
  }

  /** Position of the run that holds `index`, which lies in (base.index, last]. */
  private runAt(index: LogIndex): number {
    const lastRun = this.runs.length - 1;
    // Nearly every question is about the newest term.
    if ((this.runs[lastRun]?.first ?? Infinity) <= index) return lastRun;
    return lowerBound(this.runs.length, (at) => (this.runs[at]?.first ?? 0) <= index) - 1;
  }
}
