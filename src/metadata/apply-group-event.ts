import { invariant, unreachable } from '../base/assert.js';
import { sortedStringKeys } from '../base/collections.js';
import { rejected, type Rejection } from './command.js';
import {
  heldBy,
  slotKey,
  slotKeys,
  sortedSlots,
  type ConsumerGroup,
  type ConsumerGroupView,
  type GroupMember,
  type Slot,
} from './consumer-group.js';
import { changesAssignment, profileProblem } from './group-profile.js';
import type { GroupEvent } from './group-event.js';
import { METADATA_LIMITS } from './limits.js';
import type { MetadataState } from './metadata-state.js';
import { groupNameProblem } from './names.js';

type EventOf<K extends GroupEvent['kind']> = Extract<GroupEvent, { kind: K }>;

/**
 * Applies one event of a consumer group. Total: what cannot be is refused and changes nothing.
 *
 * Members' ways towards the target go on in here, as soon as an event lets them: nothing but the log
 * decides who holds what.
 */
export function applyGroupEvent(state: MetadataState, event: GroupEvent): Rejection | undefined {
  switch (event.kind) {
    case 'member':
      return applyMember(state, event);
    case 'release':
      return applyRelease(state, event);
    case 'away':
      return applyAway(state, event);
    case 'leave':
      return applyLeave(state, event);
    case 'target':
      return applyTarget(state, event);
    case 'deleteGroup':
      return deleteGroup(state, event);
    case 'deleteOffsets':
      return deleteOffsets(state, event);
    default:
      return unreachable(event);
  }
}

/**
 * Whether a member may commit for a partition at an epoch: it holds the partition (it may be told to
 * release it already) and was given it at or before that epoch.
 */
export function commitRefusal(
  group: ConsumerGroupView | undefined,
  commit: Slot & { readonly memberId: string; readonly memberEpoch: number },
): Rejection | undefined {
  const { memberId, memberEpoch } = commit;
  if (memberId === '') {
    if (group === undefined || group.members.size === 0) return undefined;
    return rejected(
      'GROUP_NOT_EMPTY',
      `group ${group.name} has ${group.members.size} members: only they commit`,
    );
  }
  const member = group?.members.get(memberId);
  if (member === undefined) return unknownMember(memberId);
  if (memberEpoch > member.epoch) {
    return rejected(
      'FENCED_MEMBER_EPOCH',
      `member ${memberId} is in epoch ${member.epoch}, not in ${memberEpoch}`,
    );
  }
  const held = heldBy(member, commit);
  if (held === undefined) {
    return rejected('STALE_MEMBER_EPOCH', `the partition is not member ${memberId}'s`);
  }
  if (held.epoch <= memberEpoch) return undefined;
  return rejected(
    'STALE_MEMBER_EPOCH',
    `member ${memberId} got the partition in epoch ${held.epoch}, after ${memberEpoch}`,
  );
}

export function unknownMember(memberId: string): Rejection {
  return rejected('UNKNOWN_MEMBER', `member ${memberId} is not in the group: evicted, or it left`);
}

// ---- Members ----

function applyMember(state: MetadataState, event: EventOf<'member'>): Rejection | undefined {
  const problem =
    groupNameProblem(event.group) ?? profileProblem(event.memberId, event.profile)?.message;
  if (problem !== undefined) return rejected('INVALID_ARGUMENT', problem);
  const known = state.consumerGroups.get(event.group)?.members.get(event.memberId);
  if (known === undefined) return addMember(state, event);
  const { profile } = event;
  if (profile.instanceId !== known.profile.instanceId) {
    return rejected('INVALID_ARGUMENT', 'a member keeps its instance id');
  }
  const group = state.consumerGroups.writable(event.group);
  if (changesAssignment(known.profile, profile)) group.groupEpoch += 1;
  if (event.isStart) group.noteCommit(event.memberId, 0);
  const freed = event.isStart ? known.revoking : [];
  group.put({
    ...known,
    profile,
    isAway: false,
    revoking: event.isStart && freed.length > 0 ? [] : known.revoking,
  });
  goOn(group, event.memberId, freed);
  return undefined;
}

