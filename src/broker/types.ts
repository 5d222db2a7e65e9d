import type { Crc32c } from '../base/crc32c.js';
import type { MultiRaft, RaftGroup } from '../host/raft-group.js';
import type { Assignors } from '../metadata/assignors/assignors.js';
import type { BrokerAddress, MetadataDelta, MetadataImage } from '../metadata/image.js';
import type { TopicSettings } from '../metadata/topic-config.js';
import type { BrokerError, LeaderHint } from '../model/errors.js';
import type { BrokerId, Offset, RaftGroupId, Term, TopicId } from '../model/ids.js';
import type { BatchCodecs } from '../ports/batch-codecs.js';
import type { BrokerIdentity, BrokerStore, ReplicaSpec } from '../ports/log-store.js';
import type { Telemetry } from '../ports/telemetry.js';
import type { PeerAddress, PeerCaller, PeerDirectory } from '../ports/transport.js';
import type { Cancel, World } from '../ports/world.js';
import type { CompileExpression } from './topic-patterns.js';
import type { AdminService, OffsetAt, OffsetFound, PartitionFacts } from './admin-types.js';
import type { GroupService } from './group-types.js';

// ---- What the metadata half of the floor offers ----

/** This broker's copy of the cluster's metadata; it may lag behind the metadata leader's. */
export interface MetadataView {
  image(): MetadataImage;
  /** Calls back after every change, in the turn that applied it. */
  onChange(listener: (image: MetadataImage, delta: MetadataDelta) => void): Cancel;
  /** Resolves once the predicate holds; rejects with DEADLINE_EXCEEDED. */
  waitFor(predicate: (image: MetadataImage) => boolean, deadlineMs: number): Promise<MetadataImage>;
}

export interface KnownLeader {
  readonly leader: BrokerId;
  readonly term: Term;
}

/** Who leads which Raft group: soft state, spread by gossip and hints; the highest term wins. */
export interface LeaderTable {
  leaderOf(groupId: RaftGroupId): KnownLeader | undefined;
  learn(groupId: RaftGroupId, leader: BrokerId, term: Term): void;
  /** The leader with its client address, for NOT_LEADER; undefined if either is unknown. */
  hint(groupId: RaftGroupId): LeaderHint | undefined;
  /** This broker's replica leads in `term` and is ready: every other broker is told. */
  announce(groupId: RaftGroupId, term: Term): void;
  /** Calls back when a later leadership is learnt. */
  onChange(listener: (groupId: RaftGroupId, known: KnownLeader) => void): Cancel;
  /**
   * Calls back when a broker, maybe this one, says that it leads and is ready: a leader is known from
   * its election on, and serves nobody before.
   */
  onReady(listener: (groupId: RaftGroupId) => void): Cancel;
  /** False: the broker said that it can take no records, so whoever chooses leaders passes it over. */
  mayLead(id: BrokerId): boolean;
  /** Says so of this broker, or takes it back: every other broker is told. */
  declare(mayLead: boolean): void;
}

// ---- What the partition half offers ----

/** The partition replicas of this broker, as the reconciler and the admin service use them. */
export interface PartitionHost {
  /** Creates the replica durably if there is none, and opens it. Idempotent; rejects if it cannot. */
  ensure(
    spec: ReplicaSpec,
    settings: TopicSettings,
    /** Campaigns first in a group that is new. */
    preferredLeader?: BrokerId,
  ): Promise<void>;
  /** No-op if the group is not here. */
  configure(groupId: RaftGroupId, settings: TopicSettings): void;
  /** Stops serving and deletes the data: only after a committed delete. Idempotent. */
  remove(groupId: RaftGroupId): Promise<void>;
  /** Groups that are open here. */
  list(): readonly RaftGroupId[];
  group(groupId: RaftGroupId): RaftGroup | undefined;
  /** Rejects with NOT_LEADER (with a hint) unless this replica leads and is ready. */
  describe(groupId: RaftGroupId): Promise<PartitionFacts>;
  /** Committed as far as this replica knows: never above the true high watermark. */
  knownHighWatermark(groupId: RaftGroupId): Offset | undefined;
  /** As the leader: NOT_LEADER otherwise. Linearizable: behind a read barrier. */
  listOffset(
    groupId: RaftGroupId,
    at: OffsetAt,
    options: { readonly linearizable: boolean; readonly deadlineMs: number },
  ): Promise<OffsetFound>;
  /** As the leader; -1: the high watermark. Resolves with the new log start once it is committed. */
  trim(
    groupId: RaftGroupId,
    beforeOffset: number,
    options: { readonly deadlineMs: number },
  ): Promise<Offset>;
}

