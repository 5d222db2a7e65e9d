import { compareStrings } from '../base/collections.js';
import { compareSlots, sortedSlots, type Slot } from '../metadata/consumer-group.js';
import type { MetadataImage } from '../metadata/image.js';
import type { TopicId } from '../model/ids.js';
import type { TopicSlots } from './group-types.js';

/** With names of topics, by name; partitions of topics that are gone are left out. */
export function namedSlots(image: MetadataImage, slots: readonly Slot[]): TopicSlots[] {
  const byTopic = new Map<TopicId, number[]>();
  for (const { topicId, partition } of slots) {
    const partitions = byTopic.get(topicId);
    if (partitions === undefined) byTopic.set(topicId, [partition]);
    else partitions.push(partition);
  }
  const named: TopicSlots[] = [];
  for (const [topicId, partitions] of byTopic) {
    const topic = image.topicsById.get(topicId)?.name;
    if (topic !== undefined) named.push({ topic, topicId, partitions });
  }
  return named.sort((a, b) => compareStrings(a.topic, b.topic));
}

/** Ascending, each once. A topic given by a name that nobody has any more is left out. */
export function slotsOf(image: MetadataImage, topics: readonly TopicSlots[]): Slot[] {
  const slots: Slot[] = [];
  for (const { topic, topicId, partitions } of topics) {
    const id = topicId ?? image.topicsByName.get(topic)?.id;
    if (id === undefined) continue;
    for (const partition of partitions) slots.push({ topicId: id, partition });
  }
  return sortedSlots(slots).filter((slot, i, all) => {
    const previous = all[i - 1];
    return previous === undefined || compareSlots(previous, slot) !== 0;
  });
}
