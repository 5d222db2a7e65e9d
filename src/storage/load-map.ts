import type { Crc32c } from '../base/crc32c.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import { StoreDamagedError } from '../ports/log-store.js';
import type { SnapshotMeta } from '../raft/io.js';
import { decodeStoredEntry, entryKey, type StoredEntry } from './entry-codec.js';
import { getEntry } from './entry-scan.js';
import type { LevelDb } from './level-db.js';
import { LogMap, type TermRun } from './log-map.js';

/**
 * The map of a stored log that goes on behind this snapshot: what its last entry leads to, entry by
 * entry. Throws StoreDamagedError.
 */
export async function loadMap(db: LevelDb, meta: SnapshotMeta, crc32c: Crc32c): Promise<LogMap> {
  const map = new LogMap(meta);
  const last = await lastEntry(db, map.first, crc32c);
  if (last === undefined) return map;
  const { index, term: at, timeMs } = last.entry;
  const get = (from: number): Promise<StoredEntry> => getEntry(db, logIndex(from), crc32c);
  const runs = await runsUpTo(last, map.first, get);
  const memberships = await membershipsUpTo(last, map.first, get);
  map.restore({ runs, memberships }, { last: { term: at, index }, chain: last.chain, timeMs });
  return map;
}

type GetEntry = (index: number) => Promise<StoredEntry>;

async function runsUpTo(last: StoredEntry, logFirst: LogIndex, get: GetEntry): Promise<TermRun[]> {
  const runs: TermRun[] = [];
  for (let at = last; ;) {
    const first = logIndex(Math.max(at.links.runFirst, logFirst));
    runs.push({ term: at.entry.term, first });
    if (first === logFirst) return runs.reverse();
    const before = first <= at.entry.index ? await get(first - 1) : undefined;
    if (before === undefined || before.entry.term >= at.entry.term) {
      throw new StoreDamagedError(
        `entry ${at.entry.index} is not of the term that begins at ${first}`,
      );
    }
    at = before;
  }
}

async function membershipsUpTo(
  last: StoredEntry,
  logFirst: LogIndex,
  get: GetEntry,
): Promise<LogIndex[]> {
  const found: LogIndex[] = last.entry.kind === 'membership' ? [last.entry.index] : [];
  for (let at = last; at.links.membershipBefore >= logFirst;) {
    const before = at.links.membershipBefore;
    if (before >= at.entry.index) {
      throw new StoreDamagedError(`entry ${at.entry.index} points ahead, at ${before}`);
    }
    found.push(before);
    at = await get(before);
  }
  return found.reverse();
}

async function lastEntry(
  db: LevelDb,
  first: LogIndex,
  crc32c: Crc32c,
): Promise<StoredEntry | undefined> {
  const end = logIndex(Number.MAX_SAFE_INTEGER);
  const scan = db.scan({
    gte: entryKey(first),
    lt: entryKey(end),
    reverse: true,
    bytesPerRead: 1,
  });
  for await (const [pair] of scan) {
    return pair && decodeStoredEntry(pair[0], pair[1], crc32c);
  }
  return undefined;
}
