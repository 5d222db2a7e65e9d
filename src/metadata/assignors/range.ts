import { compareStrings, sortedStringKeys } from '../../base/collections.js';
import type { TopicId } from '../../model/ids.js';
import type { Slot } from '../consumer-group.js';
import type { Assignor, AssignorInput, AssignorMember } from './assignor.js';

/**
 * Topic by topic, consecutive partitions to members in a fixed order: members with the same topics get
 * partitions with the same numbers of each, so that topics partitioned alike can be joined.
 */
export const rangeAssignor: Assignor = {
  name: 'range',
  assign(input) {
    const assignment = new Map<string, Slot[]>();
    const subscribers = subscribersOf(input);
    for (const topicId of sortedStringKeys(subscribers) as TopicId[]) {
      const members = subscribers.get(topicId) ?? [];
      const count = input.topics.get(topicId)?.partitions ?? 0;
      let next = 0;
      members.forEach((member, i) => {
        const end = Math.floor((count * (i + 1)) / members.length);
        const slots = assignment.get(member.memberId) ?? [];
        for (; next < end; next += 1) slots.push({ topicId, partition: next });
        assignment.set(member.memberId, slots);
      });
    }
    return assignment;
  },
};

/** Static members first, by instance id: their order outlives a restart. */
function subscribersOf({ members }: AssignorInput): Map<TopicId, AssignorMember[]> {
  const ordered = [...members].sort(
    (a, b) =>
      Number(a.instanceId === '') - Number(b.instanceId === '') ||
      compareStrings(a.instanceId, b.instanceId) ||
      compareStrings(a.memberId, b.memberId),
  );
  const subscribers = new Map<TopicId, AssignorMember[]>();
  for (const member of ordered) {
    for (const topicId of member.topics) {
      const list = subscribers.get(topicId);
      if (list === undefined) subscribers.set(topicId, [member]);
      else list.push(member);
    }
  }
  return subscribers;
}
