import type { BrokerConnection } from '../rpc/channel.js';
import type { DescribeGroupResponse__Output } from '../rpc/gen/millrace/broker/v1/DescribeGroupResponse.js';
import type { GroupMemberDescription__Output } from '../rpc/gen/millrace/broker/v1/GroupMemberDescription.js';
import type { GroupPartition__Output } from '../rpc/gen/millrace/broker/v1/GroupPartition.js';
import type { GroupState__Output } from '../rpc/gen/millrace/broker/v1/GroupState.js';
import type { GroupSummary__Output } from '../rpc/gen/millrace/broker/v1/GroupSummary.js';
import type { ParticipateRequest } from '../rpc/gen/millrace/broker/v1/ParticipateRequest.js';
import type { ParticipateResponse__Output } from '../rpc/gen/millrace/broker/v1/ParticipateResponse.js';
import type { ResetGroupOffsetsRequest } from '../rpc/gen/millrace/broker/v1/ResetGroupOffsetsRequest.js';
import type { ResetOffset__Output } from '../rpc/gen/millrace/broker/v1/ResetOffset.js';
import type { TopicPartitions as WireTopic } from '../rpc/gen/millrace/broker/v1/TopicPartitions.js';
import type { TopicPartitions__Output } from '../rpc/gen/millrace/broker/v1/TopicPartitions.js';
import type {
  GroupDescription,
  GroupMemberDescription,
  GroupMethods,
  GroupPartition,
  GroupState,
  MemberRequest,
  MemberResponse,
  ResetOffset,
  ResetTo,
  TopicPartitions,
  TopicSelection,
} from './group-types.js';
import { maybe, maybeError, safe, uint32, type UnaryRunner } from './wire.js';

type Method = keyof GroupMethods;

/** What each method of the Groups service does on the wire. */
export type GroupCallTable = {
  readonly [M in Method]: {
    readonly isWrite: boolean;
    call(
      connection: BrokerConnection,
      request: GroupMethods[M]['request'],
      runner: UnaryRunner,
    ): Promise<GroupMethods[M]['answer']>;
  };
};

export const GROUP_CALLS: GroupCallTable = {
  listGroups: {
    isWrite: false,
    call: async ({ groups }, { prefix, after }, runner) => {
      const answer = await runner.run<{ groups: GroupSummary__Output[]; hasMore: boolean }>(
        (deadline, done) => groups.listGroups({ prefix, after }, { deadline }, done),
      );
      const summaries = answer.groups.map((g) => ({ ...g, state: stateOf(g.state) }));
      return { groups: summaries, hasMore: answer.hasMore };
    },
  },
  describeGroup: {
    isWrite: false,
    call: async ({ groups }, { group, withLag }, runner) =>
      groupOf(
        await runner.run((deadline, done) =>
          groups.describeGroup({ group, noLag: !withLag }, { deadline }, done),
        ),
      ),
  },
  deleteGroup: {
    isWrite: true,
    call: async ({ groups }, { group }, runner) =>
      await runner.run((deadline, done) => groups.deleteGroup({ group }, { deadline }, done)),
  },
  deleteGroupOffsets: {
    isWrite: true,
    call: async ({ groups }, { group, topics }, runner) => {
      const wire = { group, topics: topics.map(selectionOf) };
      const answer = await runner.run<{ deleted: TopicPartitions__Output[] }>((deadline, done) =>
        groups.deleteGroupOffsets(wire, { deadline }, done),
      );
      return answer.deleted;
    },
  },
  resetGroupOffsets: {
    isWrite: true,
    call: async ({ groups }, { group, topics, to, isDryRun }, runner) => {
      const wire = { group, topics: topics.map(selectionOf), ...targetOf(to), dryRun: isDryRun };
      const answer = await runner.run<{ offsets: ResetOffset__Output[] }>((deadline, done) =>
        groups.resetGroupOffsets(wire, { deadline }, done),
      );
      return answer.offsets.map(resetOf);
    },
  },
};

