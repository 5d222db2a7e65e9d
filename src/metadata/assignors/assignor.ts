import type { TopicId } from '../../model/ids.js';
import type { Slot } from '../consumer-group.js';

/** A member of the group. */
export interface AssignorMember {
  readonly memberId: string;
  /** Empty: not a static member. */
  readonly instanceId: string;
  /** Empty: no preference. */
  readonly rack: string;
  /** Existing topics it subscribes to, ascending. */
  readonly topics: readonly TopicId[];
  /** Its target so far; may name topics and partitions that are gone. */
  readonly current: readonly Slot[];
}

/** A topic that somebody subscribes to. */
export interface AssignorTopic {
  readonly id: TopicId;
  readonly partitions: number;
  /** Racks in which the partition has a replica. */
  racksOf(partition: number): ReadonlySet<string>;
}

/** Who is there, and what there is to share out. */
export interface AssignorInput {
  /** Ascending by member id. */
  readonly members: readonly AssignorMember[];
  /** Every topic that a member subscribes to. */
  readonly topics: ReadonlyMap<TopicId, AssignorTopic>;
}

/** What each member is to hold; members without an entry get nothing. */
export type Assignment = ReadonlyMap<string, readonly Slot[]>;

/**
 * Divides partitions among the members of a group, in the coordinator. Pure: the same input gives the
 * same assignment. It runs on the broker's one thread, and everything waits for it: for 1,000 members it
 * should take milliseconds.
 *
 * Must: give every partition of a topic that anyone subscribes to to exactly one of its subscribers.
 * Should: repeat itself, that is, given its own answer as `current`, change nothing.
 */
export interface Assignor {
  /** What members ask for it by: a letter a to z, then up to 48 of a-z, 0-9, dot, underscore, hyphen. */
  readonly name: string;
  /** It asks in which racks replicas are, so that moved replicas and new racks call for a new target. */
  readonly usesRacks?: boolean;
  /** Who holds what from now on. */
  assign(input: AssignorInput): Assignment;
}
