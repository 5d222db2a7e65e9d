import type { BrokerConnection } from '../rpc/channel.js';
import type { CommittedOffset__Output } from '../rpc/gen/millrace/broker/v1/CommittedOffset.js';
import type { Broker__Output } from '../rpc/gen/millrace/broker/v1/Broker.js';
import type { DescribeClusterResponse__Output } from '../rpc/gen/millrace/broker/v1/DescribeClusterResponse.js';
import type { AlterTopicResponse__Output } from '../rpc/gen/millrace/broker/v1/AlterTopicResponse.js';
import type { CreateTopicResponse__Output } from '../rpc/gen/millrace/broker/v1/CreateTopicResponse.js';
import type { DescribeTopicResponse__Output } from '../rpc/gen/millrace/broker/v1/DescribeTopicResponse.js';
import type { GetMetadataResponse__Output } from '../rpc/gen/millrace/broker/v1/GetMetadataResponse.js';
import type { OffsetQuery as WireOffsetQuery } from '../rpc/gen/millrace/broker/v1/OffsetQuery.js';
import type { PartitionDescription__Output } from '../rpc/gen/millrace/broker/v1/PartitionDescription.js';
import type { TopicMetadata__Output } from '../rpc/gen/millrace/broker/v1/TopicMetadata.js';
import type { Error__Output } from '../rpc/gen/millrace/common/v1/Error.js';
import { GROUP_CALLS } from './group-codec.js';
import type {
  BrokerInfo,
  ClusterDescription,
  ClusterMethods,
  CommittedOffset,
  Metadata,
  OffsetQuery,
  PartitionDescription,
  TopicDescription,
  TopicInfo,
  TopicPartition,
} from './types.js';
import { int64, maybe, maybeError, safe, uint32, type UnaryRunner } from './wire.js';

type Method = keyof ClusterMethods;
type Request<M extends Method> = ClusterMethods[M]['request'];
type Answer<M extends Method> = ClusterMethods[M]['answer'];

/** What each method does on the wire, and whether a lost answer leaves its effect in doubt. */
export type ClusterCallTable = {
  readonly [M in Method]: {
    readonly isWrite: boolean;
    call(
      connection: BrokerConnection,
      request: Request<M>,
      runner: UnaryRunner,
    ): Promise<Answer<M>>;
  };
};

