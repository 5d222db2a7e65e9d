import { invariant } from '../base/assert.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Every bound in the house. Settings may lower them; nothing may be unbounded.
 * Bytes unless the name says otherwise.
 */
export const LIMITS = {
  topicNameLengthMax: 249,
  topicsMax: 100_000,
  /** Partitions of one topic. */
  partitionsPerTopicMax: 10_000,
  replicationFactorMax: 7,
  metadataVotersMax: 5,

  /** Largest record batch, header included; topics may set less (`max.batch.bytes`). */
  batchBytesMax: 8 * MIB,
  batchBytesDefault: 1 * MIB,
  recordsPerBatchMax: 1_000_000,
  /** What the records of one batch in a compacted topic unfold to: they may be stored so. */
  compactedRecordsBytesMax: 12 * MIB,
  recordHeadersMax: 1_000,

  /** Largest message between a client and a broker, and between two brokers. */
  clientMessageBytesMax: 16 * MIB,
  peerMessageBytesMax: 32 * MIB,
  /** Messages are packed into envelopes of about this size; a single larger one travels alone. */
  peerEnvelopeBytes: 1 * MIB,
  /** Messages of one envelope, whatever their size. */
  peerEnvelopeMessagesMax: 65_536,
  /** What may wait for one peer on each of its two streams; what does not fit is dropped. */
  peerControlQueueBytesMax: 8 * MIB,
  peerBulkQueueBytesMax: 32 * MIB,
  /** Body of one call between brokers, either way. */
  peerCallBytesMax: 16 * MIB,
  /** Calls of peers served at a time: as many for records, and as many for running the cluster. */
  peerCallsMax: 4_096,
  snapshotsSentAtOnceMax: 4,
  snapshotsReceivedAtOnceMax: 8,
  snapshotChunkBytes: 256 * KIB,
  snapshotBytesMax: 1024 * MIB,

  /** Payload bytes in one Raft append message (one entry may exceed it alone). */
  appendMessageBytesMax: 1 * MIB,
  inflightAppendsMax: 256,
  inflightAppendBytesMax: 16 * MIB,
  uncommittedBytesMax: 64 * MIB,
  /** Entries applied in one turn, by bytes: a long log never blocks the loop for long. */
  applyTurnBytesMax: 4 * MIB,

  /** Bytes one produce stream, and all of them together, may have waiting for an answer. */
  produceInflightBytesPerStreamMax: 64 * MIB,
  produceInflightBytesMax: 256 * MIB,
  produceInflightPerStreamMax: 4_096,
  fetchBytesMax: 8 * MIB,
  fetchWaitMsMax: 60_000,
  fetchWaitersMax: 100_000,
  /** How far behind a follower may be that answers a fetch. */
  fetchStalenessMsMin: 500,
  fetchStalenessMsMax: 300_000,
  /** Polls that a broker has under way at other brokers, for fetches of several leaders. */
  fetchForwardsMax: 1_024,
  /** Requests and streams that one connection, of a client or between brokers, may have open. */
  streamsPerConnectionMax: 2_048,
  requestDeadlineMsMax: 300_000,

  /**
   * What one replica takes of its broker's memory by itself, however little that broker has: its state and
   * the least that its store is given, filled. Measured: docs/PERFORMANCE.md.
   */
  replicaMemoryBytes: 512 * KIB,
  /** Recent entries of all groups of a broker kept in memory. */
  recentEntriesBytesMax: 128 * MIB,

  /** Keys that the leader of a partition compares by (`compare.by.key`), and what they take with it. */
  comparedKeysMax: 1_000_000,
  comparedKeyBytesMax: 128 * MIB,
  /** The same for all partitions of a broker together. */
  comparedKeyBytesPerBrokerMax: 512 * MIB,

  producersPerPartitionMax: 10_000,
  producerExpiryMs: 24 * 3_600_000,
  /** Longest delivery timeout a client may use; producer state younger than it is never evicted. */
  deliveryTimeoutMsMax: 3_600_000,
  producerIdBlock: 1_000,

  groupNameLengthMax: 249,
  /** Members of all consumer groups. */
  groupMembersMax: 100_000,
  /** Of session and rebalance timeouts of members. */
  groupTimeoutMsMin: 1_000,
  groupTimeoutMsMax: 3_600_000,
  /** Streams of members to one broker, those included that have yet to join. */
  groupStreamsMax: 120_000,
  offsetCommitsPerRequestMax: 10_000,
  commitMetadataBytesMax: 4 * KIB,
} as const;

/** The bounds must fit each other; checked once at start-up and in a test. */
export function checkLimits(limits: Readonly<Record<keyof typeof LIMITS, number>> = LIMITS): void {
  invariant(
    limits.batchBytesMax + MIB <= limits.clientMessageBytesMax,
    'a batch fits a client message',
  );
  invariant(
    limits.batchBytesMax + MIB <= limits.peerMessageBytesMax,
    'a batch fits a peer message',
  );
  invariant(
    limits.compactedRecordsBytesMax + MIB <= limits.clientMessageBytesMax &&
      limits.compactedRecordsBytesMax + MIB <= limits.peerMessageBytesMax,
    'a batch that was decompressed fits a message',
  );
  invariant(
    limits.batchBytesMax <= limits.compactedRecordsBytesMax,
    'a batch that was never compressed may be rewritten',
  );
  invariant(
    limits.batchBytesMax + MIB <= limits.peerBulkQueueBytesMax,
    'a batch fits the queue to a peer',
  );
  invariant(
    limits.peerEnvelopeBytes + limits.batchBytesMax <= limits.peerMessageBytesMax,
    'an envelope fits a peer message',
  );
  invariant(
    limits.comparedKeyBytesMax <= limits.comparedKeyBytesPerBrokerMax,
    'the keys of a partition fit a broker',
  );
  invariant(limits.batchBytesDefault <= limits.batchBytesMax, 'the default batch limit is allowed');
  invariant(
    limits.batchBytesMax <= limits.uncommittedBytesMax,
    'a batch fits the uncommitted tail',
  );
  invariant(
    limits.batchBytesMax <= limits.produceInflightBytesPerStreamMax,
    'a batch fits a produce stream',
  );
  invariant(
    limits.groupMembersMax < limits.groupStreamsMax,
    'every member of a group can be connected, and others come',
  );
  invariant(
    2 * limits.fetchForwardsMax <= limits.streamsPerConnectionMax,
    'polls that wait at one peer leave half of their connection to produces that are passed on',
  );
  invariant(
    limits.streamsPerConnectionMax <= limits.peerCallsMax,
    'a connection between brokers has no more streams than calls are served',
  );
  invariant(
    limits.deliveryTimeoutMsMax < limits.producerExpiryMs,
    'retries end before state expires',
  );
}
