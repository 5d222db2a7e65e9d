import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import type { Cancel, World } from '../ports/world.js';
import type { PartitionQueue } from './accumulator.js';
import type { ClusterView } from './cluster-view.js';
import { StickyPartitioner } from './partitioner.js';
import type { ProducerSettings } from './producer-options.js';
import type { TopicInfo } from './types.js';
import { WaitingLine } from './waiting-line.js';

const MAX_BATCH_KEY = 'max.batch.bytes';
const COMPARE_BY_KEY = 'compare.by.key';

/** A topic as its records are gathered. */
export interface IntakeTopic {
  readonly name: string;
  info: TopicInfo | undefined;
  queues: (PartitionQueue | undefined)[];
  readonly sticky: StickyPartitioner;
  readonly waiting: WaitingLine;
  unfollow: Cancel | undefined;
  /** A batch is full at this size ... */
  batchBytes: number;
  batchBytesBusy: number;
  /** ... but a single record may be as large as the topic allows. */
  batchBytesMax: number;
  /** It takes no compressed batches: its brokers look at keys. */
  isPlain: boolean;
}

/**
 * The topics that a producer writes to: asked for with the first record, and followed from then on.
 *
 * Invariants: a name stands for one topic at a time; `waitingBytes` is what waits for all of them.
 */
export class IntakeTopics {
  private bytesWaiting = 0;
  private readonly settings: ProducerSettings;
  private readonly view: ClusterView;
  private readonly world: World;
  private readonly byName = new Map<string, IntakeTopic>();

  constructor(settings: ProducerSettings, view: ClusterView, world: World) {
    this.settings = settings;
    this.view = view;
    this.world = world;
  }

  get waitingBytes(): number {
    return this.bytesWaiting;
  }

  all(): Iterable<IntakeTopic> {
    return this.byName.values();
  }

  get(name: string): IntakeTopic | undefined {
    return this.byName.get(name);
  }

  /** The topic; one that is not known yet is asked for, and its records wait. */
  of(name: string): IntakeTopic {
    let topic = this.byName.get(name);
    if (topic === undefined) {
      topic = {
        name,
        info: this.view.topic(name),
        queues: [],
        sticky: new StickyPartitioner(this.world.random),
        waiting: new WaitingLine((bytes) => {
          this.bytesWaiting += bytes;
        }),
        unfollow: undefined,
        batchBytes: this.settings.batchBytes,
        batchBytesBusy: this.settings.batchBytesBusy,
        batchBytesMax: LIMITS.batchBytesDefault,
        isPlain: false,
      };
      this.byName.set(name, topic);
      if (topic.info === undefined) void this.load(topic);
      else this.use(topic, topic.info);
    }
    return topic;
  }

  /** The name stands for another topic, or for none. */
  forget(name: string): IntakeTopic | undefined {
    const topic = this.byName.get(name);
    this.byName.delete(name);
    topic?.unfollow?.();
    return topic;
  }

  /** No news is wanted any more. Idempotent. */
  close(): void {
    for (const { unfollow } of this.byName.values()) unfollow?.();
  }

  /** Never rejects: those who wait for the topic are told. */
  private async load(topic: IntakeTopic): Promise<void> {
    const { topicTimeoutMs } = this.settings;
    try {
      this.use(topic, await this.view.loadTopic(topic.name, topicTimeoutMs));
    } catch (thrown) {
      // The next send asks again.
      if (this.byName.get(topic.name) === topic) this.byName.delete(topic.name);
      topic.waiting.refuse(() => BrokerError.from(thrown));
      return;
    }
    topic.waiting.admit();
  }

  /** More partitions take effect with the next record: those before it stay where they were put. */
  private use(topic: IntakeTopic, info: TopicInfo): void {
    topic.info = info;
    if (this.byName.get(topic.name) !== topic) return;
    topic.unfollow ??= this.view.follow(topic.name, (news) => {
      if (news.topicId === info.topicId) this.use(topic, news);
    });
    topic.batchBytesMax = topicBatchBytesMax(info);
    topic.isPlain = info.config[COMPARE_BY_KEY] === 'true';
    topic.batchBytes = Math.min(this.settings.batchBytes, topic.batchBytesMax);
    topic.batchBytesBusy = Math.min(this.settings.batchBytesBusy, topic.batchBytesMax);
  }
}

function topicBatchBytesMax(info: TopicInfo): number {
  const set = Number(info.config[MAX_BATCH_KEY]);
  return Number.isSafeInteger(set) && set > 0 ? set : LIMITS.batchBytesDefault;
}
