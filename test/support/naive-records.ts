import { MalformedBytesError, utf8Decode } from '../../src/base/bytes.js';
import { LIMITS } from '../../src/model/limits.js';
import { ATTRIBUTE_LOG_APPEND_TIME, type RecordBatchHeader } from '../../src/model/record-batch.js';
import type { RecordHeader, StoredRecord } from '../../src/model/record.js';

const NO_HEADERS: readonly RecordHeader[] = [];

/**
 * Decodes a batch's uncompressed records one by one, without copying. Every length is checked
 * against its bounds: garbage throws MalformedBytesError, never reads beyond the record.
 */
class NaiveReader {
  private readonly bytes: Uint8Array;
  private readonly header: RecordBatchHeader;
  private readonly appendTimeMs: number | undefined;
  private at = 0;
  private read = 0;
  private lastDelta = -1;

  /** `records` is the records section after decompression. */
  constructor(header: RecordBatchHeader, records: Uint8Array) {
    this.header = header;
    this.bytes = records;
    const isAppendTime = (header.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0;
    this.appendTimeMs = isAppendTime ? header.maxTimestamp : undefined;
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
    const first = this.byte();
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let raw = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) throw new MalformedBytesError('varint exceeds 32 bits');
      raw |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (raw >>> 1) ^ -(raw & 1);
    }
    throw new MalformedBytesError('varint too long');
  }

  /** Up to 64 bits on the wire; values beyond 2^53 are refused. */
  private varlong(): number {
    let raw = 0n;
    for (let shift = 0n; shift < 56n; shift += 7n) {
      const byte = BigInt(this.byte());
      raw |= (byte & 0x7fn) << shift;
      if (byte >= 0x80n) continue;
      if (raw > BigInt(Number.MAX_SAFE_INTEGER)) break;
      return Number((raw >> 1n) ^ -(raw & 1n));
    }
    throw new MalformedBytesError('varlong exceeds 2^53');
  }

  private byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw new MalformedBytesError('records end inside a number');
    this.at += 1;
    return byte;
  }
}

/** All records of a batch, read one after another as the format says: what RecordTable is held against. */
export function naiveRecords(header: RecordBatchHeader, records: Uint8Array): StoredRecord[] {
  const reader = new NaiveReader(header, records);
  const out: StoredRecord[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) out.push(next);
  return out;
}
