import { invariant } from '../base/assert.js';
import { setI64, utf8Encode, viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { LIMITS } from './limits.js';
import { BATCH_HEADER_BYTES, COMPRESSION_CODES, type Compression } from './record-batch.js';
import type { RecordFields } from './record.js';

/** Who produced a batch and where it stands in the producer's sequence. */
export interface ProducerStamp {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

export const NO_PRODUCER: ProducerStamp = { producerId: -1, producerEpoch: -1, baseSequence: -1 };

/** Varints of a record's own fields: length, timestamp, offset, key, value, header count. */
const RECORD_OVERHEAD_MAX = 5 + 1 + 8 + 5 + 5 + 5 + 5;
const SMALL_COPY = 48;
const NOTHING = new Uint8Array(0);

/** An upper bound of what a record adds to a batch, before compression. */
export function recordBytesMax(record: RecordFields): number {
  let bytes = RECORD_OVERHEAD_MAX + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  if (record.headers !== undefined) {
    // A UTF-16 unit is at most three bytes of UTF-8.
    for (const h of record.headers) bytes += 10 + h.key.length * 3 + (h.value?.length ?? 0);
  }
  return bytes;
}

/** Where builders get their buffers. */
export interface BuilderMemory {
  /** At least so many bytes, whatever they hold. */
  take(bytes: number): Uint8Array;
  /** One that was taken here, and that nobody reads or writes any more. */
  giveBack(buffer: Uint8Array): void;
}

const FRESH_MEMORY: BuilderMemory = {
  take: (bytes) => new Uint8Array(bytes),
  giveBack: () => undefined,
};

/**
 * Writes records straight into one growing buffer, behind room for the batch header, so that
 * finishing an uncompressed batch copies nothing. Single use: `finish` hands the buffer out.
 *
 * Invariant: `at` is where the next record starts; offset deltas are dense from 0.
 */
export class RecordBatchBuilder {
  private readonly memory: BuilderMemory;
  private buffer: Uint8Array;
  private at = BATCH_HEADER_BYTES;
  private recordsCount = 0;
  private baseTimestamp = 0;
  private maxTimestamp = 0;

  constructor(initialBytes = 4096, memory = FRESH_MEMORY) {
    this.memory = memory;
    this.buffer = memory.take(Math.max(initialBytes, BATCH_HEADER_BYTES));
  }

  get count(): number {
    return this.recordsCount;
  }

  /** Header included, before compression. */
  get bytes(): number {
    return this.at;
  }

  append(record: RecordFields, timestampMs: number): void {
    const { key, value, headers } = record;
    if (headers !== undefined && headers.length > 0) {
      this.appendWithHeaders(record, timestampMs);
      return;
    }
    const delta = this.admit(timestampMs);
    const keyLength = key === undefined ? -1 : key.length;
    const valueLength = value === undefined ? -1 : value.length;
    const body =
      2 + // attributes and header count
      varlongBytes(delta) +
      varintBytes(this.recordsCount) +
      varintBytes(keyLength) +
      varintBytes(valueLength) +
      (keyLength > 0 ? keyLength : 0) +
      (valueLength > 0 ? valueLength : 0);
    this.begin(body, delta);
    this.varint(keyLength);
    if (key !== undefined) this.copy(key, 0, key.length);
    this.varint(valueLength);
    if (value !== undefined) this.copy(value, 0, value.length);
    this.buffer[this.at] = 0;
    this.at += 1;
    this.recordsCount += 1;
  }

  /** A record without key and headers whose value is source[start, end): spares a view per record. */
  appendValue(source: Uint8Array, start: number, end: number, timestampMs: number): void {
    const delta = this.admit(timestampMs);
    const length = end - start;
    const body =
      3 + varlongBytes(delta) + varintBytes(this.recordsCount) + varintBytes(length) + length;
    this.begin(body, delta);
    this.buffer[this.at] = 1; // Key length -1.
    this.at += 1;
    this.varint(length);
    this.copy(source, start, end);
    this.buffer[this.at] = 0;
    this.at += 1;
    this.recordsCount += 1;
  }

  /** Gives the memory back: neither the builder nor what it has finished may be used afterwards. */
  recycle(): void {
    this.memory.giveBack(this.buffer);
    this.buffer = NOTHING;
  }

  /** The records section, uncompressed: what a codec is given. */
  records(): Uint8Array {
    return this.buffer.subarray(BATCH_HEADER_BYTES, this.at);
  }

  /**
   * The finished batch, base offset 0. With `compressed`, its records section is replaced by those
   * bytes. The builder must not be used afterwards.
   */
  finish(
    stamp: ProducerStamp,
    crc32c: Crc32c,
    compressed?: { readonly codec: Compression; readonly records: Uint8Array },
  ): Uint8Array {
    invariant(this.recordsCount > 0, 'a batch holds at least one record');
    let batch: Uint8Array;
    if (compressed === undefined) {
      batch = this.buffer.subarray(0, this.at);
    } else {
      batch = new Uint8Array(BATCH_HEADER_BYTES + compressed.records.length);
      batch.set(compressed.records, BATCH_HEADER_BYTES);
    }
    const view = viewOf(batch);
    setI64(view, 0, 0);
    view.setInt32(8, batch.length - 12);
    view.setInt32(12, -1);
    view.setInt8(16, 2);
    view.setInt16(21, compressed === undefined ? 0 : COMPRESSION_CODES[compressed.codec]);
    view.setInt32(23, this.recordsCount - 1);
    setI64(view, 27, this.baseTimestamp);
    setI64(view, 35, this.maxTimestamp);
    view.setInt32(57, this.recordsCount);
    stampProducer(batch, stamp, crc32c);
    return batch;
  }

  private appendWithHeaders(record: RecordFields, timestampMs: number): void {
    const headers = (record.headers ?? []).map((h) => ({ key: utf8Encode(h.key), value: h.value }));
    invariant(headers.length <= LIMITS.recordHeadersMax, 'too many record headers', {
      headers: headers.length,
    });
    const delta = this.admit(timestampMs);
    const fields = [record.key, record.value];
    let body = 1 + varlongBytes(delta) + varintBytes(this.recordsCount);
    for (const field of fields) body += fieldBytes(field);
    body += varintBytes(headers.length);
    for (const h of headers) body += fieldBytes(h.key) + fieldBytes(h.value);
    this.begin(body, delta);
    for (const field of fields) this.field(field);
    this.varint(headers.length);
    for (const h of headers) {
      this.field(h.key);
      this.field(h.value);
    }
    this.recordsCount += 1;
  }

  /** Takes a record's time in and returns its delta to the first record's. */
  private admit(timestampMs: number): number {
    invariant(this.recordsCount < LIMITS.recordsPerBatchMax, 'batch holds too many records');
    if (this.recordsCount === 0) {
      invariant(Number.isSafeInteger(timestampMs), 'not a timestamp', { timestampMs });
      this.baseTimestamp = timestampMs;
      this.maxTimestamp = timestampMs;
      return 0;
    }
    const delta = timestampMs - this.baseTimestamp;
    invariant(Math.abs(delta) <= 2 ** 51 && Number.isInteger(delta), 'not a timestamp', {
      timestampMs,
    });
    if (timestampMs > this.maxTimestamp) this.maxTimestamp = timestampMs;
    return delta;
  }

  private begin(body: number, timestampDelta: number): void {
    const need = this.at + body + 5;
    if (need > this.buffer.length) this.grow(need);
    this.varint(body);
    this.buffer[this.at] = 0;
    this.at += 1;
    this.varlong(timestampDelta);
    this.varint(this.recordsCount);
  }

  private grow(need: number): void {
    const grown = this.memory.take(Math.max(need, this.buffer.length * 2));
    grown.set(this.buffer.subarray(0, this.at));
    this.memory.giveBack(this.buffer);
    this.buffer = grown;
  }

  private field(bytes: Uint8Array | undefined): void {
    this.varint(bytes === undefined ? -1 : bytes.length);
    if (bytes !== undefined) this.copy(bytes, 0, bytes.length);
  }

  /** A loop beats the call into the engine for short values. */
  private copy(source: Uint8Array, start: number, end: number): void {
    const buffer = this.buffer;
    let at = this.at;
    if (end - start <= SMALL_COPY) {
      for (let i = start; i < end; i += 1) {
        buffer[at] = source[i] as number;
        at += 1;
      }
      this.at = at;
      return;
    }
    const isWhole = start === 0 && end === source.length;
    buffer.set(isWhole ? source : source.subarray(start, end), at);
    this.at = at + end - start;
  }

  private varint(value: number): void {
    const buffer = this.buffer;
    let raw = ((value << 1) ^ (value >> 31)) >>> 0;
    while (raw >= 0x80) {
      buffer[this.at] = (raw & 0x7f) | 0x80;
      this.at += 1;
      raw >>>= 7;
    }
    buffer[this.at] = raw;
    this.at += 1;
  }

  private varlong(value: number): void {
    if (value >= -0x4000_0000 && value < 0x4000_0000) {
      this.varint(value);
      return;
    }
    let raw = value >= 0 ? value * 2 : value * -2 - 1;
    while (raw >= 0x80) {
      this.buffer[this.at] = (raw % 0x80) | 0x80;
      this.at += 1;
      raw = Math.floor(raw / 0x80);
    }
    this.buffer[this.at] = raw;
    this.at += 1;
  }
}

/** Writes producer id, epoch and sequence into a finished batch, and the CRC over the result. */
export function stampProducer(batch: Uint8Array, stamp: ProducerStamp, crc32c: Crc32c): void {
  const view = viewOf(batch);
  setI64(view, 43, stamp.producerId);
  view.setInt16(51, stamp.producerEpoch);
  view.setInt32(53, stamp.baseSequence);
  view.setUint32(17, crc32c(batch.subarray(21)));
}

function fieldBytes(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 1 : varintBytes(bytes.length) + bytes.length;
}

function varintBytes(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0;
  if (raw < 0x80) return 1;
  if (raw < 0x4000) return 2;
  if (raw < 0x20_0000) return 3;
  return raw < 0x1000_0000 ? 4 : 5;
}

function varlongBytes(value: number): number {
  if (value >= -0x4000_0000 && value < 0x4000_0000) return varintBytes(value);
  let raw = value >= 0 ? value * 2 : value * -2 - 1;
  let bytes = 1;
  for (; raw >= 0x80; raw = Math.floor(raw / 0x80)) bytes += 1;
  return bytes;
}
