import { invariant } from '../base/assert.js';
import { compareStrings, lowerBound, sortedStringKeys } from '../base/collections.js';
import type { TopicId } from '../model/ids.js';

/** A partition as consumer groups know it. */
export interface Slot {
  readonly topicId: TopicId;
  readonly partition: number;
}

/** A partition that a member was given, and the epoch in which it was. */
export interface HeldSlot extends Slot {
  readonly epoch: number;
}

/** What a member says of itself. */
export interface MemberProfile {
  /** Of a static member; empty: none. */
  readonly instanceId: string;
  /** Empty: no preference. */
  readonly rack: string;
  readonly clientId: string;
  /** Names of topics, ascending, each once; they need not exist. */
  readonly topics: readonly string[];
  /** Names of topics in RE2's syntax; empty: none. */
  readonly pattern: string;
  /** Empty: no preference. */
  readonly assignor: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
}

/** Immutable; lists are ascending and replaced as a whole, and kept where nothing changed. */
export interface GroupMember {
  readonly memberId: string;
  readonly profile: MemberProfile;
  /** A static member that left for a while. */
  readonly isAway: boolean;
  /** The last assignment epoch it has reached; 0: none yet. */
  readonly epoch: number;
  /** What it may hold. */
  readonly assigned: readonly HeldSlot[];
  /** What it was told to release, and may hold until it did. */
  readonly revoking: readonly HeldSlot[];
  /** What it is to hold in the end. */
  readonly target: readonly Slot[];
}

export const slotKey = ({ topicId, partition }: Slot): string => `${topicId}/${partition}`;

export function compareSlots(a: Slot, b: Slot): number {
  return compareStrings(a.topicId, b.topicId) || a.partition - b.partition;
}

export function sortedSlots<S extends Slot>(slots: Iterable<S>): S[] {
  return [...slots].sort(compareSlots);
}

export const slotKeys = (slots: Iterable<Slot>): Set<string> => new Set([...slots].map(slotKey));

/** In an ascending list. */
function findSlot<S extends Slot>(slots: readonly S[], at: Slot): S | undefined {
  const place = lowerBound(slots.length, (i) => {
    const slot = slots[i];
    return slot !== undefined && compareSlots(slot, at) < 0;
  });
  const found = slots[place];
  return found !== undefined && compareSlots(found, at) === 0 ? found : undefined;
}

/** The partition as the member holds it, or has yet to release it. */
export function heldBy({ assigned, revoking }: GroupMember, at: Slot): HeldSlot | undefined {
  return findSlot(assigned, at) ?? findSlot(revoking, at);
}

/** A group as everyone but apply sees it. */
export interface ConsumerGroupView {
  readonly name: string;
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  readonly assignor: string;
  readonly topicsHash: number;
  readonly members: ReadonlyMap<string, GroupMember>;
  /** Member that holds the partition, may hold it, or has yet to release it. */
  ownerOf(slot: Slot): string | undefined;
  /** Of no member for the empty one. */
  memberOfInstance(instanceId: string): GroupMember | undefined;
  /** Sequence of each member's last commit; none of members that do not number theirs. */
  readonly lastCommits: ReadonlyMap<string, number>;
}

export type GroupPhase = 'empty' | 'assigning' | 'reconciling' | 'stable';

export function phaseOf(group: ConsumerGroupView): GroupPhase {
  if (group.members.size === 0) return 'empty';
  if (group.groupEpoch !== group.assignmentEpoch) return 'assigning';
  for (const member of group.members.values()) {
    if (member.epoch !== group.assignmentEpoch || member.revoking.length > 0) return 'reconciling';
    if (member.assigned.length !== member.target.length) return 'reconciling';
  }
  return 'stable';
}

/** Number of members of all groups that share it. */
export interface MemberTally {
  members: number;
}

/**
 * One consumer group: members, epochs, and who holds which partition. Changed by apply alone.
 *
 * Invariants: a partition is assigned to or being revoked from at most one member (`owners` is that
 * lock), and in the target of at most one; an instance id belongs to one member; no member's epoch is
 * above the assignment epoch, nor that above the group epoch; epochs never fall.
 */
export class ConsumerGroup implements ConsumerGroupView {
  readonly name: string;
  /** Freezes of the book when this copy was made: an older one is shared with a frozen view. */
  readonly freezes: number;
  groupEpoch = 0;
  /** Group epoch that the targets were computed for. */
  assignmentEpoch = 0;
  /** Assignor that computed the targets. */
  assignor = '';
  /** Tells what topics and partitions the targets were computed from. */
  topicsHash = 0;

  private readonly tally: MemberTally;
  private readonly byId: Map<string, GroupMember>;
  private readonly owners: Map<string, string>;
  private readonly targets: Map<string, string>;
  private readonly instances: Map<string, string>;
  private readonly commits: Map<string, number>;

