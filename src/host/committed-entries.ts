import { invariant } from '../base/assert.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import type { IndexRange, LogEntry } from '../model/log-entry.js';
import { PrefixTruncatedError, type LogStore } from '../ports/log-store.js';
import type { RaftNode } from '../raft/raft-node.js';

export interface CommittedEntriesOptions {
  readonly node: RaftNode;
  readonly store: LogStore;
  /** The state machine stands here. */
  readonly applied: LogIndex;
  readonly readBytesMax: number;
  /** Entries came from the store. */
  readonly arrived: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * What one replica has to apply: committed entries, from the core's memory while they are there and
 * else from the store, each of them once and in order.
 *
 * Invariants: applied < next <= commit + 1; while a snapshot is being installed there is nothing to
 * apply, as what it covers comes with it.
 */
export class CommittedEntries {
  readonly #options: CommittedEntriesOptions;
  #applied: LogIndex;
  #next: LogIndex;
  /** Came from the store; the first of them stands at applied + 1. */
  #readAhead: readonly LogEntry[] | undefined;
  #isReading = false;
  #isInstalling = false;

  constructor(options: CommittedEntriesOptions) {
    this.#options = options;
    this.#applied = options.applied;
    this.#next = logIndex(options.applied + 1);
  }

  get applied(): LogIndex {
    return this.#applied;
  }

  /** First index not known to be committed. */
  get next(): LogIndex {
    return this.#next;
  }

  get isAvailable(): boolean {
    return this.#applied + 1 < this.#next && !this.#isReading && !this.#isInstalling;
  }

  committed(range: IndexRange): void {
    // An install in the same Ready may already have gone past it.
    if (range.next <= this.#next) return;
    invariant(range.first === this.#next, 'committed ranges follow each other', {
      first: range.first,
      next: this.#next,
    });
    this.#next = range.next;
  }

  /** The next ones, at least one; undefined if they have to be read first, which this starts. */
  take(bytesMax: number): readonly LogEntry[] | undefined {
    invariant(this.isAvailable, 'there is something to apply', { applied: this.#applied });
    const range = { first: logIndex(this.#applied + 1), next: this.#next };
    const entries = this.#readAhead ?? this.#options.node.recent(range, bytesMax);
    this.#readAhead = undefined;
    if (entries === undefined) this.#read(range);
    return entries;
  }

  /** The state machine is about to apply this entry. */
  advance(entry: LogEntry): void {
    invariant(entry.index === this.#applied + 1, 'entries are applied in order', {
      index: entry.index,
      applied: this.#applied,
    });
    invariant(entry.index < this.#next, 'only committed entries are applied', {
      index: entry.index,
      next: this.#next,
    });
    this.#applied = entry.index;
  }

  installing(index: LogIndex): void {
    this.#isInstalling = true;
    this.#next = logIndex(Math.max(this.#next, index + 1));
    this.#readAhead = undefined;
  }

  installed(index: LogIndex): void {
    invariant(index > this.#applied, 'an install never goes back', { index });
    this.#isInstalling = false;
    this.#applied = index;
  }

  #read(range: IndexRange): void {
    const { store, readBytesMax, arrived, failed } = this.#options;
    this.#isReading = true;
    store.read(range, { bytesMax: readBytesMax }).then(
      (entries) => {
        this.#isReading = false;
        const isOvertaken = this.#isInstalling || this.#applied >= range.first;
        if (!isOvertaken) this.#readAhead = entries;
        arrived();
      },
      (error: unknown) => {
        this.#isReading = false;
        const isOvertaken = this.#isInstalling || this.#applied >= range.first;
        if (error instanceof PrefixTruncatedError && isOvertaken) arrived();
        else failed(error);
      },
    );
  }
}
