import { BUILT_IN_ASSIGNORS, type Assignors } from './assignors/assignors.js';
import { unknownMember } from './apply-group-event.js';
import { rejected, type Rejection } from './command.js';
import {
  heldBy,
  slotKey,
  slotKeys,
  type GroupMember,
  type HeldSlot,
  type MemberProfile,
  type Slot,
} from './consumer-group.js';
import type { GroupEvent } from './group-event.js';
import { assignorProblem, profileProblem, sameProfile } from './group-profile.js';
import type { MetadataState } from './metadata-state.js';
import { groupNameProblem } from './names.js';

/*
 * The coordinator's half of the consumer-group protocol: a member's request and the state become
 * events, none if nothing is to change, or a refusal. Pure; what the coordinator knows of streams
 * comes in as arguments.
 */

export type GroupDecision =
  { readonly kind: 'events'; readonly events: readonly GroupEvent[] } | Rejection;

export interface JoinRequest {
  readonly group: string;
  readonly memberId: string;
  /** 0: starts anew. */
  readonly memberEpoch: number;
  readonly owned: readonly Slot[];
  readonly profile: MemberProfile;
}

const NOTHING: GroupDecision = { kind: 'events', events: [] };

export function decideJoin(
  state: MetadataState,
  request: JoinRequest,
  /** The member's stream is open. */
  isConnected: (memberId: string) => boolean,
  assignors: Assignors = BUILT_IN_ASSIGNORS,
): GroupDecision {
  const { group: name, memberId, memberEpoch, profile, owned } = request;
  const problem = groupNameProblem(name);
  if (problem !== undefined) return rejected('INVALID_ARGUMENT', problem);
  const refusal = profileProblem(memberId, profile) ?? assignorProblem(profile, assignors);
  if (refusal !== undefined) return refusal;
  if (memberEpoch === 0 && owned.length > 0) {
    return rejected('INVALID_ARGUMENT', 'a member that joins with epoch 0 owns nothing');
  }
  const group = state.consumerGroups.get(name);
  const known = group?.members.get(memberId);
  const start = { kind: 'member', group: name, memberId, isStart: true, profile } as const;
  if (known !== undefined) {
    if (memberEpoch > 0) return decideResume(known, request);
    return { kind: 'events', events: [{ ...start, replaces: '' }] };
  }
  if (memberEpoch > 0) return unknownMember(memberId);
  const holder = group?.memberOfInstance(profile.instanceId);
  if (holder !== undefined && !holder.isAway && isConnected(holder.memberId)) {
    return rejected(
      'UNRELEASED_INSTANCE_ID',
      `instance ${profile.instanceId} is connected, as member ${holder.memberId}`,
    );
  }
  return { kind: 'events', events: [{ ...start, replaces: holder?.memberId ?? '' }] };
}

/** The member's stream broke, or the coordinator moved: it goes on with what it holds. */
function decideResume(known: GroupMember, request: JoinRequest): GroupDecision {
  const { group, memberId, profile, owned } = request;
  const fenced = claimRefusal(known, request.memberEpoch, owned);
  if (fenced !== undefined) return fenced;
  if (profile.instanceId !== known.profile.instanceId) {
    return rejected('INVALID_ARGUMENT', 'a member keeps its instance id');
  }
  const events: GroupEvent[] = [];
  const holds = slotKeys(owned);
  const released = known.revoking.filter((slot) => !holds.has(slotKey(slot)));
  if (released.length > 0) events.push({ kind: 'release', group, memberId, slots: released });
  if (known.isAway || !sameProfile(known.profile, profile)) {
    events.push({ kind: 'member', group, memberId, replaces: '', isStart: false, profile });
  }
  return { kind: 'events', events };
}

/**
 * A member may be behind: what was pushed to it may be lost or on its way. It may not be ahead, nor
 * hold what it was not given by the epoch that it knows.
 */
function claimRefusal(
  member: GroupMember,
  memberEpoch: number,
  owned: readonly Slot[] | undefined,
): Rejection | undefined {
  if (memberEpoch > member.epoch) {
    return rejected(
      'FENCED_MEMBER_EPOCH',
      `member ${member.memberId} is in epoch ${member.epoch}, not in ${memberEpoch}`,
    );
  }
  for (const slot of owned ?? []) {
    const held = heldBy(member, slot);
    if (held === undefined || held.epoch > memberEpoch) {
      return rejected(
        'FENCED_MEMBER_EPOCH',
        `member ${member.memberId} claims ${slotKey(slot)}, which it was not given by epoch ${memberEpoch}`,
      );
    }
  }
  return undefined;
}

export interface HeartbeatRequest {
  readonly group: string;
  readonly memberEpoch: number;
  /** What it holds; undefined: not told. */
  readonly owned: readonly Slot[] | undefined;
  /** Undefined: unchanged. */
  readonly profile: MemberProfile | undefined;
}

export function decideHeartbeat(
  member: GroupMember,
  request: HeartbeatRequest,
  /** The member knew that the partition was to be released when it said what it holds. */
  knewOfRevoking: (slot: HeldSlot) => boolean,
  assignors: Assignors = BUILT_IN_ASSIGNORS,
): GroupDecision {
  const { group, owned, profile } = request;
  const { memberId } = member;
  const refusal =
    claimRefusal(member, request.memberEpoch, owned) ??
    (profile === undefined
      ? undefined
      : (profileProblem(memberId, profile) ?? assignorProblem(profile, assignors)));
  if (refusal !== undefined) return refusal;
  const events: GroupEvent[] = [];
  if (owned !== undefined && member.revoking.length > 0) {
    const holds = slotKeys(owned);
    const slots = member.revoking.filter(
      (slot) => !holds.has(slotKey(slot)) && knewOfRevoking(slot),
    );
    if (slots.length > 0) events.push({ kind: 'release', group, memberId, slots });
  }
  if (profile !== undefined && !sameProfile(member.profile, profile)) {
    events.push({ kind: 'member', group, memberId, replaces: '', isStart: false, profile });
  }
  return events.length === 0 ? NOTHING : { kind: 'events', events };
}

export function decideLeave(
  member: GroupMember,
  request: { readonly group: string; readonly isTemporary: boolean },
): GroupDecision {
  const { group, isTemporary } = request;
  const { memberId } = member;
  if (!isTemporary) return { kind: 'events', events: [{ kind: 'leave', group, memberId }] };
  if (member.profile.instanceId === '') {
    return rejected('INVALID_ARGUMENT', 'only a member with an instance id leaves for a while');
  }
  return { kind: 'events', events: [{ kind: 'away', group, memberId }] };
}
