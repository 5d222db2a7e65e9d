import type { GroupPhase, MemberProfile } from '../metadata/consumer-group.js';
import type { BrokerError } from '../model/errors.js';
import type { BrokerId, TopicId } from '../model/ids.js';
import type { CallOptions } from './admin-types.js';

// Requests and answers of proto/millrace/broker/v1/group.proto as plain values.

/** Partitions of one topic. */
export interface TopicSlots {
  readonly topic: string;
  /** Undefined, in requests only: the name says which. */
  readonly topicId: TopicId | undefined;
  readonly partitions: readonly number[];
}

export interface SubscriptionSpec {
  readonly topics: readonly string[];
  readonly pattern: string;
}

export interface JoinGroupRequest {
  readonly kind: 'join';
  readonly sequence: number;
  readonly group: string;
  /** Empty: the coordinator chooses. */
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly owned: readonly TopicSlots[];
  readonly instanceId: string;
  readonly rack: string;
  readonly clientId: string;
  readonly subscription: SubscriptionSpec;
  readonly assignor: string;
  readonly sessionTimeoutMs: number | undefined;
  readonly rebalanceTimeoutMs: number | undefined;
}

export interface GroupHeartbeatRequest {
  readonly kind: 'heartbeat';
  readonly sequence: number;
  readonly memberEpoch: number;
  readonly assignmentVersion: number;
  readonly owned: readonly TopicSlots[] | undefined;
  readonly subscription: SubscriptionSpec | undefined;
  readonly assignor: string | undefined;
  readonly rack: string | undefined;
}

export interface LeaveGroupRequest {
  readonly kind: 'leave';
  readonly sequence: number;
  readonly isTemporary: boolean;
}

export type ParticipateRequest = JoinGroupRequest | GroupHeartbeatRequest | LeaveGroupRequest;

export interface MemberAssignment {
  readonly version: number;
  readonly partitions: readonly TopicSlots[];
  readonly pending: readonly TopicSlots[];
  readonly targetEpoch: number;
}

export interface ParticipateResponse {
  /** 0: pushed. */
  readonly sequence: number;
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly assignment: MemberAssignment | undefined;
  readonly heartbeatIntervalMs: number;
}

/** The member's end of its stream, as the coordinator sees it. */
export interface ParticipationSink {
  /** False: the member has not taken what was sent; {@link Participation.drained} follows. */
  send(response: ParticipateResponse): boolean;
  /** Called once; without an error the call ends well. */
  end(error: BrokerError | undefined): void;
}

/** The coordinator's end of a member's stream. */
export interface Participation {
  /** Never throws: what is wrong ends the stream. */
  request(request: ParticipateRequest): void;
  drained(): void;
  /** The member sends no more: the stream ends once what came is served. */
  finished(): void;
  /** The connection is lost. */
  closed(): void;
}

export interface ListGroupsRequest {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

export interface GroupSummary {
  readonly group: string;
  readonly phase: GroupPhase;
  readonly members: number;
  readonly committedPartitions: number;
}

export interface ListGroupsResult {
  readonly groups: readonly GroupSummary[];
  readonly hasMore: boolean;
}

export interface MemberDescription {
  readonly memberId: string;
  readonly profile: MemberProfile;
  readonly clientHost: string;
  readonly memberEpoch: number;
  readonly isConnected: boolean;
  readonly isAway: boolean;
  readonly assigned: readonly TopicSlots[];
  readonly revoking: readonly TopicSlots[];
  readonly target: readonly TopicSlots[];
}

export interface CommittedPartition {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
  readonly commitTimeMs: number;
}

/** What the coordinator knows of a group. */
export interface GroupRecord {
  readonly group: string;
  readonly phase: GroupPhase;
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  readonly assignor: string;
  readonly members: readonly MemberDescription[];
  readonly committed: readonly CommittedPartition[];
  readonly coordinator: BrokerId;
}

export interface GroupPartition {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
  /** -1: none. */
  readonly committedOffset: number;
  readonly metadata: string;
  readonly commitTimeMs: number;
  /** -1 wherever it is not known. */
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly lagRecords: number;
  readonly lagMs: number;
  /** Empty: nobody. */
  readonly memberId: string;
  readonly error: BrokerError | undefined;
}

export interface GroupDescription extends GroupRecord {
  readonly partitions: readonly GroupPartition[];
  readonly lastCommitTimeMs: number;
}

export type ResetTo =
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'timestamp'; readonly timestampMs: number }
  | { readonly kind: 'shift'; readonly by: number }
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' };

export interface ResetGroupOffsetsRequest {
  readonly group: string;
  /** No partitions: all of the topic. Empty: whatever the group committed. */
  readonly topics: readonly TopicSlots[];
  readonly to: ResetTo;
  readonly isDryRun: boolean;
}

export interface ResetOffset {
  readonly topic: string;
  readonly partition: number;
  /** -1: none. */
  readonly previousOffset: number;
  readonly outcome: number | BrokerError;
}

/**
 * Everything of the Groups service. Participation is the coordinator's, the broker that leads the
 * metadata group; any broker serves the rest.
 */
export interface GroupService {
  participate(sink: ParticipationSink, clientHost: string): Participation;
  listGroups(request: ListGroupsRequest, options: CallOptions): Promise<ListGroupsResult>;
  describeGroup(
    request: { readonly group: string; readonly withLag: boolean },
    options: CallOptions,
  ): Promise<GroupDescription>;
  deleteGroup(group: string, options: CallOptions): Promise<void>;
  /** Resolves with what was forgotten. */
  deleteGroupOffsets(
    request: { readonly group: string; readonly topics: readonly TopicSlots[] },
    options: CallOptions,
  ): Promise<readonly TopicSlots[]>;
  resetGroupOffsets(
    request: ResetGroupOffsetsRequest,
    options: CallOptions,
  ): Promise<readonly ResetOffset[]>;
}