export const CLUSTER_CALLS: ClusterCallTable = {
  ...GROUP_CALLS,
  getMetadata: {
    isWrite: false,
    call: async ({ cluster }, { topics, linearizable }, runner) =>
      metadataOf(
        await runner.run((deadline, done) =>
          cluster.getMetadata({ topics: [...topics], linearizable }, { deadline }, done),
        ),
      ),
  },
  describeCluster: {
    isWrite: false,
    call: async ({ cluster }, _request, runner) =>
      clusterOf(
        await runner.run((deadline, done) => cluster.describeCluster({}, { deadline }, done)),
      ),
  },
  createTopic: {
    isWrite: true,
    call: async ({ cluster }, request, runner) => {
      const wire = {
        topic: request.topic,
        topicId: request.topicId,
        partitions: uint32(request.partitions ?? 0, 'partitions'),
        replicationFactor: uint32(request.replicationFactor ?? 0, 'replicationFactor'),
        config: { ...request.config },
        noWait: request.wait === false,
        timeoutMs: uint32(request.timeoutMs, 'timeoutMs'),
      };
      const created = await runner.run<CreateTopicResponse__Output>((deadline, done) =>
        cluster.createTopic(wire, { deadline }, done),
      );
      return withRisk(created);
    },
  },
  deleteTopic: {
    isWrite: true,
    call: async ({ cluster }, { topic, topicId, timeoutMs }, runner) => {
      const wire = { topic, topicId, timeoutMs: uint32(timeoutMs, 'timeoutMs') };
      return await runner.run((deadline, done) => cluster.deleteTopic(wire, { deadline }, done));
    },
  },
  addPartitions: {
    isWrite: true,
    call: async ({ cluster }, request, runner) => {
      const wire = {
        topic: request.topic,
        topicId: request.topicId,
        partitions: uint32(request.partitions, 'partitions'),
        noWait: request.wait === false,
        timeoutMs: uint32(request.timeoutMs, 'timeoutMs'),
      };
      return await runner.run((deadline, done) => cluster.addPartitions(wire, { deadline }, done));
    },
  },
  describeTopic: {
    isWrite: false,
    call: async ({ cluster }, { topic }, runner) =>
      topicOf(
        await runner.run((deadline, done) => cluster.describeTopic({ topic }, { deadline }, done)),
      ),
  },
  alterTopic: {
    isWrite: true,
    call: async ({ cluster }, { topic, topicId, set, unset, expectedVersion: at }, runner) => {
      const expected = at === undefined ? {} : { expectedVersion: int64(at, 'expectedVersion') };
      const wire = { topic, topicId, set: { ...set }, unset: [...(unset ?? [])], ...expected };
      const altered = await runner.run<AlterTopicResponse__Output>((deadline, done) =>
        cluster.alterTopic(wire, { deadline }, done),
      );
      return withRisk(altered);
    },
  },
  listOffsets: {
    isWrite: false,
    call: async ({ cluster }, { queries, linearizable }, runner) => {
      const wire = { queries: queries.map(queryOf), linearizable };
      const { answers } = await runner.run<{ answers: OffsetAnswerWire[] }>((deadline, done) =>
        cluster.listOffsets(wire, { deadline }, done),
      );
      return answers.map((a) => ({
        topic: a.topic,
        partition: a.partition,
        error: maybeError(a.error),
        offset: maybe(a.offset),
        timestampMs: maybe(a.timestampMs),
        leaderEpoch: a.leaderEpoch,
      }));
    },
  },
  trimPartition: {
    isWrite: true,
    call: async ({ cluster }, request, runner) => {
      const beforeOffset = int64(request.beforeOffset, 'beforeOffset');
      const wire = { ...placeOf(request), topicId: request.topicId, beforeOffset };
      const answer = await runner.run<{ logStartOffset: number }>((deadline, done) =>
        cluster.trimPartition(wire, { deadline }, done),
      );
      return safe(answer.logStartOffset);
    },
  },
  initProducer: {
    isWrite: true,
    call: async ({ cluster }, { producerId, producerEpoch }, runner) => {
      const wire = producerId === undefined ? {} : { producerId, producerEpoch };
      const answer = await runner.run<{ producerId: number; producerEpoch: number }>(
        (deadline, done) => cluster.initProducer(wire, { deadline }, done),
      );
      return { producerId: safe(answer.producerId), producerEpoch: answer.producerEpoch };
    },
  },
  commitOffsets: {
    isWrite: true,
    call: async ({ cluster }, { group, offsets, member, commitSequence = 0 }, runner) => {
      const wire = {
        group,
        offsets: offsets.map((o) => ({
          ...o,
          ...placeOf(o),
          offset: int64(o.offset, 'offset'),
          metadata: o.metadata ?? '',
        })),
        ...member,
        commitSequence,
      };
      const answer = await runner.run<{ offsets: CommittedOffset__Output[] }>((deadline, done) =>
        cluster.commitOffsets(wire, { deadline }, done),
      );
      return answer.offsets.map(committedOf);
    },
  },
  fetchOffsets: {
    isWrite: false,
    call: async ({ cluster }, { group, partitions }, runner) => {
      const wire = { group, partitions: partitions.map(placeOf) };
      const answer = await runner.run<{ offsets: CommittedOffset__Output[] }>((deadline, done) =>
        cluster.fetchOffsets(wire, { deadline }, done),
      );
      return answer.offsets.map(committedOf);
    },
  },
  transferLeadership: {
    isWrite: true,
    call: async ({ cluster }, { partition, toBroker }, runner) => {
      const wire = {
        topic: partition?.topic ?? '',
        partition: uint32(partition?.partition ?? 0, 'partition'),
        toBroker: uint32(toBroker ?? 0, 'toBroker'),
        metadataGroup: partition === undefined,
      };
      return await runner.run((deadline, done) =>
        cluster.transferLeadership(wire, { deadline }, done),
      );
    },
  },
  moveReplicas: {
    isWrite: true,
    call: async ({ cluster }, { topic, partition, replicas }, runner) => {
      const ids = replicas.map((id) => uint32(id, 'replicas'));
      const wire = { ...placeOf({ topic, partition }), replicas: ids };
      return await runner.run((deadline, done) => cluster.moveReplicas(wire, { deadline }, done));
    },
  },
};

