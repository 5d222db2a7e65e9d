import type { ConfigChange } from '../metadata/config-history.js';
import type { BrokerAddress } from '../metadata/image.js';
import type { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex, Offset, RaftGroupId, Term, TopicId } from '../model/ids.js';
import type { TopicPartition } from '../model/ids.js';

// Requests and answers of proto/millrace/broker/v1/cluster.proto as plain values. Absent fields are
// undefined; the api maps 0 and "" where the proto says that they mean a default.

export interface BrokerDescription {
  readonly id: BrokerId;
  readonly address: BrokerAddress;
  readonly rack: string;
  readonly isFenced: boolean;
}

export interface PartitionMetadata {
  readonly partition: number;
  readonly replicas: readonly BrokerId[];
  readonly leader: BrokerId | undefined;
  readonly leaderEpoch: Term | undefined;
}

export type TopicMetadata =
  | {
      readonly topic: string;
      readonly topicId: TopicId;
      readonly partitions: readonly PartitionMetadata[];
      readonly config: ReadonlyMap<string, string>;
      readonly configVersion: LogIndex;
      readonly error?: undefined;
    }
  | { readonly topic: string; readonly error: BrokerError };

export interface GetMetadataRequest {
  /** Empty: all. */
  readonly topics: readonly string[];
  readonly linearizable: boolean;
}

export interface GetMetadataResult {
  readonly clusterId: string;
  readonly brokers: readonly BrokerDescription[];
  readonly topics: readonly TopicMetadata[];
  readonly controller: BrokerId | undefined;
  readonly metadataVersion: LogIndex;
}

export interface GroupMemberDescription {
  readonly brokerId: BrokerId;
  readonly role: 'voter' | 'learner';
  readonly matchIndex: LogIndex;
  readonly isActive: boolean;
  readonly isRepairing: boolean;
}

export interface DescribeClusterResult {
  readonly clusterId: string;
  readonly brokers: readonly BrokerDescription[];
  readonly controller: BrokerId | undefined;
  readonly controllerTerm: Term | undefined;
  readonly metadataMembers: readonly GroupMemberDescription[];
  readonly metadataCommitIndex: LogIndex;
  readonly topics: number;
  readonly partitions: number;
}

export interface CreateTopicRequest {
  readonly topic: string;
  /** That the topic shall have; undefined: the broker draws one. */
  readonly topicId?: TopicId | undefined;
  /** Undefined: 1. */
  readonly partitions: number | undefined;
  /** Undefined: 3, or the number of brokers if that is less. */
  readonly replicationFactor: number | undefined;
  readonly config: ReadonlyMap<string, string>;
  readonly noWait: boolean;
  readonly timeoutMs: number | undefined;
}

export interface CreateTopicResult {
  readonly topicId: TopicId;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** What the settings put at risk, in words; absent: nothing that is acknowledged. */
  readonly risk?: string;
}

export interface AddPartitionsRequest {
  readonly topic: string;
  /** Only the topic with this id; undefined: whichever has the name. */
  readonly topicId?: TopicId | undefined;
  /** How many the topic is to have, old ones included. */
  readonly partitions: number;
  readonly noWait: boolean;
  readonly timeoutMs: number | undefined;
}

export interface AddPartitionsResult {
  readonly topicId: TopicId;
  /** How many the topic has now. */
  readonly partitions: number;
}

export interface DeleteTopicRequest {
  readonly topic: string;
  /** Only the topic with this id; undefined: whichever has the name. */
  readonly topicId?: TopicId | undefined;
  readonly timeoutMs: number | undefined;
}

export interface ReplicaDescription {
  readonly brokerId: BrokerId;
  readonly role: 'voter' | 'learner';
  readonly inSync: boolean;
  readonly matchIndex: LogIndex;
  readonly repairing: boolean;
}

/** What a partition's leader knows of it. */
export interface PartitionFacts {
  readonly leader: BrokerId;
  readonly leaderEpoch: Term;
  readonly replicas: readonly ReplicaDescription[];
  readonly logStartOffset: Offset;
  readonly highWatermark: Offset;
  readonly sizeBytes: number;
  /** How far its own replica is compacted. */
  readonly compactedTo: Offset;
}

export interface PartitionDescription {
  readonly partition: number;
  readonly groupId: RaftGroupId;
  /** Target replicas, whatever the leader says. */
  readonly targetReplicas: readonly BrokerId[];
  /** The error says why the leader could not be asked. */
  readonly facts: PartitionFacts | BrokerError;
}

export interface DescribeTopicResult {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly config: ReadonlyMap<string, string>;
  readonly effectiveConfig: ReadonlyMap<string, string>;
  readonly configVersion: LogIndex;
  readonly configHistory: readonly ConfigChange[];
  /** What an acknowledgement promises and what not, in words. */
  readonly durabilityPromise: string;
  readonly partitions: readonly PartitionDescription[];
}

