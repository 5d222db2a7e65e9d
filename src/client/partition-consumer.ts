import type { Crc32c } from '../base/crc32c.js';
import type { World } from '../ports/world.js';
import type { Abortable } from './abort.js';
import type { BatchView } from './batch-view.js';
import type { ClusterView } from './cluster-view.js';
import type { Codecs } from './compression/codecs.js';
import type { ClientTransport } from './connection.js';
import { Fetcher, type Management } from './fetcher.js';
import { OffsetLookup } from './offset-lookup.js';
import type { PartitionCursor } from './partition-cursor.js';
import type { ReadSettings } from './read-options.js';
import { RecordDecoder, type Deserializers } from './record-coding.js';
import { RecordReader } from './record-reader.js';
import type { ConsumedBatch, ConsumedRecord } from './records.js';
import type { TopicPartition } from './types.js';

export interface ConsumerDeps {
  readonly transport: ClientTransport;
  readonly world: World;
  readonly view: ClusterView;
  readonly codecs: Codecs;
  readonly crc32c: Crc32c;
  /** Told when the consumer was closed. */
  readonly closed?: (() => void) | undefined;
}

/**
 * What all consumers have in common, whoever says which partitions they read. Invariant: the position
 * of a partition is the offset after the last record that was handed out.
 */
export abstract class PartitionConsumer<K, V> implements AsyncIterable<ConsumedRecord<K, V>> {
  protected readonly deps: ConsumerDeps;
  protected readonly fetcher: Fetcher;
  protected readonly reader: RecordReader<K, V>;
  protected readonly lookup: OffsetLookup;

  protected constructor(
    settings: ReadSettings,
    serdes: Deserializers<K, V>,
    deps: ConsumerDeps,
    management?: Management,
  ) {
    this.deps = deps;
    this.fetcher = new Fetcher({ ...settings, management }, deps);
    this.reader = new RecordReader(this.fetcher, deps.codecs, new RecordDecoder(serdes));
    this.lookup = new OffsetLookup(deps.view, deps.world, settings.requestTimeoutMs);
  }

  /** Record by record; the consumer itself is the same without a signal, which ends only this loop. */
  abstract records(options?: Abortable): AsyncGenerator<ConsumedRecord<K, V>, void, undefined>;

  /** The same, batch by batch: far cheaper per record. */
  abstract batches(options?: Abortable): AsyncGenerator<ConsumedBatch<K, V>, void, undefined>;

  /**
   * The same, batch by batch and as bytes: where keys and values lie, with no object for any record. The
   * cheapest way to read. No serde is asked.
   */
  abstract views(options?: Abortable): AsyncGenerator<BatchView, void, undefined>;

  /** As `records()`. */
  [Symbol.asyncIterator](): AsyncGenerator<ConsumedRecord<K, V>, void, undefined> {
    return this.records();
  }

  /** Partitions that are read. */
  abstract assignment(): TopicPartition[];

  /** Throws INVALID_ARGUMENT if the partition is not read. */
  protected abstract mustGet(at: TopicPartition): PartitionCursor;

  /** Hands out nothing of these (or any) partitions until they are resumed; keeps their places. */
  pause(partitions: readonly TopicPartition[] = this.assignment()): void {
    for (const at of partitions) this.fetcher.pause(this.mustGet(at));
  }

  /** Hands out these (or all) partitions again, from where they were paused. */
  resume(partitions: readonly TopicPartition[] = this.assignment()): void {
    for (const at of partitions) this.fetcher.resume(this.mustGet(at));
  }

  /** The offset after the last record handed out. */
  position(at: TopicPartition): number {
    return this.mustGet(at).position;
  }

  /** The offset after the last committed record, as last heard; undefined: nothing heard yet. */
  highWatermark(at: TopicPartition): number | undefined {
    const { highWatermark } = this.mustGet(at);
    return highWatermark < 0 ? undefined : highWatermark;
  }
}
