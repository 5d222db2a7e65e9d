import { readStringMap, writeStringMap } from '../metadata/codec-parts.js';
import {
  readAddress,
  readRegistration,
  readRoom,
  writeAddress,
  writeRegistration,
  writeRoom,
} from '../metadata/command-codec.js';
import type { BrokerRegistration } from '../metadata/command.js';
import type { MorePartitions, NewTopic, WantedCommit } from '../metadata/decide.js';
import type { BrokerAddress } from '../metadata/image.js';
import type { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex, RaftGroupId, Term, TopicPartition } from '../model/ids.js';
import type {
  AlterTopicRequest,
  AlterTopicResult,
  CommittedOffset,
  GroupMemberDescription,
} from './admin-types.js';
import { errorCodec } from './error-codec.js';
import { GROUP_OPS } from './group-ops.js';
import {
  flag,
  int,
  listOf,
  maybe,
  nothing,
  peerOp,
  record,
  text,
  uint,
  type Codec,
} from './peer-op.js';
import { topicIdCodec } from './topic-id-codec.js';

// Requests to the metadata leader, from every broker (its own included).

const stringMap: Codec<ReadonlyMap<string, string>> = {
  write: writeStringMap,
  read: readStringMap,
};
/**
 * The last of a request's fields: room is told behind it. A request without it is an older broker's; an
 * older controller refuses one with it.
 */
export const registrationCodec: Codec<BrokerRegistration> = {
  write: (w, registration) => {
    writeRegistration(w, registration);
    writeRoom(w, registration);
  },
  read: (r) => {
    const registration = readRegistration(r);
    return r.remaining === 0 ? registration : { ...registration, ...readRoom(r) };
  },
};
export const addressCodec: Codec<BrokerAddress> = { write: writeAddress, read: readAddress };
export const brokerIds = listOf(uint<BrokerId>());
export const groupIds = listOf(uint<RaftGroupId>());

/** Where in the metadata log the change stands: who asked waits until its own copy has it. */
export interface Changed {
  readonly index: LogIndex;
}
const changed = record<Changed>({ index: uint<LogIndex>() });

export interface HeartbeatRequest {
  readonly id: BrokerId;
  readonly directoryId: string;
}

export interface CreateTopicCommand extends NewTopic {
  /** How long the leader may wait for enough brokers to be live. */
  readonly waitMs: number;
}

export interface AddPartitionsCommand extends MorePartitions {
  /** How long the leader may wait for enough brokers to be live. */
  readonly waitMs: number;
}

export interface MetadataGroupDescription {
  readonly controller: BrokerId;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly members: readonly GroupMemberDescription[];
}

export interface CommitRequest {
  readonly group: string;
  readonly offsets: readonly WantedCommit[];
  /** Empty: no member's. */
  readonly memberId: string;
  readonly memberEpoch: number;
  /** Rises from one commit of the member to its next; 0: not told. */
  readonly sequence: number;
}

export interface CommitAnswer extends Changed {
  /** One for each offset, in order; undefined where it was taken. */
  readonly errors: readonly (BrokerError | undefined)[];
  readonly commitTimeMs: number;
}

const role: Codec<'voter' | 'learner'> = {
  write: (w, value) => flag.write(w, value === 'voter'),
  read: (r) => (flag.read(r) ? 'voter' : 'learner'),
};

const topicPartition = record<TopicPartition>({ topic: text, partition: uint() });

