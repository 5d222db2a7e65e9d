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

export interface Subscription {
  readonly topics: readonly string[];
  /** RE2 syntax, matching whole names; empty: none. */
  readonly pattern: string;
}

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

export interface HeartbeatRequest {
  readonly kind: 'heartbeat';
  readonly sequence: number;
  readonly memberEpoch: number;
  /** Of the latest assignment taken in when `owned` was put together. */
  readonly assignmentVersion: number;
  /** Undefined: as last reported on this stream. */
  readonly owned: readonly TopicPartitions[] | undefined;
}

export interface LeaveRequest {
  readonly kind: 'leave';
  readonly sequence: number;
  readonly isTemporary: boolean;
}

export type MemberRequest = JoinRequest | HeartbeatRequest | LeaveRequest;

export interface MemberAssignment {
  /** Rises with every assignment on one stream. */
  readonly version: number;
  /** Everything the member may hold from now on. */
  readonly partitions: readonly TopicPartitions[];
  /** What it will get as well once others have released it. */
  readonly pending: readonly TopicPartitions[];
  readonly targetEpoch: number;
}

export interface MemberResponse {
  /** Of the request this answers; 0: pushed. */
  readonly sequence: number;
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly assignment: MemberAssignment | undefined;
  readonly heartbeatIntervalMs: number;
}

export type GroupState = 'empty' | 'assigning' | 'reconciling' | 'stable' | 'unknown';

export interface GroupSummary {
  readonly group: string;
  readonly state: GroupState;
  readonly members: number;
  /** Partitions with a committed offset. */
  readonly committedPartitions: number;
}

export interface GroupMemberDescription {
  readonly memberId: string;
  readonly instanceId: string;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rack: string;
  readonly memberEpoch: number;
  readonly subscription: Subscription;
  readonly assignor: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly assigned: readonly TopicPartitions[];
  readonly revoking: readonly TopicPartitions[];
  readonly target: readonly TopicPartitions[];
  readonly isConnected: boolean;
  /** A static member that left for a while. */
  readonly isAway: boolean;
}

export interface GroupPartition extends TopicPartition {
  readonly topicId: string;
  /** Undefined: none committed. */
  readonly committedOffset: number | undefined;
  readonly metadata: string;
  /** Undefined: never. */
  readonly commitTimeMs: number | undefined;
  readonly logStartOffset: number | undefined;
  readonly highWatermark: number | undefined;
  /** Records that the group has yet to read. */
  readonly lagRecords: number | undefined;
  /** Age of the oldest of them. */
  readonly lagMs: number | undefined;
  /** Undefined: nobody holds it. */
  readonly memberId: string | undefined;
  readonly error: BrokerError | undefined;
}

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

export interface ResetOffset extends TopicPartition {
  readonly previousOffset: number | undefined;
  readonly offset: number | undefined;
  readonly error: BrokerError | undefined;
}

/** Who commits: only for members of a group that has some. */
export interface MemberIdentity {
  readonly memberId: string;
  readonly memberEpoch: number;
}

/** The Groups service, method by method. */
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
