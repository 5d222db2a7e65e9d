import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { logLines } from './log-lines.js';
import type { ValueSpec } from './job.js';

/** Larger than what any codec looks back over. */
const RANDOM_POOL_BYTES = 8 << 20;
const NUMBERED_POOL_BYTES = 1 << 20;
const NUMBER_BYTES = 4;

/** Where the next value lies: `pool` from `start` on. */
export interface ValueSource {
  readonly bytes: number;
  readonly pool: Uint8Array;
  /** Cuts the next value, and says where it begins. */
  next(): number;
}

/** One piece of the pool after the other; each pass is shifted by a byte. */
class Pieces implements ValueSource {
  readonly bytes: number;
  readonly pool: Uint8Array;
  private at = 0;
  private passes = 0;

  constructor(pool: Uint8Array, bytes: number) {
    if (pool.length <= 2 * bytes) throw new Error('the file is shorter than two records');
    this.pool = pool;
    this.bytes = bytes;
  }

  next(): number {
    const start = this.at;
    this.at += this.bytes;
    if (this.at + this.bytes <= this.pool.length) return start;
    this.passes += 1;
    this.at = this.passes % this.bytes;
    return start;
  }
}

/** The same bytes in every process. */
function numberedPool(): Uint8Array {
  const pool = new Uint32Array(NUMBERED_POOL_BYTES / 4);
  let state = 0x9e3779b9;
  for (let i = 0; i < pool.length; i += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    pool[i] = state;
  }
  return new Uint8Array(pool.buffer);
}

function restStart(index: number, restBytes: number): number {
  return (index * 61) % (NUMBERED_POOL_BYTES - restBytes);
}

/** u32 number, then bytes of the pool from a place that the number says. */
class Numbered implements ValueSource {
  readonly bytes: number;
  readonly pool: Buffer;
  private readonly rest = numberedPool();
  private index = 0;

  constructor(bytes: number) {
    if (bytes < NUMBER_BYTES)
      throw new Error(`a numbered value has at least ${NUMBER_BYTES} bytes`);
    this.bytes = bytes;
    this.pool = Buffer.alloc(bytes);
  }

  next(): number {
    const from = restStart(this.index, this.bytes - NUMBER_BYTES);
    this.pool.writeUInt32BE(this.index, 0);
    this.pool.set(this.rest.subarray(from, from + this.bytes - NUMBER_BYTES), NUMBER_BYTES);
    this.index += 1;
    return 0;
  }
}

/** Checks that numbered values are what was written, and each is seen once a pass. */
export class NumberedCheck {
  private readonly bytes: number;
  private readonly rest: DataView;
  private readonly seen: Uint8Array;
  private count = 0;
  private view: DataView = new DataView(new ArrayBuffer(0));

  constructor(records: number, bytes: number) {
    this.bytes = bytes;
    this.rest = new DataView(numberedPool().buffer);
    this.seen = new Uint8Array(records);
  }

  /** Where the values that come next lie. */
  within(bytes: Uint8Array): void {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Throws if this is not what was written under its number, or was seen before. */
  take(start: number, end: number): void {
    if (end - start !== this.bytes) throw new Error(`a value has ${end - start} bytes`);
    const { view, rest } = this;
    const index = view.getUint32(start);
    if (this.seen[index] !== 0) throw new Error(`record ${index} is unknown or came twice`);
    this.seen[index] = 1;
    this.count += 1;
    const length = this.bytes - NUMBER_BYTES;
    const from = restStart(index, length);
    const at = start + NUMBER_BYTES;
    let i = 0;
    let difference = 0;
    // Whichever end of a number comes first, they are equal or not: the machine's own order is cheapest.
    for (; i + 4 <= length; i += 4) {
      difference |= view.getInt32(at + i, true) ^ rest.getInt32(from + i, true);
    }
    for (; i < length; i += 1) difference |= view.getUint8(at + i) ^ rest.getUint8(from + i);
    if (difference !== 0) throw new Error(`record ${index} is not what was written`);
  }

  /** Throws if any record is missing; then begins anew. */
  endPass(): void {
    if (this.count !== this.seen.length) {
      throw new Error(`${this.seen.length} records were written, ${this.count} were read`);
    }
    this.seen.fill(0);
    this.count = 0;
  }
}

export function valueSource(spec: ValueSpec): ValueSource {
  switch (spec.kind) {
    case 'random':
      return new Pieces(randomBytes(RANDOM_POOL_BYTES), spec.bytes);
    case 'log': {
      const files = spec.files.map((file) => readFileSync(file));
      return new Pieces(files.length === 0 ? logLines() : Buffer.concat(files), spec.bytes);
    }
    case 'numbered':
      return new Numbered(spec.bytes);
  }
}