function addMember(state: MetadataState, event: EventOf<'member'>): Rejection | undefined {
  const { memberId, profile, replaces } = event;
  if (!event.isStart) return unknownMember(memberId);
  const existing = state.consumerGroups.get(event.group);
  const holder = existing?.memberOfInstance(profile.instanceId);
  if (holder !== undefined && holder.memberId !== replaces) {
    return rejected(
      'UNRELEASED_INSTANCE_ID',
      `instance ${profile.instanceId} is member ${holder.memberId}`,
    );
  }
  if (holder !== undefined) {
    replaceMember(state, event, holder);
    return undefined;
  }
  const refusal = roomRefusal(state, existing);
  if (refusal !== undefined) return refusal;
  const group = state.consumerGroups.writable(event.group);
  group.groupEpoch += 1;
  group.put({
    memberId,
    profile,
    isAway: false,
    epoch: 0,
    assigned: [],
    revoking: [],
    target: [],
  });
  return undefined;
}

/** The static member's new life has the place of the one before, and holds nothing yet. */
function replaceMember(
  state: MetadataState,
  { group: name, memberId, profile }: EventOf<'member'>,
  holder: GroupMember,
): void {
  const group = state.consumerGroups.writable(name);
  if (changesAssignment(holder.profile, profile)) group.groupEpoch += 1;
  group.drop(holder);
  group.put({ ...holder, memberId, profile, isAway: false, revoking: [] });
  goOn(group, memberId, holder.revoking);
}

function roomRefusal(
  state: MetadataState,
  group: ConsumerGroupView | undefined,
): Rejection | undefined {
  const { consumerGroupsMax, membersPerConsumerGroupMax, consumerGroupMembersMax } =
    METADATA_LIMITS;
  if (group === undefined && state.consumerGroups.size >= consumerGroupsMax) {
    return rejected('GROUP_LIMIT', `the cluster has its maximum of ${consumerGroupsMax} groups`);
  }
  if ((group?.members.size ?? 0) >= membersPerConsumerGroupMax) {
    return rejected(
      'GROUP_LIMIT',
      `the group has its maximum of ${membersPerConsumerGroupMax} members`,
    );
  }
  if (state.consumerGroups.memberCount < consumerGroupMembersMax) return undefined;
  return rejected(
    'GROUP_LIMIT',
    `the cluster has its maximum of ${consumerGroupMembersMax} group members`,
  );
}

function applyRelease(state: MetadataState, event: EventOf<'release'>): Rejection | undefined {
  const known = state.consumerGroups.get(event.group)?.members.get(event.memberId);
  if (known === undefined) return unknownMember(event.memberId);
  const given = new Map(event.slots.map((slot) => [slotKey(slot), slot.epoch]));
  const freed = known.revoking.filter((slot) => given.get(slotKey(slot)) === slot.epoch);
  // Released before, or given anew since: nothing is left to do.
  if (freed.length === 0) return undefined;
  const group = state.consumerGroups.writable(event.group);
  const gone = new Set(freed);
  const revoking = known.revoking.filter((slot) => !gone.has(slot));
  group.put({ ...known, revoking });
  goOn(group, event.memberId, freed);
  return undefined;
}

function applyAway(state: MetadataState, event: EventOf<'away'>): Rejection | undefined {
  const known = state.consumerGroups.get(event.group)?.members.get(event.memberId);
  if (known === undefined) return unknownMember(event.memberId);
  if (known.profile.instanceId === '') {
    return rejected('INVALID_ARGUMENT', 'only a static member leaves for a while');
  }
  const group = state.consumerGroups.writable(event.group);
  group.put({ ...known, isAway: true, revoking: [] });
  goOn(group, event.memberId, known.revoking);
  return undefined;
}

function applyLeave(state: MetadataState, event: EventOf<'leave'>): Rejection | undefined {
  const known = state.consumerGroups.get(event.group)?.members.get(event.memberId);
  if (known === undefined) return unknownMember(event.memberId);
  const group = state.consumerGroups.writable(event.group);
  state.idleGroups.sawActivity(event.group);
  group.groupEpoch += 1;
  group.drop(known);
  group.advanceWaiting([...known.assigned, ...known.revoking]);
  return undefined;
}

