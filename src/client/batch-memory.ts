import type { BuilderMemory } from '../model/record-batch-builder.js';

const SIZE_MIN = 4 * 1024;
const SIZE_MAX = 1024 * 1024;
/** What lies here unused, at most: at work, what one batch gives back the next one takes. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Memory of batches that comes back once they are delivered. Fresh buffers would lie outside the heap
 * for as long as their batch is on its way, and make the engine collect all of the heap again and again.
 *
 * Invariants: what is given back is used by nobody any more; no more than KEPT_BYTES_MAX are kept.
 */
export class BatchMemory implements BuilderMemory {
  /** By size, all powers of two. */
  private readonly kept = new Map<number, Uint8Array[]>();
  private keptBytes = 0;

  take(bytes: number): Uint8Array {
    if (bytes > SIZE_MAX) return new Uint8Array(bytes);
    let size = SIZE_MIN;
    while (size < bytes) size *= 2;
    const found = this.kept.get(size)?.pop();
    if (found === undefined) return new Uint8Array(size);
    this.keptBytes -= size;
    return found;
  }

  giveBack(buffer: Uint8Array): void {
    const { length } = buffer;
    if (length > SIZE_MAX || this.keptBytes + length > KEPT_BYTES_MAX) return;
    this.keptBytes += length;
    const same = this.kept.get(length);
    if (same === undefined) this.kept.set(length, [buffer]);
    else same.push(buffer);
  }
}
