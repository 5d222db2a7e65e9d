import type { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import { recordBytesMax } from '../model/record-batch-builder.js';
import type { RecordMetadata, Settler } from './accumulator.js';
import { checkArgument } from './check-argument.js';
import { fieldsOf } from './record-fields.js';
import type { OwnBatch } from './record-intake.js';
import type { RecordData, TopicRecord } from './records.js';

/** Records to be appended together, all or none, and only at one place of their partition's log. */
export interface ConditionalAppend<K = RecordData, V = RecordData> {
  readonly topic: string;
  readonly partition: number;
  /**
   * The offset that the first record must get: that after the partition's last record, 0 if there never
   * was one. A reader that is at the end is there, and `facts.logEndOffset` of a refusal tells it.
   */
  readonly expectedOffset: number;
  /** At least one; as a whole no larger than the topic's largest batch. */
  readonly records: readonly Omit<TopicRecord<K, V>, 'partition'>[];
}

/**
 * Records of one key to be appended together, all or none, and only if the key's last record is where it
 * is thought to be. The topic must have been told to compare by key (`compare.by.key`).
 */
export interface KeyedAppend<K = RecordData, V = RecordData> {
  readonly topic: string;
  /** Default: where the key belongs. */
  readonly partition?: number | undefined;
  readonly key: K;
  /**
   * Offset of the last record of the key, -1 if there is none. That of a record that was read, the one
   * before `nextOffset` of an append, or `facts.keyOffset` of a refusal.
   */
  readonly expectedKeyOffset: number;
  /** At least one, as a rule one; as a whole no larger than the topic's largest batch. */
  readonly records: readonly Omit<TopicRecord<K, V>, 'partition' | 'key'>[];
}

/** Where they were appended. */
export interface AppendedRecords {
  readonly topic: string;
  readonly partition: number;
  /** Of the first record: the expected one, if that was expected. */
  readonly offset: number;
  /** Behind the last record: what to expect next, unless others append meanwhile. */
  readonly nextOffset: number;
  /** The leader's time of the append. */
  readonly appendTimeMs: number;
  /** Leadership under which it was acknowledged. */
  readonly leaderEpoch: number;
}

/** Throws INVALID_ARGUMENT, naming what is wrong. */
export function ownBatchOf(
  append: ConditionalAppend | KeyedAppend,
  ended: {
    readonly resolve: (appended: AppendedRecords) => void;
    readonly reject: (error: BrokerError) => void;
  },
): OwnBatch {
  const { topic, partition, records } = append;
  const condition = conditionOf(append);
  const count = records.length;
  checkArgument(
    count > 0 && count <= LIMITS.recordsPerBatchMax,
    `appendIf takes 1 to ${LIMITS.recordsPerBatchMax} records, not ${count}`,
  );
  let bytes = 0;
  const key = 'key' in append ? fieldsOf({ key: append.key }).key : undefined;
  const prepared = records.map((record) => {
    const fields = fieldsOf(record);
    bytes += recordBytesMax(fields);
    return { fields, timestampMs: record.timestampMs };
  });
  const settler: Settler = {
    resolve: (metadata) => ended.resolve(appendedOf(metadata, count)),
    reject: (error) => ended.reject(error),
  };
  return { topic, partition, key, ...condition, records: prepared, bytes, settler };
}

/** Throws INVALID_ARGUMENT. */
function conditionOf(
  append: ConditionalAppend | KeyedAppend,
): Pick<OwnBatch, 'expectedOffset' | 'expectedKeyOffset'> {
  const { partition } = append;
  const isPartition = Number.isInteger(partition) && Number(partition) >= 0;
  if ('expectedKeyOffset' in append) {
    const { expectedKeyOffset } = append;
    // Callers without types may leave it out.
    const key: unknown = append.key;
    checkArgument(!('expectedOffset' in append), 'appendIf expects one offset, not two');
    checkArgument(
      Number.isSafeInteger(expectedKeyOffset) && expectedKeyOffset >= -1,
      `expectedKeyOffset must be a whole number, -1 or more, not ${expectedKeyOffset}`,
    );
    checkArgument(
      key !== undefined && key !== null,
      'appendIf needs the key whose offset is expected',
    );
    checkArgument(partition === undefined || isPartition, `there is no partition ${partition}`);
    return { expectedOffset: undefined, expectedKeyOffset };
  }
  const { expectedOffset } = append;
  checkArgument(
    Number.isSafeInteger(expectedOffset) && expectedOffset >= 0,
    `expectedOffset must be a whole number, 0 or more, not ${expectedOffset}`,
  );
  checkArgument(isPartition, 'appendIf needs the partition whose offset is expected');
  return { expectedOffset, expectedKeyOffset: undefined };
}

function appendedOf(first: RecordMetadata, count: number): AppendedRecords {
  const { topic, partition, offset, appendTimeMs, leaderEpoch } = first;
  return { topic, partition, offset, nextOffset: offset + count, appendTimeMs, leaderEpoch };
}