export interface AlterTopicRequest {
  readonly topic: string;
  /** Only the topic with this id; undefined: whichever has the name. */
  readonly topicId?: TopicId | undefined;
  readonly set: ReadonlyMap<string, string>;
  readonly unset: readonly string[];
  /** Only if the settings still have this version; else STALE_CONFIG_VERSION. */
  readonly expectedVersion?: LogIndex | undefined;
}

/** What is set afterwards. */
export interface AlterTopicResult {
  readonly config: ReadonlyMap<string, string>;
  readonly configVersion: LogIndex;
  /** As of a topic just created. */
  readonly risk?: string;
}

export type OffsetAt =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  /** A record with the highest timestamp. */
  | { readonly kind: 'maxTimestamp' }
  | { readonly kind: 'timestamp'; readonly timestampMs: number }
  /** The first record at or after an offset: for its time. */
  | { readonly kind: 'record'; readonly offset: number };

export interface OffsetQuery extends TopicPartition {
  readonly at: OffsetAt;
}

export interface OffsetFound {
  /** -1: no record is that late. */
  readonly offset: number;
  /** -1 for earliest and latest. */
  readonly timestampMs: number;
  readonly leaderEpoch: Term;
}

export interface OffsetAnswer extends TopicPartition {
  readonly answer: OffsetFound | BrokerError;
}

export interface TrimPartitionRequest extends TopicPartition {
  /** Only the topic with this id; undefined: whichever has the name. */
  readonly topicId?: TopicId | undefined;
  /** -1: the high watermark. */
  readonly beforeOffset: number;
}

export interface InitProducerRequest {
  readonly producerId: number | undefined;
  readonly producerEpoch: number;
}

export interface InitProducerResult {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface OffsetCommit extends TopicPartition {
  readonly offset: number;
  readonly metadata: string;
}

export interface CommittedOffset extends TopicPartition {
  /** -1: none. */
  readonly offset: number;
  readonly metadata: string;
  readonly error: BrokerError | undefined;
  readonly commitTimeMs: number;
}

export interface TransferLeadershipRequest {
  /** Undefined: the metadata group. */
  readonly partition: TopicPartition | undefined;
  /** Undefined: the most caught-up replica. */
  readonly toBroker: BrokerId | undefined;
}

export interface MoveReplicasRequest extends TopicPartition {
  readonly replicas: readonly BrokerId[];
}

/** How long the caller waits, and for how long retries and forwarding may go on. */
export interface CallOptions {
  readonly deadlineMs: number;
}

/**
 * Everything of the Cluster service. Rejects with BrokerError; failures of one item of a list stand
 * in the answer. Any broker serves it: what changes the cluster goes to the metadata leader.
 */
export interface AdminService {
  getMetadata(request: GetMetadataRequest, options: CallOptions): Promise<GetMetadataResult>;
  describeCluster(options: CallOptions): Promise<DescribeClusterResult>;
  createTopic(request: CreateTopicRequest, options: CallOptions): Promise<CreateTopicResult>;
  deleteTopic(request: DeleteTopicRequest, options: CallOptions): Promise<void>;
  /** A topic never has fewer partitions than it had; asking for as many as there are is no error. */
  addPartitions(request: AddPartitionsRequest, options: CallOptions): Promise<AddPartitionsResult>;
  describeTopic(topic: string, options: CallOptions): Promise<DescribeTopicResult>;
  alterTopic(request: AlterTopicRequest, options: CallOptions): Promise<AlterTopicResult>;
  listOffsets(
    request: { readonly queries: readonly OffsetQuery[]; readonly linearizable: boolean },
    options: CallOptions,
  ): Promise<readonly OffsetAnswer[]>;
  /** Resolves with the new log start offset. */
  trimPartition(request: TrimPartitionRequest, options: CallOptions): Promise<Offset>;
  initProducer(request: InitProducerRequest, options: CallOptions): Promise<InitProducerResult>;
  commitOffsets(
    request: {
      readonly group: string;
      readonly offsets: readonly OffsetCommit[];
      /** Absent or empty: no member's. */
      readonly memberId?: string;
      readonly memberEpoch?: number;
      /** Rises from one commit of the member to its next; absent or 0: not told. */
      readonly sequence?: number;
    },
    options: CallOptions,
  ): Promise<readonly CommittedOffset[]>;
  /** No partitions: all of the group. */
  fetchOffsets(
    request: { readonly group: string; readonly partitions: readonly TopicPartition[] },
    options: CallOptions,
  ): Promise<readonly CommittedOffset[]>;
  transferLeadership(
    request: TransferLeadershipRequest,
    options: CallOptions,
  ): Promise<{ readonly leader: BrokerId; readonly leaderEpoch: Term }>;
  moveReplicas(request: MoveReplicasRequest, options: CallOptions): Promise<void>;
}
