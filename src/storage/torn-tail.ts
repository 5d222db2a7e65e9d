import type { Crc32c } from '../base/crc32c.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import { StoreDamagedError } from '../ports/log-store.js';
import type { SnapshotMeta } from '../raft/io.js';
import { decodeStoredEntry, entryKey, IDENTITY_KEY, type StoredEntry } from './entry-codec.js';
import { checkChain } from './entry-scan.js';
import type { LevelDb, LevelOperation } from './level-db.js';
import { encodeGenerationIdentity, type GenerationIdentity } from './log-map.js';

const SCAN_READ_BYTES = 1024 * 1024;
const DELETIONS_PER_WRITE = 16_384;
const BEHIND_ALL = logIndex(Number.MAX_SAFE_INTEGER);

/**
 * Where the sound part of a log ends whose unsynced end a power cut may have torn: below the lowest
 * fault in its last `bytesMin` bytes, since what LevelDB has brought into its tables is synced. An
 * entry that is missing there is a fault like any other: LevelDB goes on behind what it cannot read.
 */
export async function soundEnd(
  db: LevelDb,
  snapshot: SnapshotMeta,
  options: { readonly crc32c: Crc32c; readonly bytesMin: number },
): Promise<LogIndex> {
  const first = snapshot.last.index + 1;
  const scan = db.scan({
    gte: entryKey(logIndex(first)),
    lt: entryKey(BEHIND_ALL),
    reverse: true,
    bytesPerRead: SCAN_READ_BYTES,
  });
  let end: number | undefined;
  let above: StoredEntry | undefined;
  let bytes = 0;
  for await (const pairs of scan) {
    for (const [key, value] of pairs) {
      const stored = decodedOr(key, value, options.crc32c);
      bytes += value.length;
      if (stored === undefined) {
        above = undefined;
        end = undefined;
        continue;
      }
      if (above !== undefined && !follows(above, stored)) end = undefined;
      end ??= stored.entry.index;
      above = stored;
      if (bytes >= options.bytesMin) return logIndex(end);
    }
  }
  const isAnchored = above?.entry.index === first && isChained(snapshot.chain, above);
  return isAnchored && end !== undefined ? logIndex(end) : snapshot.last.index;
}

/** Deletes every entry above, durably. */
export async function dropAbove(db: LevelDb, last: LogIndex): Promise<void> {
  const from = entryKey(logIndex(last + 1));
  let deletions: LevelOperation[] = [];
  const scan = db.scan({ gte: from, lt: entryKey(BEHIND_ALL), bytesPerRead: SCAN_READ_BYTES });
  for await (const pairs of scan) {
    for (const [key] of pairs) deletions.push({ type: 'del', key });
    if (deletions.length < DELETIONS_PER_WRITE) continue;
    await db.write(deletions, { sync: true });
    deletions = [];
  }
  if (deletions.length > 0) await db.write(deletions, { sync: true });
}

/** Has the database say whose it is from now on, durably. */
export async function continueAs(
  db: LevelDb,
  id: GenerationIdentity,
  crc32c: Crc32c,
): Promise<void> {
  const value = encodeGenerationIdentity(id, crc32c);
  await db.write([{ type: 'put', key: IDENTITY_KEY, value }], { sync: true });
}

function decodedOr(key: Uint8Array, value: Uint8Array, crc32c: Crc32c): StoredEntry | undefined {
  try {
    return decodeStoredEntry(key, value, crc32c);
  } catch (error) {
    if (error instanceof StoreDamagedError) return undefined;
    throw error;
  }
}

function follows(above: StoredEntry, below: StoredEntry): boolean {
  return above.entry.index === below.entry.index + 1 && isChained(below.chain, above);
}

function isChained(previousChain: number, stored: StoredEntry): boolean {
  try {
    checkChain(previousChain, stored);
    return true;
  } catch (error) {
    if (error instanceof StoreDamagedError) return false;
    throw error;
  }
}
