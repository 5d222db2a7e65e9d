import { viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { BrokerError } from './errors.js';
import { BATCH_HEADER_BYTES, readBatchHeader, type RecordBatchHeader } from './record-batch.js';

/*
 * One record inside a batch (after decompression). Every integer but the attributes is a zigzag
 * varint, at most 5 bytes long (10 for the timestamp):
 *
 *   length | attributes i8 = 0 | timestampDelta | offsetDelta
 *   | keyLength (-1: none) | key | valueLength (-1: null) | value
 *   | headerCount | per header: keyLength | key (UTF-8) | valueLength (-1: null) | value
 */

/** A header of a record; keys may repeat. */
export interface RecordHeader {
  readonly key: string;
  /** Undefined: a null value. */
  readonly value: Uint8Array | undefined;
}

/** What a producer puts in. */
export interface RecordFields {
  /** Undefined: no key. */
  readonly key?: Uint8Array | undefined;
  /** Undefined: a null value, a tombstone in compacted topics. */
  readonly value?: Uint8Array | undefined;
  readonly headers?: readonly RecordHeader[] | undefined;
}

/** What a consumer gets. Key and values are views into the batch's bytes, not copies. */
export interface StoredRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
  readonly headers: readonly RecordHeader[];
}

/** One whole batch as it is stored: header and bytes, records still compressed. */
export interface RawBatch {
  readonly header: RecordBatchHeader;
  readonly bytes: Uint8Array;
}

/**
 * Splits whole batches that stand one after another, verifying each header and CRC.
 * Throws BrokerError CORRUPT_BATCH: a reader must never be given bytes that fail their checksum.
 */
export function splitBatches(bytes: Uint8Array, crc32c: Crc32c): RawBatch[] {
  const batches: RawBatch[] = [];
  for (let at = 0; at < bytes.length;) {
    const header = batchHeaderAt(bytes, at);
    const batch = bytes.subarray(at, at + header.bytes);
    if (crc32c(batch.subarray(21)) !== viewOf(batch).getUint32(17)) {
      throw new BrokerError(
        'CORRUPT_BATCH',
        `record batch at offset ${header.baseOffset} fails its CRC-32C`,
      );
    }
    batches.push({ header, bytes: batch });
    at += header.bytes;
  }
  return batches;
}

function batchHeaderAt(bytes: Uint8Array, at: number): RecordBatchHeader {
  const corrupt = (what: string, cause?: unknown): BrokerError =>
    new BrokerError('CORRUPT_BATCH', `record batch ${what}`, {}, { cause });
  const left = bytes.length - at;
  if (left < BATCH_HEADER_BYTES) throw corrupt(`cut short: ${left} bytes are less than a header`);
  if (bytes[at + 16] !== 2) throw corrupt(`has magic ${bytes[at + 16] ?? 0}, must be 2`);
  let header: RecordBatchHeader;
  try {
    header = readBatchHeader(bytes, at);
  } catch (cause) {
    throw corrupt('has a 64-bit field that exceeds 2^53', cause);
  }
  if (header.bytes < BATCH_HEADER_BYTES || header.bytes > left) {
    throw corrupt(`says it is ${header.bytes} bytes long, ${left} are there`);
  }
  return header;
}
