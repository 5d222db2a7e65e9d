import type { Slots } from '../base/slots.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import { StoreFencedError } from '../ports/log-store.js';
import { entryKey, entryKeyIndex } from './entry-codec.js';
import type { LevelDb, LevelOperation } from './level-db.js';

/** Keys deleted while the store's own writes wait, ... */
const SLICE_KEYS_MAX = 16_384;
/** ... and bytes of values compacted while those of all other stores wait for LevelDB's thread. */
const SLICE_BYTES = 64 * 1024 * 1024;

/**
 * Gives a truncated prefix's bytes back: deletes its keys and has LevelDB compact what they covered,
 * since deleting alone frees nothing. Owned by one store; runs beside it and begins again where a
 * crash left it.
 *
 * Deletions go into a file of their own, with nothing of the log's end in it: LevelDB merges a file
 * with all that lies between its first and its last key, which would be the whole log (ADR 11). A
 * write that slips in between costs time and nothing else.
 */
export class PrefixCleaner {
  private readonly store: {
    database(): LevelDb;
    /** Nothing below is part of the log. */
    firstIndex(): LogIndex;
    /** Runs while nothing else is written. */
    alone(run: () => Promise<void>): Promise<void>;
    readonly compactions: Slots;
    onError(error: unknown): void;
  };
  private task: Promise<void> | undefined;
  /** How far that database was cleaned: what lies before may still be in it, as deletions. */
  private cleaned: { readonly db: LevelDb; readonly next: LogIndex } | undefined;
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
    let first = await this.firstLeft(db, next);
    if (first >= next) return;
    const sliceKeys = await this.sliceKeys(db, first, next);
    while (first < next && !this.isStopped && db === this.store.database()) {
      const from = first;
      const to = logIndex(Math.min(next, from + sliceKeys));
      await this.store.compactions.run(() => this.forget(db, from, to));
      first = to;
      this.cleaned = { db, next: to };
    }
  }

  /** Asks only where nothing is known: a search meets every deletion that was not compacted yet. */
  private async firstLeft(db: LevelDb, next: LogIndex): Promise<LogIndex> {
    if (this.cleaned?.db === db) return this.cleaned.next;
    const key = await this.ifCurrent(db, () => db.firstKey(entryKey(logIndex(0)), entryKey(next)));
    return key === undefined ? next : entryKeyIndex(key);
  }

  private async sliceKeys(db: LevelDb, first: LogIndex, next: LogIndex): Promise<number> {
    const bytes = await this.ifCurrent(db, () => db.bytesOf(entryKey(first), entryKey(next)));
    const slices = Math.max(1, Math.ceil((bytes ?? 0) / SLICE_BYTES));
    return Math.min(SLICE_KEYS_MAX, Math.max(1, Math.ceil((next - first) / slices)));
  }

  private async forget(db: LevelDb, first: LogIndex, next: LogIndex): Promise<void> {
    let compacted: Promise<unknown> | undefined;
    await this.store.alone(async () => {
      if (this.isStopped || db !== this.store.database()) return;
      await db.flush();
      const deletions: LevelOperation[] = [];
      for (let index: number = first; index < next; index += 1) {
        deletions.push({ type: 'del', key: entryKey(logIndex(index)) });
      }
      await db.write(deletions, { sync: false });
      // Begun here, so that its own file is closed before anything else is written.
      compacted = this.ifCurrent(db, () => db.compact(entryKey(first), entryKey(next)));
    });
    await compacted;
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
