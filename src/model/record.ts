import { MalformedBytesError, utf8Decode, viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { BrokerError } from './errors.js';
import { LIMITS } from './limits.js';
import {
  ATTRIBUTE_LOG_APPEND_TIME,
  BATCH_HEADER_BYTES,
  readBatchHeader,
  type RecordBatchHeader,
} from './record-batch.js';
import { afterVarlong, numberAt, valueOf, varlongAt, widthOf } from './varint.js';

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

const NO_HEADERS: readonly RecordHeader[] = [];

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

/**
 * Decodes a batch's uncompressed records one by one, without copying. Every length is checked
 * against its bounds: garbage throws MalformedBytesError, never reads beyond the record.
 */
export class RecordReader {
  private readonly bytes: Uint8Array;
  private readonly header: RecordBatchHeader;
  private readonly appendTimeMs: number | undefined;
  private at = 0;
  private read = 0;
  private lastDelta = -1;
  private start = 0;

  /** `records` is the records section after decompression. */
  constructor(header: RecordBatchHeader, records: Uint8Array) {
    this.header = header;
    this.bytes = records;
    const isAppendTime = (header.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0;
    this.appendTimeMs = isAppendTime ? header.maxTimestamp : undefined;
  }

  /** Where the record given last lies in the records section: [first, next). */
  get extent(): { readonly first: number; readonly next: number } {
    return { first: this.start, next: this.at };
  }

  /** The next record; undefined after the last, once nothing is left over. */
  next(): StoredRecord | undefined {
    if (this.read === this.header.recordsCount) {
      if (this.at !== this.bytes.length) {
        throw new MalformedBytesError(`${this.bytes.length - this.at} bytes after the last record`);
      }
      return undefined;
    }
    this.read += 1;
    this.start = this.at;
    const length = this.varint();
    const end = this.at + length;
    if (length < 0 || end > this.bytes.length) {
      throw new MalformedBytesError(`record of ${length} bytes at ${this.at} does not fit`);
    }
    this.at += 1;
    const timestampDelta = this.varlong();
    const offsetDelta = this.varint();
    if (offsetDelta <= this.lastDelta || offsetDelta > this.header.lastOffsetDelta) {
      throw new MalformedBytesError(`offset delta ${offsetDelta} after ${this.lastDelta}`);
    }
    this.lastDelta = offsetDelta;
    const key = this.nullableBytes(end);
    const value = this.nullableBytes(end);
    const headers = this.headers(end);
    if (this.at !== end) {
      throw new MalformedBytesError(`record ends at ${this.at}, its length says ${end}`);
    }
    return {
      offset: this.header.baseOffset + offsetDelta,
      timestampMs: this.appendTimeMs ?? this.header.baseTimestamp + timestampDelta,
      key,
      value,
      headers,
    };
  }

  private headers(end: number): readonly RecordHeader[] {
    const count = this.varint();
    if (count === 0) return NO_HEADERS;
    if (count < 0 || count > LIMITS.recordHeadersMax) {
      throw new MalformedBytesError(`${count} record headers`);
    }
    const headers: RecordHeader[] = [];
    for (let i = 0; i < count; i += 1) {
      const key = this.nullableBytes(end);
      if (key === undefined) throw new MalformedBytesError('record header without a key');
      headers.push({ key: utf8Decode(key), value: this.nullableBytes(end) });
    }
    return headers;
  }

  private nullableBytes(end: number): Uint8Array | undefined {
    const length = this.varint();
    if (length === -1) return undefined;
    if (length < 0 || this.at + length > end) {
      throw new MalformedBytesError(`field of ${length} bytes at ${this.at} exceeds its record`);
    }
    const start = this.at;
    this.at += length;
    return this.bytes.subarray(start, this.at);
  }

  private varint(): number {
    const number = numberAt(this.bytes, this.at);
    this.at += widthOf(number);
    return valueOf(number);
  }

  private varlong(): number {
    const value = varlongAt(this.bytes, this.at);
    this.at = afterVarlong(this.bytes, this.at);
    return value;
  }
}

/** All records of a batch whose records section is uncompressed (or was decompressed). */
export function decodeRecords(header: RecordBatchHeader, records: Uint8Array): StoredRecord[] {
  const reader = new RecordReader(header, records);
  const out: StoredRecord[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) out.push(next);
  return out;
}
