import type { Crc32c } from '../base/crc32c.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import { entryBytes, type IndexRange, type LogEntry } from '../model/log-entry.js';
import type { StoredEntry } from './entry-codec.js';
import { getEntry, scanEntries } from './entry-scan.js';
import type { LevelDb } from './level-db.js';
import type { LogMap } from './log-map.js';

/** Ends of recent reads, whose chains let the next read begin there. */
const KNOWN_CHAINS_MAX = 64;
/** More than this is never held by one native read. */
const NATIVE_READ_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Verified reads of one generation of a log. A read checks how its first entry continues the one
 * before; reads that follow one another know that chain, others fetch the entry before as well.
 */
export class LogReader {
  private readonly db: LevelDb;
  private readonly map: LogMap;
  private readonly crc32c: Crc32c;
  private readonly knownChains = new Map<LogIndex, number>();

  constructor(db: LevelDb, map: LogMap, crc32c: Crc32c) {
    this.db = db;
    this.map = map;
    this.crc32c = crc32c;
  }

  /** Entries of the range, all of which are stored; fewer if they exceed bytesMax, at least one. */
  async read(range: IndexRange, bytesMax: number): Promise<LogEntry[]> {
    const out: LogEntry[] = [];
    let bytes = 0;
    let end: StoredEntry | undefined;
    const scan = scanEntries(this.db, range, {
      crc32c: this.crc32c,
      chainBefore: this.chainAt(logIndex(range.first - 1)),
      bytesPerRead: Math.max(1, Math.min(bytesMax, NATIVE_READ_BYTES_MAX)),
    });
    scanning: for await (const stored of scan) {
      for (const each of stored) {
        bytes += entryBytes(each.entry);
        if (out.length > 0 && bytes > bytesMax) break scanning;
        out.push(each.entry);
        end = each;
      }
      if (bytes >= bytesMax) break;
    }
    if (end !== undefined) this.rememberChain(end);
    return out;
  }

  /** One entry, verified but for its chain. */
  mustGet(index: LogIndex): Promise<StoredEntry> {
    return getEntry(this.db, index, this.crc32c);
  }

  /** The tail is being replaced. */
  forgetChains(): void {
    this.knownChains.clear();
  }

  private chainAt(index: LogIndex): number | undefined {
    const { snapshot } = this.map;
    return index === snapshot.last.index ? snapshot.chain : this.knownChains.get(index);
  }

  private rememberChain(stored: StoredEntry): void {
    const { index } = stored.entry;
    // A truncation may have passed by since the read began.
    if (this.map.termAt(index) !== stored.entry.term) return;
    this.knownChains.delete(index);
    this.knownChains.set(index, stored.chain);
    if (this.knownChains.size <= KNOWN_CHAINS_MAX) return;
    for (const oldest of this.knownChains.keys()) {
      this.knownChains.delete(oldest);
      return;
    }
  }
}
