import type { MemberProfile, Slot, HeldSlot } from './consumer-group.js';

/** What happens to a consumer group, as the metadata log tells it. */
export type GroupEvent =
  | {
      /** A member joins, starts anew, or says something new of itself. */
      readonly kind: 'member';
      readonly group: string;
      readonly memberId: string;
      /** Static member whose place it takes; empty: nobody's. */
      readonly replaces: string;
      /** It holds nothing: it has just started. Otherwise it must be known. */
      readonly isStart: boolean;
      readonly profile: MemberProfile;
    }
  | {
      /** The member no longer holds what it was told to release. */
      readonly kind: 'release';
      readonly group: string;
      readonly memberId: string;
      /** With the epochs in which they were given: a later gift of the same partition is not meant. */
      readonly slots: readonly HeldSlot[];
    }
  | {
      /** A static member left for a while. */
      readonly kind: 'away';
      readonly group: string;
      readonly memberId: string;
    }
  | {
      /** The member left for good, or was evicted. */
      readonly kind: 'leave';
      readonly group: string;
      readonly memberId: string;
    }
  | {
      readonly kind: 'target';
      readonly group: string;
      /** What it was computed from; if that has changed, it is refused. */
      readonly groupEpoch: number;
      readonly assignmentEpoch: number;
      /** Topics changed since, and nothing else did: the group epoch rises by one. */
      readonly raisesEpoch: boolean;
      readonly assignor: string;
      readonly topicsHash: number;
      /** Members whose target is another one from now on. */
      readonly changes: readonly TargetChange[];
    }
  | { readonly kind: 'deleteGroup'; readonly group: string }
  | { readonly kind: 'deleteOffsets'; readonly group: string; readonly slots: readonly Slot[] };

export interface TargetChange {
  readonly memberId: string;
  readonly slots: readonly Slot[];
}
