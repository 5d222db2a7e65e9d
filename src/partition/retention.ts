import { offset, type Offset } from '../model/ids.js';
import type { IndexSpan } from './offset-index.js';

export interface RetentionSettings {
  /** -1: for ever. */
  readonly retentionMs: number;
  /** -1: no limit. */
  readonly retentionBytes: number;
  /** -1: no limit. */
  readonly retentionRecords: number;
}

/**
 * Which prefix may go: the new log start, or undefined if nothing may. By age and bytes whole spans
 * only, so that the decision costs no read: readers keep up to one span (256 KiB, and more in logs of
 * gigabytes) over the limit, and what was written since the last check. By count it is exact, since
 * offsets count records. The disk keeps up to an eighth more, as bytes are given back in chunks.
 *
 * Age counts from the leader's time of the append, not from record timestamps: a producer's wrong
 * clock neither deletes at once what was just written nor keeps the log for ever.
 */
export function decideRetention(
  spans: Iterable<IndexSpan>,
  at: {
    readonly logStartOffset: Offset;
    /** Offset after the last committed record. */
    readonly endOffset: Offset;
    readonly bytesTotal: number;
    readonly nowMs: number;
  },
  settings: RetentionSettings,
): Offset | undefined {
  const isTooOld = (span: IndexSpan): boolean =>
    settings.retentionMs >= 0 && span.lastTimeMs < at.nowMs - settings.retentionMs;
  const isTooMuch = (span: IndexSpan): boolean =>
    settings.retentionBytes >= 0 && at.bytesTotal - span.bytesAfter >= settings.retentionBytes;
  let start = at.logStartOffset;
  for (const span of spans) {
    if (!isTooOld(span) && !isTooMuch(span)) break;
    start = span.endOffset;
  }
  const { retentionRecords } = settings;
  if (retentionRecords >= 0 && at.endOffset - start > retentionRecords) {
    start = offset(at.endOffset - retentionRecords);
  }
  return start > at.logStartOffset ? start : undefined;
}
