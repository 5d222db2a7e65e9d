import { integerIn, topicNameIn } from '../../rpc/convert.js';
import type { ClusterHandlers } from '../../rpc/gen/millrace/broker/v1/Cluster.js';
import type { ApiContext } from './context.js';
import {
  addPartitionsFrom,
  alterTopicFrom,
  clusterToWire,
  committedToWire,
  createTopicFrom,
  deleteTopicFrom,
  groupFrom,
  metadataToWire,
  moveFrom,
  offsetAnswerToWire,
  offsetCommitsFrom,
  offsetKeysFrom,
  offsetQueriesFrom,
  topicDescriptionToWire,
  transferFrom,
  trimPartitionFrom,
} from './convert-cluster.js';
import { unary } from './unary.js';

const PRODUCER_EPOCH_MAX = 0x7fff;

/** The Cluster service: convert, ask the broker, convert. */
export function clusterHandlers(context: ApiContext): ClusterHandlers {
  return {
    GetMetadata: unary(context, async ({ topics, linearizable }, { services, deadlineMs }) =>
      metadataToWire(await services.admin.getMetadata({ topics, linearizable }, { deadlineMs })),
    ),
    DescribeCluster: unary(context, async (_request, { services, deadlineMs }) =>
      clusterToWire(await services.admin.describeCluster({ deadlineMs })),
    ),
    CreateTopic: unary(context, async (wire, { services, deadlineMs }) =>
      services.admin.createTopic(createTopicFrom(wire), { deadlineMs }),
    ),
    DeleteTopic: unary(context, async (wire, { services, deadlineMs }) => {
      await services.admin.deleteTopic(deleteTopicFrom(wire), { deadlineMs });
      return {};
    }),
    AddPartitions: unary(context, async (wire, { services, deadlineMs }) =>
      services.admin.addPartitions(addPartitionsFrom(wire), { deadlineMs }),
    ),
    DescribeTopic: unary(context, async ({ topic }, { services, deadlineMs }) =>
      topicDescriptionToWire(
        await services.admin.describeTopic(topicNameIn(topic), { deadlineMs }),
      ),
    ),
    AlterTopic: unary(context, async (wire, { services, deadlineMs }) => {
      const request = alterTopicFrom(wire);
      const { config, ...altered } = await services.admin.alterTopic(request, { deadlineMs });
      return { config: Object.fromEntries(config), ...altered };
    }),
    ListOffsets: unary(context, async (wire, { services, deadlineMs }) => {
      const request = { queries: offsetQueriesFrom(wire), linearizable: wire.linearizable };
      const answers = await services.admin.listOffsets(request, { deadlineMs });
      return { answers: answers.map(offsetAnswerToWire) };
    }),
    TrimPartition: unary(context, async (wire, { services, deadlineMs }) => {
      const request = trimPartitionFrom(wire);
      return { logStartOffset: await services.admin.trimPartition(request, { deadlineMs }) };
    }),
    InitProducer: unary(context, async (wire, { services, deadlineMs }) => {
      const id = integerIn(wire.producerId ?? -1, 'producer_id', -1);
      const request = {
        producerId: id === -1 ? undefined : id,
        producerEpoch: integerIn(wire.producerEpoch, 'producer_epoch', -1, PRODUCER_EPOCH_MAX),
      };
      return services.admin.initProducer(request, { deadlineMs });
    }),
    CommitOffsets: unary(context, async (wire, { services, deadlineMs }) => {
      const request = {
        group: groupFrom(wire),
        offsets: offsetCommitsFrom(wire),
        memberId: wire.memberId,
        memberEpoch: integerIn(wire.memberEpoch, 'member_epoch', 0),
        sequence: integerIn(wire.commitSequence, 'commit_sequence', 0),
      };
      const offsets = await services.admin.commitOffsets(request, { deadlineMs });
      return { offsets: offsets.map(committedToWire) };
    }),
    FetchOffsets: unary(context, async (wire, { services, deadlineMs }) => {
      const request = { group: groupFrom(wire), partitions: offsetKeysFrom(wire) };
      const offsets = await services.admin.fetchOffsets(request, { deadlineMs });
      return { offsets: offsets.map(committedToWire) };
    }),
    TransferLeadership: unary(context, async (wire, { services, deadlineMs }) =>
      services.admin.transferLeadership(transferFrom(wire), { deadlineMs }),
    ),
    MoveReplicas: unary(context, async (wire, { services, deadlineMs }) => {
      await services.admin.moveReplicas(moveFrom(wire), { deadlineMs });
      return {};
    }),
  };
}
