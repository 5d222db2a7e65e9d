import { sortedStringKeys } from '../../base/collections.js';
import type { TopicId } from '../../model/ids.js';
import { slotKey, type Slot } from '../consumer-group.js';
import type { Assignment, Assignor, AssignorInput, AssignorMember } from './assignor.js';

/** Balanced over all topics; what a member has stays with it as far as balance allows. */
export const uniformAssignor: Assignor = {
  name: 'uniform',
  assign: (input) => new StickyAssignment(input, () => true).run(),
};

/** Balanced likewise; partitions go to members in a rack with a replica first, and stay second. */
export const rackAssignor: Assignor = {
  name: 'rack',
  assign: (input) =>
    new StickyAssignment(input, ({ rack }, { topicId, partition }) => {
      if (rack === '') return false;
      return input.topics.get(topicId)?.racksOf(partition).has(rack) === true;
    }).run(),
};

/** One member while its share is being put together. */
interface Share {
  readonly member: AssignorMember;
  readonly topics: ReadonlySet<TopicId>;
  readonly slots: Map<string, Slot>;
}

/**
 * One sticky assignment. Members with equal subscriptions have a quota: the even share, rounded up
 * for as many as there are partitions over; the others are evened out afterwards, one move at a time.
 *
 *   1. Members keep what they have and like, within their quota (without a quota, all they have).
 *   2. What is left goes to members that like it, the one with the least first.
 *   3. The rest stays with who has it, or goes to the member with the least.
 *   4. While a move makes shares more even, partitions move.
 *
 * Given its own result, each step changes nothing.
 */
class StickyAssignment {
  private readonly input: AssignorInput;
  private readonly likes: (member: AssignorMember, slot: Slot) => boolean;
  private readonly shares: readonly Share[];
  private readonly bySubscription = new Map<TopicId, Share[]>();
  private readonly quota: number;
  /** Members that may still have one more than the quota. */
  private extras: number;
  private readonly isUniform: boolean;

  constructor(input: AssignorInput, likes: (member: AssignorMember, slot: Slot) => boolean) {
    this.input = input;
    this.likes = likes;
    this.shares = input.members.map((member) => ({
      member,
      topics: new Set(member.topics),
      slots: new Map<string, Slot>(),
    }));
    for (const share of this.shares) {
      for (const topicId of share.member.topics) {
        const list = this.bySubscription.get(topicId);
        if (list === undefined) this.bySubscription.set(topicId, [share]);
        else list.push(share);
      }
    }
    const everyone = this.shares.length;
    this.isUniform = [...this.bySubscription.values()].every((list) => list.length === everyone);
    let partitions = 0;
    for (const topicId of this.bySubscription.keys()) partitions += this.partitionsOf(topicId);
    this.quota = this.isUniform ? Math.floor(partitions / Math.max(1, everyone)) : Infinity;
    this.extras = this.isUniform ? partitions % Math.max(1, everyone) : 0;
  }

  run(): Assignment {
    const open = this.everything();
    const previous = new Map<string, Share>();
    for (const share of this.shares) {
      for (const slot of share.member.current) {
        if (!this.mayHave(share, slot)) continue;
        const key = slotKey(slot);
        if (!previous.has(key)) previous.set(key, share);
      }
    }
    this.keep(open, previous);
    this.placeLiked(open, previous);
    this.placeRest(open, previous);
    if (!this.isUniform) this.even();
    return new Map(
      this.shares.map(({ member, slots }) => [member.memberId, [...slots.values()]] as const),
    );
  }

  private partitionsOf(topicId: TopicId): number {
    return this.input.topics.get(topicId)?.partitions ?? 0;
  }

  private everything(): Map<string, Slot> {
    const all = new Map<string, Slot>();
    for (const topicId of sortedStringKeys(this.bySubscription) as TopicId[]) {
      const count = this.partitionsOf(topicId);
      for (let partition = 0; partition < count; partition += 1) {
        const slot = { topicId, partition };
        all.set(slotKey(slot), slot);
      }
    }
    return all;
  }

