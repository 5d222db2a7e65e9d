import type { RecordHeader } from '../model/record.js';
import type { TopicPartition } from './types.js';

// Records as users write and read them.

/** What records consist of unless serdes are set. Strings are written as UTF-8. */
export type RecordData = Uint8Array | string;

/** A record to be produced. */
export interface ProducerRecord<K = RecordData, V = RecordData> {
  readonly topic: string;
  /** Absent: by the key's hash; without a key, wherever a batch is being filled. */
  readonly partition?: number | undefined;
  readonly key?: K | undefined;
  /** Absent: a null value, which no serde is asked for. */
  readonly value?: V | undefined;
  readonly headers?: Readonly<Record<string, Uint8Array | string>> | undefined;
  /** Absent: now. */
  readonly timestampMs?: number | undefined;
}

/** What a topic's record consists of. */
export type TopicRecord<K = RecordData, V = RecordData> = Omit<ProducerRecord<K, V>, 'topic'>;

/** A record of a batch. Without serdes, key and value are views into the batch's bytes. */
export interface ReadRecord<K = Uint8Array, V = Uint8Array> {
  readonly offset: number;
  readonly timestampMs: number;
  /** Undefined: no key. */
  readonly key: K | undefined;
  /** Undefined: a null value, a tombstone in compacted topics. */
  readonly value: V | undefined;
  readonly headers: readonly RecordHeader[];
}

export interface ConsumedRecord<K = Uint8Array, V = Uint8Array>
  extends ReadRecord<K, V>, TopicPartition {}

/** Records that were produced together. */
export interface ConsumedBatch<K = Uint8Array, V = Uint8Array> extends TopicPartition {
  readonly records: readonly ReadRecord<K, V>[];
  /** Offset to read after this batch. */
  readonly nextOffset: number;
  readonly highWatermark: number;
  /** Leadership under which the batch was appended. */
  readonly leaderEpoch: number;
  /** As stored. */
  readonly bytes: number;
}
