import type { Crc32c } from '../../base/crc32c.js';
import type {
  Acks,
  FetchPartition,
  FetchRequest,
  FetchResult,
  FetchedPartition,
  ProduceRequest,
  ProduceResult,
} from '../../broker/types.js';
import type { BrokerError } from '../../model/errors.js';
import type { BrokerId } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import {
  NO_PRODUCER,
  RecordBatchBuilder,
  recordBytesMax,
} from '../../model/record-batch-builder.js';
import type { RecordFields } from '../../model/record.js';
import type { FetchedBatches, GatheredFetchResponse } from '../../rpc/fetch-response.js';
import { atMost, integerIn, invalid, topicIdIn, topicNameIn } from '../../rpc/convert.js';
import type { FetchPartition__Output } from '../../rpc/gen/millrace/broker/v1/FetchPartition.js';
import type { FetchRequest__Output } from '../../rpc/gen/millrace/broker/v1/FetchRequest.js';
import type { PlainRecord__Output } from '../../rpc/gen/millrace/broker/v1/PlainRecord.js';
import type { ProduceRequest__Output } from '../../rpc/gen/millrace/broker/v1/ProduceRequest.js';
import type { ProduceResponse } from '../../rpc/gen/millrace/broker/v1/ProduceResponse.js';
import { errorToWire } from '../../rpc/status.js';

const PRODUCE_TIMEOUT_MS_DEFAULT = 30_000;
const PARTITION_BYTES_DEFAULT = 1024 * 1024;
/** With one batch more, it fits what gRPC clients receive unless they are told otherwise: 4 MiB. */
const FETCH_BYTES_DEFAULT = 2 * 1024 * 1024;
const STALENESS_MS_DEFAULT = 5_000;
const FETCH_PARTITIONS_MAX = LIMITS.partitionsPerTopicMax;
const TIMESTAMP_MAX = 2 ** 50;

/** What a plain record needs to become a batch. */
export interface Packing {
  readonly nowMs: number;
  readonly crc32c: Crc32c;
}

/** Throws BrokerError that names the field. Does not look into a finished batch: the broker does. */
export function produceRequestFrom(wire: ProduceRequest__Output, packing: Packing): ProduceRequest {
  const { timeoutMs, expectedOffset, expectedKeyOffset } = wire;
  return {
    topic: topicNameIn(wire.topic),
    partition: wire.partition,
    topicId: topicIdIn(wire.topicId, 'topic_id'),
    acks: acksFrom(wire.acks),
    batch: batchFrom(wire, packing),
    expectedOffset:
      expectedOffset === undefined ? undefined : integerIn(expectedOffset, 'expected_offset', 0),
    expectedKeyOffset:
      expectedKeyOffset === undefined
        ? undefined
        : integerIn(expectedKeyOffset, 'expected_key_offset', -1),
    timeoutMs:
      timeoutMs === 0
        ? PRODUCE_TIMEOUT_MS_DEFAULT
        : integerIn(timeoutMs, 'timeout_ms', 1, LIMITS.requestDeadlineMsMax),
    allowForward: wire.allowForward,
  };
}

function acksFrom(wire: ProduceRequest__Output['acks']): Acks {
  switch (wire) {
    case 'ACKS_UNSPECIFIED':
    case 'ACKS_QUORUM':
      return 'quorum';
    case 'ACKS_LEADER':
      return 'leader';
    case 'ACKS_NONE':
      return 'none';
    default:
      // A number: some other version's value.
      throw invalid('acks', `unknown value ${String(wire)}`);
  }
}

function batchFrom(wire: ProduceRequest__Output, packing: Packing): Uint8Array {
  if (wire.payload === 'batch' && wire.batch !== undefined) return wire.batch;
  const records = wire.payload === 'plain' ? wire.plain?.records : undefined;
  if (records === undefined) throw invalid('payload', 'neither batch nor plain is set');
  return pack(records, packing);
}

function pack(records: readonly PlainRecord__Output[], packing: Packing): Uint8Array {
  if (records.length === 0) throw invalid('plain.records', 'holds no record');
  atMost(records, 'plain.records', LIMITS.recordsPerBatchMax);
  const fields = records.map(fieldsOf);
  let bytes = 0;
  for (const record of fields) bytes += recordBytesMax(record);
  const builder = new RecordBatchBuilder(bytes + 128);
  records.forEach(({ timestampMs }, at) => {
    const time = integerIn(timestampMs, `plain.records[${at}].timestamp_ms`, 0, TIMESTAMP_MAX);
    builder.append(fields[at] ?? {}, time === 0 ? packing.nowMs : time);
  });
  return builder.finish(NO_PRODUCER, packing.crc32c);
}

