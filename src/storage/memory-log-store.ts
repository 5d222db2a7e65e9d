import { invariant } from '../base/assert.js';
import { crc32c } from '../base/crc32c.js';
import type { Incarnation, LogIndex } from '../model/ids.js';
import {
  entryBytes,
  NO_ENTRY,
  rewrittenEntry,
  type EntryId,
  type IndexRange,
  type LogEntry,
  type LogSlice,
  type RewrittenPayload,
} from '../model/log-entry.js';
import { decodeMembership, type Membership } from '../model/membership.js';
import {
  PrefixTruncatedError,
  StoreFencedError,
  type Checkpoint,
  type LoadedReplica,
  type LogStore,
  type ReplicaSpec,
  type Snapshot,
} from '../ports/log-store.js';
import type { HardState, Persist, SnapshotMeta } from '../raft/io.js';
import { entryChain, headerOf } from './entry-codec.js';
import { beginningOf } from './new-replica.js';

interface ChainedEntry {
  readonly entry: LogEntry;
  readonly chain: number;
}

/** What a replica's disk would hold. Outlives the stores that are opened on it. */
export interface MemoryReplica {
  readonly spec: ReplicaSpec;
  incarnation: Incarnation;
  hardState: HardState;
  /** What the log is known to have held before it was lost; zeros unless needsRepair. */
  lost: EntryId;
  /** undefined while nothing was truncated. */
  snapshot: Snapshot | undefined;
  checkpoint: Checkpoint | undefined;
  note: Uint8Array | undefined;
  /** entries[i] stands right after the snapshot: its index is snapshot index + 1 + i. */
  entries: ChainedEntry[];
  isDamaged: boolean;
  isCleanlyClosed: boolean;
}

export function newMemoryReplica(spec: ReplicaSpec, incarnation: Incarnation): MemoryReplica {
  return {
    spec,
    incarnation,
    ...beginningOf(spec),
    snapshot: undefined,
    checkpoint: undefined,
    note: undefined,
    entries: [],
    isDamaged: false,
    isCleanlyClosed: false,
  };
}

/** Everything a store reports when it is opened; a damaged replica starts over empty. */
export function loadMemoryReplica(
  replica: MemoryReplica,
  newIncarnation: () => Incarnation,
): LoadedReplica {
  let verdict: LoadedReplica['verdict'];
  const wasCleanlyClosed = replica.isCleanlyClosed && !replica.isDamaged;
  replica.isCleanlyClosed = false;
  if (replica.isDamaged) {
    const last = lastOf(replica);
    const { lost } = replica;
    const isCovered = lost.term > last.term || (lost.term === last.term && lost.index > last.index);
    replica.lost = isCovered ? lost : last;
    replica.hardState = { ...replica.hardState, needsRepair: true };
    replica.incarnation = newIncarnation();
    replica.snapshot = undefined;
    replica.checkpoint = undefined;
    replica.note = undefined;
    replica.entries = [];
    replica.isDamaged = false;
    verdict = { kind: 'damaged', reason: 'it was said to be damaged' };
  } else {
    verdict = { kind: lastOf(replica).index === 0 ? 'empty' : 'sound' };
  }
  const termRuns: { term: LogEntry['term']; first: LogIndex }[] = [];
  const memberships: { index: LogIndex; membership: Membership }[] = [];
  for (const { entry } of replica.entries) {
    if (termRuns.at(-1)?.term !== entry.term) {
      termRuns.push({ term: entry.term, first: entry.index });
    }
    if (entry.kind === 'membership') {
      memberships.push({ index: entry.index, membership: decodeMembership(entry.payload) });
    }
  }
  return {
    verdict,
    wasCleanlyClosed,
    raft: {
      incarnation: replica.incarnation,
      hardState: replica.hardState,
      snapshot: snapshotMetaOf(replica),
      termRuns,
      memberships,
      last: lastOf(replica),
      lastTimeMs: replica.entries.at(-1)?.entry.timeMs ?? snapshotMetaOf(replica).timeMs,
      watermark: replica.lost,
    },
    snapshot: replica.snapshot,
    checkpoint: replica.checkpoint,
  };
}

/**
 * A LogStore in memory: for tests and for trying things out. What was given is written at once and
 * reported in the next turn; nothing survives the process.
 */
export class MemoryLogStore implements LogStore {
  private readonly replica: MemoryReplica;
  private readonly onClosed: () => void;
  private fencedBy: { readonly cause: unknown } | undefined;
  private isClosed = false;

  constructor(replica: MemoryReplica, onClosed: () => void) {
    this.replica = replica;
    this.onClosed = onClosed;
  }

  /** Every later call rejects, as after a disk's error. */
  fence(cause: unknown): void {
    this.fencedBy ??= { cause };
  }

  async persist(write: Persist, installState?: Uint8Array): Promise<void> {
    this.assertUsable();
    try {
      if (write.install !== undefined) {
        invariant(installState !== undefined, 'an install comes with its state');
        this.replica.snapshot = { meta: write.install, state: installState };
        this.replica.checkpoint = undefined;
        this.replica.note = undefined;
        this.replica.entries = [];
      }
      if (write.append !== undefined) this.append(write.append);
      if (write.hardState !== undefined) {
        this.replica.hardState = write.hardState;
        if (!write.hardState.needsRepair) this.replica.lost = NO_ENTRY;
      }
    } catch (error) {
      this.fence(error);
      throw error;
    }
    await Promise.resolve();
  }