export type Acks = 'quorum' | 'leader' | 'none';

export interface ProduceRequest {
  readonly topic: string;
  readonly partition: number;
  /** The id the topic must have. */
  readonly topicId: TopicId | undefined;
  readonly acks: Acks;
  /** One record batch, version 2; handed over: the broker may stamp it in place. */
  readonly batch: Uint8Array;
  /** Append it only if its first record gets this offset; needs acks quorum. */
  readonly expectedOffset?: number | undefined;
  /**
   * Append it only if the last record of its key has this offset, -1: there is none. All records have
   * that key; needs acks quorum, and a topic that compares by key.
   */
  readonly expectedKeyOffset?: number | undefined;
  readonly timeoutMs: number;
  /** Pass it on to the leader, once, if that is another broker. */
  readonly allowForward: boolean;
}

export type ProduceResult =
  | {
      readonly error?: undefined;
      /** -1 with acks none. */
      readonly baseOffset: number;
      readonly appendTimeMs: number;
      readonly leaderEpoch: number;
      readonly isDuplicate: boolean;
      readonly logStartOffset: number;
      /** The broker that appended it. */
      readonly brokerId: BrokerId;
    }
  | { readonly error: BrokerError };

export interface ProduceService {
  /**
   * Calls `done` exactly once, maybe before it returns. Requests of one partition that were given in
   * an order are appended and answered in that order; only a refused expectation may be answered later
   * than those behind it, because it has to be confirmed.
   */
  produce(request: ProduceRequest, done: (result: ProduceResult) => void): void;
}

export interface FetchPartition {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId | undefined;
  readonly offset: number;
  readonly maxBytes: number;
  /** 0: not checked. */
  readonly leaderEpoch: number;
}

export interface FetchRequest {
  readonly partitions: readonly FetchPartition[];
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly linearizable: boolean;
  readonly allowForward: boolean;
  /**
   * Also followers may answer, if they know how far the partition was committed at most so long ago,
   * and have got that far. Undefined: only leaders. Without effect on a linearizable fetch.
   */
  readonly maxStalenessMs?: number | undefined;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly error: BrokerError | undefined;
  /** Whole stored batches, in order; may be written out one after another without a copy. */
  readonly batches: readonly Uint8Array[];
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly leaderEpoch: number;
  readonly nextOffset: number;
}

export interface FetchResult {
  readonly partitions: readonly FetchedPartition[];
  readonly brokerId: BrokerId;
}

export interface FetchService {
  fetch(request: FetchRequest, signal?: AbortSignal): Promise<FetchResult>;
}

/** What src/broker/partition-floor.ts makes of its half. */
export interface PartitionFloor {
  readonly host: PartitionHost;
  readonly produce: ProduceService;
  readonly fetch: FetchService;
  start(): void;
  /** Answers what waits with SHUTTING_DOWN. Idempotent. */
  stop(): Promise<void>;
}

export interface PartitionFloorDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly multiRaft: MultiRaft;
  readonly store: BrokerStore;
  readonly view: MetadataView;
  readonly leaders: LeaderTable;
  readonly peers: PeerCaller;
  readonly telemetry: Telemetry;
  readonly crc32c: Crc32c;
  /** Without them, compressed batches of compacted topics are refused. */
  readonly codecs?: BatchCodecs;
  readonly settings: BrokerSettings;
}

export type CreatePartitionFloor = (deps: PartitionFloorDeps) => PartitionFloor;

// ---- The broker as a whole ----

