import { viewOf } from '../base/bytes.js';
import type { RaftGroup } from '../host/raft-group.js';
import { BrokerError } from '../model/errors.js';
import { logIndex, offset, type LogIndex, type Offset } from '../model/ids.js';
import type { LogEntry } from '../model/log-entry.js';
import { readBatchHeader, type RecordBatchHeader } from '../model/record-batch.js';
import type { IndexSpan } from '../partition/offset-index.js';
import type { PartitionState } from '../partition/partition-state.js';
import { PrefixTruncatedError } from '../ports/log-store.js';

/** Sequential readers whose place is remembered. */
const CURSORS_MAX = 256;
/** Read at a time while looking for an offset's batch. */
const SEEK_BYTES = 256 * 1024;
/** Between two looks at the log start, it can move at most so often before a reader gives up. */
const TRUNCATED_RETRIES_MAX = 3;

export interface ReadBudget {
  readonly bytesMax: number;
  /** Give one batch even if it exceeds bytesMax. */
  readonly atLeastOne: boolean;
}

export interface ReadBatches {
  readonly batches: Uint8Array[];
  readonly bytes: number;
  readonly nextOffset: Offset;
}

/** One read on its way through the log. */
class Scan {
  readonly batches: Uint8Array[] = [];
  bytes = 0;
  /** Index of the next entry to look at. */
  at: LogIndex;
  nextOffset: Offset;
  isFull = false;
  private readonly budget: ReadBudget;

  constructor(at: LogIndex, from: Offset, budget: ReadBudget) {
    this.at = at;
    this.nextOffset = from;
    this.budget = budget;
  }

  get remaining(): number {
    return this.budget.bytesMax - this.bytes;
  }

  /** Takes what belongs to the read: whole batches that end above the offset asked for. */
  take(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      if (entry.kind === 'batch') {
        const end = endOffsetOf(entry.payload);
        if (end > this.nextOffset) {
          if (!this.fits(entry.payload.length)) {
            this.isFull = true;
            return;
          }
          this.batches.push(entry.payload);
          this.bytes += entry.payload.length;
          this.nextOffset = end;
        }
      }
      this.at = logIndex(entry.index + 1);
    }
  }

  private fits(bytes: number): boolean {
    return bytes <= this.remaining || (this.batches.length === 0 && this.budget.atLeastOne);
  }
}

/**
 * Reads committed batches of one partition: recent ones synchronously from memory, others from the
 * store. Remembers where readers stopped, so that going on needs no search; other offsets are found
 * by the sparse index and a scan of one stride.
 *
 * Invariants: never reads beyond the last applied entry; committed entries never move, so a cursor
 * stays right until its entry is truncated.
 */
export class LogReader {
  private readonly state: PartitionState;
  private readonly group: RaftGroup;
  /** Offset -> index of the first entry that may hold it; the longest unused first. */
  private readonly cursors = new Map<number, LogIndex>();

  constructor(state: PartitionState, group: RaftGroup) {
    this.state = state;
    this.group = group;
  }

  /**
   * Batches from the one that holds `from` on; `from` must be in [log start, high watermark].
   * Rejects with OFFSET_OUT_OF_RANGE if the log start overtakes it.
   */
  read(from: Offset, budget: ReadBudget): ReadBatches | Promise<ReadBatches> {
    if (from >= this.state.highWatermark) return { batches: [], bytes: 0, nextOffset: from };
    const scan = new Scan(this.seek(from), from, budget);
    return this.scanRecent(scan) ? this.finish(from, scan) : this.scanStored(from, scan);
  }

  /**
   * What `find` finds first in a batch at or above `from` that says it has a record of `timestamp` or
   * later. It may be wrong about that: its producer was, or compaction has taken the record.
   */
  async findTime<T>(
    timestamp: number,
    from: Offset,
    find: (header: RecordBatchHeader, batch: Uint8Array) => T | undefined,
  ): Promise<T | undefined> {
    let start = from;
    let found: T | undefined;
    const hasFound = (header: RecordBatchHeader, batch: Uint8Array): boolean => {
      if (header.maxTimestamp >= timestamp) found = find(header, batch);
      return found !== undefined;
    };
    for (;;) {
      const span = this.state.index.spanOfTime(timestamp, start);
      if (span === undefined) return undefined;
      await this.findInSpan(span, start, hasFound);
      if (found !== undefined) return found;
      start = span.endOffset;
    }
  }

  /** Spans that end above `from`, from the oldest on. */
  spansFrom(from: Offset): IndexSpan[] {
    return [...this.state.index.spans()].filter(({ endOffset }) => endOffset > from);
  }

