import type { Durability } from '../model/durability.js';
import type { BrokerId, Incarnation, LogIndex, RaftGroupId, TopicId } from '../model/ids.js';
import type { EntryId, IndexRange, LogEntry, RewrittenPayload } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';
import type { HardState, Persist, RaftInit, SnapshotMeta } from '../raft/io.js';

/** A replica's snapshot: where it stands and the state machine's bytes as of there. */
export interface Snapshot {
  readonly meta: SnapshotMeta;
  readonly state: Uint8Array;
}

/** The state machine's bytes as of an applied index; makes restarts quick, never leaves the broker. */
export interface Checkpoint {
  readonly index: LogIndex;
  readonly state: Uint8Array;
}

/**
 * What opening a store found. `sound`: everything up to the watermark is there and whole (what lies
 * above it, the last writes before a crash, is kept). `damaged`: it is not; the store was emptied,
 * what it held is set aside beside it, and hardState.needsRepair is durably true. `tailLost`: it was
 * written to without syncs when its machine went down, so that nobody knows how far it had come; what
 * is left is whole and was kept, raft.lostTail and hardState.needsRepair are durably true.
 */
export interface LoadedReplica {
  readonly verdict:
    | { readonly kind: 'empty' | 'sound' }
    | { readonly kind: 'damaged' | 'tailLost'; readonly reason: string };
  /** The last life ended with close(): what was whole then still is. If absent, nobody knows. */
  readonly wasCleanlyClosed?: boolean;
  /** Entries were once written here without a sync. If absent, never. */
  readonly wasUnsynced?: boolean;
  /** Everything a Raft core starts from, except who it is and its jitter's seed. */
  readonly raft: Omit<RaftInit, 'self' | 'seed' | 'applied'>;
  readonly snapshot: Snapshot | undefined;
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * The durable side of one replica: its entries, snapshot, checkpoint and hard state.
 *
 * Writes become durable in the order they were given; those that wait together go out together.
 * After any error every later call rejects (the store is fenced): the host closes it and opens anew.
 * Entries are verified (header chain and payload checksum) on every read; a mismatch rejects with
 * {@link StoreDamagedError} and fences the store.
 */
export interface LogStore {
  /**
   * Resolves once the write, and every earlier one, is durable: on a disk; with durability
   * `unsafe-quorum-memory`, entries need to be with the operating system only. Hard state, snapshots
   * and checkpoints always go to the disk, and never before the entries that they stand on.
   */
  persist(write: Persist, installState?: Uint8Array): Promise<void>;
  /**
   * Entries from range.first on, up to range.next or bytesMax, whichever comes first, but at least
   * one. Rejects with {@link PrefixTruncatedError} if range.first is no longer there.
   */
  read(range: IndexRange, options: { readonly bytesMax: number }): Promise<readonly LogEntry[]>;
  /**
   * Makes the snapshot of everything up to and with `last` durable, then gives the entries' bytes
   * back, in bounded slices, off the hot path. Resolves with its meta once the snapshot is durable
   * and the new first index stands; reads below it reject from then on.
   */
  truncatePrefix(last: EntryId, state: Uint8Array, membership: Membership): Promise<SnapshotMeta>;
  /** The current snapshot, to send to a peer; undefined if nothing was ever truncated. */
  snapshot(): Promise<Snapshot | undefined>;
  saveCheckpoint(checkpoint: Checkpoint): Promise<void>;
  /**
   * Puts other payloads in the place of stored ones, ascending by index, and gives the difference in
   * bytes back; resolves once that is durable. Headers and chain stay, so nothing else of the log
   * changes; what was truncated from the front meanwhile is left out. A crash leaves some of the old
   * payloads, or all.
   */
  rewrite(payloads: readonly RewrittenPayload[]): Promise<void>;
  /**
   * Remembers, in its owner's own words, how far the log was rewritten; replaces what was remembered
   * before. Forgotten with the log: by an install, or when damage empties it.
   */
  saveNote(note: Uint8Array): Promise<void>;
  /** What was saved last; undefined if nothing was, or if it cannot be read any more. */
  note(): Promise<Uint8Array | undefined>;
  /**
   * For every write given from now on; a store opens with `fsync`. Resolves once it is in force: with
   * `fsync`, everything given before is on the disk then.
   */
  setDurability(durability: Durability): Promise<void>;
  /**
   * What this log holds as committed is not what the group agreed on after a power cut took entries
   * from a majority: the next opening sets it aside, as a damaged one. Durable when it resolves.
   */
  giveUp(): Promise<void>;
  /**
   * Reads and verifies everything stored, at most `bytesPerSecondMax`; rejects as read does.
   * Resolves with the number of entries verified.
   */
  verifyAll(options: {
    readonly bytesPerSecondMax: number;
    readonly signal?: AbortSignal;
  }): Promise<number>;
  /** Bytes on disk, roughly. */
  sizeBytes(): Promise<number>;
  /** Waits for what was given, then closes. Idempotent. */
  close(): Promise<void>;
}

/** Stored bytes are not what was written. */
export class StoreDamagedError extends Error {
  override readonly name = 'StoreDamagedError';
}

/** An earlier error closed this store for good. */
export class StoreFencedError extends Error {
  override readonly name = 'StoreFencedError';
}

/** The entries asked for were truncated away: a snapshot stands in their place. */
export class PrefixTruncatedError extends Error {
  override readonly name = 'PrefixTruncatedError';
}

/** Who a data directory belongs to; written once, checked at every start. */
export interface BrokerIdentity {
  readonly clusterId: string;
  readonly brokerId: BrokerId;
  /** Made with the directory; a wiped directory has another. */
  readonly directoryId: string;
  /** Founding brokers, ascending, while this broker is one of them; empty if it joined later. */
  readonly founders: readonly BrokerId[];
  /** False between the two phases of forming a cluster: the metadata group may not run yet. */
  readonly isFormed: boolean;
}

/** What a replica belongs to; part of its stored identity. */
export interface ReplicaSpec {
  readonly groupId: RaftGroupId;
  /** undefined for the metadata group. */
  readonly topicId: TopicId | undefined;
  readonly topic: string;
  readonly partition: number;
  /**
   * Members at the group's creation; empty for a replica that joins later as a learner. That one begins
   * in need of repair: it may follow an earlier one of the same broker.
   */
  readonly bootstrap: Membership;
}

export interface ReplicaInfo {
  readonly spec: ReplicaSpec;
  readonly incarnation: Incarnation;
  readonly hardState: HardState;
}

/** The durable side of one broker: its identity, its replicas. */
export interface BrokerStore {
  identity(): BrokerIdentity | undefined;
  saveIdentity(identity: BrokerIdentity): Promise<void>;
  /** Every replica ever created here and not deleted, even if its directory is gone or damaged. */
  replicas(): readonly ReplicaInfo[];
  /** Durable before it resolves: from then on the replica exists here. */
  createReplica(spec: ReplicaSpec): Promise<void>;
  /** Opens, verifies and loads a replica that exists. At most one open store a replica. */
  openReplica(groupId: RaftGroupId): Promise<{ store: LogStore; loaded: LoadedReplica }>;
  /**
   * Forgets and deletes a closed replica: only after a committed delete. No-op if there is none; after
   * a rejection the replica is forgotten all the same, and a repetition deletes what is left of it.
   */
  deleteReplica(groupId: RaftGroupId): Promise<void>;
  freeBytes(): Promise<number>;
  close(): Promise<void>;
}
