import type { LogIndex, RaftGroupId } from '../../../../src/model/ids.js';
import { incarnation, logIndex, term } from '../../../../src/model/ids.js';
import { crc32c } from '../../../../src/base/crc32c.js';
import {
  entryBytes,
  rewrittenEntry,
  type EntryId,
  type LogEntry,
  type RewrittenPayload,
} from '../../../../src/model/log-entry.js';
import { decodeMembership, NO_MEMBERS, type Membership } from '../../../../src/model/membership.js';
import {
  PrefixTruncatedError,
  StoreDamagedError,
  StoreFencedError,
  type BrokerStore,
  type Checkpoint,
  type LoadedReplica,
  type LogStore,
  type ReplicaInfo,
  type ReplicaSpec,
  type Snapshot,
} from '../../../../src/ports/log-store.js';
import type { World } from '../../../../src/ports/world.js';
import type { HardState, Persist, SnapshotMeta } from '../../../../src/raft/io.js';
import { beginningOf } from '../../../../src/storage/new-replica.js';

const ZERO: EntryId = { term: term(0), index: logIndex(0) };

/** What a replica's disk holds: it outlives every store opened on it. */
export class MemoryReplica {
  readonly spec: ReplicaSpec;
  incarnation = incarnation(1);
  hardState: HardState;
  entries: LogEntry[] = [];
  snapshot: Snapshot | undefined;
  checkpoint: Checkpoint | undefined;
  note: Uint8Array | undefined;
  watermark: EntryId;
  /** Entries of each write that brought some. */
  readonly writes: number[] = [];
  opens = 0;
  isOpen = false;
  verified = 0;
  /** Faults, set by tests. */
  isStuck = false;
  isDamaged = false;
  error: Error | undefined;
  openError: Error | undefined;
  /** Every opening waits for it. */
  openGate: Promise<void> | undefined;
  #stuck: (() => void)[] = [];

  constructor(spec: ReplicaSpec) {
    this.spec = spec;
    const { hardState, lost } = beginningOf(spec);
    this.hardState = hardState;
    this.watermark = lost;
  }

  get base(): SnapshotMeta {
    const { bootstrap } = this.spec;
    return this.snapshot?.meta ?? { last: ZERO, chain: 0, timeMs: 0, membership: bootstrap };
  }
  get last(): EntryId {
    const last = this.entries.at(-1) ?? this.base.last;
    return { term: last.term, index: last.index };
  }

  at(index: number): number {
    return index - this.base.last.index - 1;
  }

  /** Waits while stuck. */
  async work(world: World): Promise<void> {
    await new Promise<void>((resolve) => world.timers.after(1, resolve));
    if (this.isStuck) await new Promise<void>((resolve) => this.#stuck.push(resolve));
    if (this.error !== undefined) throw this.error;
  }

  unstick(): void {
    this.isStuck = false;
    const stuck = this.#stuck;
    this.#stuck = [];
    for (const go of stuck) go();
  }

  /** What opening a damaged replica does: sets everything aside but the hard state. */
  emptyDamaged(): void {
    this.isDamaged = false;
    this.watermark = this.last;
    this.hardState = { ...this.hardState, needsRepair: true };
    this.entries = [];
    this.snapshot = undefined;
    this.checkpoint = undefined;
    this.note = undefined;
    this.incarnation = incarnation(this.incarnation + 1);
  }
}

class MemoryLogStore implements LogStore {
  readonly #world: World;
  readonly #disk: MemoryReplica;
  /** A store of an earlier life of the process does nothing more. */
  readonly #life: number;
  #queue: Promise<unknown> = Promise.resolve();
  #isFenced = false;
  #isClosed = false;

  constructor(world: World, disk: MemoryReplica) {
    this.#world = world;
    this.#disk = disk;
    this.#life = disk.opens;
  }

  persist(write: Persist, installState?: Uint8Array): Promise<void> {
    return this.#next(() => this.#write(write, installState));
  }

