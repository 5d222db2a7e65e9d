import type { GroupPhase, MemberProfile } from '../metadata/consumer-group.js';
import { readProfile, writeProfile } from '../metadata/group-event-codec.js';
import type { BrokerId } from '../model/ids.js';
import { topicIdCodec } from './topic-id-codec.js';
import type {
  CommittedPartition,
  GroupRecord,
  GroupSummary,
  ListGroupsRequest,
  ListGroupsResult,
  MemberDescription,
  TopicSlots,
} from './group-types.js';
import { flag, int, listOf, maybe, peerOp, record, text, uint, type Codec } from './peer-op.js';

// Questions about consumer groups, and changes of them, to the metadata leader, who coordinates them.

const PHASES: readonly GroupPhase[] = ['empty', 'assigning', 'reconciling', 'stable'];
const phase: Codec<GroupPhase> = {
  write: (w, value) => void w.u8(PHASES.indexOf(value)),
  read: (r) => PHASES[r.u8()] ?? 'reconciling',
};

const profile: Codec<MemberProfile> = { write: writeProfile, read: readProfile };

const topicSlots = listOf(
  record<TopicSlots>({ topic: text, topicId: maybe(topicIdCodec), partitions: listOf(uint()) }),
);

export const GROUP_OPS = {
  listGroups: peerOp(
    'controller.listGroups',
    record<ListGroupsRequest>({ prefix: text, after: text, limit: uint() }),
    record<ListGroupsResult>({
      groups: listOf(
        record<GroupSummary>({ group: text, phase, members: uint(), committedPartitions: uint() }),
      ),
      hasMore: flag,
    }),
  ),
  describeGroup: peerOp(
    'controller.describeGroup',
    text,
    record<GroupRecord>({
      group: text,
      phase,
      groupEpoch: uint(),
      assignmentEpoch: uint(),
      assignor: text,
      members: listOf(
        record<MemberDescription>({
          memberId: text,
          profile,
          clientHost: text,
          memberEpoch: uint(),
          isConnected: flag,
          isAway: flag,
          assigned: topicSlots,
          revoking: topicSlots,
          target: topicSlots,
        }),
      ),
      committed: listOf(
        record<CommittedPartition>({
          topic: text,
          topicId: topicIdCodec,
          partition: uint(),
          offset: int,
          metadata: text,
          commitTimeMs: uint(),
        }),
      ),
      coordinator: uint<BrokerId>(),
    }),
  ),
  /** Answers true. */
  deleteGroup: peerOp('controller.deleteGroup', text, flag),
  /** Answers what was forgotten. */
  deleteGroupOffsets: peerOp(
    'controller.deleteGroupOffsets',
    record<{ group: string; topics: readonly TopicSlots[] }>({ group: text, topics: topicSlots }),
    topicSlots,
  ),
} as const;