export const CONTROLLER_OPS = {
  register: peerOp('controller.register', registrationCodec, changed),
  /** False: the leader does not know this broker, which is to register again. */
  heartbeat: peerOp(
    'controller.heartbeat',
    record<HeartbeatRequest>({ id: uint<BrokerId>(), directoryId: text }),
    flag,
  ),
  /** An index that covers everything acknowledged before the call. */
  barrier: peerOp('controller.barrier', nothing, changed),
  topicId: peerOp('controller.topicId', text, topicIdCodec),
  createTopic: peerOp(
    'controller.createTopic',
    record<CreateTopicCommand>({
      topicId: topicIdCodec,
      topic: text,
      partitions: maybe(uint<number>()),
      replicationFactor: maybe(uint<number>()),
      config: stringMap,
      waitMs: uint(),
    }),
    changed,
  ),
  deleteTopic: peerOp('controller.deleteTopic', topicIdCodec, changed),
  addPartitions: peerOp(
    'controller.addPartitions',
    record<AddPartitionsCommand>({ topicId: topicIdCodec, partitions: uint(), waitMs: uint() }),
    changed,
  ),
  alterTopic: peerOp(
    'controller.alterTopic',
    record<AlterTopicRequest>({
      topic: text,
      set: stringMap,
      unset: listOf(text),
      expectedVersion: maybe(uint<LogIndex>()),
      topicId: maybe(topicIdCodec),
    }),
    record<Changed & Omit<AlterTopicResult, 'risk'>>({
      index: uint<LogIndex>(),
      config: stringMap,
      configVersion: uint<LogIndex>(),
    }),
  ),
  moveReplicas: peerOp(
    'controller.moveReplicas',
    record<TopicPartition & { replicas: readonly BrokerId[] }>({
      topic: text,
      partition: uint(),
      replicas: brokerIds,
    }),
    changed,
  ),
  completeMove: peerOp(
    'controller.completeMove',
    record<{
      groupId: RaftGroupId;
      replicas: readonly BrokerId[];
      targetVersion: LogIndex;
    }>({
      groupId: uint<RaftGroupId>(),
      replicas: brokerIds,
      targetVersion: uint<LogIndex>(),
    }),
    changed,
  ),
  replicasDeleted: peerOp(
    'controller.replicasDeleted',
    record<{ brokerId: BrokerId; groupIds: readonly RaftGroupId[] }>({
      brokerId: uint<BrokerId>(),
      groupIds,
    }),
    changed,
  ),
  allocateProducers: peerOp(
    'controller.allocateProducers',
    uint<number>(),
    record<{ first: number; count: number }>({ first: uint(), count: uint() }),
  ),
  commitOffsets: peerOp(
    'controller.commitOffsets',
    record<CommitRequest>({
      group: text,
      offsets: listOf(
        record<WantedCommit>({ topic: text, partition: uint(), offset: int, metadata: text }),
      ),
      memberId: text,
      memberEpoch: uint(),
      sequence: uint(),
    }),
    record<CommitAnswer>({
      index: uint<LogIndex>(),
      errors: listOf(maybe(errorCodec)),
      commitTimeMs: uint(),
    }),
  ),
  fetchOffsets: peerOp(
    'controller.fetchOffsets',
    record<{ group: string; partitions: readonly TopicPartition[] }>({
      group: text,
      partitions: listOf(topicPartition),
    }),
    listOf(
      record<CommittedOffset>({
        topic: text,
        partition: uint(),
        offset: int,
        metadata: text,
        error: maybe(errorCodec),
        commitTimeMs: uint(),
      }),
    ),
  ),
  ...GROUP_OPS,
  describe: peerOp(
    'controller.describe',
    nothing,
    record<MetadataGroupDescription>({
      controller: uint<BrokerId>(),
      term: uint<Term>(),
      commitIndex: uint<LogIndex>(),
      members: listOf(
        record<GroupMemberDescription>({
          brokerId: uint<BrokerId>(),
          role,
          matchIndex: uint<LogIndex>(),
          isActive: flag,
          isRepairing: flag,
        }),
      ),
    }),
  ),
  transfer: peerOp(
    'controller.transfer',
    record<{ to: BrokerId | undefined; timeoutMs: number }>({
      to: maybe(uint<BrokerId>()),
      timeoutMs: uint(),
    }),
    record<{ leader: BrokerId; leaderEpoch: Term }>({
      leader: uint<BrokerId>(),
      leaderEpoch: uint<Term>(),
    }),
  ),
} as const;

/** What they are refused with leaves nothing done, however many attempts there were. */
export const READS: ReadonlySet<keyof typeof CONTROLLER_OPS> = new Set([
  'barrier',
  'topicId',
  'fetchOffsets',
  'listGroups',
  'describeGroup',
  'describe',
] as const);
