import { invariant } from '../base/assert.js';
import {
  logIndex,
  raftGroupId,
  type BrokerId,
  type LogIndex,
  type RaftGroupId,
  type TopicId,
} from '../model/ids.js';
import type {
  BrokerImage,
  GroupLocation,
  MetadataDelta,
  MetadataImage,
  PartitionImage,
  TopicImage,
} from './image.js';
import { DeletedTopics } from './deleted-topics.js';
import { ConsumerGroupBook, type FrozenConsumerGroups } from './consumer-group-book.js';
import { IdleGroups, type FrozenIdleTimes } from './idle-groups.js';
import { OffsetLedger, type FrozenLedger } from './offset-ledger.js';
import { holdersOf } from './replica-room.js';

/** Everything a snapshot holds, as it stood when the view was taken. */
export interface FrozenMetadata {
  readonly version: LogIndex;
  readonly nextGroupId: RaftGroupId;
  readonly nextProducerId: number;
  readonly brokers: ReadonlyMap<BrokerId, BrokerImage>;
  readonly topics: ReadonlyMap<TopicId, TopicImage>;
  readonly tombstones: ReadonlyMap<RaftGroupId, readonly BrokerId[]>;
  /** The oldest first. */
  readonly deletedTopics: readonly TopicId[];
  readonly ledger: FrozenLedger;
  readonly consumerGroups: FrozenConsumerGroups;
  readonly idleGroups: FrozenIdleTimes;
}

/**
 * The metadata group's state with its indexes, and a note of what changed since it was last asked.
 * Only apply.ts and the snapshot's codec change it.
 *
 * Invariants: topicsByName, groups, replicasHeld and moving follow from topicsById; group ids and producer ids
 * below the counters were handed out and are never handed out again.
 */
export class MetadataState implements MetadataImage {
  version = logIndex(0);
  nextGroupId = raftGroupId(1);
  nextProducerId = 0;
  readonly brokers = new Map<BrokerId, BrokerImage>();
  readonly topicsById = new Map<TopicId, TopicImage>();
  readonly topicsByName = new Map<string, TopicImage>();
  readonly groups = new Map<RaftGroupId, GroupLocation>();
  readonly replicasHeld = new Map<BrokerId, number>();
  readonly moving = new Set<RaftGroupId>();
  readonly tombstones = new Map<RaftGroupId, readonly BrokerId[]>();
  readonly deletedTopics = new DeletedTopics();
  readonly ledger: OffsetLedger;
  readonly consumerGroups = new ConsumerGroupBook();
  readonly idleGroups = new IdleGroups();

  private isReset = false;
  private readonly changedBrokers = new Set<BrokerId>();
  private readonly changedTopics = new Set<TopicId>();
  private readonly changedTombstones = new Set<RaftGroupId>();

  constructor(ledger = new OffsetLedger()) {
    this.ledger = ledger;
  }

  putBroker(broker: BrokerImage): void {
    this.brokers.set(broker.id, broker);
    this.changedBrokers.add(broker.id);
  }

  putTopic(topic: TopicImage): void {
    const previous = this.topicsById.get(topic.id);
    invariant(previous === undefined || previous.name === topic.name, 'topics keep their names');
    this.topicsById.set(topic.id, topic);
    this.topicsByName.set(topic.name, topic);
    this.count(previous, -1);
    this.count(topic, 1);
    for (const { groupId, partition, movingFrom } of topic.partitions) {
      if (!this.groups.has(groupId)) this.groups.set(groupId, { topicId: topic.id, partition });
      if (movingFrom.length > 0) this.moving.add(groupId);
      else this.moving.delete(groupId);
    }
    this.changedTopics.add(topic.id);
  }

  dropTopic(topic: TopicImage): void {
    this.topicsById.delete(topic.id);
    this.topicsByName.delete(topic.name);
    this.count(topic, -1);
    for (const { groupId } of topic.partitions) {
      this.groups.delete(groupId);
      this.moving.delete(groupId);
    }
    this.ledger.dropTopic(topic.id);
    this.changedTopics.add(topic.id);
  }

  /** Nobody left: the tombstone goes. */
  putTombstone(groupId: RaftGroupId, brokers: readonly BrokerId[]): void {
    if (brokers.length > 0) this.tombstones.set(groupId, brokers);
    else this.tombstones.delete(groupId);
    this.changedTombstones.add(groupId);
  }

  partition(groupId: RaftGroupId): { topic: TopicImage; partition: PartitionImage } | undefined {
    const at = this.groups.get(groupId);
    const topic = at === undefined ? undefined : this.topicsById.get(at.topicId);
    const partition = at === undefined ? undefined : topic?.partitions[at.partition];
    return topic === undefined || partition === undefined ? undefined : { topic, partition };
  }

  clear(): void {
    this.version = logIndex(0);
    this.nextGroupId = raftGroupId(1);
    this.nextProducerId = 0;
    this.brokers.clear();
    this.topicsById.clear();
    this.topicsByName.clear();
    this.groups.clear();
    this.replicasHeld.clear();
    this.moving.clear();
    this.tombstones.clear();
    this.deletedTopics.clear();
    this.ledger.clear();
    this.consumerGroups.clear();
    this.idleGroups.restore(new Map());
    this.isReset = true;
  }

  private count(topic: TopicImage | undefined, by: 1 | -1): void {
    for (const partition of topic?.partitions ?? []) {
      for (const id of holdersOf(partition)) {
        this.replicasHeld.set(id, (this.replicasHeld.get(id) ?? 0) + by);
      }
    }
  }

  freeze(): FrozenMetadata {
    return {
      version: this.version,
      nextGroupId: this.nextGroupId,
      nextProducerId: this.nextProducerId,
      brokers: new Map(this.brokers),
      topics: new Map(this.topicsById),
      tombstones: new Map(this.tombstones),
      deletedTopics: this.deletedTopics.freeze(),
      ledger: this.ledger.freeze(),
      consumerGroups: this.consumerGroups.freeze(),
      idleGroups: this.idleGroups.freeze(),
    };
  }

  /** What changed since the last call; undefined: nothing that the image shows. */
  takeDelta(): MetadataDelta | undefined {
    const isEmpty =
      !this.isReset &&
      this.changedBrokers.size + this.changedTopics.size + this.changedTombstones.size === 0;
    if (isEmpty) return undefined;
    const delta: MetadataDelta = {
      isReset: this.isReset,
      brokers: [...this.changedBrokers],
      topics: [...this.changedTopics],
      tombstones: [...this.changedTombstones],
    };
    this.isReset = false;
    this.changedBrokers.clear();
    this.changedTopics.clear();
    this.changedTombstones.clear();
    return delta;
  }
}
