import { rm } from 'node:fs/promises';
import path from 'node:path';
import { logIndex, type Incarnation } from '../model/ids.js';
import type { EntryId } from '../model/log-entry.js';
import { decodeMembership } from '../model/membership.js';
import {
  StoreDamagedError,
  type Checkpoint,
  type LoadedReplica,
  type Snapshot,
} from '../ports/log-store.js';
import { mayHaveLostUnsynced } from './boot-mark.js';
import { isDamage } from './damage.js';
import { namesIn } from './durable-files.js';
import { scanEntries } from './entry-scan.js';
import {
  createGeneration,
  currentWatermark,
  emptyMeta,
  generationDirectory,
  noteFile,
  replicaDirectory,
  snapshotFile,
} from './generation.js';
import { isLockedError, type LevelDb } from './level-db.js';
import { LogMap } from './log-map.js';
import type { MemoryShare } from './memory-budget.js';
import { isSetAside } from './room.js';
import { setAside } from './set-aside.js';
import { openSoundLog, type SoundLog } from './sound-log.js';
import type { ReplicaRecord } from './state-file.js';
import type { StoreContext } from './store-context.js';
import { continueAs } from './torn-tail.js';

export interface OpenedReplica {
  readonly db: LevelDb;
  readonly map: LogMap;
  readonly loaded: LoadedReplica;
  /** All of it was read, and passed. */
  readonly wasVerifiedWhole: boolean;
}

/**
 * Opens a replica's log and draws the consequences of what is found (sound-log.ts). A damaged
 * generation is set aside and an empty one with a new incarnation takes its place; needsRepair, and
 * what the log is known to have held, are durable in the same write.
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
  // The first unclean end is anybody's; the next one, before all was verified, may be the log's doing.
  const diedAgain = !wasCleanlyClosed && record.facts.diedUnverified;
  const checkAllTables = verifyWhole || diedAgain;
  const isInDoubt = mayHaveLostUnsynced(record.facts.unsyncedBoot, context.bootMark);
  await stateFile.update(record, {
    openingAttempts: attempts + 1,
    isCleanlyClosed: false,
    diedUnverified: !wasCleanlyClosed && !checkAllTables,
  });
  try {
    if (attempts >= 2) throw new StoreDamagedError('the broker died twice while opening it');
    if (record.facts.isGivenUp) throw new StoreDamagedError('it was given up');
    const { share } = options;
    const sound = await openSoundLog(context, record, {
      share,
      verifyWhole,
      checkAllTables,
      isInDoubt,
    });
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
    const opened = { ...(await loadedFrom(context, record, sound)), wasVerifiedWhole: verifyWhole };
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
    wasVerifiedWhole: false,
  };
}

/**
 * A log that may have lost unsynced entries goes on under a new incarnation, so that its leader asks
 * anew what it holds, and in need of repair: what it acknowledged, nobody knows. Once the database says
 * so, a crash before the state file does leaves it as much in doubt as before.
 */
async function goOnAfterLoss(
  context: StoreContext,
  record: ReplicaRecord,
  { db, map }: SoundLog,
  newIncarnation: () => Incarnation,
): Promise<void> {
  const { stateFile, crc32c } = context;
  const { facts } = record;
  const { generation, hardState } = facts;
  const held = lastHeld(record);
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
    lost: later(facts.lost, held),
  });
}

async function loadedFrom(
  context: StoreContext,
  record: ReplicaRecord,
  sound: SoundLog,
): Promise<Omit<OpenedReplica, 'wasVerifiedWhole'>> {
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
  const held = lastHeld(record);
  const db = await createGeneration(context, id, { meta, snapshot: undefined }, options.share);
  try {
    await context.stateFile.update(record, {
      incarnation: id.incarnation,
      generation: id.generation,
      hardState: { ...facts.hardState, needsRepair: true },
      lost: later(facts.lost, held),
      snapshot: { last: meta.last, chain: meta.chain },
      openingAttempts: 0,
      isSuspect: false,
      unsyncedBoot: 0,
      isTailLost: false,
      isGivenUp: false,
      diedUnverified: false,
    });
    await setAside(context, old);
  } catch (error) {
    await db.close();
    throw error;
  }
  const map = new LogMap(meta);
  const loaded = loadedOf(record, map, { verdict: { kind: 'damaged', reason }, memberships: [] });
  return { db, map, loaded, wasVerifiedWhole: false };
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

/** The last entry that the present log is known to have held. */
function lastHeld(record: ReplicaRecord): EntryId {
  const snapshot = record.facts.snapshot.last;
  return later(currentWatermark(record)?.last ?? snapshot, snapshot);
}

/** Of two logs' ends, the one that a candidate must cover to cover both. */
function later(a: EntryId, b: EntryId): EntryId {
  return a.term > b.term || (a.term === b.term && a.index > b.index) ? a : b;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
