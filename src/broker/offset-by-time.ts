import type { Offset } from '../model/ids.js';
import { MalformedBytesError } from '../base/bytes.js';
import { RecordTable } from '../model/record-table.js';
import {
  ATTRIBUTE_CODEC_MASK,
  ATTRIBUTE_LOG_APPEND_TIME,
  BATCH_HEADER_BYTES,
  type RecordBatchHeader,
} from '../model/record-batch.js';
import type { LogReader } from './log-reader.js';

export interface TimedOffset {
  /** -1: no record is that late. */
  readonly offset: number;
  readonly timestampMs: number;
}

/**
 * The first record at or above `from` whose timestamp is `timestamp` or later. In a compressed batch
 * the broker does not look at records: its first offset stands for it, so that a reader starts a
 * little early rather than late.
 */
export async function findOffsetByTime(
  reader: LogReader,
  timestamp: number,
  from: Offset,
): Promise<TimedOffset> {
  const found = await reader.findTime(timestamp, from, (header, batch) =>
    findInBatch(header, batch, { timestamp, from }),
  );
  return found ?? { offset: -1, timestampMs: -1 };
}

/** The first record at or above `from`, with its time; of a compressed batch, its first time. */
export function findRecord(reader: LogReader, from: Offset): Promise<TimedOffset> {
  return findOffsetByTime(reader, Number.MIN_SAFE_INTEGER, from);
}

/**
 * A record at or above `from` of which no other has a higher timestamp. Few spans are read: those
 * whose own highest time can still be the highest of all.
 */
export async function findHighestTime(reader: LogReader, from: Offset): Promise<TimedOffset> {
  let best: TimedOffset = { offset: -1, timestampMs: -1 };
  const spans = reader.spansFrom(from);
  spans.sort((a, b) => b.maxTimestamp - a.maxTimestamp || a.offset - b.offset);
  for (const span of spans) {
    if (best.offset >= 0 && span.maxTimestamp <= best.timestampMs) break;
    await reader.findInSpan(span, from, (header, batch) => {
      if (best.offset >= 0 && header.maxTimestamp <= best.timestampMs) return false;
      const highest = highestInBatch(header, batch, from);
      const isHigher = best.offset < 0 || (highest?.timestampMs ?? -Infinity) > best.timestampMs;
      if (highest !== undefined && isHigher) best = highest;
      return false;
    });
  }
  return best;
}

/** The first of its records at or above `from` with the highest time; a compressed batch is not read. */
function highestInBatch(
  header: RecordBatchHeader,
  batch: Uint8Array,
  from: Offset,
): TimedOffset | undefined {
  if (header.recordsCount === 0) return undefined;
  const unread = { offset: Math.max(header.baseOffset, from), timestampMs: header.maxTimestamp };
  if ((header.attributes & ATTRIBUTE_CODEC_MASK) !== 0) return unread;
  if (isWhole(header) && (header.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0) return unread;
  const records = tableOf(header, batch);
  if (records === undefined) return unread;
  let highest: TimedOffset | undefined;
  for (let i = records.indexFrom(from); i < records.count; i += 1) {
    const timestampMs = records.timestampMs(i);
    if (timestampMs > (highest?.timestampMs ?? -Infinity)) {
      highest = { offset: records.offset(i), timestampMs };
    }
  }
  return highest;
}

/** Compaction has taken none of its records: it may leave any of them, or none. */
function isWhole(header: RecordBatchHeader): boolean {
  return header.recordsCount === header.lastOffsetDelta + 1;
}

function findInBatch(
  header: RecordBatchHeader,
  batch: Uint8Array,
  at: { readonly timestamp: number; readonly from: Offset },
): TimedOffset | undefined {
  if (header.recordsCount === 0) return undefined;
  const first = Math.max(header.baseOffset, at.from);
  if (isWhole(header) && (header.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0) {
    return { offset: first, timestampMs: header.maxTimestamp };
  }
  const unread = { offset: first, timestampMs: Math.max(header.baseTimestamp, at.timestamp) };
  if ((header.attributes & ATTRIBUTE_CODEC_MASK) !== 0) return unread;
  const records = tableOf(header, batch);
  if (records === undefined) return unread;
  for (let i = records.indexFrom(at.from); i < records.count; i += 1) {
    const timestampMs = records.timestampMs(i);
    if (timestampMs >= at.timestamp) return { offset: records.offset(i), timestampMs };
  }
  return undefined;
}

/** Undefined if it is malformed: records are the producer's business, what it wrote wrongly is served as it is. */
function tableOf(header: RecordBatchHeader, batch: Uint8Array): RecordTable | undefined {
  try {
    return new RecordTable(header, batch.subarray(BATCH_HEADER_BYTES));
  } catch (error) {
    if (error instanceof MalformedBytesError) return undefined;
    throw error;
  }
}
