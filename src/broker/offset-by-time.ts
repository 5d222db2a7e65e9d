import type { Offset } from '../model/ids.js';
import { RecordReader } from '../model/record.js';
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
  const records = new RecordReader(header, batch.subarray(BATCH_HEADER_BYTES));
  let highest: TimedOffset | undefined;
  try {
    for (let record = records.next(); record !== undefined; record = records.next()) {
      const { offset, timestampMs } = record;
      if (offset < from || timestampMs <= (highest?.timestampMs ?? -Infinity)) continue;
      highest = { offset, timestampMs };
    }
  } catch {
    return unread;
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
  const records = new RecordReader(header, batch.subarray(BATCH_HEADER_BYTES));
  try {
    for (let record = records.next(); record !== undefined; record = records.next()) {
      if (record.offset >= at.from && record.timestampMs >= at.timestamp) {
        return { offset: record.offset, timestampMs: record.timestampMs };
      }
    }
  } catch {
    // Records are the producer's business: what it wrote wrongly is served as it is.
    return unread;
  }
  return undefined;
}
