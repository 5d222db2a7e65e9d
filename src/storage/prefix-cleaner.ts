import type { Slots } from '../base/slots.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import type { IndexRange } from '../model/log-entry.js';
import { StoreFencedError } from '../ports/log-store.js';
import { entryKey, entryKeyIndex } from './entry-codec.js';
import type { LevelDb } from './level-db.js';

/** Keys that one slice deletes. */
const SLICE_KEYS_MAX = 1024;

/**
 * Gives a truncated prefix's bytes back: deletes its keys in bounded slices that ride along with the
 * store's own writes, then has LevelDB compact the emptied range, since deleting alone frees
 * nothing. Owned by one store; runs beside it and begins again where a crash left it.
 */
export class PrefixCleaner {
  private readonly store: {
    database(): LevelDb;
    /** Nothing below is part of the log. */
    firstIndex(): LogIndex;
    forget(range: IndexRange): Promise<void>;
    readonly compactions: Slots;
    onError(error: unknown): void;
  };
  private task: Promise<void> | undefined;
  private isWanted = false;
  private isStopped = false;

  constructor(store: PrefixCleaner['store']) {
    this.store = store;
  }

  /** Cleans up, or does it once more if a cleaning is under way. */
  start(): void {
    this.isWanted = true;
    this.task ??= this.run();
  }

  stop(): void {
    this.isStopped = true;
  }

  async stopped(): Promise<void> {
    await this.task;
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    try {
      while (this.isWanted && !this.isStopped) {
        this.isWanted = false;
        await this.clean();
      }
    } catch (error) {
      if (!(error instanceof StoreFencedError)) this.store.onError(error);
    }
    this.task = undefined;
  }

  private async clean(): Promise<void> {
    const db = this.store.database();
    const next = this.store.firstIndex();
    const start = entryKey(logIndex(0));
    const end = entryKey(next);
    const key = await this.ifCurrent(db, () => db.firstKey(start, end));
    if (key === undefined) return;
    let first: number = entryKeyIndex(key);
    while (first < next) {
      if (this.isStopped || db !== this.store.database()) return;
      const sliceNext = Math.min(next, first + SLICE_KEYS_MAX);
      await this.store.forget({ first: logIndex(first), next: logIndex(sliceNext) });
      first = sliceNext;
    }
    await this.store.compactions.run(async () => {
      if (this.isStopped) return;
      await this.ifCurrent(db, () => db.compact(start, end));
    });
  }

  /** An install may close the database under our hands: then there is nothing left to clean. */
  private async ifCurrent<T>(db: LevelDb, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (db !== this.store.database()) return undefined;
      throw error;
    }
  }
}
