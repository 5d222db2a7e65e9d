import { compareStrings, sortedKeys, sortedStringKeys } from '../base/collections.js';
import type { TopicId } from '../model/ids.js';
import { METADATA_LIMITS } from './limits.js';

/** What a consumer group committed for one partition. */
export interface CommittedPosition {
  readonly offset: number;
  readonly metadata: string;
  /** The metadata leader's time of the commit. */
  readonly timeMs: number;
}

export interface LedgerRow extends CommittedPosition {
  readonly topicId: TopicId;
  readonly partition: number;
}

interface GroupPage {
  /** Freeze count when this page was made: an older one is shared with a frozen view. */
  readonly freezes: number;
  readonly topics: Map<TopicId, Map<number, CommittedPosition>>;
}

/** Committed offsets as they stood when the view was taken. */
export type FrozenLedger = ReadonlyMap<string, GroupPage>;

/**
 * Committed offsets of consumer groups, by group name, topic id and partition. Part of the metadata
 * state and kept apart from it, so that it can move to Raft groups of its own.
 *
 * Invariants: no group and no topic in it is empty; `size` is the number of positions; a page shared
 * with a frozen view is never written to, but replaced by a copy first.
 */
export class OffsetLedger {
  private pages = new Map<string, GroupPage>();
  private positions = 0;
  private freezes = 0;
  private readonly positionsMax: number;

  constructor(positionsMax: number = METADATA_LIMITS.committedOffsetsMax) {
    this.positionsMax = positionsMax;
  }

  get size(): number {
    return this.positions;
  }

  get groupCount(): number {
    return this.pages.size;
  }

  /** How many more positions it takes, of groups that it knows. */
  get room(): number {
    return this.positionsMax - this.positions;
  }

  /** False: it would be more than the ledger may hold. */
  maybeCommit(
    group: string,
    at: { readonly topicId: TopicId; readonly partition: number },
    position: CommittedPosition,
  ): boolean {
    const isKnown = this.pages.get(group)?.topics.get(at.topicId)?.has(at.partition) === true;
    if (!isKnown && !this.hasRoom(group)) return false;
    const page = this.writable(group);
    let topic = page.topics.get(at.topicId);
    if (topic === undefined) {
      topic = new Map();
      page.topics.set(at.topicId, topic);
    }
    if (!isKnown) this.positions += 1;
    topic.set(at.partition, position);
    return true;
  }

  position(group: string, topicId: TopicId, partition: number): CommittedPosition | undefined {
    return this.pages.get(group)?.topics.get(topicId)?.get(partition);
  }

  has(group: string): boolean {
    return this.pages.has(group);
  }

  /** Names of groups that committed something. */
  names(): IterableIterator<string> {
    return this.pages.keys();
  }

  /** Names of groups that committed something of the topic, ascending. */
  groupsOf(topicId: TopicId): string[] {
    const found: string[] = [];
    for (const [group, { topics }] of this.pages) if (topics.has(topicId)) found.push(group);
    return found.sort(compareStrings);
  }

  /** Positions of a group. */
  countOf(group: string): number {
    let count = 0;
    for (const partitions of this.pages.get(group)?.topics.values() ?? []) count += partitions.size;
    return count;
  }

  /** Everything of a group, in order of topic id and partition. */
  rows(group: string): LedgerRow[] {
    const page = this.pages.get(group);
    return page === undefined ? [] : rowsOf(page);
  }

  dropTopic(topicId: TopicId): void {
    for (const group of [...this.pages.keys()]) {
      const gone = this.pages.get(group)?.topics.get(topicId);
      if (gone === undefined) continue;
      const page = this.writable(group);
      page.topics.delete(topicId);
      this.positions -= gone.size;
      if (page.topics.size === 0) this.pages.delete(group);
    }
  }

  dropGroup(group: string): void {
    this.positions -= this.countOf(group);
    this.pages.delete(group);
  }

  forget(group: string, topicId: TopicId, partition: number): void {
    if (this.position(group, topicId, partition) === undefined) return;
    const page = this.writable(group);
    const topic = page.topics.get(topicId);
    topic?.delete(partition);
    this.positions -= 1;
    if (topic?.size === 0) page.topics.delete(topicId);
    if (page.topics.size === 0) this.pages.delete(group);
  }

  /** Costs one shallow copy of the list of groups; pages are copied when they are next written to. */
  freeze(): FrozenLedger {
    this.freezes += 1;
    return new Map(this.pages);
  }

  clear(): void {
    this.pages = new Map();
    this.positions = 0;
  }

  private hasRoom(group: string): boolean {
    if (this.room <= 0) return false;
    return this.pages.has(group) || this.pages.size < METADATA_LIMITS.consumerGroupsMax;
  }

  private writable(group: string): GroupPage {
    const page = this.pages.get(group);
    if (page !== undefined && page.freezes === this.freezes) return page;
    const topics = new Map<TopicId, Map<number, CommittedPosition>>();
    for (const [topicId, partitions] of page?.topics ?? [])
      topics.set(topicId, new Map(partitions));
    const copy = { freezes: this.freezes, topics };
    this.pages.set(group, copy);
    return copy;
  }
}

export function rowsOf(page: GroupPage): LedgerRow[] {
  const rows: LedgerRow[] = [];
  for (const topicId of sortedStringKeys(page.topics) as TopicId[]) {
    const partitions = page.topics.get(topicId) ?? new Map<number, CommittedPosition>();
    for (const partition of sortedKeys(partitions)) {
      const position = partitions.get(partition);
      if (position !== undefined) rows.push({ topicId, partition, ...position });
    }
  }
  return rows;
}
