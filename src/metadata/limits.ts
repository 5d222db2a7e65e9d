/** Bounds of what the metadata group holds; beyond them commands are refused, never queued. */
export const METADATA_LIMITS = {
  brokersMax: 1_000,
  /** Live partitions of all topics. */
  partitionsMax: 200_000,
  consumerGroupsMax: 100_000,
  committedOffsetsMax: 2_000_000,
  rackLengthMax: 255,
  hostLengthMax: 255,
  /** Commits that one command carries. */
  commitsPerCommandMax: 10_000,
} as const;
