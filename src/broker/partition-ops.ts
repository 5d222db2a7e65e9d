import type { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex, Offset, RaftGroupId, Term } from '../model/ids.js';
import type { OffsetAt, OffsetFound, PartitionFacts, ReplicaDescription } from './admin-types.js';
import { orError } from './error-codec.js';
import { flag, int, listOf, maybe, peerOp, record, uint, type Codec } from './peer-op.js';

// Requests to the leaders of partitions: many partitions of one leader in one call.

const role: Codec<'voter' | 'learner'> = {
  write: (w, value) => flag.write(w, value === 'voter'),
  read: (r) => (flag.read(r) ? 'voter' : 'learner'),
};

const facts = record<PartitionFacts>({
  leader: uint<BrokerId>(),
  leaderEpoch: uint<Term>(),
  replicas: listOf(
    record<ReplicaDescription>({
      brokerId: uint<BrokerId>(),
      role,
      inSync: flag,
      matchIndex: uint<LogIndex>(),
      repairing: flag,
    }),
  ),
  logStartOffset: uint<Offset>(),
  highWatermark: uint<Offset>(),
  sizeBytes: uint(),
  compactedTo: uint<Offset>(),
});

const AT_CODES = { earliest: 0, latest: 1, timestamp: 2, record: 3, maxTimestamp: 4 } as const;
const offsetAt: Codec<OffsetAt> = {
  write(w, at) {
    w.u8(AT_CODES[at.kind]);
    if (at.kind === 'timestamp') w.i64(at.timestampMs);
    if (at.kind === 'record') w.uvarint(at.offset);
  },
  read(r) {
    const code = r.u8();
    if (code === AT_CODES.timestamp) return { kind: 'timestamp', timestampMs: r.i64() };
    if (code === AT_CODES.record) return { kind: 'record', offset: r.uvarint() };
    if (code === AT_CODES.maxTimestamp) return { kind: 'maxTimestamp' };
    return { kind: code === AT_CODES.earliest ? 'earliest' : 'latest' };
  },
};

export interface GroupOffsetQuery {
  readonly groupId: RaftGroupId;
  readonly at: OffsetAt;
}

/** How far a partition is committed, as a leader says whom a quorum follows. */
export interface CommittedTo {
  /** Whoever has applied this entry knows all that was committed when the question was asked. */
  readonly index: LogIndex;
  readonly leaderEpoch: Term;
}

export interface WatermarkQuery {
  readonly groupId: RaftGroupId;
  /** The answer need not be exact if it is at least this. */
  readonly wanted: number;
}

/** One answer for each thing asked, in order. */
type Answers<T> = readonly (T | BrokerError)[];
const answers = <T extends object | number>(codec: Codec<T>): Codec<Answers<T>> =>
  listOf(orError(codec));

export const PARTITION_OPS = {
  describe: peerOp('partition.describe', listOf(uint<RaftGroupId>()), answers(facts)),
  listOffsets: peerOp(
    'partition.listOffsets',
    record<{
      linearizable: boolean;
      timeoutMs: number;
      queries: readonly GroupOffsetQuery[];
    }>({
      linearizable: flag,
      timeoutMs: uint(),
      queries: listOf(record<GroupOffsetQuery>({ groupId: uint<RaftGroupId>(), at: offsetAt })),
    }),
    answers(record<OffsetFound>({ offset: int, timestampMs: int, leaderEpoch: uint<Term>() })),
  ),
  highWatermarks: peerOp(
    'partition.highWatermarks',
    record<{ timeoutMs: number; queries: readonly WatermarkQuery[] }>({
      timeoutMs: uint(),
      queries: listOf(record<WatermarkQuery>({ groupId: uint<RaftGroupId>(), wanted: uint() })),
    }),
    answers(uint<Offset>()),
  ),
  committedTo: peerOp(
    'partition.committedTo',
    record<{ timeoutMs: number; groupIds: readonly RaftGroupId[] }>({
      timeoutMs: uint(),
      groupIds: listOf(uint<RaftGroupId>()),
    }),
    answers(record<CommittedTo>({ index: uint<LogIndex>(), leaderEpoch: uint<Term>() })),
  ),
  /** How far replicas on this broker, leading or not, have compacted their logs. */
  compacted: peerOp('partition.compacted', listOf(uint<RaftGroupId>()), answers(uint<Offset>())),
  trim: peerOp(
    'partition.trim',
    record<{ groupId: RaftGroupId; beforeOffset: number; timeoutMs: number }>({
      groupId: uint<RaftGroupId>(),
      beforeOffset: int,
      timeoutMs: uint(),
    }),
    uint<Offset>(),
  ),
  transfer: peerOp(
    'partition.transfer',
    record<{ groupId: RaftGroupId; to: BrokerId | undefined; timeoutMs: number }>({
      groupId: uint<RaftGroupId>(),
      to: maybe(uint<BrokerId>()),
      timeoutMs: uint(),
    }),
    record<{ leader: BrokerId; leaderEpoch: Term }>({
      leader: uint<BrokerId>(),
      leaderEpoch: uint<Term>(),
    }),
  ),
} as const;
