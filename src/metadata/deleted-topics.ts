import type { TopicId } from '../model/ids.js';
import { METADATA_LIMITS } from './limits.js';

/**
 * Ids of the topics that were deleted last, oldest first. Part of the metadata state. An attempt to create
 * a topic may be held up on its way until long after a later one has made the topic and somebody has
 * deleted it: by its id it is known for what it is.
 *
 * Invariant: at most `deletedTopicsMax`; the oldest go first, on every replica alike.
 */
export class DeletedTopics {
  private readonly ids = new Set<TopicId>();
  private readonly max: number;

  constructor(max: number = METADATA_LIMITS.deletedTopicsMax) {
    this.max = max;
  }

  has(id: TopicId): boolean {
    return this.ids.has(id);
  }

  add(id: TopicId): void {
    this.ids.add(id);
    for (const oldest of this.ids) {
      if (this.ids.size <= this.max) return;
      this.ids.delete(oldest);
    }
  }

  freeze(): readonly TopicId[] {
    return [...this.ids];
  }

  clear(): void {
    this.ids.clear();
  }
}