  async read(
    range: IndexRange,
    options: { readonly bytesMax: number },
  ): Promise<readonly LogEntry[]> {
    invariant(range.first < range.next, 'a read asks for something', { ...range });
    this.assertUsable();
    const base = snapshotMetaOf(this.replica).last.index;
    if (range.first <= base) throw new PrefixTruncatedError(`entries up to ${base} are truncated`);
    if (range.first > lastOf(this.replica).index) {
      throw new RangeError(`entry ${range.first} is not in the log, or is being replaced`);
    }
    const out: LogEntry[] = [];
    let bytes = 0;
    for (const { entry } of this.replica.entries.slice(
      range.first - base - 1,
      range.next - base - 1,
    )) {
      bytes += entryBytes(entry);
      if (out.length > 0 && bytes > options.bytesMax) break;
      out.push(entry);
    }
    return Promise.resolve(out);
  }

  async truncatePrefix(
    last: EntryId,
    state: Uint8Array,
    membership: Membership,
  ): Promise<SnapshotMeta> {
    this.assertUsable();
    const before = snapshotMetaOf(this.replica);
    if (last.index <= before.last.index) return before;
    const count = last.index - before.last.index;
    const found = this.replica.entries[count - 1];
    invariant(found?.entry.term === last.term, 'a snapshot ends at an entry', { last });
    const { chain, entry } = found;
    const meta: SnapshotMeta = { last, chain, timeMs: entry.timeMs, membership };
    this.replica.snapshot = { meta, state };
    this.replica.entries = this.replica.entries.slice(count);
    return Promise.resolve(meta);
  }

  async snapshot(): Promise<Snapshot | undefined> {
    this.assertUsable();
    return Promise.resolve(this.replica.snapshot);
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    this.assertUsable();
    invariant(checkpoint.index <= lastOf(this.replica).index, 'a checkpoint stands inside the log');
    if (checkpoint.index < snapshotMetaOf(this.replica).last.index) return;
    this.replica.checkpoint = checkpoint;
    await Promise.resolve();
  }

  async rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    this.assertUsable();
    const { entries } = this.replica;
    const base = snapshotMetaOf(this.replica).last.index;
    for (const { index, term: at, payload } of payloads) {
      const found = entries[index - base - 1];
      if (index <= base) continue;
      invariant(found?.entry.term === at, 'what is rewritten is stored', { index });
      const entry = rewrittenEntry(found.entry, payload, crc32c);
      entries[index - base - 1] = { entry, chain: found.chain };
    }
    await Promise.resolve();
  }

  async saveNote(note: Uint8Array): Promise<void> {
    this.assertUsable();
    this.replica.note = note;
    await Promise.resolve();
  }

  async note(): Promise<Uint8Array | undefined> {
    this.assertUsable();
    return Promise.resolve(this.replica.note);
  }

  /** Memory is all there is, whatever the mode. */
  async setDurability(): Promise<void> {
    this.assertUsable();
    await Promise.resolve();
  }

  async giveUp(): Promise<void> {
    this.replica.isDamaged = true;
    await Promise.resolve();
  }

  async verifyAll(options: {
    readonly bytesPerSecondMax: number;
    readonly signal?: AbortSignal;
  }): Promise<number> {
    this.assertUsable();
    options.signal?.throwIfAborted();
    return Promise.resolve(this.replica.entries.length);
  }

  async sizeBytes(): Promise<number> {
    let bytes = this.replica.snapshot?.state.length ?? 0;
    for (const { entry } of this.replica.entries) bytes += entryBytes(entry);
    return Promise.resolve(bytes);
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.replica.isCleanlyClosed = this.fencedBy === undefined;
    this.onClosed();
    await Promise.resolve();
  }

  private append(slice: LogSlice): void {
    const { prev, entries } = slice;
    const base = snapshotMetaOf(this.replica);
    const last = lastOf(this.replica);
    invariant(prev.index >= base.last.index, 'a snapshot is never truncated', { prev });
    invariant(prev.index <= last.index, 'an append leaves no gap', { prev, last });
    const kept = this.replica.entries;
    const count = prev.index - base.last.index;
    const end = kept[count - 1];
    invariant((end?.entry ?? base.last).term === prev.term, 'an append continues this log', {
      prev,
    });
    kept.length = count;
    let chain = end?.chain ?? base.chain;
    let index: number = prev.index;
    for (const entry of entries) {
      index += 1;
      invariant(entry.index === index, 'appended entries are dense', { index: entry.index });
      chain = entryChain(chain, headerOf(entry, crc32c));
      kept.push({ entry, chain });
    }
  }

  private assertUsable(): void {
    if (this.fencedBy !== undefined) {
      throw new StoreFencedError('an earlier error closed this store', this.fencedBy);
    }
    if (this.isClosed) throw new StoreFencedError('this store is closed');
  }
}

function snapshotMetaOf(replica: MemoryReplica): SnapshotMeta {
  return (
    replica.snapshot?.meta ?? {
      last: NO_ENTRY,
      chain: 0,
      timeMs: 0,
      membership: replica.spec.bootstrap,
    }
  );
}

function lastOf(replica: MemoryReplica): EntryId {
  const entry = replica.entries.at(-1)?.entry;
  if (entry === undefined) return snapshotMetaOf(replica).last;
  return { term: entry.term, index: entry.index };
}