export function memberRequestToWire(request: MemberRequest): ParticipateRequest {
  const { sequence } = request;
  switch (request.kind) {
    case 'join': {
      const { subscription, owned, ...fields } = request;
      const join = {
        ...fields,
        owned: { topics: owned.map(topicToWire) },
        subscription: { topics: [...subscription.topics], pattern: subscription.pattern },
      };
      return { sequence, join };
    }
    case 'heartbeat': {
      const { memberEpoch, assignmentVersion, owned } = request;
      const list = owned === undefined ? null : { topics: owned.map(topicToWire) };
      return { sequence, heartbeat: { memberEpoch, assignmentVersion, owned: list } };
    }
    case 'leave':
      return { sequence, leave: { temporary: request.isTemporary } };
  }
}

export function memberResponseOf(wire: ParticipateResponse__Output): MemberResponse {
  const { assignment } = wire;
  return {
    sequence: safe(wire.sequence),
    memberId: wire.memberId,
    memberEpoch: wire.memberEpoch,
    heartbeatIntervalMs: wire.heartbeatIntervalMs,
    assignment:
      assignment === null ? undefined : { ...assignment, version: safe(assignment.version) },
  };
}

function topicToWire({ topic, topicId, partitions }: TopicPartitions): WireTopic {
  return { topic, topicId, partitions: [...partitions] };
}

function selectionOf({ topic, partitions = [] }: TopicSelection): WireTopic {
  return { topic, partitions: partitions.map((p) => uint32(p, 'partition')) };
}

function targetOf(to: ResetTo): ResetGroupOffsetsRequest {
  if (to === 'beginning') return { earliest: true };
  if (to === 'end') return { latest: true };
  return { ...to };
}

const STATES: Readonly<Record<GroupState__Output, GroupState>> = {
  GROUP_STATE_UNSPECIFIED: 'unknown',
  GROUP_STATE_EMPTY: 'empty',
  GROUP_STATE_ASSIGNING: 'assigning',
  GROUP_STATE_RECONCILING: 'reconciling',
  GROUP_STATE_STABLE: 'stable',
};

/** A state of a newer broker's is not known here. */
function stateOf(wire: GroupState__Output): GroupState {
  return Object.hasOwn(STATES, wire) ? STATES[wire] : 'unknown';
}

function groupOf(wire: DescribeGroupResponse__Output): GroupDescription {
  return {
    group: wire.group,
    state: stateOf(wire.state),
    groupEpoch: wire.groupEpoch,
    assignmentEpoch: wire.assignmentEpoch,
    assignor: wire.assignor,
    members: wire.members.map(memberOf),
    partitions: wire.partitions.map(partitionOf),
    lastCommitTimeMs: wire.lastCommitTimeMs === 0 ? undefined : safe(wire.lastCommitTimeMs),
    coordinator: wire.coordinator === 0 ? undefined : wire.coordinator,
  };
}

function memberOf({
  connected,
  away,
  subscription,
  ...rest
}: GroupMemberDescription__Output): GroupMemberDescription {
  const { topics = [], pattern = '' } = subscription ?? {};
  return { ...rest, subscription: { topics, pattern }, isConnected: connected, isAway: away };
}

function partitionOf(wire: GroupPartition__Output): GroupPartition {
  return {
    topic: wire.topic,
    topicId: wire.topicId,
    partition: wire.partition,
    committedOffset: maybe(wire.committedOffset),
    metadata: wire.metadata,
    commitTimeMs: wire.commitTimeMs === 0 ? undefined : safe(wire.commitTimeMs),
    logStartOffset: maybe(wire.logStartOffset),
    highWatermark: maybe(wire.highWatermark),
    lagRecords: maybe(wire.lagRecords),
    lagMs: maybe(wire.lagMs),
    memberId: wire.memberId === '' ? undefined : wire.memberId,
    error: maybeError(wire.error),
  };
}

function resetOf(wire: ResetOffset__Output): ResetOffset {
  return {
    topic: wire.topic,
    partition: wire.partition,
    previousOffset: maybe(wire.previousOffset),
    offset: maybe(wire.offset),
    error: maybeError(wire.error),
  };
}
