import path from 'node:path';
import { logIndex } from '../model/ids.js';
import { StoreDamagedError, type Checkpoint, type Snapshot } from '../ports/log-store.js';
import { directoryBytes, namesIn, readFileIfThere } from './durable-files.js';
import { IDENTITY_KEY } from './entry-codec.js';
import { checkChain, scanEntriesDown } from './entry-scan.js';
import {
  checkpointFile,
  currentWatermark,
  databaseDirectory,
  emptyMeta,
  generationDirectory,
  snapshotFile,
} from './generation.js';
import { LevelDb } from './level-db.js';
import { loadMap } from './load-map.js';
import { decodeGenerationIdentity, type LogMap } from './log-map.js';
import type { MemoryShare } from './memory-budget.js';
import type { ReplicaRecord } from './state-file.js';
import { decodeCheckpoint, decodeSnapshot } from './state-files.js';
import type { StoreContext } from './store-context.js';
import { checkTables } from './table-check.js';
import { dropAbove, soundEnd } from './torn-tail.js';

/** Beyond what LevelDB's write-ahead log holds. */
const TAIL_VERIFY_SLACK_BYTES = 1024 * 1024;
/** What LevelDB writes into its own text log when it leaves out what it could not read. */
const DROPPED = /dropping \d+ bytes|ignoring error|corruption/i;

