import type {
  AddPartitionsRequest,
  AlterTopicRequest,
  BrokerDescription,
  CommittedOffset,
  CreateTopicRequest,
  DeleteTopicRequest,
  DescribeClusterResult,
  DescribeTopicResult,
  GetMetadataResult,
  MoveReplicasRequest,
  OffsetAnswer,
  OffsetAt,
  OffsetCommit,
  OffsetQuery,
  PartitionDescription,
  TopicMetadata,
  TransferLeadershipRequest,
  TrimPartitionRequest,
} from '../../broker/admin-types.js';
import { BrokerError } from '../../model/errors.js';
import { logIndex, type TopicPartition } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import {
  atMost,
  brokerIdIn,
  integerIn,
  invalid,
  nameIn,
  optionalInteger,
  topicIdIn,
  topicNameIn,
} from '../../rpc/convert.js';
import type { AddPartitionsRequest__Output } from '../../rpc/gen/millrace/broker/v1/AddPartitionsRequest.js';
import type { AlterTopicRequest__Output } from '../../rpc/gen/millrace/broker/v1/AlterTopicRequest.js';
import type { Broker } from '../../rpc/gen/millrace/broker/v1/Broker.js';
import type { CommitOffsetsRequest__Output } from '../../rpc/gen/millrace/broker/v1/CommitOffsetsRequest.js';
import type { CommittedOffset as WireCommittedOffset } from '../../rpc/gen/millrace/broker/v1/CommittedOffset.js';
import type { ConfigKeyChange } from '../../rpc/gen/millrace/broker/v1/ConfigKeyChange.js';
import type { CreateTopicRequest__Output } from '../../rpc/gen/millrace/broker/v1/CreateTopicRequest.js';
import type { DeleteTopicRequest__Output } from '../../rpc/gen/millrace/broker/v1/DeleteTopicRequest.js';
import type { DescribeClusterResponse } from '../../rpc/gen/millrace/broker/v1/DescribeClusterResponse.js';
import type { DescribeTopicResponse } from '../../rpc/gen/millrace/broker/v1/DescribeTopicResponse.js';
import type { FetchOffsetsRequest__Output } from '../../rpc/gen/millrace/broker/v1/FetchOffsetsRequest.js';
import type { GetMetadataResponse } from '../../rpc/gen/millrace/broker/v1/GetMetadataResponse.js';
import type { ListOffsetsRequest__Output } from '../../rpc/gen/millrace/broker/v1/ListOffsetsRequest.js';
import type { MoveReplicasRequest__Output } from '../../rpc/gen/millrace/broker/v1/MoveReplicasRequest.js';
import type { OffsetAnswer as WireOffsetAnswer } from '../../rpc/gen/millrace/broker/v1/OffsetAnswer.js';
import type { OffsetQuery__Output } from '../../rpc/gen/millrace/broker/v1/OffsetQuery.js';
import type { PartitionDescription as WirePartitionDescription } from '../../rpc/gen/millrace/broker/v1/PartitionDescription.js';
import type { TopicMetadata as WireTopicMetadata } from '../../rpc/gen/millrace/broker/v1/TopicMetadata.js';
import type { TransferLeadershipRequest__Output } from '../../rpc/gen/millrace/broker/v1/TransferLeadershipRequest.js';
import type { TrimPartitionRequest__Output } from '../../rpc/gen/millrace/broker/v1/TrimPartitionRequest.js';
import { errorToWire } from '../../rpc/status.js';

const CONFIG_KEYS_MAX = 1_000;
const QUERIES_MAX = LIMITS.offsetCommitsPerRequestMax;

// ---- Requests ----

export function createTopicFrom(wire: CreateTopicRequest__Output): CreateTopicRequest {
  return {
    // The metadata leader judges names and numbers, with codes of their own.
    topic: wire.topic,
    topicId: topicIdIn(wire.topicId, 'topic_id'),
    partitions: wire.partitions === 0 ? undefined : wire.partitions,
    replicationFactor: wire.replicationFactor === 0 ? undefined : wire.replicationFactor,
    config: mapFrom(wire.config, 'config'),
    noWait: wire.noWait,
    timeoutMs: timeoutFrom(wire.timeoutMs),
  };
}

