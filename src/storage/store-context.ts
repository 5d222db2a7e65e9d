import type { Crc32c } from '../base/crc32c.js';
import type { Slots } from '../base/slots.js';
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
  readonly compactions: Slots;
  readonly room: Room;
  /** Which boot of which machine this is (boot-mark.ts). */
  readonly bootMark: number;
  /** Replicas opened at once. */
  readonly openings: Slots;
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
