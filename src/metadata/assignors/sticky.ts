import { sortedStringKeys } from '../../base/collections.js';
import type { TopicId } from '../../model/ids.js';
import { slotKey, type Slot } from '../consumer-group.js';
import type { Assignment, Assignor, AssignorInput, AssignorMember } from './assignor.js';
import { evenOut } from './even-out.js';
import { LoadQueue } from './load-queue.js';
import { Share, type RacksOf } from './share.js';

/** Balanced over all topics; what a member has stays with it as far as balance allows. */
export const uniformAssignor: Assignor = {
  name: 'uniform',
  assign: (input) => new StickyAssignment(input, undefined).run(),
};

const NOWHERE: ReadonlySet<string> = new Set();

/** Balanced likewise; partitions go to members in a rack with a replica first, and stay second. */
export const rackAssignor: Assignor = {
  name: 'rack',
  usesRacks: true,
  assign: (input) =>
    new StickyAssignment(
      input,
      ({ topicId, partition }) => input.topics.get(topicId)?.racksOf(partition) ?? NOWHERE,
    ).run(),
};

/** Whom partitions are offered to. */
interface Offer {
  /** Part of the subscribers that the member is in; undefined: of no part that is ever asked. */
  readonly partOf: (member: AssignorMember) => string | undefined;
  /** Parts that the partition is offered to. */
  readonly partsFor: (slot: Slot) => Iterable<string>;
}

const EVERYONE = [''];
const TO_EVERYONE: Offer = { partOf: () => '', partsFor: () => EVERYONE };

/**
 * One sticky assignment. Members with equal subscriptions have a quota: the even share, rounded up
 * for as many as there are partitions over; the others are evened out afterwards, one move at a time.
 *
 *   1. Members keep what they have and like, within their quota (without a quota, all they have).
 *   2. What is left goes to members that like it, the one with the least first.
 *   3. The rest stays with who has it, or goes to the member with the least.
 *   4. While a move makes shares more even, partitions move.
 *
 * Given its own result, each step changes nothing. Each costs about as much as its input is long: the
 * coordinator does nothing else meanwhile.
 */
class StickyAssignment {
  private readonly input: AssignorInput;
  /** Undefined: every member likes every partition. */
  private readonly racksOf: RacksOf | undefined;
  private readonly shares: readonly Share[];
  private readonly bySubscription: ReadonlyMap<TopicId, readonly Share[]>;
  private readonly quota: number;
  /** Members that may still have one more than the quota. */
  private extras: number;
  private readonly isUniform: boolean;

  constructor(input: AssignorInput, racksOf: RacksOf | undefined) {
    this.input = input;
    this.racksOf = racksOf;
    this.shares = sharesOf(input.members);
    this.bySubscription = subscribersOf(this.shares);
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
    this.place(open, previous, this.toWhoLikesIt());
    this.keepRest(open, previous);
    this.place(open, previous, TO_EVERYONE);
    if (!this.isUniform) evenOut(this.bySubscription, this.shares, this.racksOf);
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

  private likes({ rack }: AssignorMember, slot: Slot): boolean {
    return this.racksOf === undefined || (rack !== '' && this.racksOf(slot).has(rack));
  }

  private toWhoLikesIt(): Offer {
    const { racksOf } = this;
    if (racksOf === undefined) return TO_EVERYONE;
    return { partOf: ({ rack }) => (rack === '' ? undefined : rack), partsFor: racksOf };
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

  private keepRest(open: Map<string, Slot>, previous: ReadonlyMap<string, Share>): void {
    for (const [key, slot] of [...open]) {
      const before = previous.get(key);
      if (before !== undefined && this.hasRoom(before)) this.give(before, key, slot, open);
    }
  }

  private place(open: Map<string, Slot>, previous: ReadonlyMap<string, Share>, to: Offer): void {
    let subscribers: readonly Share[] | undefined;
    let queues: ReadonlyMap<string, LoadQueue<Share>> = new Map();
    for (const [key, slot] of [...open]) {
      const all = this.subscribersOf(slot);
      // Partitions are in the order of their topics.
      if (all !== subscribers) queues = queuesOf(all, to);
      subscribers = all;
      const taker = this.least(queues, to.partsFor(slot));
      if (taker === undefined) continue;
      const before = previous.get(key);
      const mayStay =
        before?.load === taker.load && (to === TO_EVERYONE || this.likes(before.member, slot));
      this.give(mayStay ? before : taker, key, slot, open);
    }
  }

  /** With room; whoever has as much as it has room as well. */
  private least(
    queues: ReadonlyMap<string, LoadQueue<Share>>,
    parts: Iterable<string>,
  ): Share | undefined {
    let best: Share | undefined;
    for (const part of parts) {
      const first = queues.get(part)?.first();
      if (first === undefined || !this.hasRoom(first)) continue;
      const isBetter =
        best === undefined ||
        first.load < best.load ||
        (first.load === best.load && first.index < best.index);
      if (isBetter) best = first;
    }
    return best;
  }

  private subscribersOf({ topicId }: Slot): readonly Share[] {
    return this.isUniform ? this.shares : (this.bySubscription.get(topicId) ?? []);
  }

  private hasRoom({ load }: Share): boolean {
    return load < this.quota || (load === this.quota && this.extras > 0);
  }

  private give(share: Share, key: string, slot: Slot, open: Map<string, Slot>): void {
    if (share.load >= this.quota) this.extras -= 1;
    share.slots.set(key, slot);
    open.delete(key);
  }
}

/** Members mostly have one list of topics in common. */
function sharesOf(members: readonly AssignorMember[]): Share[] {
  const sets = new Map<readonly TopicId[], ReadonlySet<TopicId>>();
  return members.map((member, index) => {
    const topics = sets.get(member.topics) ?? new Set(member.topics);
    sets.set(member.topics, topics);
    return new Share(member, index, topics);
  });
}

function subscribersOf(shares: readonly Share[]): Map<TopicId, readonly Share[]> {
  const topics = shares[0]?.topics ?? [];
  if (shares.every((share) => share.topics === topics)) {
    return new Map([...topics].map((topicId) => [topicId, shares]));
  }
  const subscribers = new Map<TopicId, Share[]>();
  for (const share of shares) {
    for (const topicId of share.topics) {
      const list = subscribers.get(topicId);
      if (list === undefined) subscribers.set(topicId, [share]);
      else list.push(share);
    }
  }
  return subscribers;
}

function queuesOf(shares: readonly Share[], { partOf }: Offer): Map<string, LoadQueue<Share>> {
  const parts = new Map<string, Share[]>();
  for (const share of shares) {
    const part = partOf(share.member);
    if (part === undefined) continue;
    const list = parts.get(part);
    if (list === undefined) parts.set(part, [share]);
    else list.push(share);
  }
  return new Map([...parts].map(([part, list]) => [part, new LoadQueue(list, 'least')]));
}
