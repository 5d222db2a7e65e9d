import {
  logIndex,
  type BrokerId,
  type LogIndex,
  type RaftGroupId,
  type TopicId,
} from '../model/ids.js';
import type { VersionedConfig } from './config-history.js';
import type { TopicSettings } from './topic-config.js';

/** Where a broker can be reached: by clients, by other brokers, for health and metrics. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  readonly peerHost: string;
  readonly peerPort: number;
  readonly httpPort: number;
}

export interface BrokerImage {
  readonly id: BrokerId;
  /** The data directory this id belongs to; another one may not register under the id. */
  readonly directoryId: string;
  readonly address: BrokerAddress;
  /** Empty: not told. */
  readonly rack: string;
  /** Replicas that it has memory for; undefined: not told. */
  readonly replicasMax?: number | undefined;
  /** Its session expired: no new replicas go there until it is heard of again. */
  readonly isFenced: boolean;
}

/** The target version of a partition that is not on the move. */
export const NO_TARGET = logIndex(0);

export interface PartitionImage {
  readonly partition: number;
  readonly groupId: RaftGroupId;
  /** Where the partition shall live; the first is the preferred leader. */
  readonly replicas: readonly BrokerId[];
  /**
   * Voters at the group's creation that have been its replicas ever since: only they may start with
   * a membership instead of as an empty learner.
   */
  readonly bootstrap: readonly BrokerId[];
  /** All voters at the group's creation: the membership that replicas in `bootstrap` start with. */
  readonly founders: readonly BrokerId[];
  /**
   * Where it lived before a move that is not yet completed: those of them that are no longer in
   * `replicas` go when the group's own membership has followed. Empty: settled.
   */
  readonly movingFrom: readonly BrokerId[];
  /**
   * Which move: the metadata index at which `replicas` became the target of the move under way. NO_TARGET:
   * none is, or one that began before targets had versions.
   */
  readonly targetVersion: LogIndex;
}

/** `config`: what was set; defaults are left out. */
export interface TopicImage extends VersionedConfig {
  readonly id: TopicId;
  readonly name: string;
  /** partitions[i].partition === i. */
  readonly partitions: readonly PartitionImage[];
  readonly settings: TopicSettings;
}

export interface GroupLocation {
  readonly topicId: TopicId;
  readonly partition: number;
}

/**
 * The cluster as the metadata log tells it up to `version`.
 *
 * A live view: it moves with every applied entry, so read it, decide and act within one turn. The
 * values in its maps are immutable and may be kept.
 */
export interface MetadataImage {
  /** Index of the last applied entry of the metadata log. */
  readonly version: LogIndex;
  readonly brokers: ReadonlyMap<BrokerId, BrokerImage>;
  readonly topicsById: ReadonlyMap<TopicId, TopicImage>;
  readonly topicsByName: ReadonlyMap<string, TopicImage>;
  /** Every live partition by its Raft group. */
  readonly groups: ReadonlyMap<RaftGroupId, GroupLocation>;
  /** How many replicas each broker holds, with those that moves have yet to take from it. */
  readonly replicasHeld: ReadonlyMap<BrokerId, number>;
  /** Raft groups of partitions whose move is not completed. */
  readonly moving: ReadonlySet<RaftGroupId>;
  /** Replicas that were deleted by a committed command and whose brokers have yet to say it is done. */
  readonly tombstones: ReadonlyMap<RaftGroupId, readonly BrokerId[]>;
}

/** What one applied entry, or a restored snapshot, changed. */
export interface MetadataDelta {
  /** A snapshot replaced everything: compare all. */
  readonly isReset: boolean;
  readonly brokers: readonly BrokerId[];
  /** Created, changed or deleted. */
  readonly topics: readonly TopicId[];
  /** Raft groups whose tombstones came, changed or went. */
  readonly tombstones: readonly RaftGroupId[];
}