function timeoutFrom(timeoutMs: number): number | undefined {
  return optionalInteger(timeoutMs, 'timeout_ms', LIMITS.requestDeadlineMsMax);
}

export function deleteTopicFrom(wire: DeleteTopicRequest__Output): DeleteTopicRequest {
  return {
    topic: topicNameIn(wire.topic),
    topicId: topicIdIn(wire.topicId, 'topic_id'),
    timeoutMs: timeoutFrom(wire.timeoutMs),
  };
}

export function trimPartitionFrom(wire: TrimPartitionRequest__Output): TrimPartitionRequest {
  return {
    ...partitionFrom(wire),
    topicId: topicIdIn(wire.topicId, 'topic_id'),
    beforeOffset: integerIn(wire.beforeOffset, 'before_offset', -1),
  };
}

export function addPartitionsFrom(wire: AddPartitionsRequest__Output): AddPartitionsRequest {
  return {
    topic: topicNameIn(wire.topic),
    topicId: topicIdIn(wire.topicId, 'topic_id'),
    partitions: wire.partitions,
    noWait: wire.noWait,
    timeoutMs: timeoutFrom(wire.timeoutMs),
  };
}

export function alterTopicFrom(wire: AlterTopicRequest__Output): AlterTopicRequest {
  return {
    topic: topicNameIn(wire.topic),
    topicId: topicIdIn(wire.topicId, 'topic_id'),
    set: mapFrom(wire.set, 'set'),
    unset: atMost(wire.unset, 'unset', CONFIG_KEYS_MAX),
    expectedVersion:
      wire.expectedVersion === undefined
        ? undefined
        : logIndex(integerIn(wire.expectedVersion, 'expected_version', 0)),
  };
}

function mapFrom(
  wire: Readonly<Record<string, string>>,
  field: string,
): ReadonlyMap<string, string> {
  return new Map(atMost(Object.entries(wire), field, CONFIG_KEYS_MAX));
}

export function partitionFrom(wire: {
  readonly topic: string;
  readonly partition: number;
}): TopicPartition {
  return { topic: topicNameIn(wire.topic), partition: wire.partition };
}

export function offsetQueriesFrom(wire: ListOffsetsRequest__Output): readonly OffsetQuery[] {
  const queries = atMost(wire.queries, 'queries', QUERIES_MAX);
  return queries.map((query, i) => ({ ...partitionFrom(query), at: offsetAtFrom(query, i) }));
}

function offsetAtFrom(query: OffsetQuery__Output, i: number): OffsetAt {
  if (query.at === 'earliest' && query.earliest === true) return { kind: 'earliest' };
  if (query.at === 'latest' && query.latest === true) return { kind: 'latest' };
  if (query.at === 'maxTimestamp' && query.maxTimestamp === true) return { kind: 'maxTimestamp' };
  if (query.at === 'timestampMs' && query.timestampMs !== undefined) {
    const field = `queries[${i}].timestamp_ms`;
    const timestampMs = integerIn(query.timestampMs, field, Number.MIN_SAFE_INTEGER);
    return { kind: 'timestamp', timestampMs };
  }
  throw invalid(
    `queries[${i}].at`,
    'none of timestamp_ms, earliest, latest and max_timestamp is set',
  );
}

export function groupFrom(wire: { readonly group: string }): string {
  return nameIn(wire.group, 'group', LIMITS.groupNameLengthMax);
}

export function offsetCommitsFrom(wire: CommitOffsetsRequest__Output): readonly OffsetCommit[] {
  const offsets = atMost(wire.offsets, 'offsets', LIMITS.offsetCommitsPerRequestMax);
  return offsets.map((commit, i) => ({
    ...partitionFrom(commit),
    offset: integerIn(commit.offset, `offsets[${i}].offset`, 0),
    metadata: commit.metadata,
  }));
}

export function offsetKeysFrom(wire: FetchOffsetsRequest__Output): readonly TopicPartition[] {
  return atMost(wire.partitions, 'partitions', QUERIES_MAX).map(partitionFrom);
}

export function transferFrom(wire: TransferLeadershipRequest__Output): TransferLeadershipRequest {
  return {
    partition: wire.metadataGroup ? undefined : partitionFrom(wire),
    toBroker: wire.toBroker === 0 ? undefined : brokerIdIn(wire.toBroker, 'to_broker'),
  };
}