interface OffsetAnswerWire {
  readonly topic: string;
  readonly partition: number;
  readonly error: Error__Output | null;
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

function idOf(id: number): number | undefined {
  return id === 0 ? undefined : id;
}

function brokerOf(wire: Broker__Output): BrokerInfo {
  return {
    id: wire.id,
    host: wire.host,
    port: wire.port,
    rack: wire.rack,
    isFenced: wire.fenced,
    peerHost: wire.peerHost,
    peerPort: wire.peerPort,
    httpPort: wire.httpPort,
  };
}

function metadataOf(wire: GetMetadataResponse__Output): Metadata {
  return {
    clusterId: wire.clusterId,
    brokers: wire.brokers.map(brokerOf),
    topics: wire.topics.map(topicInfoOf),
    controller: idOf(wire.controller),
    metadataVersion: wire.metadataVersion,
  };
}

function topicInfoOf(wire: TopicMetadata__Output): TopicInfo {
  const partitions = wire.partitions.map((p) => ({
    partition: p.partition,
    replicas: p.replicas,
    leader: idOf(p.leader),
    leaderEpoch: p.leaderEpoch,
  }));
  partitions.sort((a, b) => a.partition - b.partition);
  return {
    topic: wire.topic,
    topicId: wire.topicId,
    partitions,
    config: wire.config,
    configVersion: wire.configVersion,
    error: maybeError(wire.error),
  };
}

function clusterOf(wire: DescribeClusterResponse__Output): ClusterDescription {
  return {
    clusterId: wire.clusterId,
    brokers: wire.brokers.map(brokerOf),
    controller: idOf(wire.controller),
    controllerTerm: wire.controllerTerm,
    metadataMembers: wire.metadataMembers.map((m) => ({
      brokerId: m.brokerId,
      role: m.role,
      matchIndex: m.matchIndex,
      isActive: m.active,
      isRepairing: m.repairing,
    })),
    metadataCommitIndex: wire.metadataCommitIndex,
    topics: wire.topics,
    partitions: wire.partitions,
  };
}

/** Where nothing is at risk, there is no word of it. */
function withRisk<T extends { readonly risk: string }>(
  wire: T,
): Omit<T, 'risk'> & { readonly risk?: string } {
  const { risk, ...rest } = wire;
  return risk === '' ? rest : { ...rest, risk };
}

function topicOf(wire: DescribeTopicResponse__Output): TopicDescription {
  return {
    topic: wire.topic,
    topicId: wire.topicId,
    config: wire.config,
    effectiveConfig: wire.effectiveConfig,
    durabilityPromise: wire.durabilityPromise,
    configVersion: wire.configVersion,
    configHistory: wire.configHistory.map(({ version, previousVersion, timeMs, keys }) => ({
      ...{ version, previousVersion, timeMs },
      keys: keys.map(({ key, before, after }) => ({ key, before, after })),
    })),
    partitions: wire.partitions.map(partitionOf).sort((a, b) => a.partition - b.partition),
  };
}

function partitionOf(wire: PartitionDescription__Output): PartitionDescription {
  return {
    partition: wire.partition,
    error: maybeError(wire.error),
    leader: idOf(wire.leader),
    leaderEpoch: wire.leaderEpoch,
    replicas: wire.replicas.map((r) => ({
      brokerId: r.brokerId,
      role: r.role,
      inSync: r.inSync,
      matchIndex: r.matchIndex,
      isRepairing: r.repairing,
    })),
    logStartOffset: safe(wire.logStartOffset),
    highWatermark: safe(wire.highWatermark),
    sizeBytes: safe(wire.sizeBytes),
    compactedTo: safe(wire.compactedTo),
    raftGroup: wire.raftGroup,
  };
}

function placeOf({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition: uint32(partition, 'partition') };
}

function queryOf({ at, ...place }: OffsetQuery): WireOffsetQuery {
  if (at === 'earliest') return { ...placeOf(place), earliest: true };
  if (at === 'latest') return { ...placeOf(place), latest: true };
  if (at === 'maxTimestamp') return { ...placeOf(place), maxTimestamp: true };
  return { ...placeOf(place), timestampMs: int64(at.timestampMs, 'timestampMs') };
}

function committedOf(wire: CommittedOffset__Output): CommittedOffset {
  return {
    topic: wire.topic,
    partition: wire.partition,
    offset: maybe(wire.offset),
    metadata: wire.metadata,
    commitTimeMs: wire.commitTimeMs,
    error: maybeError(wire.error),
  };
}