  constructor(
    name: string,
    { freezes, tally }: { readonly freezes: number; readonly tally: MemberTally },
    from?: ConsumerGroup,
  ) {
    this.name = name;
    this.freezes = freezes;
    this.tally = tally;
    this.byId = new Map(from?.byId);
    this.owners = new Map(from?.owners);
    this.targets = new Map(from?.targets);
    this.instances = new Map(from?.instances);
    this.commits = new Map(from?.commits);
    if (from === undefined) return;
    this.groupEpoch = from.groupEpoch;
    this.assignmentEpoch = from.assignmentEpoch;
    this.assignor = from.assignor;
    this.topicsHash = from.topicsHash;
  }

  get members(): ReadonlyMap<string, GroupMember> {
    return this.byId;
  }

  ownerOf(slot: Slot): string | undefined {
    return this.owners.get(slotKey(slot));
  }

  memberOfInstance(instanceId: string): GroupMember | undefined {
    const memberId = this.instances.get(instanceId);
    return memberId === undefined ? undefined : this.byId.get(memberId);
  }

  get lastCommits(): ReadonlyMap<string, number> {
    return this.commits;
  }

  /** Sequence 0: the member's new life counts from the start again. */
  noteCommit(memberId: string, sequence: number): void {
    if (sequence === 0 || !this.byId.has(memberId)) this.commits.delete(memberId);
    else this.commits.set(memberId, sequence);
  }

  /** Replaces the member, or adds it. */
  put(member: GroupMember): void {
    const { memberId, profile } = member;
    const before = this.byId.get(memberId);
    if (before === undefined) this.tally.members += 1;
    else this.forget(before, member);
    this.byId.set(memberId, member);
    if (profile.instanceId !== '') claim(this.instances, profile.instanceId, memberId);
    if (before?.assigned !== member.assigned || before.revoking !== member.revoking) {
      for (const slot of member.assigned) claim(this.owners, slotKey(slot), memberId);
      for (const slot of member.revoking) claim(this.owners, slotKey(slot), memberId);
    }
    if (before?.target !== member.target) {
      for (const slot of member.target) claim(this.targets, slotKey(slot), memberId);
    }
  }

  drop(member: GroupMember): void {
    this.forget(member, undefined);
    this.commits.delete(member.memberId);
    if (this.byId.delete(member.memberId)) this.tally.members -= 1;
  }

  /** Gives up targets of many before they are put anew, as they may change places. */
  clearTargets(memberIds: Iterable<string>): void {
    for (const memberId of memberIds) {
      const member = this.byId.get(memberId);
      if (member !== undefined) this.put({ ...member, target: [] });
    }
  }

  /** What a member has beyond its target is being revoked; one that is away holds nothing, really. */
  revokeSurplus(memberIds: readonly string[]): void {
    for (const memberId of memberIds) {
      const member = this.byId.get(memberId);
      if (member === undefined) continue;
      const wanted = slotKeys(member.target);
      const surplus = member.assigned.filter((slot) => !wanted.has(slotKey(slot)));
      if (surplus.length === 0) continue;
      this.put({
        ...member,
        assigned: member.assigned.filter((slot) => wanted.has(slotKey(slot))),
        revoking: member.isAway ? [] : sortedSlots([...member.revoking, ...surplus]),
      });
    }
  }

  /**
   * A member that has nothing left to release reaches the assignment epoch and takes what is free of
   * its target.
   */
  advance(memberId: string): void {
    const member = this.byId.get(memberId);
    if (member === undefined || member.revoking.length > 0) return;
    const epoch = this.assignmentEpoch;
    const free = member.target.filter((slot) => !this.owners.has(slotKey(slot)));
    if (free.length === 0 && member.epoch === epoch) return;
    const taken = free.map(({ topicId, partition }) => ({ topicId, partition, epoch }));
    const assigned =
      taken.length === 0 ? member.assigned : sortedSlots([...member.assigned, ...taken]);
    this.put({ ...member, epoch, assigned });
  }

  /** Partitions came free: whoever waits for them takes them. */
  advanceWaiting(freed: readonly Slot[]): void {
    const waiting = new Map<string, true>();
    for (const slot of freed) {
      const memberId = this.targets.get(slotKey(slot));
      if (memberId !== undefined) waiting.set(memberId, true);
    }
    for (const memberId of sortedStringKeys(waiting)) this.advance(memberId);
  }

  private forget(member: GroupMember, next: GroupMember | undefined): void {
    if (next === undefined || next.profile.instanceId !== member.profile.instanceId) {
      this.instances.delete(member.profile.instanceId);
    }
    if (next?.assigned !== member.assigned || next.revoking !== member.revoking) {
      for (const slot of member.assigned) this.owners.delete(slotKey(slot));
      for (const slot of member.revoking) this.owners.delete(slotKey(slot));
    }
    if (next?.target !== member.target) {
      for (const slot of member.target) this.targets.delete(slotKey(slot));
    }
  }
}

function claim(map: Map<string, string>, key: string, memberId: string): void {
  const holder = map.get(key);
  invariant(holder === undefined || holder === memberId, 'one holder at a time', {
    key,
    holder,
    memberId,
  });
  map.set(key, memberId);
}
