import type { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import { recordBytesMax } from '../model/record-batch-builder.js';
import type { RecordMetadata, Settler } from './accumulator.js';
import { checkArgument } from './check-argument.js';
import { fieldsOf, type OwnBatch } from './record-intake.js';
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

/** Where they were appended. */
export interface AppendedRecords {
  readonly topic: string;
  readonly partition: number;
  /** Of the first record: the expected one. */
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
  append: ConditionalAppend,
  ended: {
    readonly resolve: (appended: AppendedRecords) => void;
    readonly reject: (error: BrokerError) => void;
  },
): OwnBatch {
  const { topic, partition, expectedOffset, records } = append;
  checkArgument(
    Number.isSafeInteger(expectedOffset) && expectedOffset >= 0,
    `expectedOffset must be a whole number, 0 or more, not ${expectedOffset}`,
  );
  checkArgument(
    Number.isInteger(partition) && partition >= 0,
    'appendIf needs the partition whose offset is expected',
  );
  const count = records.length;
  checkArgument(
    count > 0 && count <= LIMITS.recordsPerBatchMax,
    `appendIf takes 1 to ${LIMITS.recordsPerBatchMax} records, not ${count}`,
  );
  let bytes = 0;
  const prepared = records.map((record) => {
    const fields = fieldsOf(record);
    bytes += recordBytesMax(fields);
    return { fields, timestampMs: record.timestampMs };
  });
  const settler: Settler = {
    resolve: (metadata) => ended.resolve(appendedOf(metadata, count)),
    reject: (error) => ended.reject(error),
  };
  return { topic, partition, expectedOffset, records: prepared, bytes, settler };
}

function appendedOf(first: RecordMetadata, count: number): AppendedRecords {
  const { topic, partition, offset, appendTimeMs, leaderEpoch } = first;
  return { topic, partition, offset, nextOffset: offset + count, appendTimeMs, leaderEpoch };
}
