import type { ApplyResult, CommitFence } from '../../../src/metadata/command.js';
import {
  slotKey,
  type ConsumerGroupView,
  type GroupMember,
  type MemberProfile,
  type Slot,
} from '../../../src/metadata/consumer-group.js';
import type { GroupEvent } from '../../../src/metadata/group-event.js';
import { planTarget } from '../../../src/metadata/plan-target.js';
import { topicId, type TopicId } from '../../../src/model/ids.js';
import { createTopic, Log, TIME_MS } from './support.js';

export const GROUP = 'workers';

export const topicIdOf = (n: number): TopicId => topicId(n.toString(16).padStart(32, '0'));

export function profile(changes: Partial<MemberProfile> = {}): MemberProfile {
  return {
    instanceId: '',
    rack: '',
    clientId: 'test',
    topics: ['a'],
    pattern: '',
    assignor: '',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    ...changes,
  };
}

/** A metadata log with a consumer group in it. */
export class GroupLog extends Log {
  /** Topic `a` gets id 1, `b` id 2 and so on. */
  constructor(partitions: Readonly<Record<string, number>> = {}) {
    super(1, 2, 3);
    for (const [name, count] of Object.entries(partitions)) this.create(name, count);
  }

  create(name: string, count: number): void {
    const replicas = Array.from({ length: count }, (_, i) => [(i % 3) + 1]);
    this.apply(createTopic(name, replicas, topicIdOf(name.charCodeAt(0) - 96)));
  }

  /** Code of the refusal; undefined if it was applied. */
  event(event: GroupEvent): string | undefined {
    const result: ApplyResult | undefined = this.apply({ kind: 'groupEvents', events: [event] });
    if (result?.kind !== 'groupEventsApplied') throw new Error(`unexpected ${result?.kind}`);
    return result.refused[0]?.code;
  }

  join(memberId: string, changes: Partial<MemberProfile> = {}, replaces = ''): string | undefined {
    return this.event({
      kind: 'member',
      group: GROUP,
      memberId,
      replaces,
      isStart: true,
      profile: profile(changes),
    });
  }

  update(memberId: string, changes: Partial<MemberProfile>): string | undefined {
    return this.event({
      kind: 'member',
      group: GROUP,
      memberId,
      replaces: '',
      isStart: false,
      profile: profile(changes),
    });
  }

  leave(memberId: string): string | undefined {
    return this.event({ kind: 'leave', group: GROUP, memberId });
  }

  /** Computes and installs the target, if a new one is due. */
  plan(): boolean {
    const { target } = planTarget(this.state, this.group, (pattern) => {
      const expression = new RegExp(`^(?:${pattern})$`);
      return (name) => expression.test(name);
    });
    if (target === undefined) return false;
    const refusal = this.event(target);
    if (refusal !== undefined) throw new Error(refusal);
    return true;
  }

  /** The member lets go of everything it is to release. */
  release(memberId: string): string | undefined {
    const slots = this.member(memberId).revoking;
    return this.event({ kind: 'release', group: GROUP, memberId, slots });
  }

  /** Plans and releases until nothing is left to do. */
  settle(): void {
    for (let isMoving = true; isMoving;) {
      isMoving = this.plan();
      for (const member of [...this.group.members.values()]) {
        if (member.revoking.length === 0) continue;
        this.release(member.memberId);
        isMoving = true;
      }
    }
  }

  commit(
    fence: Omit<CommitFence, 'sequence'> | CommitFence | undefined,
    slot: Slot,
    offset = 1,
  ): string | undefined {
    const result = this.apply(
      {
        kind: 'commitOffsets',
        commits: [
          {
            group: GROUP,
            ...slot,
            offset,
            metadata: '',
            ...(fence && { fence: { sequence: 0, ...fence } }),
          },
        ],
      },
      TIME_MS,
    );
    if (result?.kind !== 'offsetsCommitted') throw new Error(`unexpected ${result?.kind}`);
    return result.refused[0]?.code;
  }

  get group(): ConsumerGroupView {
    const group = this.state.consumerGroups.get(GROUP);
    if (group === undefined) throw new Error('there is no group');
    return group;
  }

  member(memberId: string): GroupMember {
    const member = this.group.members.get(memberId);
    if (member === undefined) throw new Error(`no member ${memberId}`);
    return member;
  }
}

/** `a0 a1 b0`: topics by letter. */
export function show(slots: readonly Slot[]): string {
  return slots
    .map(({ topicId: id, partition }) => {
      const letter = String.fromCharCode(96 + Number.parseInt(id, 16));
      return `${letter}${partition}`;
    })
    .join(' ');
}

export const slot = (text: string): Slot => ({
  topicId: topicIdOf(text.charCodeAt(0) - 96),
  partition: Number(text.slice(1)),
});

/** Every partition that is held or may be, with its holders. */
export function holders(group: ConsumerGroupView): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (const { memberId, assigned, revoking } of group.members.values()) {
    for (const one of [...assigned, ...revoking]) {
      map.set(slotKey(one), [...(map.get(slotKey(one)) ?? []), memberId]);
    }
  }
  return map;
}