  read(
    range: { readonly first: LogIndex; readonly next: LogIndex },
    { bytesMax }: { readonly bytesMax: number },
  ): Promise<readonly LogEntry[]> {
    return this.#next(() => {
      const disk = this.#disk;
      if (range.first <= disk.base.last.index) throw new PrefixTruncatedError('truncated');
      const found: LogEntry[] = [];
      let bytes = 0;
      for (const entry of disk.entries.slice(disk.at(range.first), disk.at(range.next))) {
        bytes += entryBytes(entry);
        if (found.length > 0 && bytes > bytesMax) break;
        found.push(entry);
      }
      if (found.length === 0) throw new StoreDamagedError('an entry is missing');
      return found;
    });
  }

  setDurability(): Promise<void> {
    return this.#next(() => undefined);
  }

  giveUp(): Promise<void> {
    return this.#next(() => {
      this.#disk.isDamaged = true;
    });
  }

  truncatePrefix(last: EntryId, state: Uint8Array, membership: Membership): Promise<SnapshotMeta> {
    return this.#next(() => {
      const disk = this.#disk;
      const entry = disk.entries[disk.at(last.index)];
      if (entry?.term !== last.term) throw new StoreDamagedError('truncates what is not there');
      const meta = { last, chain: 1, timeMs: entry.timeMs, membership };
      const kept = disk.entries.slice(disk.at(last.index) + 1);
      disk.snapshot = { meta, state };
      disk.entries = kept;
      return meta;
    });
  }

  snapshot(): Promise<Snapshot | undefined> {
    return this.#next(() => this.#disk.snapshot);
  }

  saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    // Stricter than the contract, which would wait: a checkpoint above what is durable is a mistake.
    if (checkpoint.index > this.#disk.last.index) throw new Error('a checkpoint above the log');
    return this.#next(() => {
      this.#disk.checkpoint = checkpoint;
    });
  }

  rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    return this.#next(() => {
      const disk = this.#disk;
      for (const { index, payload } of payloads) {
        const found = disk.entries[disk.at(index)];
        if (found === undefined) continue;
        disk.entries[disk.at(index)] = rewrittenEntry(found, payload, crc32c);
      }
    });
  }

  saveNote(note: Uint8Array): Promise<void> {
    return this.#next(() => {
      this.#disk.note = note;
    });
  }

  note(): Promise<Uint8Array | undefined> {
    return this.#next(() => this.#disk.note);
  }

  verifyAll(): Promise<number> {
    return this.#next(() => {
      this.#disk.verified += 1;
      if (this.#disk.isDamaged) throw new StoreDamagedError('a flipped bit');
      return this.#disk.entries.length;
    });
  }

  sizeBytes(): Promise<number> {
    return this.#next(() => this.#disk.entries.reduce((sum, e) => sum + entryBytes(e), 0));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#queue.catch(() => undefined);
    if (this.#life === this.#disk.opens) this.#disk.isOpen = false;
  }

  #next<T>(run: () => T): Promise<T> {
    const result = this.#queue.then(async () => {
      if (this.#isFenced) throw new StoreFencedError('fenced');
      try {
        await this.#disk.work(this.#world);
        if (this.#life !== this.#disk.opens) throw new StoreFencedError('the process died');
        return run();
      } catch (error) {
        if (!(error instanceof PrefixTruncatedError)) this.#isFenced = true;
        throw error;
      }
    });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  #write(write: Persist, installState: Uint8Array | undefined): void {
    const disk = this.#disk;
    if (write.hardState !== undefined) disk.hardState = write.hardState;
    if (write.install !== undefined) {
      if (installState === undefined) throw new Error('an install without its state');
      disk.snapshot = { meta: write.install, state: installState };
      disk.entries = [];
      disk.checkpoint = undefined;
    }
    if (write.append !== undefined) {
      const { prev, entries } = write.append;
      if (prev.index > disk.last.index) throw new Error('a gap');
      disk.entries = [...disk.entries.slice(0, disk.at(prev.index + 1)), ...entries];
      if (entries.length > 0) disk.writes.push(entries.length);
    }
  }
}

/** A broker's store in memory, with faults. */
export class MemoryBrokerStore implements BrokerStore {
  readonly disks = new Map<RaftGroupId, MemoryReplica>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  identity(): undefined {
    return undefined;
  }
  async saveIdentity(): Promise<void> {
    throw new Error('not used here');
  }

  replicas(): readonly ReplicaInfo[] {
    return [...this.disks.values()].map(({ spec, incarnation: life, hardState }) => {
      return { spec, incarnation: life, hardState };
    });
  }

  /** The process is gone, and with it every open store. */
  died(): void {
    for (const disk of this.disks.values()) {
      disk.isOpen = false;
      disk.opens += 1;
      disk.unstick();
    }
  }

  async createReplica(spec: ReplicaSpec): Promise<void> {
    if (this.disks.has(spec.groupId)) throw new Error('exists');
    this.disks.set(spec.groupId, new MemoryReplica(spec));
  }

  disk(id: RaftGroupId): MemoryReplica {
    const disk = this.disks.get(id);
    if (disk === undefined) throw new Error('no such replica');
    return disk;
  }

  async openReplica(id: RaftGroupId): Promise<{ store: LogStore; loaded: LoadedReplica }> {
    const disk = this.disk(id);
    if (disk.openGate !== undefined) await disk.openGate;
    if (disk.isOpen) throw new Error('at most one open store a replica');
    if (disk.openError !== undefined) throw disk.openError;
    disk.isOpen = true;
    disk.opens += 1;
    const isDamaged = disk.isDamaged;
    if (isDamaged) disk.emptyDamaged();
    return { store: new MemoryLogStore(this.#world, disk), loaded: load(disk, isDamaged) };
  }

  async deleteReplica(id: RaftGroupId): Promise<void> {
    if (this.disk(id).isOpen) throw new Error('still open');
    this.disks.delete(id);
  }
  async freeBytes(): Promise<number> {
    return 1e12;
  }
  async close(): Promise<void> {
    // Nothing is held outside the replicas.
  }
}

function load(disk: MemoryReplica, isDamaged: boolean): LoadedReplica {
  const isEmpty = disk.entries.length === 0 && disk.snapshot === undefined;
  const runs: { term: LogEntry['term']; first: LogIndex }[] = [];
  for (const e of disk.entries) {
    if (runs.at(-1)?.term !== e.term) runs.push({ term: e.term, first: e.index });
  }
  const memberships = disk.entries
    .filter((e) => e.kind === 'membership')
    .map((e) => ({ index: e.index, membership: decodeMembership(e.payload) }));
  const base = isDamaged ? { ...disk.base, membership: disk.spec.bootstrap } : disk.base;
  return {
    verdict: isDamaged
      ? { kind: 'damaged', reason: 'a flipped bit' }
      : { kind: isEmpty ? 'empty' : 'sound' },
    raft: {
      incarnation: disk.incarnation,
      hardState: disk.hardState,
      snapshot: base,
      termRuns: runs,
      memberships,
      last: disk.last,
      lastTimeMs: disk.entries.at(-1)?.timeMs ?? base.timeMs,
      watermark: disk.watermark,
    },
    snapshot: disk.snapshot,
    checkpoint: disk.checkpoint,
  };
}

export const LATE_JOINER = NO_MEMBERS;