  private mayHave({ topics }: Share, { topicId, partition }: Slot): boolean {
    return topics.has(topicId) && partition < this.partitionsOf(topicId);
  }

  /** Within the quota first, for all; then one more for as many as may. */
  private keep(open: Map<string, Slot>, previous: ReadonlyMap<string, Share>): void {
    const surplus: [Share, string, Slot][] = [];
    for (const share of this.shares) {
      let seen = 0;
      for (const slot of share.member.current) {
        const key = slotKey(slot);
        if (previous.get(key) !== share) continue;
        if (this.isUniform && !this.likes(share.member, slot)) continue;
        if (seen < this.quota) this.give(share, key, slot, open);
        else if (seen === this.quota) surplus.push([share, key, slot]);
        seen += 1;
      }
    }
    for (const [share, key, slot] of surplus) {
      if (this.hasRoom(share)) this.give(share, key, slot, open);
    }
  }

  private placeLiked(open: Map<string, Slot>, previous: ReadonlyMap<string, Share>): void {
    for (const [key, slot] of [...open]) {
      const fan = (share: Share): boolean => this.likes(share.member, slot) && this.hasRoom(share);
      const taker = least(this.subscribersOf(slot), previous.get(key), fan);
      if (taker !== undefined) this.give(taker, key, slot, open);
    }
  }

  private placeRest(open: Map<string, Slot>, previous: ReadonlyMap<string, Share>): void {
    for (const [key, slot] of [...open]) {
      const before = previous.get(key);
      if (before !== undefined && this.hasRoom(before)) this.give(before, key, slot, open);
    }
    for (const [key, slot] of [...open]) {
      const taker = least(this.subscribersOf(slot), previous.get(key), (one) => this.hasRoom(one));
      if (taker !== undefined) this.give(taker, key, slot, open);
    }
  }

  private subscribersOf({ topicId }: Slot): readonly Share[] {
    return this.bySubscription.get(topicId) ?? [];
  }

  private hasRoom({ slots }: Share): boolean {
    return slots.size < this.quota || (slots.size === this.quota && this.extras > 0);
  }

  private give(share: Share, key: string, slot: Slot, open: Map<string, Slot>): void {
    if (share.slots.size >= this.quota) this.extras -= 1;
    share.slots.set(key, slot);
    open.delete(key);
  }

  /** Every move brings two shares closer, so that it ends. */
  private even(): void {
    for (let hasMoved = true; hasMoved;) {
      hasMoved = false;
      for (const subscribers of this.bySubscription.values()) {
        while (this.maybeMove(subscribers)) hasMoved = true;
      }
    }
  }

  /** From the largest share that has a partition of the subscribers' topic to their least. */
  private maybeMove(subscribers: readonly Share[]): boolean {
    const to = least(subscribers, undefined, () => true);
    if (to === undefined) return false;
    const richest = [...subscribers].sort((a, b) => b.slots.size - a.slots.size);
    for (const from of richest) {
      if (from.slots.size - to.slots.size < 2) return false;
      const movable = [...from.slots].filter(([, slot]) => this.mayHave(to, slot));
      const moved = movable.find(([, slot]) => this.likes(to.member, slot)) ?? movable[0];
      if (moved === undefined) continue;
      from.slots.delete(moved[0]);
      to.slots.set(...moved);
      return true;
    }
    return false;
  }
}

/** The least loaded of those that may; of equals the favourite, else the first. */
function least(
  shares: readonly Share[],
  favourite: Share | undefined,
  may: (share: Share) => boolean,
): Share | undefined {
  let best: Share | undefined;
  for (const share of shares) {
    const load = share.slots.size;
    const isBetter =
      best === undefined ||
      load < best.slots.size ||
      (load === best.slots.size && share === favourite);
    if (isBetter && may(share)) best = share;
  }
  return best;
}
