import type { TopicId } from '../../model/ids.js';
import type { Slot } from '../consumer-group.js';
import type { AssignorMember } from './assignor.js';
import type { Loaded } from './load-queue.js';

/** Racks with a replica of the partition. */
export type RacksOf = (slot: Slot) => ReadonlySet<string>;

/** What one member is to have, while it is being put together. */
export class Share implements Loaded {
  readonly member: AssignorMember;
  /** Its member's place among all. */
  readonly index: number;
  readonly topics: ReadonlySet<TopicId>;
  /** By key. */
  readonly slots = new Map<string, Slot>();

  constructor(member: AssignorMember, index: number, topics: ReadonlySet<TopicId>) {
    this.member = member;
    this.index = index;
    this.topics = topics;
  }

  get load(): number {
    return this.slots.size;
  }
}
