import type { Slots } from '../base/slots.js';
import type { LogIndex } from '../model/ids.js';
import { entryKey } from './entry-codec.js';
import type { LevelDb, LevelOperation } from './level-db.js';

/** Operations on entries of [first, next). */
export interface ApartWrite {
  readonly first: LogIndex;
  readonly next: LogIndex;
  readonly operations: LevelOperation[];
}

/**
 * Writes to stored entries beside the store's own writing, each time into a file of their own with
 * nothing of the log's end in it: LevelDB merges a file with all that lies between its first and its
 * last key, which would be the whole log (ADR 11). A write that slips in between costs time and nothing else. Owned by
 * one store.
 *
 * Invariants: compactions take turns with those of all other stores; a database that an install has
 * replaced is left alone, and its errors are none.
 */
export class ApartWriter {
  private readonly store: {
    database(): LevelDb;
    /** Nothing below is part of the log. */
    firstIndex(): LogIndex;
    /** Runs while nothing else is written. */
    alone(run: () => Promise<void>): Promise<void>;
    readonly compactions: Slots;
  };

  constructor(store: ApartWriter['store']) {
    this.store = store;
  }

  database(): LevelDb {
    return this.store.database();
  }

  firstIndex(): LogIndex {
    return this.store.firstIndex();
  }

  /** Waits for its turn among the compactions of all stores. */
  inTurn(work: () => Promise<void>): Promise<void> {
    return this.store.compactions.run(work);
  }

  /**
   * Writes and compacts what `prepare` gives, which is asked once nothing else is written; undefined:
   * nothing. Not synced: what comes before is there until the compaction has made it durable.
   */
  async write(db: LevelDb, prepare: () => ApartWrite | undefined): Promise<void> {
    let compacted: Promise<unknown> | undefined;
    await this.store.alone(async () => {
      const write = this.isCurrent(db) ? prepare() : undefined;
      if (write === undefined) return;
      const { first, next, operations } = write;
      await db.flush();
      await db.write(operations, { sync: false });
      // Begun here, so that its own file is closed before anything else is written.
      compacted = this.ifCurrent(db, () => db.compact(entryKey(first), entryKey(next)));
    });
    await compacted;
  }

  /** An install may close the database under our hands: then there is nothing left to do. */
  async ifCurrent<T>(db: LevelDb, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!this.isCurrent(db)) return undefined;
      throw error;
    }
  }

  isCurrent(db: LevelDb): boolean {
    return db === this.store.database();
  }
}
