import { compareStrings, sortedStringKeys } from '../base/collections.js';
import { unknownGroup } from '../metadata/apply-group-event.js';
import { phaseOf, type Slot } from '../metadata/consumer-group.js';
import { findPartition } from '../metadata/decide.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, TopicPartition } from '../model/ids.js';
import type { CommittedOffset } from './admin-types.js';
import type {
  CommittedPartition,
  GroupRecord,
  ListGroupsRequest,
  ListGroupsResult,
  MemberDescription,
  TopicSlots,
} from './group-types.js';
import type { MemberSession } from './member-session.js';
import { raise } from './propose.js';
import { namedSlots } from './topic-slots.js';

// What the coordinator answers about groups, from its own, current state.

export function listGroups(state: MetadataState, request: ListGroupsRequest): ListGroupsResult {
  const { prefix, after, limit } = request;
  const names = new Set<string>();
  for (const from of [state.consumerGroups.names(), state.ledger.names()]) {
    for (const name of from) if (name.startsWith(prefix) && name > after) names.add(name);
  }
  const page = [...names].sort(compareStrings).slice(0, limit);
  return {
    groups: page.map((group) => {
      const known = state.consumerGroups.get(group);
      return {
        group,
        phase: known === undefined ? 'empty' : phaseOf(known),
        members: known?.members.size ?? 0,
        committedPartitions: state.ledger.countOf(group),
      };
    }),
    hasMore: names.size > page.length,
  };
}

/** Throws UNKNOWN_GROUP. */
export function describeGroup(
  state: MetadataState,
  name: string,
  more: {
    readonly self: BrokerId;
    sessionOf(memberId: string): MemberSession | undefined;
  },
): GroupRecord {
  const group = state.consumerGroups.get(name);
  if (group === undefined && !state.ledger.has(name)) raise(unknownGroup(name));
  const members: MemberDescription[] = [];
  for (const memberId of sortedStringKeys(group?.members ?? new Map<string, never>())) {
    const member = group?.members.get(memberId);
    if (member === undefined) continue;
    const session = more.sessionOf(memberId);
    members.push({
      memberId,
      profile: member.profile,
      clientHost: session?.clientHost ?? '',
      memberEpoch: member.epoch,
      isConnected: session?.stream !== undefined,
      isAway: member.isAway,
      assigned: namedSlots(state, member.assigned),
      revoking: namedSlots(state, member.revoking),
      target: namedSlots(state, member.target),
    });
  }
  return {
    group: name,
    phase: group === undefined ? 'empty' : phaseOf(group),
    groupEpoch: group?.groupEpoch ?? 0,
    assignmentEpoch: group?.assignmentEpoch ?? 0,
    assignor: group?.assignor ?? '',
    members,
    committed: committedOf(state, name),
    coordinator: more.self,
  };
}

function committedOf(state: MetadataState, group: string): CommittedPartition[] {
  return rowsOf(state, group).sort(
    (a, b) => compareStrings(a.topic, b.topic) || a.partition - b.partition,
  );
}

/** In order of topic ids. */
function rowsOf(state: MetadataState, group: string): CommittedPartition[] {
  return state.ledger.rows(group).flatMap(({ topicId, partition, offset, metadata, timeMs }) => {
    const topic = state.topicsById.get(topicId)?.name;
    if (topic === undefined) return [];
    return [{ topic, topicId, partition, offset, metadata, commitTimeMs: timeMs }];
  });
}

/** Those of the topics' partitions for which the group has an offset; no partitions: all of a topic. */
export function committedAmong(
  state: MetadataState,
  group: string,
  topics: readonly TopicSlots[],
): Slot[] {
  const wanted = new Map<string, ReadonlySet<number> | 'all'>();
  for (const { topic, topicId, partitions } of topics) {
    const id = topicId ?? state.topicsByName.get(topic)?.id;
    if (id === undefined) continue;
    const known = wanted.get(id);
    if (partitions.length === 0 || known === 'all') wanted.set(id, 'all');
    else wanted.set(id, new Set([...(known ?? []), ...partitions]));
  }
  return state.ledger.rows(group).flatMap(({ topicId, partition }) => {
    const which = wanted.get(topicId);
    return which === 'all' || which?.has(partition) === true ? [{ topicId, partition }] : [];
  });
}

export function allOffsets(state: MetadataState, group: string): CommittedOffset[] {
  return rowsOf(state, group).map(({ topic, partition, offset, metadata, commitTimeMs }) => {
    return { topic, partition, offset, metadata, commitTimeMs, error: undefined };
  });
}

/** Offset -1: the group committed none there. */
export function offsetOf(
  state: MetadataState,
  group: string,
  { topic, partition }: TopicPartition,
): CommittedOffset {
  const none = { topic, partition, offset: -1, metadata: '', error: undefined, commitTimeMs: 0 };
  const found = findPartition(state, { topic, partition });
  if (found.kind === 'rejected') {
    return { ...none, error: new BrokerError(found.code, found.message) };
  }
  const position = state.ledger.position(group, found.topic.id, partition);
  if (position === undefined) return none;
  const { offset, metadata, timeMs } = position;
  return { ...none, offset, metadata, commitTimeMs: timeMs };
}
