import { slotKey } from '../consumer-group.js';
import type { Assignment, AssignorInput, AssignorMember } from './assignor.js';

/**
 * Where an assignment breaks the contract of {@link Assignor}; undefined: nowhere. For those that are
 * not ours: a wrong answer must not leave partitions unread, nor reach the log.
 */
export function assignmentProblem(
  { members, topics }: AssignorInput,
  assignment: Assignment,
): string | undefined {
  if (!(assignment instanceof Map)) return 'it returned no Map of members';
  const byId = new Map(members.map((member) => [member.memberId, member]));
  const given = new Set<string>();
  for (const [memberId, slots] of assignment as ReadonlyMap<string, unknown>) {
    const member = byId.get(memberId);
    if (member === undefined) return `there is no member ${JSON.stringify(memberId)}`;
    if (!Array.isArray(slots)) return `member ${memberId} got no list of partitions`;
    for (const slot of slots as readonly unknown[]) {
      const problem = slotProblem(slot, member, topics);
      if (problem !== undefined) return problem;
      const key = slotKey(slot as Parameters<typeof slotKey>[0]);
      if (given.has(key)) return `partition ${key} is given twice`;
      given.add(key);
    }
  }
  for (const [topicId, topic] of topics) {
    for (let partition = 0; partition < topic.partitions; partition += 1) {
      const key = slotKey({ topicId, partition });
      if (!given.has(key)) return `partition ${key} is given to nobody`;
    }
  }
  return undefined;
}

function slotProblem(
  slot: unknown,
  { memberId, topics: subscribed }: AssignorMember,
  topics: AssignorInput['topics'],
): string | undefined {
  if (typeof slot !== 'object' || slot === null) return `member ${memberId} got no partition`;
  const { topicId, partition } = slot as {
    readonly topicId?: unknown;
    readonly partition?: unknown;
  };
  const id = subscribed.find((one) => one === topicId);
  if (id === undefined) {
    return `member ${memberId} does not subscribe to topic ${JSON.stringify(topicId)}`;
  }
  const count = topics.get(id)?.partitions ?? 0;
  const isPartition = Number.isInteger(partition) && Number(partition) >= 0;
  if (isPartition && Number(partition) < count) return undefined;
  return `topic ${id} has ${count} partitions, and no partition ${JSON.stringify(partition)}`;
}
