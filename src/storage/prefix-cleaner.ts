import { logIndex, type LogIndex } from '../model/ids.js';
import { StoreFencedError } from '../ports/log-store.js';
import type { ApartWriter } from './apart-writer.js';
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
 */
export class PrefixCleaner {
  private readonly apart: ApartWriter;
  private readonly onError: (error: unknown) => void;
  private task: Promise<void> | undefined;
  /** How far that database was cleaned: what lies before may still be in it, as deletions. */
  private cleaned: { readonly db: LevelDb; readonly next: LogIndex } | undefined;
  private isWanted = false;
  private isStopped = false;

  constructor(apart: ApartWriter, onError: (error: unknown) => void) {
    this.apart = apart;
    this.onError = onError;
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
      if (!(error instanceof StoreFencedError)) this.onError(error);
    }
    this.task = undefined;
  }

  private async clean(): Promise<void> {
    const db = this.apart.database();
    const next = this.apart.firstIndex();
    let first = await this.firstLeft(db, next);
    if (first >= next) return;
    const sliceKeys = await this.sliceKeys(db, first, next);
    while (first < next && !this.isStopped && this.apart.isCurrent(db)) {
      const from = first;
      const to = logIndex(Math.min(next, from + sliceKeys));
      await this.apart.inTurn(() => this.forget(db, from, to));
      first = to;
      this.cleaned = { db, next: to };
    }
  }

  /** Asks only where nothing is known: a search meets every deletion that was not compacted yet. */
  private async firstLeft(db: LevelDb, next: LogIndex): Promise<LogIndex> {
    if (this.cleaned?.db === db) return this.cleaned.next;
    const key = await this.apart.ifCurrent(db, () =>
      db.firstKey(entryKey(logIndex(0)), entryKey(next)),
    );
    return key === undefined ? next : entryKeyIndex(key);
  }

  private async sliceKeys(db: LevelDb, first: LogIndex, next: LogIndex): Promise<number> {
    const bytes = await this.apart.ifCurrent(db, () => db.bytesOf(entryKey(first), entryKey(next)));
    const slices = Math.max(1, Math.ceil((bytes ?? 0) / SLICE_BYTES));
    return Math.min(SLICE_KEYS_MAX, Math.max(1, Math.ceil((next - first) / slices)));
  }

  private async forget(db: LevelDb, first: LogIndex, next: LogIndex): Promise<void> {
    await this.apart.write(db, () => {
      if (this.isStopped) return undefined;
      const operations: LevelOperation[] = [];
      for (let index: number = first; index < next; index += 1) {
        operations.push({ type: 'del', key: entryKey(logIndex(index)) });
      }
      return { first, next, operations };
    });
  }
}
