import { invariant } from '../base/assert.js';
import { BrokerError } from '../model/errors.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import type { EntryId, IndexRange, LogEntry, LogSlice } from '../model/log-entry.js';
import { PrefixTruncatedError, type LogStore } from '../ports/log-store.js';
import type { SnapshotMeta } from '../raft/io.js';
import type { RaftNode } from '../raft/raft-node.js';

/**
 * Reads one replica's log: from the core's memory where it can, else from the store.
 *
 * Invariants: what is not durable here is in memory; an error of the store fences the replica, whoever
 * was asking.
 */
export class LogReader {
  readonly #node: RaftNode;
  readonly #store: LogStore;
  readonly #failed: (error: unknown) => void;
  #snapshot: SnapshotMeta;

  constructor(
    node: RaftNode,
    store: LogStore,
    snapshot: SnapshotMeta,
    failed: (error: unknown) => void,
  ) {
    this.#node = node;
    this.#store = store;
    this.#snapshot = snapshot;
    this.#failed = failed;
  }

  /** What stands in place of the entries that are gone. */
  get snapshot(): SnapshotMeta {
    return this.#snapshot;
  }

  get firstIndex(): LogIndex {
    return logIndex(this.#snapshot.last.index + 1);
  }

  prefixMoved(snapshot: SnapshotMeta): void {
    invariant(snapshot.last.index > this.#snapshot.last.index, 'the first index only rises', {
      from: this.#snapshot.last.index,
      to: snapshot.last.index,
    });
    this.#snapshot = snapshot;
  }

  /** At least one entry; rejects with PrefixTruncatedError below the first index. */
  async read(range: IndexRange, bytesMax: number): Promise<readonly LogEntry[]> {
    if (range.first < this.firstIndex) {
      throw new PrefixTruncatedError(`index ${range.first} was truncated`);
    }
    const recent = this.#node.recent(range, bytesMax);
    if (recent !== undefined) return recent;
    const next = logIndex(Math.min(range.next, this.#node.status().durable + 1));
    invariant(range.first < next, 'what is not durable is in memory', { ...range });
    const stored = this.#store.read({ first: range.first, next }, { bytesMax });
    return await this.fencing(stored);
  }

  async idAt(index: LogIndex): Promise<EntryId> {
    if (index === this.#snapshot.last.index) return this.#snapshot.last;
    const [entry] = await this.read({ first: index, next: logIndex(index + 1) }, 1);
    invariant(entry?.index === index, 'a read returns what was asked for', { index });
    return { term: entry.term, index };
  }

  /** For a peer that lags. Undefined if the entries are gone: the snapshot has to do. */
  async slice(from: LogIndex, bytesMax: number): Promise<LogSlice | undefined> {
    const range = { first: from, next: logIndex(this.#node.status().last.index + 1) };
    if (range.next <= from) return undefined;
    try {
      const prev = await this.idAt(logIndex(from - 1));
      const entries = await this.read(range, bytesMax);
      return { prev, entries };
    } catch (error) {
      if (error instanceof PrefixTruncatedError) return undefined;
      throw error;
    }
  }

  /** Fences the replica if the store's operation fails. */
  async fencing<T>(operation: Promise<T>): Promise<T> {
    try {
      return await operation;
    } catch (error) {
      if (error instanceof PrefixTruncatedError) throw error;
      this.#failed(error);
      throw new BrokerError('REPLICA_FENCED', 'the replica failed', {}, { cause: error });
    }
  }
}
