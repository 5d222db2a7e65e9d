import type { Crc32c } from '../base/crc32c.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import type { LogEntry, RewrittenPayload } from '../model/log-entry.js';
import { StoreDamagedError } from '../ports/log-store.js';
import type { ApartWriter } from './apart-writer.js';
import { entryKey, headerBytes, writeEntryValue, type StoredEntry } from './entry-codec.js';
import { getEntry } from './entry-scan.js';
import type { LevelDb, LevelOperation } from './level-db.js';

/**
 * Puts rewritten payloads in the place of stored ones, and has LevelDB compact what they lie among,
 * since the old ones stay on disk until then. Owned by one store; the caller bounds how much goes at
 * once and how far it lies apart.
 *
 * Not synced by themselves: until the compaction has made them durable the old payloads are there, and
 * what a power cut leaves of the new ones is as good as the old.
 */
export class LogRewriter {
  private readonly apart: ApartWriter;
  private readonly crc32c: Crc32c;

  constructor(apart: ApartWriter, crc32c: Crc32c) {
    this.apart = apart;
    this.crc32c = crc32c;
  }

  async rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    await this.apart.inTurn(() => this.write(this.apart.database(), payloads));
  }

  private async write(db: LevelDb, payloads: readonly RewrittenPayload[]): Promise<void> {
    const prepared = await this.apart.ifCurrent(db, () => this.prepare(db, payloads));
    if (prepared === undefined || prepared.length === 0) return;
    await this.apart.write(db, () => {
      // What was truncated since must not come back.
      const kept = prepared.filter(({ index }) => index >= this.apart.firstIndex());
      const first = kept[0]?.index;
      const last = kept.at(-1)?.index;
      if (first === undefined || last === undefined) return undefined;
      const operations = kept.map(({ operation }) => operation);
      return { first, next: logIndex(last + 1), operations };
    });
  }

  private async prepare(
    db: LevelDb,
    payloads: readonly RewrittenPayload[],
  ): Promise<{ readonly index: LogIndex; readonly operation: LevelOperation }[]> {
    const operations: { readonly index: LogIndex; readonly operation: LevelOperation }[] = [];
    for (const rewritten of payloads) {
      const { index } = rewritten;
      if (index < this.apart.firstIndex()) continue;
      let stored: StoredEntry;
      try {
        stored = await getEntry(db, index, this.crc32c);
      } catch (error) {
        if (error instanceof StoreDamagedError && index < this.apart.firstIndex()) continue;
        throw error;
      }
      if (stored.entry.term !== rewritten.term) {
        throw new StoreDamagedError(`entry ${index} is not the one that was rewritten`);
      }
      const value = valueOf(stored, rewritten.payload, this.crc32c);
      operations.push({ index, operation: { type: 'put', key: entryKey(index), value } });
    }
    return operations;
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
