import type { BrokerError } from '../model/errors.js';
import type { TopicPartition } from '../model/ids.js';
import type { GroupMethods, MemberIdentity } from './group-types.js';

// Requests and answers of proto/millrace/broker/v1 as the client's users see them: plain values,
// absent fields undefined.

export type { TopicPartition } from '../model/ids.js';

/** When a produce is answered: see Acks in records.proto. */
export type Acks = 'quorum' | 'leader' | 'none';

/** Where a broker's client listener is. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** A broker of the cluster, as it registered. */
export interface BrokerInfo extends BrokerAddress {
  /** 1 to 2^31 - 1. */
  readonly id: number;
  /** Empty: none. */
  readonly rack: string;
  /** Its session expired: it is not expected to answer. */
  readonly isFenced: boolean;
  readonly peerHost: string;
  /** Where other brokers reach it. */
  readonly peerPort: number;
  /** Health and metrics. */
  readonly httpPort: number;
}

/** A partition, as the metadata has it. */
export interface PartitionInfo {
  /** From 0. */
  readonly partition: number;
  /** Ids of the brokers that are to have one. */
  readonly replicas: readonly number[];
  /** Undefined: not known at the moment. */
  readonly leader: number | undefined;
  /** Raft term of the leadership; rises with every election. */
  readonly leaderEpoch: number;
}

/** A topic, as the metadata has it. */
export interface TopicInfo {
  readonly topic: string;
  /** 32 hex digits: a topic that is deleted and created again has another one. */
  readonly topicId: string;
  readonly partitions: readonly PartitionInfo[];
  /** What was set for this topic; defaults are left out. */
  readonly config: Readonly<Record<string, string>>;
  /** Rises with every change of config; 0: none so far. */
  readonly configVersion: number;
  /** Set: the rest says nothing but the name. */
  readonly error: BrokerError | undefined;
}

/** @internal */
export interface MetadataRequest {
  /** Empty: all. */
  readonly topics: readonly string[];
  readonly linearizable: boolean;
}

/** What a broker knows of the cluster: brokers, topics and their leaders. */
export interface Metadata {
  readonly clusterId: string;
  readonly brokers: readonly BrokerInfo[];
  readonly topics: readonly TopicInfo[];
  /** Broker that leads the metadata group; undefined: not known at the moment. */
  readonly controller: number | undefined;
  /** Rises with every change of the metadata. */
  readonly metadataVersion: number;
}

/** A replica of the metadata group. */
export interface MetadataMember {
  readonly brokerId: number;
  /** voter or learner. */
  readonly role: string;
  /** Highest log index known to be on its disk. */
  readonly matchIndex: number;
  /** It answered within an election timeout. */
  readonly isActive: boolean;
  /** Its log is damaged and being rebuilt. */
  readonly isRepairing: boolean;
}

/** Brokers, and how the metadata group is doing. */
export interface ClusterDescription {
  readonly clusterId: string;
  readonly brokers: readonly BrokerInfo[];
  readonly controller: number | undefined;
  readonly controllerTerm: number;
  readonly metadataMembers: readonly MetadataMember[];
  readonly metadataCommitIndex: number;
  readonly topics: number;
  readonly partitions: number;
}

/** A topic to be created. */
export interface CreateTopicRequest {
  readonly topic: string;
  /** 1 if absent. */
  readonly partitions?: number | undefined;
  /** 3, or the number of brokers if that is less, if absent. */
  readonly replicationFactor?: number | undefined;
  readonly config?: Readonly<Record<string, string>> | undefined;
  /** False: do not wait for every partition to have a leader. */
  readonly wait?: boolean | undefined;
}

/** A topic as it was created. */
export interface CreatedTopic {
  readonly topicId: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** What its settings put at risk, in words; absent: nothing that is acknowledged. */
  readonly risk?: string;
}

/** More partitions for a topic. */
export interface AddPartitionsRequest {
  readonly topic: string;
  /** How many the topic is to have, those it has included. */
  readonly partitions: number;
  /** False: do not wait for every partition to have a leader. */
  readonly wait?: boolean | undefined;
}

/** A topic with its new number of partitions. */
export interface GrownTopic {
  readonly topicId: string;
  readonly partitions: number;
}

/** A replica of a partition, as its leader sees it. */
export interface ReplicaDescription {
  readonly brokerId: number;
  /** voter or learner. */
  readonly role: string;
  /** It answered within an election timeout, and had everything committed then. */
  readonly inSync: boolean;
  /** Highest log index known to be on its disk. */
  readonly matchIndex: number;
  /** Its log is damaged and being rebuilt. */
  readonly isRepairing: boolean;
}

/** A partition, as its leader describes it. */
export interface PartitionDescription {
  readonly partition: number;
  /** Set if the leader could not be asked. */
  readonly error: BrokerError | undefined;
  readonly leader: number | undefined;
  readonly leaderEpoch: number;
  readonly replicas: readonly ReplicaDescription[];
  /** First offset that can still be read. */
  readonly logStartOffset: number;
  /** Offset after the last committed record. */
  readonly highWatermark: number;
  /** On the leader's disk. */
  readonly sizeBytes: number;
  /** Up to here the leader has compacted its log; 0: not at all. */
  readonly compactedTo: number;
  /** Number of its Raft group, as in the files of the brokers; never used again. */
  readonly raftGroup: number;
}