export interface BrokerSettings {
  readonly heartbeatMs: number;
  /** A broker that was not heard of for this long is fenced. */
  readonly sessionMs: number;
  /** Replicas opened at a time. */
  readonly opensMax: number;
  readonly leaderBalanceMs: number;
  readonly retentionCheckMs: number;
  /** With less room on the volume, no records are taken here; 0: never asked. */
  readonly diskFreeMinBytes: number;
  /** With less than this, below diskFreeMinBytes, leaderships are handed over; default: half of it. */
  readonly diskFreeHandOverBytes?: number | undefined;
  /** The metadata log is truncated when it grew by this since the last time. */
  readonly metadataLogBytesMax: number;
  readonly metadataLogEntriesMax: number;
  /** Consumer groups without members that were idle for so long go, with their offsets; -1: never. */
  readonly groupRetentionMs: number;
  /** Longest a stop waits for leaderships to be handed over. */
  readonly drainMs: number;
}

export const DEFAULT_BROKER_SETTINGS: BrokerSettings = {
  heartbeatMs: 500,
  sessionMs: 6_000,
  opensMax: 16,
  leaderBalanceMs: 5_000,
  retentionCheckMs: 30_000,
  diskFreeMinBytes: 0,
  metadataLogBytesMax: 4 * 1024 * 1024,
  metadataLogEntriesMax: 10_000,
  groupRetentionMs: 7 * 24 * 3_600_000,
  drainMs: 3_000,
};

export interface BrokerSelf {
  readonly id: BrokerId;
  readonly address: BrokerAddress;
  readonly rack: string;
  /** Replicas that it has memory for; undefined: as many as come. */
  readonly replicasMax?: number | undefined;
}

/** How this broker finds its cluster the first time; later starts go by the stored identity. */
export interface BootstrapOptions {
  /** Everyone who forms the cluster together, this broker included; empty: join through seeds. */
  readonly founders: readonly PeerAddress[];
  /** Brokers of a running cluster to ask for admission. */
  readonly seeds: readonly PeerAddress[];
}

export interface BrokerOptions {
  readonly self: BrokerSelf;
  readonly bootstrap: BootstrapOptions;
  readonly world: World;
  /**
   * The formation handlers are registered while the broker is created, so main may listen then; the
   * others follow in start(). Calls whose method
   * starts with "formation." must be let through without a cluster id on either side: they are how
   * a broker gets one, and check for themselves.
   */
  readonly peers: PeerCaller & PeerDirectory;
  readonly store: BrokerStore;
  /**
   * Called once, when the identity is final: the transport checks cluster ids from then on. Who may not
   * lead is passed over where leadership is handed over.
   */
  createMultiRaft(identity: BrokerIdentity, mayLead: (id: BrokerId) => boolean): MultiRaft;
  readonly createPartitionFloor: CreatePartitionFloor;
  readonly telemetry: Telemetry;
  readonly crc32c: Crc32c;
  /** For the patterns of subscriptions; asked when there is the first one. */
  readonly compileExpression: CompileExpression;
  readonly settings: BrokerSettings;
  /** For consumer groups; absent: the built-in ones. */
  readonly assignors?: Assignors;
}

export interface BrokerHealth {
  /** False: something broke for good; the process should end. */
  readonly live: boolean;
  /** It joined its cluster and its local replicas are open. */
  readonly ready: boolean;
  /** Why not, in a few words; if ready, what is wrong all the same, or empty. */
  readonly reason: string;
}

export interface BrokerServices {
  readonly admin: AdminService;
  readonly produce: ProduceService;
  readonly fetch: FetchService;
  readonly groups: GroupService;
  readonly view: MetadataView;
  readonly leaders: LeaderTable;
  health(): BrokerHealth;
}

export interface Broker {
  /** Resolves once the broker is part of its cluster; its replicas open meanwhile. */
  start(): Promise<void>;
  /** Undefined until it is part of its cluster. */
  services(): BrokerServices | undefined;
  health(): BrokerHealth;
  /** Hands leaderships over, for at most `drainMs` (of the settings, if left out), then stops. Idempotent. */
  stop(options?: { readonly drainMs?: number | undefined }): Promise<void>;
}
