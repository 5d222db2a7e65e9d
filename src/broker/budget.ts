import { invariant } from '../base/assert.js';

/** Bytes that may be in flight at a time. A full budget refuses; it never queues. */
export class ByteBudget {
  private readonly bytesMax: number;
  private taken = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get used(): number {
    return this.taken;
  }

  take(bytes: number): boolean {
    if (this.taken + bytes > this.bytesMax) return false;
    this.taken += bytes;
    return true;
  }

  release(bytes: number): void {
    this.taken -= bytes;
    invariant(this.taken >= 0, 'a budget gets back what was taken', { taken: this.taken });
  }
}