export function moveFrom(wire: MoveReplicasRequest__Output): MoveReplicasRequest {
  const replicas = atMost(wire.replicas, 'replicas', LIMITS.replicationFactorMax);
  return { ...partitionFrom(wire), replicas: replicas.map((id) => brokerIdIn(id, 'replicas')) };
}

// ---- Answers ----

export function metadataToWire(result: GetMetadataResult): GetMetadataResponse {
  return {
    clusterId: result.clusterId,
    brokers: result.brokers.map(brokerToWire),
    topics: result.topics.map(topicToWire),
    controller: result.controller ?? 0,
    metadataVersion: result.metadataVersion,
  };
}

function brokerToWire({ id, address, rack, isFenced }: BrokerDescription): Broker {
  return { id, ...address, rack, fenced: isFenced };
}

function topicToWire(topic: TopicMetadata): WireTopicMetadata {
  if (topic.error !== undefined) return { topic: topic.topic, error: errorToWire(topic.error) };
  return {
    topic: topic.topic,
    topicId: topic.topicId,
    partitions: topic.partitions.map(({ partition, replicas, leader, leaderEpoch }) => ({
      partition,
      replicas: [...replicas],
      leader: leader ?? 0,
      leaderEpoch: leaderEpoch ?? 0,
    })),
    config: Object.fromEntries(topic.config),
    configVersion: topic.configVersion,
  };
}

export function clusterToWire(result: DescribeClusterResult): DescribeClusterResponse {
  return {
    clusterId: result.clusterId,
    brokers: result.brokers.map(brokerToWire),
    controller: result.controller ?? 0,
    controllerTerm: result.controllerTerm ?? 0,
    metadataMembers: result.metadataMembers.map((member) => ({
      brokerId: member.brokerId,
      role: member.role,
      matchIndex: member.matchIndex,
      active: member.isActive,
      repairing: member.isRepairing,
    })),
    metadataCommitIndex: result.metadataCommitIndex,
    topics: result.topics,
    partitions: result.partitions,
  };
}

export function topicDescriptionToWire(result: DescribeTopicResult): DescribeTopicResponse {
  return {
    topic: result.topic,
    topicId: result.topicId,
    config: Object.fromEntries(result.config),
    effectiveConfig: Object.fromEntries(result.effectiveConfig),
    durabilityPromise: result.durabilityPromise,
    partitions: result.partitions.map(partitionToWire),
    configVersion: result.configVersion,
    configHistory: result.configHistory.map(({ version, previous, timeMs, keys }) => ({
      version,
      previousVersion: previous,
      timeMs,
      keys: keys.map(keyChangeToWire),
    })),
  };
}

function keyChangeToWire({
  key,
  before,
  after,
}: DescribeTopicResult['configHistory'][number]['keys'][number]): ConfigKeyChange {
  return {
    key,
    ...(before === undefined ? undefined : { before }),
    ...(after === undefined ? undefined : { after }),
  };
}

function partitionToWire(description: PartitionDescription): WirePartitionDescription {
  const { partition, groupId, targetReplicas, facts } = description;
  if (facts instanceof BrokerError) {
    return {
      partition,
      raftGroup: groupId,
      error: errorToWire(facts),
      replicas: targetReplicas.map((brokerId) => ({ brokerId })),
    };
  }
  return {
    partition,
    raftGroup: groupId,
    leader: facts.leader,
    leaderEpoch: facts.leaderEpoch,
    replicas: facts.replicas.map((replica) => ({ ...replica })),
    logStartOffset: facts.logStartOffset,
    highWatermark: facts.highWatermark,
    sizeBytes: facts.sizeBytes,
    compactedTo: facts.compactedTo,
  };
}

export function offsetAnswerToWire({ topic, partition, answer }: OffsetAnswer): WireOffsetAnswer {
  if (answer instanceof BrokerError) {
    return { topic, partition, error: errorToWire(answer), offset: -1, timestampMs: -1 };
  }
  return { topic, partition, ...answer };
}

export function committedToWire(committed: CommittedOffset): WireCommittedOffset {
  const { error, ...fields } = committed;
  return { ...fields, error: error === undefined ? null : errorToWire(error) };
}
