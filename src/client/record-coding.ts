import { BrokerError } from '../model/errors.js';
import type { StoredRecord } from '../model/record.js';
import type { ConsumedRecord, ReadRecord, RecordData, TopicRecord } from './records.js';
import type { Deserializer, Serializer } from './serdes.js';
import type { TopicPartition } from './types.js';

export interface Serializers<K, V> {
  /** Of keys. Default: bytes, or strings as UTF-8. */
  readonly keySerde?: Serializer<K> | undefined;
  /** Of values. Default: bytes, or strings as UTF-8. */
  readonly valueSerde?: Serializer<V> | undefined;
}

/** What has to be given, so that records of these types can be written. */
export type NeededSerializers<K, V> = ([K] extends [RecordData]
  ? unknown
  : { readonly keySerde: Serializer<K> }) &
  ([V] extends [RecordData] ? unknown : { readonly valueSerde: Serializer<V> });

/** What to do about a record that cannot be deserialized: it counts as read, or reading fails. */
export type UndecodablePolicy = (error: BrokerError, record: ConsumedRecord) => 'skip' | 'throw';

export interface Deserializers<K, V> {
  /** Of keys. Default: bytes. */
  readonly keySerde?: Deserializer<K> | undefined;
  /** Of values. Default: bytes. */
  readonly valueSerde?: Deserializer<V> | undefined;
  /**
   * Asked about each record that a serde can make nothing of. Default: reading fails there with
   * DESERIALIZATION_FAILED, and again at the next read, until the partition is sought past it.
   */
  readonly onUndecodable?: UndecodablePolicy | undefined;
}

/** What has to be given, so that records are read as these types. */
export type NeededDeserializers<K, V> = ([Uint8Array] extends [K]
  ? unknown
  : { readonly keySerde: Deserializer<K> }) &
  ([Uint8Array] extends [V] ? unknown : { readonly valueSerde: Deserializer<V> });

type Field = 'key' | 'value';

/** Gives a record the form that batches take. Throws SERIALIZATION_FAILED. */
export type Encode<K, V> = (topic: string, record: TopicRecord<K, V>) => TopicRecord;

export function encoderOf<K, V>({ keySerde, valueSerde }: Serializers<K, V>): Encode<K, V> {
  // The way of most records: nothing is made or asked for any of them. The types of the options see
  // to it that without serdes K and V are what a batch takes.
  if (keySerde === undefined && valueSerde === undefined)
    return (_, record) => record as TopicRecord;
  return (topic, record) => ({
    ...record,
    key: serialized(keySerde, record.key, { topic, field: 'key' }),
    value: serialized(valueSerde, record.value, { topic, field: 'value' }),
  });
}

function serialized<T>(
  serde: Serializer<T> | undefined,
  data: T | undefined,
  { topic, field }: { readonly topic: string; readonly field: Field },
): RecordData | undefined {
  if (data === undefined) return undefined;
  if (serde === undefined) return data as RecordData;
  try {
    const bytes: unknown = serde.serialize(data, topic);
    if (bytes instanceof Uint8Array) return bytes;
    throw new TypeError('the serde returned no bytes');
  } catch (cause) {
    const text = `the ${field} of a record for ${topic} cannot be serialized: ${reasonOf(cause)}`;
    throw new BrokerError('SERIALIZATION_FAILED', text, { topic, field }, { cause });
  }
}

/**
 * Makes of stored records what a consumer hands out. Invariant: without serdes a batch is handed on as
 * it is, and a record costs no more than the object that is handed out.
 */
export class RecordDecoder<K, V> {
  private readonly options: Deserializers<K, V>;
  private readonly isPlain: boolean;

  constructor(options: Deserializers<K, V>) {
    this.options = options;
    this.isPlain = options.keySerde === undefined && options.valueSerde === undefined;
  }

  /** Undefined: to be skipped. Throws DESERIALIZATION_FAILED. */
  one(at: TopicPartition, record: StoredRecord): ConsumedRecord<K, V> | undefined {
    const { topic, partition } = at;
    if (this.isPlain) {
      return { ...(record as ReadRecord<K, V>), topic, partition };
    }
    const decoded = this.decode(at, record);
    return decoded === undefined ? undefined : { ...decoded, topic, partition };
  }

  /**
   * These records, and how many of them came out: one that cannot be deserialized ends them. Throws
   * DESERIALIZATION_FAILED if that is the first.
   */
  many(
    at: TopicPartition,
    records: readonly StoredRecord[],
  ): { readonly records: readonly ReadRecord<K, V>[]; readonly end: number } {
    if (this.isPlain) {
      return { records: records as readonly ReadRecord<K, V>[], end: records.length };
    }
    const decoded: ReadRecord<K, V>[] = [];
    for (const [i, stored] of records.entries()) {
      try {
        const record = this.decode(at, stored);
        if (record !== undefined) decoded.push(record);
      } catch (thrown) {
        if (decoded.length === 0) throw thrown;
        return { records: decoded, end: i };
      }
    }
    return { records: decoded, end: records.length };
  }

  private decode(at: TopicPartition, record: StoredRecord): ReadRecord<K, V> | undefined {
    const { keySerde, valueSerde, onUndecodable } = this.options;
    try {
      return {
        offset: record.offset,
        timestampMs: record.timestampMs,
        key: deserialized(keySerde, 'key', at, record),
        value: deserialized(valueSerde, 'value', at, record),
        headers: record.headers,
      };
    } catch (thrown) {
      const { topic, partition } = at;
      const error = BrokerError.from(thrown);
      if (onUndecodable?.(error, { ...record, topic, partition }) === 'skip') return undefined;
      throw error;
    }
  }
}

function deserialized<T>(
  serde: Deserializer<T> | undefined,
  field: Field,
  { topic, partition }: TopicPartition,
  record: StoredRecord,
): T | undefined {
  const bytes = record[field];
  if (bytes === undefined) return undefined;
  if (serde === undefined) return bytes as T;
  try {
    return serde.deserialize(bytes, topic, record.headers);
  } catch (cause) {
    const { offset } = record;
    const text = `the ${field} of record ${offset} of ${topic}/${partition} cannot be deserialized`;
    const facts = { topic, partition, offset, field };
    const message = `${text}: ${reasonOf(cause)}`;
    throw new BrokerError('DESERIALIZATION_FAILED', message, facts, { cause });
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
