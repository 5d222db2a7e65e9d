import type { Crc32c } from '../base/crc32c.js';
import type { Slots } from '../base/slots.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import type { LogEntry, RewrittenPayload } from '../model/log-entry.js';
import { StoreDamagedError } from '../ports/log-store.js';
import { entryKey, headerBytes, writeEntryValue, type StoredEntry } from './entry-codec.js';
import { getEntry } from './entry-scan.js';
import type { LevelDb, LevelOperation } from './level-db.js';

/**
 * Puts rewritten payloads in the place of stored ones, and has LevelDB compact what they lie among,
 * since the old ones stay on disk until then. Owned by one store; the caller bounds how much goes at
 * once and how far it lies apart.
 *
 * Like the deletions of a prefix, rewritten entries go into a file of their own, with nothing of the
 * log's end in it (ADR 11). Not synced by themselves: until the compaction has made them durable the
 * old payloads are there, and what a power cut leaves of the new ones is as good as the old.
 */
export class LogRewriter {
  private readonly store: {
    database(): LevelDb;
    /** Nothing below is part of the log. */
    firstIndex(): LogIndex;
    /** Runs while nothing else is written. */
    alone(run: () => Promise<void>): Promise<void>;
    readonly compactions: Slots;
    readonly crc32c: Crc32c;
  };

  constructor(store: LogRewriter['store']) {
    this.store = store;
  }

  async rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    if (payloads.length === 0) return;
    const { compactions } = this.store;
    await compactions.run(() => this.write(this.store.database(), payloads));
  }

  private async write(db: LevelDb, payloads: readonly RewrittenPayload[]): Promise<void> {
    const operations = await this.ifCurrent(db, () => this.prepare(db, payloads));
    if (operations === undefined || operations.length === 0) return;
    let compacted: Promise<unknown> | undefined;
    await this.store.alone(async () => {
      if (db !== this.store.database()) return;
      // What was truncated since must not come back.
      const first = this.store.firstIndex();
      const kept = operations.filter(({ index }) => index >= first);
      const begin = kept[0];
      const end = kept.at(-1);
      if (begin === undefined || end === undefined) return;
      await db.flush();
      await db.write(
        kept.map(({ operation }) => operation),
        { sync: false },
      );
      // Begun here, so that its own file is closed before anything else is written.
      const next = logIndex(end.index + 1);
      compacted = this.ifCurrent(db, () => db.compact(entryKey(begin.index), entryKey(next)));
    });
    await compacted;
  }

  private async prepare(
    db: LevelDb,
    payloads: readonly RewrittenPayload[],
  ): Promise<{ readonly index: LogIndex; readonly operation: LevelOperation }[]> {
    const operations: { readonly index: LogIndex; readonly operation: LevelOperation }[] = [];
    for (const rewritten of payloads) {
      const { index } = rewritten;
      if (index < this.store.firstIndex()) continue;
      let stored: StoredEntry;
      try {
        stored = await getEntry(db, index, this.store.crc32c);
      } catch (error) {
        if (error instanceof StoreDamagedError && index < this.store.firstIndex()) continue;
        throw error;
      }
      if (stored.entry.term !== rewritten.term) {
        throw new StoreDamagedError(`entry ${index} is not the one that was rewritten`);
      }
      const value = valueOf(stored, rewritten.payload, this.store.crc32c);
      operations.push({ index, operation: { type: 'put', key: entryKey(index), value } });
    }
    return operations;
  }

  /** An install may close the database under our hands: then there is nothing left to rewrite. */
  private async ifCurrent<T>(db: LevelDb, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (db !== this.store.database()) return undefined;
      throw error;
    }
  }
}

/** The stored entry with another payload; everything else of it stays. */
function valueOf(stored: StoredEntry, payload: Uint8Array, crc32c: Crc32c): Uint8Array {
  const { header, chain, links } = stored;
  const original = { length: header.payloadLength, crc: header.payloadCrc };
  const entry: LogEntry = { ...stored.entry, payload, original };
  const value = new Uint8Array(headerBytes(entry) + payload.length);
  writeEntryValue(value, 0, entry, { header, chain, links, crc32c });
  return value;
}
