import type { BrokerId } from '../model/ids.js';
import { NO_MEMBERS, type Membership } from '../model/membership.js';

export type MembershipTarget = Pick<Membership, 'voters' | 'learners'>;

export function isJoint(m: Membership): boolean {
  return m.votersOutgoing.length > 0;
}

/** Whether the broker's vote counts in at least one of the majorities. */
export function isVoter(m: Membership, id: BrokerId): boolean {
  return m.voters.includes(id) || m.votersOutgoing.includes(id);
}

export function isMember(m: Membership, id: BrokerId): boolean {
  return isVoter(m, id) || m.learners.includes(id) || m.learnersNext.includes(id);
}

/** Everybody whose vote counts, ascending. */
export function votersOf(m: Membership): readonly BrokerId[] {
  if (m.votersOutgoing.length === 0) return m.voters;
  return union(m.voters, m.votersOutgoing);
}

/**
 * The membership to append in order to get from `current` to `target`: the target itself where at
 * most one voter differs, since any two majorities then overlap (thesis §4.1), else the joint one
 * that the leader leaves by itself (Raft paper §6). undefined: the target is not a legal membership,
 * or is the current one. The caller has made sure that no change is under way.
 */
export function planChange(current: Membership, target: MembershipTarget): Membership | undefined {
  if (isJoint(current)) return undefined;
  const voters = sorted(target.voters);
  const learners = sorted(target.learners);
  if (!isLegal(voters, learners)) return undefined;
  if (sameIds(voters, current.voters) && sameIds(learners, current.learners)) return undefined;
  const changedVoters = minus(voters, current.voters).length + minus(current.voters, voters).length;
  if (changedVoters <= 1) return { ...NO_MEMBERS, voters, learners };
  const outgoing = current.voters;
  return {
    voters,
    votersOutgoing: outgoing,
    // A voter of the outgoing half must not be a learner at the same time: it becomes one later.
    learners: minus(learners, outgoing),
    learnersNext: learners.filter((id) => outgoing.includes(id)),
    autoLeave: true,
  };
}

/** The membership after a joint one. */
export function leaveJoint(m: Membership): Membership {
  return { ...NO_MEMBERS, voters: m.voters, learners: union(m.learners, m.learnersNext) };
}

export function sameMembership(a: Membership, b: Membership): boolean {
  return (
    sameIds(a.voters, b.voters) &&
    sameIds(a.votersOutgoing, b.votersOutgoing) &&
    sameIds(a.learners, b.learners) &&
    sameIds(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}

function isLegal(voters: readonly BrokerId[], learners: readonly BrokerId[]): boolean {
  if (voters.length === 0) return false;
  const all = [...voters, ...learners];
  if (new Set(all).size !== all.length) return false;
  return all.every((id) => Number.isInteger(id) && id >= 1 && id < 0x8000_0000);
}

function sorted(ids: readonly BrokerId[]): BrokerId[] {
  return [...ids].sort((a, b) => a - b);
}

function union(a: readonly BrokerId[], b: readonly BrokerId[]): BrokerId[] {
  return sorted([...new Set([...a, ...b])]);
}

function minus(a: readonly BrokerId[], b: readonly BrokerId[]): BrokerId[] {
  return a.filter((id) => !b.includes(id));
}

function sameIds(a: readonly BrokerId[], b: readonly BrokerId[]): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at]);
}