/** A log as it was found, open. */
export interface SoundLog {
  readonly db: LevelDb;
  readonly map: LogMap;
  readonly snapshot: Snapshot | undefined;
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * Opens a replica's log if it is sound. LevelDB opens without an error after losing records and serves
 * flipped bits, so everything is held against what stands outside it, the state file's identity,
 * snapshot and watermark, tables against their own checksums, and the log's end is read, or all of it.
 * A log in doubt, whose unsynced end a power cut may have torn, is cut off below the first fault instead.
 *
 * Invariants: throws StoreDamagedError where it is not sound, and has nothing open then; the state file
 * is not written to.
 */
export async function openSoundLog(
  context: StoreContext,
  record: ReplicaRecord,
  options: {
    readonly share: MemoryShare;
    readonly verifyWhole: boolean;
    readonly checkAllTables: boolean;
    readonly isInDoubt: boolean;
  },
): Promise<SoundLog> {
  const { crc32c } = context;
  const directory = generationDirectory(context.replicasDirectory, {
    groupId: record.facts.spec.groupId,
    generation: record.facts.generation,
  });
  const snapshot = await loadSnapshot(context, record, directory);
  const database = databaseDirectory(directory);
  if (!(await hasDatabase(database))) throw new StoreDamagedError('its directory is gone');
  // What a crash may have cut or mixed up was on its way from there into tables, and lies at the end.
  const unsettledBytes = await directoryBytes(database, '.log');
  const db = await LevelDb.open(database, { createIfMissing: false, ...options.share });
  try {
    const { isInDoubt } = options;
    // What was not synced may be torn: LevelDB says so, and the log ends before it.
    if (!isInDoubt) await checkTextLog(database);
    const bytes = options.verifyWhole ? Infinity : unsettledBytes + TAIL_VERIFY_SLACK_BYTES;
    // Only now: what was half written when the process ended, LevelDB has deleted.
    await checkTables(database, crc32c, { bytesMin: options.checkAllTables ? Infinity : bytes });
    await checkIdentity(context, record, db);
    const meta = snapshot?.meta ?? emptyMeta(record);
    if (isInDoubt) await dropAbove(db, await soundEnd(db, meta, { crc32c, bytesMin: bytes }));
    const map = await loadMap(db, meta, crc32c);
    await checkWatermark(context, record, db, { map, isInDoubt });
    await verifyTail(context, db, map, bytes);
    const file = await readFileIfThere(checkpointFile(directory));
    const checkpoint = file && decodeCheckpoint(file, crc32c);
    const isBeyond = checkpoint !== undefined && checkpoint.index > map.tail.last.index;
    if (isBeyond && !isInDoubt) {
      throw new StoreDamagedError(`the log ends below its checkpoint at ${checkpoint.index}`);
    }
    const isUsable =
      checkpoint !== undefined && !isBeyond && checkpoint.index >= map.snapshot.last.index;
    return { db, map, snapshot, checkpoint: isUsable ? checkpoint : undefined };
  } catch (error) {
    await db.close();
    throw error;
  }
}

async function loadSnapshot(
  context: StoreContext,
  record: ReplicaRecord,
  directory: string,
): Promise<Snapshot | undefined> {
  const { last, chain } = record.facts.snapshot;
  if (last.index === 0) return undefined;
  const bytes = await readFileIfThere(snapshotFile(directory, { last }));
  if (bytes === undefined) throw new StoreDamagedError(`snapshot ${last.index} is gone`);
  const snapshot = decodeSnapshot(bytes, context.crc32c);
  if (snapshot === undefined) throw new StoreDamagedError(`snapshot ${last.index} is damaged`);
  const { meta } = snapshot;
  if (meta.last.index !== last.index || meta.last.term !== last.term || meta.chain !== chain) {
    throw new StoreDamagedError(`snapshot ${last.index} is another one`);
  }
  return snapshot;
}

async function hasDatabase(database: string): Promise<boolean> {
  return (await namesIn(database)).includes('CURRENT');
}

/** Flipped bits in the write-ahead log leave no other trace. */
async function checkTextLog(database: string): Promise<void> {
  for (const name of ['LOG', 'LOG.old']) {
    const text = await readFileIfThere(path.join(database, name));
    const line = text && DROPPED.exec(Buffer.from(text).toString('latin1'));
    if (line) throw new StoreDamagedError(`LevelDB left something out: ${line[0]}`);
  }
}

async function checkIdentity(
  context: StoreContext,
  record: ReplicaRecord,
  db: LevelDb,
): Promise<void> {
  const { spec, generation, incarnation } = record.facts;
  const bytes = await db.get(IDENTITY_KEY);
  const id = bytes && decodeGenerationIdentity(bytes, context.crc32c);
  if (id === undefined) throw new StoreDamagedError('its identity is missing or damaged');
  const isOfThisLife = id.incarnation === incarnation || id.was === incarnation;
  if (id.groupId !== spec.groupId || id.generation !== generation || !isOfThisLife) {
    throw new StoreDamagedError('it belongs to another replica, or to an earlier life of this one');
  }
}

async function checkWatermark(
  context: StoreContext,
  record: ReplicaRecord,
  db: LevelDb,
  { map, isInDoubt }: { readonly map: LogMap; readonly isInDoubt: boolean },
): Promise<void> {
  const mark = currentWatermark(record);
  if (mark === undefined || mark.last.index <= map.snapshot.last.index) return;
  const { index } = mark.last;
  if (map.tail.last.index < index) {
    if (isInDoubt) return;
    throw new StoreDamagedError(`it ends at ${map.tail.last.index}, but held ${index}`);
  }
  const range = { first: index, next: logIndex(index + 1) };
  for await (const stored of scanEntriesDown(db, range, context.crc32c)) {
    if (stored.chain === mark.chain && stored.entry.term === mark.last.term) continue;
    throw new StoreDamagedError(`entry ${index} is not the one that was written`);
  }
}

/** From the end back over at least `bytesMin`: dense, whole, chained, in the terms its runs say. */
async function verifyTail(
  context: StoreContext,
  db: LevelDb,
  map: LogMap,
  bytesMin: number,
): Promise<void> {
  const range = { first: map.first, next: logIndex(map.tail.last.index + 1) };
  if (range.first === range.next) return;
  let bytes = 0;
  for await (const stored of scanEntriesDown(db, range, context.crc32c)) {
    const { entry } = stored;
    if (map.termAt(entry.index) !== entry.term) {
      throw new StoreDamagedError(`entry ${entry.index} has another term than its run`);
    }
    if (entry.index === map.first) checkChain(map.snapshot.chain, stored);
    bytes += entry.payload.length;
    if (bytes >= bytesMin) return;
  }
}
