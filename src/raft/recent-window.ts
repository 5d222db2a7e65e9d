import { invariant } from '../base/assert.js';
import { Deque } from '../base/deque.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import { entryBytes, type IndexRange, type LogEntry } from '../model/log-entry.js';

/**
 * The newest entries of a log, in memory. Owned by RaftLog, which decides what may be dropped.
 *
 * Invariant: entries are contiguous in [first, next); an empty window has first === next.
 */
export class RecentWindow {
  private readonly entries = new Deque<LogEntry>();
  private firstIndex: LogIndex;
  private totalBytes = 0;

  constructor(next: LogIndex) {
    this.firstIndex = next;
  }

  get first(): LogIndex {
    return this.firstIndex;
  }

  get next(): LogIndex {
    return logIndex(this.firstIndex + this.entries.length);
  }

  get bytes(): number {
    return this.totalBytes;
  }

  at(index: LogIndex): LogEntry | undefined {
    return this.entries.at(index - this.firstIndex);
  }

  push(entry: LogEntry): void {
    invariant(entry.index === this.next, 'the window is contiguous', {
      index: entry.index,
      next: this.next,
    });
    this.entries.push(entry);
    this.totalBytes += entryBytes(entry);
  }

  /** As many as fit into bytesMax but at least one; undefined if range.first is not here. */
  slice(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined {
    if (range.first < this.firstIndex || range.first >= this.next) return undefined;
    const from = range.first - this.firstIndex;
    const limit = Math.min(this.entries.length, from + range.next - range.first);
    let end = from;
    let bytes = 0;
    while (end < limit) {
      const entry = this.entries.at(end);
      invariant(entry !== undefined, 'the window holds its range');
      bytes += entryBytes(entry);
      if (bytes > bytesMax && end > from) break;
      end++;
    }
    return this.entries.slice(from, end);
  }

  truncateAfter(index: LogIndex): void {
    if (index + 1 <= this.firstIndex) {
      this.reset(logIndex(index + 1));
      return;
    }
    while (this.next > index + 1) {
      const entry = this.entries.pop();
      invariant(entry !== undefined, 'the window holds its range');
      this.totalBytes -= entryBytes(entry);
    }
  }

  /** Drops from the front while more than bytesMax are held, but nothing at or above `keepFrom`. */
  trim(bytesMax: number, keepFrom: LogIndex): void {
    while (this.totalBytes > bytesMax && this.firstIndex < keepFrom) {
      const entry = this.entries.shift();
      invariant(entry !== undefined, 'the window holds its range');
      this.totalBytes -= entryBytes(entry);
      this.firstIndex = logIndex(this.firstIndex + 1);
    }
  }

  /** Empties the window; the next entry to come is `next`. */
  reset(next: LogIndex): void {
    this.entries.clear();
    this.firstIndex = next;
    this.totalBytes = 0;
  }
}
