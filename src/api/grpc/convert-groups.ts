import type {
  GroupDescription,
  GroupHeartbeatRequest,
  GroupPartition,
  GroupSummary,
  JoinGroupRequest,
  ListGroupsRequest,
  MemberAssignment,
  MemberDescription,
  ParticipateRequest,
  ParticipateResponse,
  ResetGroupOffsetsRequest,
  ResetOffset,
  SubscriptionSpec,
  TopicSlots,
} from '../../broker/group-types.js';
import { BrokerError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { atMost, integerIn, invalid, optionalInteger, topicIdIn } from '../../rpc/convert.js';
import type { DescribeGroupResponse } from '../../rpc/gen/millrace/broker/v1/DescribeGroupResponse.js';
import type { GroupHeartbeat__Output } from '../../rpc/gen/millrace/broker/v1/GroupHeartbeat.js';
import type { GroupMemberDescription } from '../../rpc/gen/millrace/broker/v1/GroupMemberDescription.js';
import type { GroupPartition as WireGroupPartition } from '../../rpc/gen/millrace/broker/v1/GroupPartition.js';
import type { GroupSummary as WireGroupSummary } from '../../rpc/gen/millrace/broker/v1/GroupSummary.js';
import type { JoinGroup__Output } from '../../rpc/gen/millrace/broker/v1/JoinGroup.js';
import type { ListGroupsRequest__Output } from '../../rpc/gen/millrace/broker/v1/ListGroupsRequest.js';
import type { MemberAssignment as WireMemberAssignment } from '../../rpc/gen/millrace/broker/v1/MemberAssignment.js';
import type { ParticipateRequest__Output } from '../../rpc/gen/millrace/broker/v1/ParticipateRequest.js';
import type { ParticipateResponse as WireParticipateResponse } from '../../rpc/gen/millrace/broker/v1/ParticipateResponse.js';
import type { ResetGroupOffsetsRequest__Output } from '../../rpc/gen/millrace/broker/v1/ResetGroupOffsetsRequest.js';
import type { ResetOffset as WireResetOffset } from '../../rpc/gen/millrace/broker/v1/ResetOffset.js';
import type { Subscription__Output } from '../../rpc/gen/millrace/broker/v1/Subscription.js';
import type {
  TopicPartitions,
  TopicPartitions__Output,
} from '../../rpc/gen/millrace/broker/v1/TopicPartitions.js';
import { errorToWire } from '../../rpc/status.js';
import { groupFrom } from './convert-cluster.js';

const TOPICS_MAX = LIMITS.offsetCommitsPerRequestMax;
const GROUPS_DEFAULT = 1_000;
const GROUPS_MAX = 10_000;
const EPOCH_MAX = 0xffff_ffff;

// ---- Requests ----

export function participateFrom(wire: ParticipateRequest__Output): ParticipateRequest {
  const sequence = integerIn(wire.sequence, 'sequence', 1);
  if (wire.request === 'join' && wire.join) return joinFrom(wire.join, sequence);
  if (wire.request === 'heartbeat' && wire.heartbeat) {
    return heartbeatFrom(wire.heartbeat, sequence);
  }
  if (wire.request === 'leave' && wire.leave) {
    return { kind: 'leave', sequence, isTemporary: wire.leave.temporary };
  }
  throw invalid('request', 'none of join, heartbeat and leave is set');
}

function joinFrom(wire: JoinGroup__Output, sequence: number): JoinGroupRequest {
  return {
    kind: 'join',
    sequence,
    group: groupFrom(wire),
    memberId: wire.memberId,
    memberEpoch: integerIn(wire.memberEpoch, 'member_epoch', 0, EPOCH_MAX),
    owned: topicSlotsFrom(wire.owned?.topics ?? [], 'owned'),
    instanceId: wire.instanceId,
    rack: wire.rack,
    clientId: wire.clientId,
    subscription: subscriptionFrom(wire.subscription),
    assignor: wire.assignor,
    sessionTimeoutMs: timeoutIn(wire.sessionTimeoutMs, 'session_timeout_ms'),
    rebalanceTimeoutMs: timeoutIn(wire.rebalanceTimeoutMs, 'rebalance_timeout_ms'),
  };
}

function heartbeatFrom(wire: GroupHeartbeat__Output, sequence: number): GroupHeartbeatRequest {
  return {
    kind: 'heartbeat',
    sequence,
    memberEpoch: integerIn(wire.memberEpoch, 'member_epoch', 0, EPOCH_MAX),
    assignmentVersion: integerIn(wire.assignmentVersion, 'assignment_version', 0),
    owned: wire.owned === null ? undefined : topicSlotsFrom(wire.owned.topics, 'owned'),
    subscription: wire.subscription === null ? undefined : subscriptionFrom(wire.subscription),
    assignor: wire.assignor,
    rack: wire.rack,
  };
}

/** The metadata leader judges what is in it. */
function subscriptionFrom(wire: Subscription__Output | null): SubscriptionSpec {
  return { topics: wire?.topics ?? [], pattern: wire?.pattern ?? '' };
}

function timeoutIn(timeoutMs: number, field: string): number | undefined {
  return optionalInteger(timeoutMs, field, LIMITS.groupTimeoutMsMax);
}

export function topicSlotsFrom(
  wire: readonly TopicPartitions__Output[],
  field: string,
  { atLeastOne = false } = {},
): readonly TopicSlots[] {
  if (atLeastOne && wire.length === 0) throw invalid(field, 'is empty');
  let partitions = 0;
  return atMost(wire, field, TOPICS_MAX).map((one, i) => {
    const topicId = topicIdIn(one.topicId, `${field}[${i}].topic_id`);
    if (one.topic === '' && topicId === undefined) {
      throw invalid(`${field}[${i}]`, 'names no topic');
    }
    partitions += one.partitions.length;
    if (partitions > TOPICS_MAX) throw invalid(field, `more than ${TOPICS_MAX} partitions`);
    return { topic: one.topic, topicId, partitions: one.partitions };
  });
}

export function listGroupsFrom(wire: ListGroupsRequest__Output): ListGroupsRequest {
  const limit = optionalInteger(wire.limit, 'limit', GROUPS_MAX) ?? GROUPS_DEFAULT;
  return { prefix: wire.prefix, after: wire.after, limit };
}

export function resetFrom(wire: ResetGroupOffsetsRequest__Output): ResetGroupOffsetsRequest {
  return {
    group: groupFrom(wire),
    topics: topicSlotsFrom(wire.topics, 'topics'),
    to: resetToFrom(wire),
    isDryRun: wire.dryRun,
  };
}

function resetToFrom(wire: ResetGroupOffsetsRequest__Output): ResetGroupOffsetsRequest['to'] {
  const least = Number.MIN_SAFE_INTEGER;
  if (wire.to === 'offset') {
    return { kind: 'offset', offset: integerIn(wire.offset ?? -1, 'offset', 0) };
  }
  if (wire.to === 'timestampMs') {
    const timestampMs = integerIn(wire.timestampMs ?? NaN, 'timestamp_ms', least);
    return { kind: 'timestamp', timestampMs };
  }
  if (wire.to === 'shiftBy') {
    return { kind: 'shift', by: integerIn(wire.shiftBy ?? NaN, 'shift_by', least) };
  }
  if (wire.to === 'earliest' && wire.earliest === true) return { kind: 'earliest' };
  if (wire.to === 'latest' && wire.latest === true) return { kind: 'latest' };
  throw invalid('to', 'none of offset, timestamp_ms, shift_by, earliest and latest is set');
}

// ---- Answers ----

export function topicSlotsToWire({ topic, topicId, partitions }: TopicSlots): TopicPartitions {
  return { topic, topicId: topicId ?? '', partitions: [...partitions] };
}

export function participateToWire(response: ParticipateResponse): WireParticipateResponse {
  const { assignment, ...plain } = response;
  return { ...plain, assignment: assignment === undefined ? null : assignmentToWire(assignment) };
}

function assignmentToWire(assignment: MemberAssignment): WireMemberAssignment {
  const { version, partitions, pending, targetEpoch } = assignment;
  return {
    version,
    partitions: partitions.map(topicSlotsToWire),
    pending: pending.map(topicSlotsToWire),
    targetEpoch,
  };
}

const STATES = {
  empty: 'GROUP_STATE_EMPTY',
  assigning: 'GROUP_STATE_ASSIGNING',
  reconciling: 'GROUP_STATE_RECONCILING',
  stable: 'GROUP_STATE_STABLE',
} as const;

export function summaryToWire({ phase, ...summary }: GroupSummary): WireGroupSummary {
  return { ...summary, state: STATES[phase] };
}

export function groupDescriptionToWire(group: GroupDescription): DescribeGroupResponse {
  return {
    group: group.group,
    state: STATES[group.phase],
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    assignor: group.assignor,
    members: group.members.map(memberToWire),
    partitions: group.partitions.map(partitionToWire),
    lastCommitTimeMs: group.lastCommitTimeMs,
    coordinator: group.coordinator,
  };
}

function memberToWire(member: MemberDescription): GroupMemberDescription {
  const { topics, pattern, ...profile } = member.profile;
  return {
    ...profile,
    memberId: member.memberId,
    clientHost: member.clientHost,
    memberEpoch: member.memberEpoch,
    subscription: { topics: [...topics], pattern },
    assigned: member.assigned.map(topicSlotsToWire),
    revoking: member.revoking.map(topicSlotsToWire),
    target: member.target.map(topicSlotsToWire),
    connected: member.isConnected,
    away: member.isAway,
  };
}

function partitionToWire({ error, ...partition }: GroupPartition): WireGroupPartition {
  return { ...partition, error: error === undefined ? null : errorToWire(error) };
}

export function resetToWire(reset: ResetOffset): WireResetOffset {
  const { topic, partition, previousOffset, outcome } = reset;
  const failed = outcome instanceof BrokerError;
  return {
    topic,
    partition,
    previousOffset,
    offset: failed ? -1 : outcome,
    error: failed ? errorToWire(outcome) : null,
  };
}
