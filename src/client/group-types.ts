import type { BrokerError } from '../model/errors.js';
import type { TopicPartition } from '../model/ids.js';

// Requests and answers of proto/millrace/broker/v1/group.proto: plain values, absent fields undefined.

/** Partitions of one topic. */
export interface TopicPartitions {
  readonly topic: string;
  /** Empty: the name decides. */
  readonly topicId: string;
  readonly partitions: readonly number[];
}

/** How partitions are shared out among the members of a group: ours, or one that the brokers were given. */
export type Assignor = 'uniform' | 'range' | 'rack' | (string & Record<never, never>);

/** Which topics a member reads. */
export interface Subscription {
  readonly topics: readonly string[];
  /** RE2 syntax, matching whole names; empty: none. */
  readonly pattern: string;
}

/** @internal */
export interface JoinRequest {
  readonly kind: 'join';
  readonly sequence: number;
  readonly group: string;
  readonly memberId: string;
  /** 0: starts anew and holds nothing. */
  readonly memberEpoch: number;
  readonly owned: readonly TopicPartitions[];
  readonly instanceId: string;
  readonly rack: string;
  readonly clientId: string;
  readonly subscription: Subscription;
  readonly assignor: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
}

/** @internal */
export interface HeartbeatRequest {
  readonly kind: 'heartbeat';
  readonly sequence: number;
  readonly memberEpoch: number;
  /** Of the latest assignment taken in when `owned` was put together. */
  readonly assignmentVersion: number;
  /** Undefined: as last reported on this stream. */
  readonly owned: readonly TopicPartitions[] | undefined;
}

/** @internal */
export interface LeaveRequest {
  readonly kind: 'leave';
  readonly sequence: number;
  readonly isTemporary: boolean;
}

/** @internal */
export type MemberRequest = JoinRequest | HeartbeatRequest | LeaveRequest;

/** @internal */
export interface MemberAssignment {
  /** Rises with every assignment on one stream. */
  readonly version: number;
  /** Everything the member may hold from now on. */
  readonly partitions: readonly TopicPartitions[];
  /** What it will get as well once others have released it. */
  readonly pending: readonly TopicPartitions[];
  readonly targetEpoch: number;
}

/** @internal */
export interface MemberResponse {
  /** Of the request this answers; 0: pushed. */
  readonly sequence: number;
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly assignment: MemberAssignment | undefined;
  readonly heartbeatIntervalMs: number;
}

/** empty: no members; assigning: a new target is being computed; reconciling: members are on their way to it. */
export type GroupState = 'empty' | 'assigning' | 'reconciling' | 'stable' | 'unknown';

/** A group in a list. */
export interface GroupSummary {
  readonly group: string;
  readonly state: GroupState;
  readonly members: number;
  /** Partitions with a committed offset. */
  readonly committedPartitions: number;
}

/** A member, what it holds and what it is to hold. */
export interface GroupMemberDescription {
  readonly memberId: string;
  readonly instanceId: string;
  readonly clientId: string;
  /** Address it last connected from. */
  readonly clientHost: string;
  readonly rack: string;
  readonly memberEpoch: number;
  readonly subscription: Subscription;
  readonly assignor: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** What it holds and may hold. */
  readonly assigned: readonly TopicPartitions[];
  /** What it was told to release and has not yet. */
  readonly revoking: readonly TopicPartitions[];
  /** What it is to hold in the end. */
  readonly target: readonly TopicPartitions[];
  /** Its stream is open. */
  readonly isConnected: boolean;
  /** A static member that left for a while. */
  readonly isAway: boolean;
}

/** A partition that a group reads or has committed offsets of, and how far behind the group is. */
export interface GroupPartition extends TopicPartition {
  readonly topicId: string;
  /** Undefined: none committed. */
  readonly committedOffset: number | undefined;
  readonly metadata: string;
  /** Undefined: never. */
  readonly commitTimeMs: number | undefined;
  /** Undefined: not known. */
  readonly logStartOffset: number | undefined;
  /** Undefined: not known. */
  readonly highWatermark: number | undefined;
  /** Records that the group has yet to read. */
  readonly lagRecords: number | undefined;
  /** Age of the oldest of them, in ms; 0: none. */
  readonly lagMs: number | undefined;
  /** Undefined: nobody holds it. */
  readonly memberId: string | undefined;
  readonly error: BrokerError | undefined;
}

/** A group with its members and partitions. */
export interface GroupDescription {
  readonly group: string;
  readonly state: GroupState;
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  readonly assignor: string;
  readonly members: readonly GroupMemberDescription[];
  readonly partitions: readonly GroupPartition[];
  /** Undefined: never. */
  readonly lastCommitTimeMs: number | undefined;
  /** Broker that coordinates it. */
  readonly coordinator: number | undefined;
}

/** Where to set a group's committed offsets. */
export type ResetTo =
  | 'beginning'
  | 'end'
  | { readonly offset: number }
  /** The first record at or after it; the end if there is none. */
  | { readonly timestampMs: number }
  /** This many records on from the committed offset; negative: back. */
  | { readonly shiftBy: number };

/** A topic's partitions; none: all of them. */
export interface TopicSelection {
  readonly topic: string;
  readonly partitions?: readonly number[] | undefined;
}

/** What a reset made of a partition's committed offset, or would. */
export interface ResetOffset extends TopicPartition {
  readonly previousOffset: number | undefined;
  readonly offset: number | undefined;
  readonly error: BrokerError | undefined;
}

/**
 * Who commits: only for members of a group that has some.
 * @internal
 */
export interface MemberIdentity {
  readonly memberId: string;
  readonly memberEpoch: number;
}

/**
 * The Groups service, method by method.
 * @internal
 */
export interface GroupMethods {
  listGroups: {
    request: { readonly prefix: string; readonly after: string };
    answer: { readonly groups: readonly GroupSummary[]; readonly hasMore: boolean };
  };
  describeGroup: {
    request: { readonly group: string; readonly withLag: boolean };
    answer: GroupDescription;
  };
  deleteGroup: { request: { readonly group: string }; answer: object };
  deleteGroupOffsets: {
    request: { readonly group: string; readonly topics: readonly TopicSelection[] };
    answer: readonly TopicPartitions[];
  };
  resetGroupOffsets: {
    request: {
      readonly group: string;
      readonly topics: readonly TopicSelection[];
      readonly to: ResetTo;
      readonly isDryRun: boolean;
    };
    answer: readonly ResetOffset[];
  };
}

/** What became of a commit. */
export interface CommitReport {
  readonly offsets: readonly (TopicPartition & { readonly offset: number })[];
  /** Undefined: committed. */
  readonly error: BrokerError | undefined;
}
