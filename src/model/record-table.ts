import { MalformedBytesError, utf8Decode } from '../base/bytes.js';
import { LIMITS } from './limits.js';
import { ATTRIBUTE_LOG_APPEND_TIME, type RecordBatchHeader } from './record-batch.js';
import type { RecordHeader, StoredRecord } from './record.js';
import { afterVarlong, numberAt, valueOf, varlongAt, widthOf } from './varint.js';

/** Of each record: where it begins, its offset delta, where its value begins (-1: null), and ends. */
const FIELDS = 4;
const OFFSET_DELTA = 1;
const VALUE_START = 2;
const VALUE_END = 3;

/** Six numbers of a byte and the attributes. */
const RECORD_BYTES_MIN = 7;
const NO_HEADERS: readonly RecordHeader[] = [];

/**
 * Where the records of a batch lie in its records section, which is walked once and checked throughout:
 * garbage throws MalformedBytesError. Nothing is made for a record until somebody asks for it. For the
 * format see record.ts.
 *
 * Invariants: the records follow one another without a gap, and the last one ends where the section
 * does; offset deltas rise.
 */
export class RecordTable {
  readonly count: number;
  /** The records section, uncompressed. */
  readonly bytes: Uint8Array;
  private readonly header: RecordBatchHeader;
  /** What `bytes` is a view of, as asking it for every record costs as much as the record. */
  private readonly buffer: ArrayBufferLike;
  private readonly bufferStart: number;
  private readonly places: Int32Array;
  /** Of the records that have any; undefined: none has. */
  private headers: Map<number, readonly RecordHeader[]> | undefined;

  /** `records` is the records section after decompression. */
  constructor(header: RecordBatchHeader, records: Uint8Array) {
    this.header = header;
    this.bytes = records;
    this.buffer = records.buffer;
    this.bufferStart = records.byteOffset;
    this.count = header.recordsCount;
    // A count of garbage claims no more memory than there are bytes.
    if (this.count < 0 || this.count * RECORD_BYTES_MIN > records.length) {
      throw new MalformedBytesError(`${this.count} records in ${records.length} bytes`);
    }
    this.places = new Int32Array(this.count * FIELDS);
    this.walk();
  }

  offset(index: number): number {
    return this.header.baseOffset + this.place(index, OFFSET_DELTA);
  }