function fieldsOf(record: PlainRecord__Output, at: number): RecordFields {
  const headers = atMost(record.headers, `plain.records[${at}].headers`, LIMITS.recordHeadersMax);
  return {
    key: record.key,
    value: record.value,
    headers: headers.map(({ key, value }) => ({ key, value })),
  };
}

export function produceResponseFrom(
  correlationId: number,
  result: ProduceResult,
  self: BrokerId,
): ProduceResponse {
  if (result.error !== undefined) return produceFailure(correlationId, result.error, self);
  return {
    correlationId,
    baseOffset: result.baseOffset,
    appendTimeMs: result.appendTimeMs,
    leaderEpoch: result.leaderEpoch,
    brokerId: result.brokerId,
    duplicate: result.isDuplicate,
    logStartOffset: result.logStartOffset,
  };
}

export function produceFailure(
  correlationId: number,
  error: BrokerError,
  self: BrokerId,
): ProduceResponse {
  return { correlationId, error: errorToWire(error), baseOffset: -1, brokerId: self };
}

/** Throws BrokerError that names the field. */
export function fetchRequestFrom(wire: FetchRequest__Output): FetchRequest {
  if (wire.partitions.length === 0) throw invalid('partitions', 'names none');
  atMost(wire.partitions, 'partitions', FETCH_PARTITIONS_MAX);
  const partitions = wire.partitions.map(fetchPartitionFrom);
  const names = new Set(partitions.map(({ topic, partition }) => `${topic}/${partition}`));
  if (names.size < partitions.length) throw invalid('partitions', 'names one twice');
  return {
    partitions,
    minBytes: integerIn(wire.minBytes, 'min_bytes', 0, LIMITS.fetchBytesMax) || 1,
    maxBytes: integerIn(wire.maxBytes, 'max_bytes', 0, LIMITS.fetchBytesMax) || FETCH_BYTES_DEFAULT,
    maxWaitMs: integerIn(wire.maxWaitMs, 'max_wait_ms', 0, LIMITS.fetchWaitMsMax),
    linearizable: wire.linearizable,
    allowForward: wire.allowForward,
    ...(wire.allowFollower ? { maxStalenessMs: stalenessFrom(wire.maxStalenessMs) } : undefined),
  };
}

function stalenessFrom(ms: number): number {
  if (ms === 0) return STALENESS_MS_DEFAULT;
  const { fetchStalenessMsMin, fetchStalenessMsMax } = LIMITS;
  return integerIn(ms, 'max_staleness_ms', fetchStalenessMsMin, fetchStalenessMsMax);
}

function fetchPartitionFrom(wire: FetchPartition__Output, at: number): FetchPartition {
  const field = `partitions[${at}]`;
  return {
    topic: topicNameIn(wire.topic),
    partition: wire.partition,
    topicId: topicIdIn(wire.topicId, `${field}.topic_id`),
    offset: integerIn(wire.offset, `${field}.offset`, 0),
    maxBytes:
      integerIn(wire.maxBytes, `${field}.max_bytes`, 0, 0xffff_ffff) || PARTITION_BYTES_DEFAULT,
    leaderEpoch: integerIn(wire.leaderEpoch, `${field}.leader_epoch`, 0),
  };
}

export function fetchResponseFrom(result: FetchResult): GatheredFetchResponse {
  return { partitions: result.partitions.map(fetchedToWire), brokerId: result.brokerId };
}

function fetchedToWire(fetched: FetchedPartition): FetchedBatches {
  return {
    topic: fetched.topic,
    partition: fetched.partition,
    error: fetched.error === undefined ? null : errorToWire(fetched.error),
    batches: fetched.batches,
    highWatermark: fetched.highWatermark,
    logStartOffset: fetched.logStartOffset,
    leaderEpoch: fetched.leaderEpoch,
    nextOffset: fetched.nextOffset,
  };
}

/** Bytes of records in a result. */
export function recordBytesOf(result: FetchResult): number {
  let bytes = 0;
  for (const { batches } of result.partitions) for (const batch of batches) bytes += batch.length;
  return bytes;
}
