import type { ErrorCode } from '../model/errors.js';
import type { BrokerId, LogIndex, RaftGroupId, TopicId } from '../model/ids.js';
import type { GroupEvent } from './group-event.js';
import type { BrokerAddress } from './image.js';

export interface BrokerRegistration {
  readonly id: BrokerId;
  readonly directoryId: string;
  readonly address: BrokerAddress;
  readonly rack: string;
  /** Replicas that it has memory for; undefined: not told, by a broker from before it was asked. */
  readonly replicasMax?: number | undefined;
}

/** A consumer group's next offset to read of one partition. */
export interface OffsetCommitItem {
  readonly group: string;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
  /** Who commits; absent: no member. */
  readonly fence?: CommitFence | undefined;
}

/** The member that commits, in the epoch that it knows. */
export interface CommitFence {
  readonly memberId: string;
  readonly memberEpoch: number;
  /** Rises from one commit of the member to its next; 0: not told. */
  readonly sequence: number;
}

/** Payload of an entry of the metadata log: what shall become of the cluster. */
export type Command =
  | { readonly kind: 'registerBroker'; readonly registration: BrokerRegistration }
  | {
      readonly kind: 'setBrokerFenced';
      readonly brokerId: BrokerId;
      readonly isFenced: boolean;
    }
  | {
      readonly kind: 'createTopic';
      readonly topicId: TopicId;
      readonly name: string;
      /** Replicas of each partition, the preferred leader first. */
      readonly assignment: readonly (readonly BrokerId[])[];
      readonly config: ReadonlyMap<string, string>;
    }
  | {
      readonly kind: 'deleteTopic';
      readonly topicId: TopicId;
      /** From a log of before deleted topics were remembered: it is not, on any replica. */
      readonly isForgotten?: boolean | undefined;
    }
  | {
      readonly kind: 'addPartitions';
      readonly topicId: TopicId;
      /** How many the topic has: the number of the first new one. A repetition changes nothing. */
      readonly from: number;
      /** Replicas of each new partition, the preferred leader first. */
      readonly assignment: readonly (readonly BrokerId[])[];
    }
  | {
      readonly kind: 'alterTopic';
      readonly topicId: TopicId;
      readonly set: ReadonlyMap<string, string>;
      readonly unset: readonly string[];
      /** Only if the settings still have this version. */
      readonly expectedVersion?: LogIndex | undefined;
      /** From a log of before settings had versions: gives them none, on every replica. */
      readonly isUnversioned?: boolean | undefined;
    }
  | {
      readonly kind: 'moveReplicas';
      readonly groupId: RaftGroupId;
      readonly replicas: readonly BrokerId[];
    }
  | {
      /** The group's own membership is now exactly these. */
      readonly kind: 'completeMove';
      readonly groupId: RaftGroupId;
      readonly replicas: readonly BrokerId[];
      /** Which target it arrived at. undefined: from a log of before targets had versions. */
      readonly targetVersion?: LogIndex | undefined;
    }
  | {
      /** The broker has deleted what tombstones told it to. */
      readonly kind: 'replicasDeleted';
      readonly brokerId: BrokerId;
      readonly groupIds: readonly RaftGroupId[];
    }
  | { readonly kind: 'allocateProducers'; readonly count: number }
  | { readonly kind: 'commitOffsets'; readonly commits: readonly OffsetCommitItem[] }
  | { readonly kind: 'groupEvents'; readonly events: readonly GroupEvent[] }
  | {
      /** Consumer groups without members have been idle for so much longer; some for too long. */
      readonly kind: 'ageGroups';
      /** Ms that the metadata leader lived through since it last said so; 1 or more. */
      readonly elapsedMs: number;
      /** Groups that were idle for so long go, with their offsets; 1 or more. */
      readonly limitMs: number;
    };

export interface Rejection {
  readonly kind: 'rejected';
  readonly code: ErrorCode;
  readonly message: string;
}

/** What applying a command came to; the same on every replica. */
export type ApplyResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'producersAllocated'; readonly first: number; readonly count: number }
  /** One for each commit, in order; undefined where it was taken. */
  | { readonly kind: 'offsetsCommitted'; readonly refused: readonly (Rejection | undefined)[] }
  /** One for each event, in order; undefined where it was applied. */
  | {
      readonly kind: 'groupEventsApplied';
      readonly refused: readonly (Rejection | undefined)[];
    }
  /** The groups that went. */
  | { readonly kind: 'groupsAged'; readonly expired: readonly string[] }
  | Rejection;

export const rejected = (code: ErrorCode, message: string): Rejection => ({
  kind: 'rejected',
  code,
  message,
});
