import type { Crc32c } from '../base/crc32c.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import { StoreDamagedError } from '../ports/log-store.js';
import { decodeStoredEntry, entryChain, entryKey, type StoredEntry } from './entry-codec.js';
import type { LevelDb } from './level-db.js';

/** Native reads of a scan that looks at everything. */
const SCAN_READ_BYTES = 1024 * 1024;

export interface EntryRange {
  readonly first: LogIndex;
  readonly next: LogIndex;
}

/**
 * Entries of [first, next) in order, a native read at a time, verified: dense, headers and payloads
 * whole, each chained to the one before. Without the chain before the first entry, the entry before
 * it is read as well. Throws StoreDamagedError at the first fault or gap.
 */
export async function* scanEntries(
  db: LevelDb,
  range: EntryRange,
  options: {
    readonly crc32c: Crc32c;
    readonly chainBefore: number | undefined;
    readonly bytesPerRead?: number;
  },
): AsyncGenerator<StoredEntry[], void, undefined> {
  let chain = options.chainBefore;
  let at: number = chain === undefined ? range.first - 1 : range.first;
  const scan = db.scan({
    gte: entryKey(logIndex(at)),
    lt: entryKey(range.next),
    bytesPerRead: options.bytesPerRead ?? SCAN_READ_BYTES,
  });
  for await (const pairs of scan) {
    const entries: StoredEntry[] = [];
    for (const [key, value] of pairs) {
      const stored = decodeStoredEntry(key, value, options.crc32c);
      if (stored.entry.index !== at) {
        throw new StoreDamagedError(`entry ${at} is missing, found ${stored.entry.index}`);
      }
      if (chain !== undefined) checkChain(chain, stored);
      chain = stored.chain;
      if (at >= range.first) entries.push(stored);
      at += 1;
    }
    if (entries.length > 0) yield entries;
  }
  if (at < range.next) throw new StoreDamagedError(`entry ${at} is missing`);
}

/** The same from the last entry down, starting with `last`; ends before `first`. */
export async function* scanEntriesDown(
  db: LevelDb,
  range: EntryRange,
  crc32c: Crc32c,
): AsyncGenerator<StoredEntry, void, undefined> {
  let above: StoredEntry | undefined;
  let at = range.next - 1;
  const scan = db.scan({
    gte: entryKey(range.first),
    lt: entryKey(range.next),
    reverse: true,
    bytesPerRead: SCAN_READ_BYTES,
  });
  for await (const pairs of scan) {
    for (const [key, value] of pairs) {
      const stored = decodeStoredEntry(key, value, crc32c);
      if (stored.entry.index !== at) {
        throw new StoreDamagedError(`entry ${at} is missing, found ${stored.entry.index}`);
      }
      if (above !== undefined) checkChain(stored.chain, above);
      yield stored;
      above = stored;
      at -= 1;
    }
  }
  if (at >= range.first) throw new StoreDamagedError(`entry ${at} is missing`);
}

/** One entry, verified but for its chain. Throws StoreDamagedError, also where there is none. */
export async function getEntry(db: LevelDb, index: LogIndex, crc32c: Crc32c): Promise<StoredEntry> {
  const key = entryKey(index);
  const value = await db.get(key);
  if (value === undefined) throw new StoreDamagedError(`entry ${index} is missing`);
  return decodeStoredEntry(key, value, crc32c);
}

export function checkChain(previousChain: number, stored: StoredEntry): void {
  if (entryChain(previousChain, stored.header) !== stored.chain) {
    throw new StoreDamagedError(`entry ${stored.entry.index} does not continue the log before it`);
  }
}