function goOn(group: ConsumerGroup, memberId: string, freed: readonly Slot[]): void {
  group.advanceWaiting(freed);
  // A member that has joined but is in no target yet keeps epoch 0.
  if (group.members.get(memberId)?.epoch !== 0) group.advance(memberId);
}

// ---- Targets ----

function applyTarget(state: MetadataState, event: EventOf<'target'>): Rejection | undefined {
  const view = state.consumerGroups.get(event.group);
  if (view === undefined) return unknownGroup(event.group);
  if (
    view.groupEpoch !== event.groupEpoch ||
    view.assignmentEpoch !== event.assignmentEpoch ||
    (view.groupEpoch === view.assignmentEpoch) !== event.raisesEpoch
  ) {
    return rejected('INVALID_ARGUMENT', 'the group has changed since the target was computed');
  }
  const refusal = targetRefusal(view, event);
  if (refusal !== undefined) return refusal;
  const group = state.consumerGroups.writable(event.group);
  if (event.raisesEpoch) group.groupEpoch += 1;
  invariant(group.assignmentEpoch < group.groupEpoch, 'targets follow changes of the group');
  group.assignmentEpoch = group.groupEpoch;
  group.assignor = event.assignor;
  group.topicsHash = event.topicsHash;
  const changed = event.changes.map(({ memberId }) => memberId);
  group.clearTargets(changed);
  for (const { memberId, slots } of event.changes) {
    const member = group.members.get(memberId);
    if (member !== undefined) group.put({ ...member, target: sortedSlots(slots) });
  }
  group.revokeSurplus(changed);
  for (const memberId of sortedStringKeys(group.members)) group.advance(memberId);
  return undefined;
}

/** Whoever computed it: a target gives existing partitions to members, each to one. */
function targetRefusal(
  group: ConsumerGroupView,
  { changes }: EventOf<'target'>,
): Rejection | undefined {
  const changed = new Map(changes.map((change) => [change.memberId, change.slots]));
  const stranger = changes.find(({ memberId }) => !group.members.has(memberId));
  if (stranger !== undefined) return unknownMember(stranger.memberId);
  if (changed.size !== changes.length) {
    return rejected('INVALID_ARGUMENT', 'a target names a member twice');
  }
  const all = new Set<string>();
  let count = 0;
  for (const [memberId, member] of group.members) {
    const slots = changed.get(memberId) ?? member.target;
    for (const key of slotKeys(slots)) all.add(key);
    count += slots.length;
  }
  if (all.size === count) return undefined;
  return rejected('INVALID_ARGUMENT', 'a target gives a partition to two members');
}

// ---- The whole group ----

export function unknownGroup(name: string): Rejection {
  return rejected('UNKNOWN_GROUP', `there is no group ${JSON.stringify(name.slice(0, 260))}`);
}

function emptyGroupRefusal(state: MetadataState, name: string): Rejection | undefined {
  const members = state.consumerGroups.get(name)?.members.size ?? 0;
  if (members > 0) return rejected('GROUP_NOT_EMPTY', `group ${name} has ${members} members`);
  if (state.consumerGroups.get(name) !== undefined || state.ledger.has(name)) return undefined;
  return unknownGroup(name);
}

function deleteGroup(state: MetadataState, event: EventOf<'deleteGroup'>): Rejection | undefined {
  const refusal = emptyGroupRefusal(state, event.group);
  if (refusal !== undefined) return refusal;
  state.idleGroups.sawActivity(event.group);
  state.consumerGroups.drop(event.group);
  state.ledger.dropGroup(event.group);
  return undefined;
}

function deleteOffsets(
  state: MetadataState,
  event: EventOf<'deleteOffsets'>,
): Rejection | undefined {
  const refusal = emptyGroupRefusal(state, event.group);
  if (refusal !== undefined) return refusal;
  for (const { topicId, partition } of event.slots) {
    state.ledger.forget(event.group, topicId, partition);
  }
  return undefined;
}
