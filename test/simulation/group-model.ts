import type { ApplyResult, Command, OffsetCommitItem } from '../../src/metadata/command.js';
import type { GroupEvent } from '../../src/metadata/group-event.js';
import type { MemberProfile, Slot } from '../../src/metadata/consumer-group.js';

type EventOf<K extends GroupEvent['kind']> = Extract<GroupEvent, { kind: K }>;

/** One partition in one member's hands. */
export interface Possession {
  readonly slot: string;
  member: string;
  /** In which it was given. */
  readonly epoch: number;
  /** The member was told to give it back. */
  isGoing: boolean;
}

interface ModelMember {
  epoch: number;
  isAway: boolean;
  profile: MemberProfile;
  /** Of its last commit. */
  sequence: number;
}

/** What the model thinks of one event or commit: the code of a refusal, or undefined. */
export type Verdict = string | undefined;

/** A partition that an event took from a member that goes on: it must not hold it any more. */
export interface Handover extends Pick<Possession, 'slot' | 'member' | 'epoch'> {
  readonly group: string;
}

const nameOf = ({ topicId, partition }: Slot): string => `${topicId}/${partition}`;

/** One group as a child would keep it: lists that are searched from end to end. */
export class ModelGroup {
  epoch = 0;
  targetEpoch = 0;
  readonly members = new Map<string, ModelMember>();
  possessions: Possession[] = [];
  /** What members are to hold in the end. */
  wishes: { readonly slot: string; member: string }[] = [];

  wishesOf(member: string): string[] {
    return this.wishes.filter((w) => w.member === member).map(({ slot }) => slot);
  }

  held(member: string, isGoing: boolean): Possession[] {
    return this.possessions.filter((p) => p.member === member && p.isGoing === isGoing);
  }

  ofInstance(instance: string): string | undefined {
    if (instance === '') return undefined;
    return [...this.members].find(([, { profile }]) => profile.instanceId === instance)?.[0];
  }

  /** Whoever has nothing to give back is in the target's epoch and takes what nobody has. */
  settle(withNewcomers: boolean): void {
    for (const [name, member] of this.members) {
      if (this.held(name, true).length > 0) continue;
      if (member.epoch === 0 && !withNewcomers) continue;
      member.epoch = this.targetEpoch;
      for (const slot of this.wishesOf(name)) {
        if (this.possessions.some((p) => p.slot === slot)) continue;
        this.possessions.push({ slot, member: name, epoch: this.targetEpoch, isGoing: false });
      }
    }
  }
}

/**
 * Consumer groups and committed offsets as the metadata log makes them, written down a second time in
 * the simplest way there is: what the replicated state is compared with, entry by entry.
 */
export class GroupModel {
  readonly groups = new Map<string, ModelGroup>();
  /** By group, topic id and partition. */
  readonly offsets = new Map<string, Map<string, number>>();
  /** Living topics by id. */
  readonly topics = new Map<string, { readonly name: string; count: number }>();
  private handovers: Handover[] = [];

  /** Partitions that changed hands since the last call, while their members go on. */
  takeHandovers(): readonly Handover[] {
    const { handovers } = this;
    this.handovers = [];
    return handovers;
  }

  /** What is neither commits nor events of groups, and was not refused. */
  other(command: Command, result: ApplyResult | undefined): void {
    switch (command.kind) {
      case 'createTopic':
        this.topics.set(command.topicId, { name: command.name, count: command.assignment.length });
        break;
      case 'addPartitions':
        this.grow(command.topicId, command.from + command.assignment.length);
        break;
      case 'deleteTopic':
        this.topics.delete(command.topicId);
        for (const [group, offsets] of this.offsets) {
          for (const slot of offsets.keys()) {
            if (slot.startsWith(`${command.topicId}/`)) this.forget(group, slot);
          }
        }
        break;
      case 'ageGroups':
        for (const name of result?.kind === 'groupsAged' ? result.expired : []) {
          this.groups.delete(name);
          this.offsets.delete(name);
        }
        break;
      default:
    }
  }

