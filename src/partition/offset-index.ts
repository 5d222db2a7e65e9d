import { MalformedBytesError, type ByteReader, type ByteWriter } from '../base/bytes.js';
import { lowerBound } from '../base/collections.js';
import { logIndex, offset, type LogIndex, type Offset } from '../model/ids.js';

export interface IndexLimits {
  /** Bytes of log per item, at first. */
  readonly strideBytes: number;
  /** More items than this halve their number and double the stride. */
  readonly itemsMax: number;
}

export const INDEX_LIMITS: IndexLimits = { strideBytes: 256 * 1024, itemsMax: 8_192 };

/** A stretch of the log from one item to the next: its records lie in [offset, endOffset). */
export interface IndexSpan {
  readonly offset: Offset;
  readonly endOffset: Offset;
  /** Log index of the batch that starts at `offset`. */
  readonly index: LogIndex;
  /** Bytes of batches from the beginning of time to the span's begin, and to its end. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Highest record timestamp inside. */
  readonly maxTimestamp: number;
  /** The leader's time in the span's last batch. */
  readonly lastTimeMs: number;
}

interface Item {
  offset: Offset;
  index: LogIndex;
  bytesBefore: number;
  maxTimestamp: number;
  /** Of the last batch in its stretch. */
  timeMs: number;
}

/**
 * Where in the Raft log an offset or a time is found: an item for every stride of bytes, so that a
 * seek reads one stride at most. A function of the log alone: local truncation does not touch it,
 * only replicated moves of the log start do (CORRECTNESS 11, 21).
 *
 * Invariant: items rise strictly by offset, index and bytesBefore; times never fall.
 */
export class OffsetIndex {
  private readonly limits: IndexLimits;
  private items: Item[] = [];
  private stride: number;
  private total = 0;
  private end = offset(0);

  constructor(limits: IndexLimits = INDEX_LIMITS) {
    this.limits = limits;
    this.stride = limits.strideBytes;
  }

  /** Bytes of every batch ever applied; only rises. */
  get bytesTotal(): number {
    return this.total;
  }

  get length(): number {
    return this.items.length;
  }

  /** Takes note of the batch at the log's end. */
  add(batch: {
    readonly offset: Offset;
    readonly endOffset: Offset;
    readonly index: LogIndex;
    readonly bytes: number;
    readonly maxTimestamp: number;
    readonly timeMs: number;
  }): void {
    const last = this.items.at(-1);
    if (last === undefined || this.total - last.bytesBefore >= this.stride) {
      this.items.push({
        offset: batch.offset,
        index: batch.index,
        bytesBefore: this.total,
        maxTimestamp: batch.maxTimestamp,
        timeMs: batch.timeMs,
      });
      if (this.items.length > this.limits.itemsMax) this.thin();
    } else {
      if (batch.maxTimestamp > last.maxTimestamp) last.maxTimestamp = batch.maxTimestamp;
      last.timeMs = batch.timeMs;
    }
    this.total += batch.bytes;
    this.end = batch.endOffset;
  }

  /** The span with `at` in it; the last one if `at` is the end; undefined if there is none. */
  spanOf(at: Offset): IndexSpan | undefined {
    const above = lowerBound(this.items.length, (i) => (this.items[i]?.offset ?? 0) <= at);
    return this.span(above - 1);
  }

  /** Bytes of batches from the beginning of time to `at`: within a span, in proportion. */
  bytesBelow(at: Offset): number {
    if (at >= this.end) return this.total;
    const span = this.spanOf(at) ?? this.span(0);
    if (span === undefined) return this.total;
    const records = span.endOffset - span.offset;
    const share = Math.max(0, at - span.offset) / records;
    return span.bytesBefore + Math.floor((span.bytesAfter - span.bytesBefore) * share);
  }

  /** The first span that ends above `from` and has a record of `timestamp` or later. */
  spanOfTime(timestamp: number, from: Offset): IndexSpan | undefined {
    for (let i = 0; i < this.items.length; i += 1) {
      if ((this.items[i]?.maxTimestamp ?? 0) < timestamp) continue;
      const span = this.span(i);
      if (span !== undefined && span.endOffset > from) return span;
    }
    return undefined;
  }

  /** Spans from the oldest on. */
  *spans(): Generator<IndexSpan> {
    for (let i = 0; i < this.items.length; i += 1) {
      const span = this.span(i);
      if (span !== undefined) yield span;
    }
  }

  /** Drops spans that lie wholly below. */
  trimBefore(logStart: Offset): void {
    if (logStart >= this.end) {
      this.items = [];
      return;
    }
    const above = lowerBound(this.items.length, (i) => (this.items[i]?.offset ?? 0) <= logStart);
    this.items.splice(0, above - 1);
  }

  /*
   * stride, total, end, count; then per item: offset, index, bytes as differences from the
   * previous item, its highest timestamp i64, its time as a difference.
   */
  encode(w: ByteWriter): void {
    w.uvarint(this.stride).uvarint(this.total).uvarint(this.end).uvarint(this.items.length);
    let previous = { offset: 0, index: 0, bytesBefore: 0, timeMs: 0 };
    for (const item of this.items) {
      w.uvarint(item.offset - previous.offset)
        .uvarint(item.index - previous.index)
        .uvarint(item.bytesBefore - previous.bytesBefore)
        .i64(item.maxTimestamp)
        .uvarint(item.timeMs - previous.timeMs);
      previous = item;
    }
  }

  static decode(r: ByteReader, limits: IndexLimits = INDEX_LIMITS): OffsetIndex {
    const decoded = new OffsetIndex(limits);
    decoded.stride = r.uvarint();
    decoded.total = r.uvarint();
    decoded.end = offset(r.uvarint());
    const count = r.uvarint();
    if (count > limits.itemsMax) throw new MalformedBytesError(`${count} index items`);
    let previous = { offset: 0, index: 0, bytesBefore: 0, timeMs: 0 };
    for (let i = 0; i < count; i += 1) {
      const item: Item = {
        offset: offset(previous.offset + r.uvarint()),
        index: logIndex(previous.index + r.uvarint()),
        bytesBefore: previous.bytesBefore + r.uvarint(),
        maxTimestamp: r.i64(),
        timeMs: previous.timeMs + r.uvarint(),
      };
      decoded.items.push(item);
      previous = item;
    }
    return decoded;
  }

  private span(i: number): IndexSpan | undefined {
    const item = this.items[i];
    if (item === undefined) return undefined;
    const next = this.items[i + 1];
    return {
      offset: item.offset,
      endOffset: next?.offset ?? this.end,
      index: item.index,
      bytesBefore: item.bytesBefore,
      bytesAfter: next?.bytesBefore ?? this.total,
      maxTimestamp: item.maxTimestamp,
      lastTimeMs: item.timeMs,
    };
  }

  /** Joins items by twos; the first of each pair takes over the second's stretch. */
  private thin(): void {
    const kept: Item[] = [];
    this.items.forEach((item, i) => {
      const pair = i % 2 === 1 ? kept.at(-1) : undefined;
      if (pair === undefined) {
        kept.push(item);
      } else {
        pair.maxTimestamp = Math.max(pair.maxTimestamp, item.maxTimestamp);
        pair.timeMs = item.timeMs;
      }
    });
    this.items = kept;
    this.stride *= 2;
  }
}
