import type { RawBatch } from '../model/record.js';
import type { PartitionCursor } from './partition-cursor.js';

/**
 * The batches that were fetched and not handed out yet, of all cursors. Invariants: `bytes` is what
 * all buffers hold together; a cursor stands in line exactly while its buffer holds something.
 */
export class Prefetched {
  /** The one whose turn it is comes first. */
  private readonly line = new Set<PartitionCursor>();
  private held = 0;

  get bytes(): number {
    return this.held;
  }

  add(cursor: PartitionCursor, batch: RawBatch): void {
    cursor.buffered.push(batch);
    this.held += batch.bytes.length;
    this.line.add(cursor);
  }

  /** The next batch, partitions taking turns. */
  shift(): { readonly cursor: PartitionCursor; readonly batch: RawBatch } | undefined {
    for (const cursor of this.line) {
      this.line.delete(cursor);
      const batch = cursor.buffered.shift();
      if (batch === undefined) continue;
      if (cursor.buffered.length > 0) this.line.add(cursor);
      this.held -= batch.bytes.length;
      return { cursor, batch };
    }
    return undefined;
  }

  /** The next of this one. */
  shiftOf(cursor: PartitionCursor): RawBatch | undefined {
    const batch = cursor.buffered.shift();
    if (batch !== undefined) this.held -= batch.bytes.length;
    if (cursor.buffered.length === 0) this.line.delete(cursor);
    return batch;
  }

  forget(cursor: PartitionCursor): void {
    for (const batch of cursor.buffered.splice(0)) this.held -= batch.bytes.length;
    this.line.delete(cursor);
  }
}