  /** Whoever stands somewhere in the topic stands at the beginning of what is new in it. */
  private grow(topicId: string, count: number): void {
    const topic = this.topics.get(topicId);
    if (topic === undefined) return;
    for (const offsets of this.offsets.values()) {
      const isIn = [...offsets.keys()].some((slot) => slot.startsWith(`${topicId}/`));
      for (let at = topic.count; isIn && at < count; at += 1) offsets.set(`${topicId}/${at}`, 0);
    }
    topic.count = Math.max(topic.count, count);
  }

  commit(item: OffsetCommitItem): Verdict {
    const group = this.groups.get(item.group);
    const slot = nameOf(item);
    if (!this.topics.has(item.topicId)) return 'UNKNOWN_TOPIC';
    const { fence } = item;
    if (fence === undefined) {
      if (group !== undefined && group.members.size > 0) return 'GROUP_NOT_EMPTY';
    } else {
      const member = group?.members.get(fence.memberId);
      if (member === undefined) return 'UNKNOWN_MEMBER';
      if (fence.memberEpoch > member.epoch) return 'FENCED_MEMBER_EPOCH';
      const mine = group?.possessions.find((p) => p.slot === slot && p.member === fence.memberId);
      if (mine === undefined || mine.epoch > fence.memberEpoch) return 'STALE_MEMBER_EPOCH';
      // It was held up, and its member has committed since.
      if (fence.sequence > 0 && fence.sequence < member.sequence) return undefined;
      if (fence.sequence > 0) member.sequence = fence.sequence;
    }
    const offsets = this.offsets.get(item.group) ?? new Map<string, number>();
    this.offsets.set(item.group, offsets);
    offsets.set(slot, item.offset);
    return undefined;
  }

  event(event: GroupEvent): Verdict {
    switch (event.kind) {
      case 'member':
        return this.member(event);
      case 'target':
        return this.target(event);
      case 'deleteGroup':
      case 'deleteOffsets':
        return this.cleared(event);
      case 'release':
      case 'away':
      case 'leave':
        return this.lessHeld(event);
    }
  }

  private group(name: string): ModelGroup {
    const group = this.groups.get(name) ?? new ModelGroup();
    this.groups.set(name, group);
    return group;
  }

  private member({
    group: name,
    memberId,
    replaces,
    isStart,
    profile,
  }: EventOf<'member'>): Verdict {
    const known = this.groups.get(name)?.members.get(memberId);
    if (known !== undefined) {
      if (known.profile.instanceId !== profile.instanceId) return 'INVALID_ARGUMENT';
      const group = this.group(name);
      if (wants(known.profile) !== wants(profile)) group.epoch += 1;
      known.profile = profile;
      known.isAway = false;
      if (isStart) {
        known.sequence = 0;
        this.giveUp(name, (p) => p.member === memberId && p.isGoing);
      }
      group.settle(false);
      return undefined;
    }
    if (!isStart) return 'UNKNOWN_MEMBER';
    const holder = this.groups.get(name)?.ofInstance(profile.instanceId);
    if (holder !== undefined && holder !== replaces) return 'UNRELEASED_INSTANCE_ID';
    const group = this.group(name);
    const before = holder === undefined ? undefined : group.members.get(holder);
    if (holder === undefined || before === undefined) {
      group.epoch += 1;
      group.members.set(memberId, { epoch: 0, isAway: false, profile, sequence: 0 });
      return undefined;
    }
    if (wants(before.profile) !== wants(profile)) group.epoch += 1;
    group.members.delete(holder);
    group.members.set(memberId, { epoch: before.epoch, isAway: false, profile, sequence: 0 });
    group.possessions = group.possessions.filter((p) => p.member !== holder || !p.isGoing);
    for (const one of [...group.possessions, ...group.wishes]) {
      if (one.member === holder) one.member = memberId;
    }
    group.settle(false);
    return undefined;
  }

