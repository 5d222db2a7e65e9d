import type { GroupsHandlers } from '../../rpc/gen/millrace/broker/v1/Groups.js';
import type { ApiContext } from './context.js';
import { groupFrom } from './convert-cluster.js';
import {
  groupDescriptionToWire,
  listGroupsFrom,
  resetFrom,
  resetToWire,
  summaryToWire,
  topicSlotsFrom,
  topicSlotsToWire,
} from './convert-groups.js';
import { ParticipateStream, type ParticipateCall } from './participate-stream.js';
import { unary } from './unary.js';

/** The Groups service. */
export function groupHandlers(context: ApiContext): GroupsHandlers {
  return {
    Participate: (call: ParticipateCall) => new ParticipateStream(context, call).serve(),
    ListGroups: unary(context, async (wire, { services, deadlineMs }) => {
      const { groups, hasMore } = await services.groups.listGroups(listGroupsFrom(wire), {
        deadlineMs,
      });
      return { groups: groups.map(summaryToWire), hasMore };
    }),
    DescribeGroup: unary(context, async (wire, { services, deadlineMs }) => {
      const request = { group: groupFrom(wire), withLag: !wire.noLag };
      return groupDescriptionToWire(await services.groups.describeGroup(request, { deadlineMs }));
    }),
    DeleteGroup: unary(context, async (wire, { services, deadlineMs }) => {
      await services.groups.deleteGroup(groupFrom(wire), { deadlineMs });
      return {};
    }),
    DeleteGroupOffsets: unary(context, async (wire, { services, deadlineMs }) => {
      const topics = topicSlotsFrom(wire.topics, 'topics', { atLeastOne: true });
      const request = { group: groupFrom(wire), topics };
      const deleted = await services.groups.deleteGroupOffsets(request, { deadlineMs });
      return { deleted: deleted.map(topicSlotsToWire) };
    }),
    ResetGroupOffsets: unary(context, async (wire, { services, deadlineMs }) => {
      const offsets = await services.groups.resetGroupOffsets(resetFrom(wire), { deadlineMs });
      return { offsets: offsets.map(resetToWire) };
    }),
  };
}
