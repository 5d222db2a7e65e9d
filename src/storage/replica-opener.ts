import { rm } from 'node:fs/promises';
import path from 'node:path';
import { logIndex, term, type Incarnation, type LogIndex } from '../model/ids.js';
import { decodeMembership } from '../model/membership.js';
import type { EntryId } from '../model/log-entry.js';
import { StoreDamagedError, type Checkpoint, type LoadedReplica } from '../ports/log-store.js';
import type { Snapshot } from '../ports/log-store.js';
import type { SnapshotMeta } from '../raft/io.js';
import { mayHaveLostUnsynced } from './boot-mark.js';
import { directoryBytes, errorCode, namesIn, readFileIfThere } from './durable-files.js';
import { decodeStoredEntry, entryKey, IDENTITY_KEY, type StoredEntry } from './entry-codec.js';
import { checkChain, getEntry, scanEntries, scanEntriesDown } from './entry-scan.js';
import {
  checkpointFile,
  createGeneration,
  databaseDirectory,
  generationDirectory,
  noteFile,
  replicaDirectory,
  snapshotFile,
} from './generation.js';
import { isLockedError, isResourceError, LevelDb } from './level-db.js';
import { decodeGenerationIdentity, LogMap, type TermRun } from './log-map.js';
import type { MemoryShare } from './memory-budget.js';
import { isSetAside } from './room.js';
import { setAside } from './set-aside.js';
import type { ReplicaRecord } from './state-file.js';
import { decodeCheckpoint, decodeSnapshot } from './state-files.js';
import type { StoreContext } from './store-context.js';
import { continueAs, dropAbove, soundEnd } from './torn-tail.js';

/** Beyond what LevelDB's write-ahead log holds. */
const TAIL_VERIFY_SLACK_BYTES = 1024 * 1024;
/** What LevelDB writes into its own text log when it leaves out what it could not read. */
const DROPPED = /dropping \d+ bytes|ignoring error|corruption/i;

export interface OpenedReplica {
  readonly db: LevelDb;
  readonly map: LogMap;
  readonly loaded: LoadedReplica;
}