  private lessHeld(event: EventOf<'release' | 'away' | 'leave'>): Verdict {
    const { group: name, memberId } = event;
    const member = this.groups.get(name)?.members.get(memberId);
    if (member === undefined) return 'UNKNOWN_MEMBER';
    const group = this.group(name);
    if (event.kind === 'release') {
      const given = event.slots.map((slot) => `${nameOf(slot)} ${slot.epoch}`);
      const isGiven = (p: Possession): boolean => given.includes(`${p.slot} ${p.epoch}`);
      this.giveUp(name, (p) => p.member === memberId && p.isGoing && isGiven(p));
    } else if (event.kind === 'away') {
      if (member.profile.instanceId === '') return 'INVALID_ARGUMENT';
      member.isAway = true;
      this.giveUp(name, (p) => p.member === memberId && p.isGoing);
    } else {
      group.epoch += 1;
      group.members.delete(memberId);
      group.possessions = group.possessions.filter((p) => p.member !== memberId);
      group.wishes = group.wishes.filter((w) => w.member !== memberId);
    }
    group.settle(false);
    return undefined;
  }

  private target(event: EventOf<'target'>): Verdict {
    const group = this.groups.get(event.group);
    if (group === undefined) return 'UNKNOWN_GROUP';
    const isOfNow = group.epoch === event.groupEpoch && group.targetEpoch === event.assignmentEpoch;
    if (!isOfNow || (group.epoch === group.targetEpoch) !== event.raisesEpoch) {
      return 'INVALID_ARGUMENT';
    }
    const changed = event.changes.map(({ memberId }) => memberId);
    if (changed.some((name) => !group.members.has(name))) return 'UNKNOWN_MEMBER';
    const wishes = group.wishes.filter((w) => !changed.includes(w.member));
    for (const { memberId, slots } of event.changes) {
      wishes.push(...slots.map((slot) => ({ slot: nameOf(slot), member: memberId })));
    }
    const isOnce = new Set(wishes.map(({ slot }) => slot)).size === wishes.length;
    if (!isOnce || new Set(changed).size !== changed.length) return 'INVALID_ARGUMENT';
    group.wishes = wishes;
    if (event.raisesEpoch) group.epoch += 1;
    group.targetEpoch = group.epoch;
    for (const one of group.possessions) {
      const isWished = wishes.some((w) => w.slot === one.slot && w.member === one.member);
      if (!isWished) one.isGoing = true;
    }
    // Whoever is away holds nothing, really.
    group.possessions = group.possessions.filter(
      (p) => !p.isGoing || group.members.get(p.member)?.isAway !== true,
    );
    group.settle(true);
    return undefined;
  }

  private cleared(event: EventOf<'deleteGroup' | 'deleteOffsets'>): Verdict {
    const { group: name } = event;
    const group = this.groups.get(name);
    if (group !== undefined && group.members.size > 0) return 'GROUP_NOT_EMPTY';
    if (group === undefined && !this.offsets.has(name)) return 'UNKNOWN_GROUP';
    if (event.kind === 'deleteGroup') {
      this.groups.delete(name);
      this.offsets.delete(name);
    } else {
      for (const slot of event.slots) this.forget(name, nameOf(slot));
    }
    return undefined;
  }

  private giveUp(name: string, isGivenUp: (p: Possession) => boolean): void {
    const group = this.group(name);
    for (const { slot, member, epoch } of group.possessions.filter(isGivenUp)) {
      this.handovers.push({ group: name, slot, member, epoch });
    }
    group.possessions = group.possessions.filter((p) => !isGivenUp(p));
  }

  private forget(group: string, slot: string): void {
    const offsets = this.offsets.get(group);
    offsets?.delete(slot);
    if (offsets?.size === 0) this.offsets.delete(group);
  }
}

/** What of a member decides about its share. */
function wants({ topics, pattern, assignor, rack }: MemberProfile): string {
  return JSON.stringify([topics, pattern, assignor, rack]);
}
