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

export interface BrokerInfo extends BrokerAddress {
  readonly id: number;
  readonly rack: string;
  /** Its session expired: it is not expected to answer. */
  readonly isFenced: boolean;
  readonly peerHost: string;
  readonly peerPort: number;
  readonly httpPort: number;
}

export interface PartitionInfo {
  readonly partition: number;
  readonly replicas: readonly number[];
  /** Undefined: not known at the moment. */
  readonly leader: number | undefined;
  readonly leaderEpoch: number;
}

export interface TopicInfo {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: readonly PartitionInfo[];
  /** What was set for this topic; defaults are left out. */
  readonly config: Readonly<Record<string, string>>;
  /** Rises with every change of config; 0: none so far. */
  readonly configVersion: number;
  readonly error: BrokerError | undefined;
}

export interface MetadataRequest {
  /** Empty: all. */
  readonly topics: readonly string[];
  readonly linearizable: boolean;
}

export interface Metadata {
  readonly clusterId: string;
  readonly brokers: readonly BrokerInfo[];
  readonly topics: readonly TopicInfo[];
  readonly controller: number | undefined;
  readonly metadataVersion: number;
}

export interface MetadataMember {
  readonly brokerId: number;
  readonly role: string;
  readonly matchIndex: number;
  readonly isActive: boolean;
  readonly isRepairing: boolean;
}

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

export interface CreatedTopic {
  readonly topicId: string;
  readonly partitions: number;
  readonly replicationFactor: number;
}

export interface AddPartitionsRequest {
  readonly topic: string;
  /** How many the topic is to have, those it has included. */
  readonly partitions: number;
  /** False: do not wait for every partition to have a leader. */
  readonly wait?: boolean | undefined;
}

export interface GrownTopic {
  readonly topicId: string;
  readonly partitions: number;
}

export interface ReplicaDescription {
  readonly brokerId: number;
  readonly role: string;
  readonly inSync: boolean;
  readonly matchIndex: number;
  readonly isRepairing: boolean;
}

export interface PartitionDescription {
  readonly partition: number;
  /** Set if the leader could not be asked. */
  readonly error: BrokerError | undefined;
  readonly leader: number | undefined;
  readonly leaderEpoch: number;
  readonly replicas: readonly ReplicaDescription[];
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly sizeBytes: number;
  readonly raftGroup: number;
}

export interface TopicDescription {
  readonly topic: string;
  readonly topicId: string;
  readonly config: Readonly<Record<string, string>>;
  readonly effectiveConfig: Readonly<Record<string, string>>;
  /** Rises with every change of config; 0: none so far. */
  readonly configVersion: number;
  /** The last 16 changes, oldest first. */
  readonly configHistory: readonly ConfigChange[];
  readonly partitions: readonly PartitionDescription[];
}

/** A setting that was changed; undefined: the default. */
export interface ConfigKeyChange {
  readonly key: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export interface ConfigChange {
  /** Of the config from then on. */
  readonly version: number;
  readonly previousVersion: number;
  readonly timeMs: number;
  readonly keys: readonly ConfigKeyChange[];
}

/** What is set for a topic after a change. */
export interface AlteredTopic {
  readonly config: Readonly<Record<string, string>>;
  readonly configVersion: number;
}

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

export interface OffsetQuery extends TopicPartition {
  readonly at: OffsetAt;
}

export interface OffsetAnswer extends TopicPartition {
  readonly error: BrokerError | undefined;
  /** Undefined: no record is that late, or for maxTimestamp, there is none. */
  readonly offset: number | undefined;
  readonly timestampMs: number | undefined;
  readonly leaderEpoch: number;
}

export interface OffsetToCommit extends TopicPartition {
  /** Next offset to read. */
  readonly offset: number;
  readonly metadata?: string | undefined;
}

export interface CommittedOffset extends TopicPartition {
  /** Undefined: none. */
  readonly offset: number | undefined;
  readonly metadata: string;
  readonly commitTimeMs: number;
  readonly error: BrokerError | undefined;
}

export interface TransferRequest {
  /** Undefined: the metadata group. */
  readonly partition: TopicPartition | undefined;
  /** Undefined: the most caught-up replica. */
  readonly toBroker?: number | undefined;
}

/** The Cluster and Groups services, method by method. */
export interface ClusterMethods extends GroupMethods {
  getMetadata: { request: MetadataRequest; answer: Metadata };
  describeCluster: { request: Readonly<Record<string, never>>; answer: ClusterDescription };
  createTopic: {
    request: CreateTopicRequest & { readonly timeoutMs: number };
    answer: CreatedTopic;
  };
  deleteTopic: { request: { readonly topic: string; readonly timeoutMs: number }; answer: object };
  addPartitions: {
    request: AddPartitionsRequest & { readonly timeoutMs: number };
    answer: GrownTopic;
  };
  describeTopic: { request: { readonly topic: string }; answer: TopicDescription };
  alterTopic: { request: AlterTopicRequest; answer: AlteredTopic };
  listOffsets: {
    request: { readonly queries: readonly OffsetQuery[]; readonly linearizable: boolean };
    answer: readonly OffsetAnswer[];
  };
  trimPartition: { request: TopicPartition & { readonly beforeOffset: number }; answer: number };
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

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}