  timestampMs(index: number): number {
    const { header } = this;
    if ((header.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0) return header.maxTimestamp;
    return header.baseTimestamp + varlongAt(this.bytes, this.timestampAt(index));
  }

  /** -1: no key. */
  keyStart(index: number): number {
    const at = this.keyAt(index);
    const length = numberAt(this.bytes, at);
    return valueOf(length) < 0 ? -1 : at + widthOf(length);
  }

  /** -1: no key. */
  keyEnd(index: number): number {
    const at = this.keyAt(index);
    const length = numberAt(this.bytes, at);
    return valueOf(length) < 0 ? -1 : at + widthOf(length) + valueOf(length);
  }

  /** -1: a null value. */
  valueStart(index: number): number {
    return this.place(index, VALUE_START);
  }

  /** -1: a null value. */
  valueEnd(index: number): number {
    return this.place(index, VALUE_END);
  }

  headersOf(index: number): readonly RecordHeader[] {
    return this.headers?.get(index) ?? NO_HEADERS;
  }

  /** The first record at this offset or above; `count`: none is. */
  indexFrom(offset: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.offset(middle) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Where all of the record begins. */
  start(index: number): number {
    return this.place(index, 0);
  }

  /** Behind all of the record. */
  end(index: number): number {
    return index + 1 < this.count ? this.start(index + 1) : this.bytes.length;
  }

  /** A view into `bytes`; undefined: no key. */
  key(index: number): Uint8Array | undefined {
    return this.view(this.keyStart(index), this.keyEnd(index));
  }

  /** A view into `bytes`; undefined: a null value. */
  value(index: number): Uint8Array | undefined {
    return this.view(this.valueStart(index), this.valueEnd(index));
  }

  /** An object of its own; key and value are views into `bytes`. */
  record(index: number): StoredRecord {
    const { bytes, header } = this;
    // Read once from its beginning, instead of once for each of its parts.
    const timeAt = this.timestampAt(index);
    const isAppendTime = (header.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0;
    const timestampMs = isAppendTime
      ? header.maxTimestamp
      : header.baseTimestamp + varlongAt(bytes, timeAt);
    const deltaAt = afterVarlong(bytes, timeAt);
    const delta = numberAt(bytes, deltaAt);
    const keyAt = deltaAt + widthOf(delta);
    const keyLength = numberAt(bytes, keyAt);
    const keyStart = keyAt + widthOf(keyLength);
    const key = valueOf(keyLength);
    return {
      offset: header.baseOffset + valueOf(delta),
      timestampMs,
      key: key < 0 ? undefined : this.view(keyStart, keyStart + key),
      value: this.view(this.place(index, VALUE_START), this.place(index, VALUE_END)),
      headers: this.headersOf(index),
    };
  }

  /** Of the records [first, next). */
  records(first = 0, next = this.count): StoredRecord[] {
    const records: StoredRecord[] = [];
    for (let i = first; i < next; i += 1) records.push(this.record(i));
    return records;
  }

  /** Behind its length and attributes. */
  private timestampAt(index: number): number {
    const at = this.place(index, 0);
    return at + widthOf(numberAt(this.bytes, at)) + 1;
  }

  private keyAt(index: number): number {
    const at = afterVarlong(this.bytes, this.timestampAt(index));
    return at + widthOf(numberAt(this.bytes, at));
  }

  private view(start: number, end: number): Uint8Array | undefined {
    if (start < 0) return undefined;
    // Cheaper than `subarray`, and of no subclass, whatever the bytes came in.
    return new Uint8Array(this.buffer, this.bufferStart + start, end - start);
  }

  private place(index: number, field: number): number {
    const place = this.places[index * FIELDS + field];
    if (place === undefined) throw new RangeError(`record ${index} of ${this.count}`);
    return place;
  }

  /**
   * Whatever a record's numbers say, it must end where its length says, which is within the section:
   * so none of them was read, and nothing lies, beyond the record.
   */
  private walk(): void {
    const { bytes, places, count } = this;
    const { lastOffsetDelta } = this.header;
    let at = 0;
    let lastDelta = -1;
    for (let i = 0; i < count; i += 1) {
      const start = at;
      const length = numberAt(bytes, at);
      at += widthOf(length);
      const end = at + valueOf(length);
      if (end < start + RECORD_BYTES_MIN || end > bytes.length) {
        throw new MalformedBytesError(`record at ${start} ends at ${end}`);
      }
      at = afterVarlong(bytes, at + 1);
      const delta = numberAt(bytes, at);
      at += widthOf(delta);
      if (valueOf(delta) <= lastDelta || valueOf(delta) > lastOffsetDelta) {
        throw new MalformedBytesError(`offset delta ${valueOf(delta)} after ${lastDelta}`);
      }
      lastDelta = valueOf(delta);
      const key = numberAt(bytes, at);
      at = afterField(at, key, end);
      const value = numberAt(bytes, at);
      const valueStart = valueOf(value) < 0 ? -1 : at + widthOf(value);
      at = afterField(at, value, end);
      const place = i * FIELDS;
      places[place] = start;
      places[place + OFFSET_DELTA] = lastDelta;
      places[place + VALUE_START] = valueStart;
      places[place + VALUE_END] = valueStart < 0 ? -1 : at;
      if (bytes[at] === 0) at += 1;
      else at = this.walkHeaders(i, at, end);
      if (at !== end) {
        throw new MalformedBytesError(`record ends at ${at}, its length says ${end}`);
      }
    }
    if (at !== bytes.length) {
      throw new MalformedBytesError(`${bytes.length - at} bytes after the last record`);
    }
  }

  private walkHeaders(index: number, from: number, end: number): number {
    const count = numberAt(this.bytes, from);
    let at = from + widthOf(count);
    if (valueOf(count) < 0 || valueOf(count) > LIMITS.recordHeadersMax) {
      throw new MalformedBytesError(`${valueOf(count)} record headers`);
    }
    const field = (): Uint8Array | undefined => {
      const length = numberAt(this.bytes, at);
      const start = at + widthOf(length);
      at = afterField(at, length, end);
      return valueOf(length) < 0 ? undefined : this.view(start, at);
    };
    const headers: RecordHeader[] = [];
    for (let i = 0; i < valueOf(count); i += 1) {
      const key = field();
      if (key === undefined) throw new MalformedBytesError('record header without a key');
      headers.push({ key: utf8Decode(key), value: field() });
    }
    this.headers ??= new Map();
    this.headers.set(index, headers);
    return at;
  }
}

/** Behind the bytes of a field whose length (-1: null) stands at `at`; they end within the record. */
function afterField(at: number, length: number, end: number): number {
  const start = at + widthOf(length);
  const bytes = valueOf(length);
  if (bytes < -1 || start + bytes > end) {
    throw new MalformedBytesError(`field of ${bytes} bytes at ${start} exceeds its record`);
  }
  return bytes < 0 ? start : start + bytes;
}
