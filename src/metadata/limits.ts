import { LIMITS } from '../model/limits.js';

/** Bounds of what the metadata group holds; beyond them commands are refused, never queued. */
export const METADATA_LIMITS = {
  brokersMax: 1_000,
  /** Live partitions of all topics. */
  partitionsMax: 200_000,
  /** Changes of a topic's settings that are remembered. */
  configHistoryMax: 16,
  /** Ids of deleted topics that are remembered, so that no late attempt makes one of them again. */
  deletedTopicsMax: 10_000,
  consumerGroupsMax: 100_000,
  committedOffsetsMax: 2_000_000,
  rackLengthMax: 255,
  hostLengthMax: 255,
  membersPerConsumerGroupMax: 5_000,
  /** Members of all groups. */
  consumerGroupMembersMax: LIMITS.groupMembersMax,
  memberIdLengthMax: 64,
  instanceIdLengthMax: 249,
  clientIdLengthMax: 255,
  subscribedTopicsMax: 1_000,
  patternLengthMax: 1_000,
  /** Session and rebalance timeouts of members. */
  memberTimeoutMsMin: LIMITS.groupTimeoutMsMin,
  memberTimeoutMsMax: LIMITS.groupTimeoutMsMax,
  /** Events of consumer groups that one command carries. */
  groupEventsPerCommandMax: 10_000,
  /** Commits that one command carries. */
  commitsPerCommandMax: 10_000,
} as const;
