import type { Prng } from '../../src/base/prng.js';
import type { LogImage } from './log-image.js';
import { ms, type Micros } from './world.js';

/**
 * How far a simulated log is synced, where its topic lets syncs come later: what a power cut may take,
 * and what is known of it afterwards. Outlives the processes, as the disk does.
 */
export class UnsyncedTail {
  /** The longest time until a sync follows; undefined: nothing is reported before it is synced. */
  flushMax: Micros | undefined;
  /** Entries were once reported before they were synced. */
  wasUnsynced = false;
  /** A power cut may have taken the end: the next opening tells. */
  isInDoubt = false;
  /** Needs repair because of that, and what is left is sound. */
  isLost = false;
  /** The group went on without what this log holds as committed. */
  isGivenUp = false;
  private syncedIndex = 0;
  /** As the state file says: from the first entry that is not synced on, for a good while. */
  private mayBeUnsynced = false;

  get isLazy(): boolean {
    return this.flushMax !== undefined;
  }

  wrote(): void {
    this.mayBeUnsynced = true;
    this.wasUnsynced = true;
  }

  /** Entries above are replaced: how far their successors are synced is not known. */
  lowered(index: number): void {
    this.syncedIndex = Math.min(this.syncedIndex, index);
  }

  synced(index: number): void {
    this.syncedIndex = Math.max(this.syncedIndex, index);
  }

  /** Everything is on the disk, and the state file says so. */
  settled(log: LogImage): void {
    this.syncedIndex = log.last.index;
    this.mayBeUnsynced = false;
  }

  /** Some of what was not synced is gone. */
  cutPower(log: LogImage, prng: Prng): void {
    if (!this.mayBeUnsynced) return;
    const { last } = log;
    const sure = Math.min(Math.max(this.syncedIndex, log.base.index), last.index);
    const left = prng.chance(0.5) ? 0 : prng.int(last.index - sure + 1);
    log.replaceAfter(sure + left, []);
    this.isInDoubt = true;
  }
}

/** When a sync that nobody waits for is done. */
export function drawFlush(prng: Prng, max: Micros): Micros {
  return prng.int(Math.max(max, ms(1))) + 1;
}