interface Sound {
  readonly db: LevelDb;
  readonly map: LogMap;
  readonly snapshot: Snapshot | undefined;
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * Opens a replica's log and judges it. LevelDB opens without an error after losing records and
 * serves flipped bits, so everything is held against what stands outside it: the state file's
 * identity, snapshot and watermark. A damaged generation is set aside and an empty one with a new
 * incarnation takes its place; needsRepair, and what the log is known to have held, are durable in
 * the same write.
 */
export async function openReplica(
  context: StoreContext,
  record: ReplicaRecord,
  options: { readonly share: MemoryShare; readonly newIncarnation: () => Incarnation },
): Promise<OpenedReplica> {
  const { stateFile } = context;
  if (record.facts.generation === 0) return openFirst(context, record, options.share);
  await removeLeftovers(context, record);
  await context.room.make();
  const attempts = record.facts.openingAttempts;
  const verifyWhole = attempts > 0 || record.facts.isSuspect;
  const wasCleanlyClosed = record.facts.isCleanlyClosed;
  const isInDoubt = mayHaveLostUnsynced(record.facts.unsyncedBoot, context.bootMark);
  await stateFile.update(record, { openingAttempts: attempts + 1, isCleanlyClosed: false });
  try {
    if (attempts >= 2) throw new StoreDamagedError('the broker died twice while opening it');
    if (record.facts.isGivenUp) throw new StoreDamagedError('its group went on without it');
    const { share } = options;
    const sound = await openSound(context, record, { share, verifyWhole, isInDoubt });
    if (isInDoubt) await goOnAfterLoss(context, record, sound, options.newIncarnation);
    const { hardState } = record.facts;
    await stateFile.update(record, {
      openingAttempts: 0,
      isSuspect: false,
      // An opening leaves nothing in the write-ahead log: what was there is in a table, and synced.
      unsyncedBoot: 0,
      // Entries of a term prove that it began; a crash may have come between the two writes. No
      // vote was cast in it, since that would have been durable first.
      hardState:
        sound.map.tail.last.term > hardState.term
          ? { ...hardState, term: sound.map.tail.last.term, votedFor: undefined }
          : hardState,
    });
    const opened = await loadedFrom(context, record, sound);
    const { loaded } = opened;
    if (!isInDoubt) return { ...opened, loaded: { ...loaded, wasCleanlyClosed } };
    const reason = `the machine went down while entries were not synced; it ends at ${loaded.raft.last.index}`;
    return { ...opened, loaded: { ...loaded, verdict: { kind: 'tailLost', reason } } };
  } catch (error) {
    if (!isDamage(error)) {
      // Its write-ahead log may be gone by now, and with it the measure of what is to be verified.
      const isSuspect = record.facts.isSuspect || !isLockedError(error);
      await stateFile.update(record, { openingAttempts: attempts, isSuspect });
      throw error;
    }
    return await startOver(context, record, options, reasonOf(error));
  }
}

/** A replica that never had a log. */
async function openFirst(
  context: StoreContext,
  record: ReplicaRecord,
  share: MemoryShare,
): Promise<OpenedReplica> {
  const { spec, incarnation } = record.facts;
  await rm(replicaDirectory(context, spec.groupId), { recursive: true, force: true });
  const meta = emptyMeta(record);
  const id = { groupId: spec.groupId, generation: 1, incarnation };
  const db = await createGeneration(context, id, { meta, snapshot: undefined }, share);
  await context.stateFile.update(record, { generation: 1, isCleanlyClosed: false });
  const map = new LogMap(meta);
  return {
    db,
    map,
    loaded: loadedOf(record, map, { verdict: { kind: 'empty' }, memberships: [] }),
  };
}

async function openSound(
  context: StoreContext,
  record: ReplicaRecord,
  options: {
    readonly share: MemoryShare;
    readonly verifyWhole: boolean;
    readonly isInDoubt: boolean;
  },
): Promise<Sound> {
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
    await checkIdentity(context, record, db);
    const meta = snapshot?.meta ?? emptyMeta(record);
    const bytes = options.verifyWhole ? Infinity : unsettledBytes + TAIL_VERIFY_SLACK_BYTES;
    if (isInDoubt) await dropAbove(db, await soundEnd(db, meta, { crc32c, bytesMin: bytes }));
    const map = await loadMap(context, db, meta);
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

/** What the log's last entry leads to, entry by entry. */
async function loadMap(context: StoreContext, db: LevelDb, meta: SnapshotMeta): Promise<LogMap> {
  const map = new LogMap(meta);
  const last = await lastEntry(context, db, map);
  if (last === undefined) return map;
  const { index, term: at, timeMs } = last.entry;
  const get = (from: number): Promise<StoredEntry> => getEntry(db, logIndex(from), context.crc32c);
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
  context: StoreContext,
  db: LevelDb,
  map: LogMap,
): Promise<StoredEntry | undefined> {
  const end = logIndex(Number.MAX_SAFE_INTEGER);
  const scan = db.scan({
    gte: entryKey(map.first),
    lt: entryKey(end),
    reverse: true,
    bytesPerRead: 1,
  });
  for await (const [pair] of scan) {
    return pair && decodeStoredEntry(pair[0], pair[1], context.crc32c);
  }
  return undefined;
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

/** The watermark of the generation that counts; undefined if nothing was written to it yet. */
function currentWatermark(record: ReplicaRecord): ReplicaRecord['watermark'] | undefined {
  const { watermark, facts } = record;
  const isCurrent =
    watermark.generation === facts.generation && watermark.incarnation === facts.incarnation;
  return isCurrent ? watermark : undefined;
}

/**
 * A log that may have lost unsynced entries goes on under a new incarnation, so that its leader asks
 * anew what it holds, and in need of repair: what it acknowledged, nobody knows. Once the database says
 * so, a crash before the state file does leaves it as much in doubt as before.
 */
async function goOnAfterLoss(
  context: StoreContext,
  record: ReplicaRecord,
  { db, map }: Sound,
  newIncarnation: () => Incarnation,
): Promise<void> {
  const { stateFile, crc32c } = context;
  const { facts } = record;
  const { generation, hardState } = facts;
  const held = currentWatermark(record)?.last ?? facts.snapshot.last;
  const incarnation = newIncarnation();
  const { groupId } = facts.spec;
  const { last, chain } = map.tail;
  context.log?.error(
    { raftGroup: groupId, last: last.index, acknowledged: held.index },
    'replica may have lost entries that were not synced when its machine went down',
  );
  // It may tell of entries that are lost.
  await rm(noteFile(generationDirectory(context.replicasDirectory, { groupId, generation })), {
    force: true,
  });
  await continueAs(db, { groupId, generation, incarnation, was: facts.incarnation }, crc32c);
  stateFile.writeWatermark(record, { generation, incarnation, last, chain });
  await stateFile.update(record, {
    incarnation,
    // One that was emptied before holds too little to speak for what it once held.
    isTailLost: !hardState.needsRepair || facts.isTailLost,
    hardState: { ...hardState, needsRepair: true },
    lost: later(facts.lost, later(held, facts.snapshot.last)),
  });
}

async function loadedFrom(
  context: StoreContext,
  record: ReplicaRecord,
  sound: Sound,
): Promise<OpenedReplica> {
  const { db, map } = sound;
  try {
    const memberships = [];
    for (const index of map.memberships) {
      const range = { first: index, next: logIndex(index + 1) };
      const chainBefore = index === map.first ? map.snapshot.chain : undefined;
      const scan = scanEntries(db, range, { crc32c: context.crc32c, chainBefore });
      for await (const [stored] of scan) {
        if (stored?.entry.kind !== 'membership') {
          throw new StoreDamagedError(`entry ${index} is no membership`);
        }
        memberships.push({ index, membership: decodeMembership(stored.entry.payload) });
      }
    }
    const isEmpty = map.tail.last.index === 0;
    const loaded = loadedOf(record, map, {
      verdict: { kind: isEmpty ? 'empty' : 'sound' },
      memberships,
      snapshot: sound.snapshot,
      checkpoint: sound.checkpoint,
    });
    return { db, map, loaded };
  } catch (error) {
    await db.close();
    throw error;
  }
}

function loadedOf(
  record: ReplicaRecord,
  map: LogMap,
  found: {
    readonly verdict: LoadedReplica['verdict'];
    readonly memberships: LoadedReplica['raft']['memberships'];
    readonly snapshot?: Snapshot | undefined;
    readonly checkpoint?: Checkpoint | undefined;
  },
): LoadedReplica {
  const { facts } = record;
  return {
    verdict: found.verdict,
    wasUnsynced: facts.wasUnsynced,
    raft: {
      incarnation: facts.incarnation,
      hardState: facts.hardState,
      snapshot: map.snapshot,
      termRuns: map.runs.map((run) => ({ ...run })),
      memberships: found.memberships,
      last: map.tail.last,
      lastTimeMs: map.tail.timeMs,
      watermark: facts.lost,
      lostTail: facts.isTailLost,
    },
    snapshot: found.snapshot,
    checkpoint: found.checkpoint,
  };
}

async function startOver(
  context: StoreContext,
  record: ReplicaRecord,
  options: { readonly share: MemoryShare; readonly newIncarnation: () => Incarnation },
  reason: string,
): Promise<OpenedReplica> {
  const { facts } = record;
  const { groupId } = facts.spec;
  const old = { groupId, generation: facts.generation };
  const id = {
    groupId,
    generation: facts.generation + 1,
    incarnation: options.newIncarnation(),
  };
  context.log?.error({ raftGroup: groupId, reason }, 'replica is damaged and starts over');
  const meta = emptyMeta(record);
  const held = currentWatermark(record)?.last ?? facts.snapshot.last;
  const db = await createGeneration(context, id, { meta, snapshot: undefined }, options.share);
  try {
    await context.stateFile.update(record, {
      incarnation: id.incarnation,
      generation: id.generation,
      hardState: { ...facts.hardState, needsRepair: true },
      lost: later(facts.lost, later(held, facts.snapshot.last)),
      snapshot: { last: meta.last, chain: meta.chain },
      openingAttempts: 0,
      isSuspect: false,
      unsyncedBoot: 0,
      isTailLost: false,
      isGivenUp: false,
    });
    await setAside(context, old);
  } catch (error) {
    await db.close();
    throw error;
  }
  const map = new LogMap(meta);
  const loaded = loadedOf(record, map, { verdict: { kind: 'damaged', reason }, memberships: [] });
  return { db, map, loaded };
}

/** Generations and snapshots that a crash left half made, or not yet deleted. */
async function removeLeftovers(context: StoreContext, record: ReplicaRecord): Promise<void> {
  const { spec, generation, snapshot } = record.facts;
  const parent = replicaDirectory(context, spec.groupId);
  for (const name of await namesIn(parent)) {
    if (name === String(generation) || isSetAside(name)) continue;
    await rm(path.join(parent, name), { recursive: true, force: true });
  }
  const current = path.join(parent, String(generation));
  const kept = path.basename(snapshotFile(current, snapshot));
  for (const name of await namesIn(current)) {
    const isLeft = name.endsWith('.tmp') || (name.startsWith('snapshot-') && name !== kept);
    if (isLeft) await rm(path.join(current, name), { force: true });
  }
}

function emptyMeta(record: ReplicaRecord): SnapshotMeta {
  const last = { term: term(0), index: logIndex(0) };
  return { last, chain: 0, timeMs: 0, membership: record.facts.spec.bootstrap };
}

/** Of two logs' ends, the one that a candidate must cover to cover both. */
function later(a: EntryId, b: EntryId): EntryId {
  return a.term > b.term || (a.term === b.term && a.index > b.index) ? a : b;
}

/** What the machine lacks, or another process holds, says nothing about the stored bytes. */
function isDamage(error: unknown): boolean {
  if (error instanceof StoreDamagedError) return true;
  if (isLockedError(error) || isResourceError(error)) return false;
  return errorCode(error)?.startsWith('LEVEL_') ?? false;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
