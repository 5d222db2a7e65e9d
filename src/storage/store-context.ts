import type { Crc32c } from '../base/crc32c.js';
import type { Logger } from '../ports/telemetry.js';
import type { MemoryBudget } from './memory-budget.js';
import type { Room } from './room.js';
import type { StateFile } from './state-file.js';

/** What all replicas of one broker share. */
export interface StoreContext {
  readonly replicasDirectory: string;
  readonly stateFile: StateFile;
  readonly crc32c: Crc32c;
  readonly log: Logger | undefined;
  readonly memory: MemoryBudget;
  readonly scratch: Scratch;
  /** LevelDB compacts on one thread for the whole process: manual compactions take turns. */
  readonly compactions: Turns;
  readonly room: Room;
  /** Replicas opened at once. */
  readonly openings: Turns;
}

/**
 * Memory in which batches are put together. LevelDB copies a batch before write() returns, so one
 * piece serves every replica; it is given back after an unusually large batch.
 */
export class Scratch {
  private bytes = new Uint8Array(0);
  private readonly keepBytesMax: number;

  constructor(keepBytesMax: number) {
    this.keepBytesMax = keepBytesMax;
  }

  /** Valid until the next call. */
  take(length: number): Uint8Array {
    if (length > this.keepBytesMax) return new Uint8Array(length);
    if (this.bytes.length < length) {
      const grown = Math.min(this.keepBytesMax, Math.max(length, this.bytes.length * 2));
      this.bytes = new Uint8Array(grown);
    }
    return this.bytes;
  }
}

/** Lets at most `parallel` tasks run at once, in the order they came. */
export class Turns {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(parallel: number) {
    this.free = parallel;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free += 1;
      else next();
    }
  }
}