  /** The first batch of a span that ends above `start` and is the one that is looked for. */
  async findInSpan(
    span: { readonly index: LogIndex; readonly endOffset: Offset },
    start: Offset,
    isIt: (header: RecordBatchHeader, batch: Uint8Array) => boolean,
  ): Promise<{ readonly header: RecordBatchHeader; readonly batch: Uint8Array } | undefined> {
    let at = this.readable(span.index);
    const last = this.state.appliedIndex;
    let truncated = 0;
    while (at <= last) {
      let entries: readonly LogEntry[];
      try {
        entries = await this.group.read({ first: at, next: logIndex(last + 1) }, SEEK_BYTES);
      } catch (error) {
        if (!(error instanceof PrefixTruncatedError)) throw error;
        // Retention was faster: what it dropped is not there to be found, what follows is.
        truncated += 1;
        if (truncated > TRUNCATED_RETRIES_MAX)
          throw outOfRange(start, this.state, { cause: error });
        at = this.readable(at);
        continue;
      }
      for (const entry of entries) {
        at = logIndex(entry.index + 1);
        if (entry.kind !== 'batch') continue;
        const header = readBatchHeader(entry.payload);
        if (header.baseOffset >= span.endOffset) return undefined;
        const from = Math.max(start, this.state.logStartOffset);
        const isIn = header.baseOffset + header.lastOffsetDelta >= from;
        if (isIn && isIt(header, entry.payload)) return { header, batch: entry.payload };
      }
    }
    return undefined;
  }

  private seek(from: Offset): LogIndex {
    const cursor = this.cursors.get(from);
    if (cursor !== undefined) return this.readable(cursor);
    return this.readable(this.state.index.spanOf(from)?.index ?? logIndex(1));
  }

  private readable(index: LogIndex): LogIndex {
    return logIndex(Math.max(index, this.group.firstIndex()));
  }

  /** False if it came to entries that are not in memory. */
  private scanRecent(scan: Scan): boolean {
    while (this.goesOn(scan)) {
      const entries = this.group.recent(this.range(scan), this.sliceBytes(scan));
      if (entries === undefined) return scan.batches.length > 0 && scan.remaining < scan.bytes;
      scan.take(entries);
    }
    return true;
  }

  private async scanStored(from: Offset, scan: Scan): Promise<ReadBatches> {
    for (let truncated = 0; this.goesOn(scan);) {
      // Another read for the rest of a budget that is more than half used is not worth its cost.
      if (scan.remaining < scan.bytes) break;
      try {
        scan.take(await this.group.read(this.range(scan), this.sliceBytes(scan)));
      } catch (error) {
        if (!(error instanceof PrefixTruncatedError)) throw error;
        truncated += 1;
        if (from < this.state.logStartOffset || truncated > TRUNCATED_RETRIES_MAX) {
          throw outOfRange(from, this.state, { cause: error });
        }
        scan.at = this.readable(scan.at);
      }
    }
    return this.finish(from, scan);
  }

  private goesOn(scan: Scan): boolean {
    return !scan.isFull && scan.at <= this.state.appliedIndex;
  }

  private range(scan: Scan): { first: LogIndex; next: LogIndex } {
    return { first: scan.at, next: logIndex(this.state.appliedIndex + 1) };
  }

  private sliceBytes(scan: Scan): number {
    return scan.batches.length === 0
      ? Math.max(scan.remaining, SEEK_BYTES)
      : Math.max(scan.remaining, 1);
  }

  private finish(from: Offset, scan: Scan): ReadBatches {
    if (scan.nextOffset > from) {
      this.cursors.delete(scan.nextOffset);
      this.cursors.set(scan.nextOffset, scan.at);
      if (this.cursors.size > CURSORS_MAX) {
        for (const oldest of this.cursors.keys()) {
          this.cursors.delete(oldest);
          break;
        }
      }
    }
    return { batches: scan.batches, bytes: scan.bytes, nextOffset: scan.nextOffset };
  }
}

export function outOfRange(
  at: number,
  state: PartitionState,
  options?: { readonly cause?: unknown },
): BrokerError {
  const { logStartOffset, highWatermark } = state;
  return new BrokerError(
    'OFFSET_OUT_OF_RANGE',
    `offset ${at} is not within [${logStartOffset}, ${highWatermark}]`,
    { logStartOffset, highWatermark },
    options,
  );
}

/** What `at` was read before, the log has lost: records of the reader's epoch end at `end`. */
export function truncated(at: number, end: Offset, state: PartitionState): BrokerError {
  const { logStartOffset, highWatermark } = state;
  return new BrokerError(
    'LOG_TRUNCATED',
    `the log has lost records from offset ${end} on, which were read up to ${at}`,
    { logStartOffset, highWatermark, logEndOffset: end },
  );
}

/** Reads the two fields it needs: the whole header would cost an object per batch served. */
function endOffsetOf(batch: Uint8Array): Offset {
  const view = viewOf(batch);
  const base = view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
  return offset(base + view.getInt32(23) + 1);
}
