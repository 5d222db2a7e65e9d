import type { RecordTable } from '../model/record-table.js';
import type { RecordHeader } from '../model/record.js';
import type { ReadRecord } from './records.js';
import type { TopicPartition } from './types.js';

interface Extent {
  readonly table: RecordTable;
  /** Records [first, end) of the table are part of the view. */
  readonly first: number;
  readonly end: number;
  readonly nextOffset: number;
  readonly highWatermark: number;
  readonly leaderEpoch: number;
  readonly storedBytes: number;
}

/**
 * Records that were produced together, as they lie in memory: where the key and the value of each are in
 * `bytes`, with no object for any of them. Records are numbered from 0. All of it was checked; it stays
 * as it is for as long as somebody holds it.
 */
export class BatchView implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** How many records there are, at least one. */
  readonly count: number;
  /** What the places below lie in: the records of the whole batch, decompressed. */
  readonly bytes: Uint8Array;
  /** Offset to read after this. */
  readonly nextOffset: number;
  readonly highWatermark: number;
  /** Leadership under which the batch was appended. */
  readonly leaderEpoch: number;
  /** Of the whole batch, as stored. */
  readonly storedBytes: number;
  private readonly table: RecordTable;
  private readonly first: number;

  /** @internal */
  constructor({ topic, partition }: TopicPartition, extent: Extent) {
    this.topic = topic;
    this.partition = partition;
    this.count = extent.end - extent.first;
    this.bytes = extent.table.bytes;
    this.nextOffset = extent.nextOffset;
    this.highWatermark = extent.highWatermark;
    this.leaderEpoch = extent.leaderEpoch;
    this.storedBytes = extent.storedBytes;
    this.table = extent.table;
    this.first = extent.first;
  }

  /** Where the value begins; -1: a null value. */
  valueStart(index: number): number {
    return this.table.valueStart(this.at(index));
  }

  /** Behind the value; -1: a null value. */
  valueEnd(index: number): number {
    return this.table.valueEnd(this.at(index));
  }

  /** Where the key begins; -1: no key. */
  keyStart(index: number): number {
    return this.table.keyStart(this.at(index));
  }

  /** Behind the key; -1: no key. */
  keyEnd(index: number): number {
    return this.table.keyEnd(this.at(index));
  }

  /** Of the record, in its partition. */
  offset(index: number): number {
    return this.table.offset(this.at(index));
  }

  /** Milliseconds since 1970, of the producer or of the append, as the topic has it. */
  timestampMs(index: number): number {
    return this.table.timestampMs(this.at(index));
  }

  /** In their order; empty: none. */
  headers(index: number): readonly RecordHeader[] {
    return this.table.headersOf(this.at(index));
  }

  /** As an object, where that is handier; key and value are views into `bytes`. */
  record(index: number): ReadRecord {
    return this.table.record(this.at(index));
  }

  private at(index: number): number {
    if (index >= 0 && index < this.count) return this.first + index;
    throw new RangeError(`record ${index} of ${this.count}`);
  }
}