/** A topic with its settings, and every partition from its leader. */
export interface TopicDescription {
  readonly topic: string;
  readonly topicId: string;
  /** What was set for this topic; defaults are left out. */
  readonly config: Readonly<Record<string, string>>;
  /** The values in force, defaults included. */
  readonly effectiveConfig: Readonly<Record<string, string>>;
  /** Rises with every change of config; 0: none so far. */
  readonly configVersion: number;
  /** The last 16 changes, oldest first. */
  readonly configHistory: readonly ConfigChange[];
  /** What an acknowledgement of this topic promises and what not, in words. */
  readonly durabilityPromise: string;
  readonly partitions: readonly PartitionDescription[];
}

/** A setting that was changed; undefined: the default. */
export interface ConfigKeyChange {
  readonly key: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** A change of a topic's settings. */
export interface ConfigChange {
  /** Of the config from then on. */
  readonly version: number;
  readonly previousVersion: number;
  /** Since 1970. */
  readonly timeMs: number;
  readonly keys: readonly ConfigKeyChange[];
}

/** What is set for a topic after a change. */
export interface AlteredTopic {
  readonly config: Readonly<Record<string, string>>;
  readonly configVersion: number;
  /** What the settings put at risk from now on, in words; absent: nothing that is acknowledged. */
  readonly risk?: string;
}

/** What to change in a topic's settings. */
export interface AlterTopicRequest {
  readonly topic: string;
  readonly set?: Readonly<Record<string, string>> | undefined;
  /** Keys that go back to their default. */
  readonly unset?: readonly string[] | undefined;
  /** Only if config still has this version; else STALE_CONFIG_VERSION, and nothing is changed. */
  readonly expectedVersion?: number | undefined;
}

/**
 * The first offset, the end, a record with the highest timestamp of all, or the first record that is not
 * older than a time.
 */
export type OffsetAt = 'earliest' | 'latest' | 'maxTimestamp' | { readonly timestampMs: number };

/** Which offset of a partition is asked for. */
export interface OffsetQuery extends TopicPartition {
  readonly at: OffsetAt;
}

/** The offset asked for, or why it cannot be told. */
export interface OffsetAnswer extends TopicPartition {
  /** Set: the rest says nothing. */
  readonly error: BrokerError | undefined;
  /** Undefined: no record is that late, or for maxTimestamp, there is none. */
  readonly offset: number | undefined;
  /** Of that record, since 1970. */
  readonly timestampMs: number | undefined;
  readonly leaderEpoch: number;
}

/** Where a group stands in a partition. */
export interface OffsetToCommit extends TopicPartition {
  /** Next offset to read. */
  readonly offset: number;
  /** Free text, at most 4 KiB. */
  readonly metadata?: string | undefined;
}

/** What a group has committed of a partition. */
export interface CommittedOffset extends TopicPartition {
  /** Undefined: none. */
  readonly offset: number | undefined;
  readonly metadata: string;
  /** Since 1970. */
  readonly commitTimeMs: number;
  /** Why it was not taken, or cannot be told. */
  readonly error: BrokerError | undefined;
}

/**
 * The topic that had the name when the call began: attempts that come late reach no other one.
 * @internal
 */
export interface TopicWithId {
  readonly topic: string;
  readonly topicId: string;
}

/** @internal */
export interface TransferRequest {
  /** Undefined: the metadata group. */
  readonly partition: TopicPartition | undefined;
  /** Undefined: the most caught-up replica. */
  readonly toBroker?: number | undefined;
}

/**
 * The Cluster and Groups services, method by method.
 * @internal
 */
export interface ClusterMethods extends GroupMethods {
  getMetadata: { request: MetadataRequest; answer: Metadata };
  describeCluster: { request: Readonly<Record<string, never>>; answer: ClusterDescription };
  createTopic: {
    request: CreateTopicRequest & { readonly topicId: string; readonly timeoutMs: number };
    answer: CreatedTopic;
  };
  deleteTopic: {
    request: TopicWithId & { readonly timeoutMs: number };
    answer: object;
  };
  addPartitions: {
    request: AddPartitionsRequest & TopicWithId & { readonly timeoutMs: number };
    answer: GrownTopic;
  };
  describeTopic: { request: { readonly topic: string }; answer: TopicDescription };
  alterTopic: { request: AlterTopicRequest & TopicWithId; answer: AlteredTopic };
  listOffsets: {
    request: { readonly queries: readonly OffsetQuery[]; readonly linearizable: boolean };
    answer: readonly OffsetAnswer[];
  };
  trimPartition: {
    request: TopicPartition & TopicWithId & { readonly beforeOffset: number };
    answer: number;
  };
  initProducer: {
    request: { readonly producerId: number | undefined; readonly producerEpoch: number };
    answer: ProducerIdentity;
  };
  commitOffsets: {
    request: {
      readonly group: string;
      readonly offsets: readonly OffsetToCommit[];
      /** Undefined: not a member; refused if the group has members. */
      readonly member?: MemberIdentity | undefined;
      /** Rises from one commit of the member to its next, and stays when one is tried again. */
      readonly commitSequence?: number | undefined;
    };
    answer: readonly CommittedOffset[];
  };
  fetchOffsets: {
    request: { readonly group: string; readonly partitions: readonly TopicPartition[] };
    answer: readonly CommittedOffset[];
  };
  transferLeadership: {
    request: TransferRequest;
    answer: { readonly leader: number; readonly leaderEpoch: number };
  };
  moveReplicas: {
    request: TopicPartition & { readonly replicas: readonly number[] };
    answer: object;
  };
}

/** @internal */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}
