import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { RaftGroupId } from '../model/ids.js';
import { NO_ENTRY } from '../model/log-entry.js';
import type { Snapshot } from '../ports/log-store.js';
import type { SnapshotMeta } from '../raft/io.js';
import { syncDirectory, writeFileDurably } from './durable-files.js';
import { IDENTITY_KEY } from './entry-codec.js';
import { LevelDb } from './level-db.js';
import { encodeGenerationIdentity, type GenerationIdentity } from './log-map.js';
import type { MemoryShare } from './memory-budget.js';
import { repairFacts } from './record-codec.js';
import type { ReplicaRecord } from './state-file.js';
import { encodeSnapshot } from './state-files.js';
import type { StoreContext } from './store-context.js';

/*
 * A replica's files:
 *
 *   replicas/<groupId>/<generation>/db/              LevelDB: identity and entries
 *   replicas/<groupId>/<generation>/snapshot-<index>
 *   replicas/<groupId>/<generation>/checkpoint
 *   replicas/<groupId>/<generation>/note             how far its entries were rewritten
 *   replicas/<groupId>/damaged-<generation>/         a generation set aside
 *
 * The state file says which generation counts. A log is replaced as a whole by filling the next
 * generation's directory and then naming it there: one durable write switches.
 */
export function replicaDirectory(context: StoreContext, groupId: RaftGroupId): string {
  return path.join(context.replicasDirectory, String(groupId));
}

export function generationDirectory(
  replicasDirectory: string,
  id: Pick<GenerationIdentity, 'groupId' | 'generation'>,
): string {
  return path.join(replicasDirectory, String(id.groupId), String(id.generation));
}

export function databaseDirectory(generation: string): string {
  return path.join(generation, 'db');
}

export function snapshotFile(generation: string, meta: Pick<SnapshotMeta, 'last'>): string {
  return path.join(generation, `snapshot-${meta.last.index}`);
}

export function checkpointFile(generation: string): string {
  return path.join(generation, 'checkpoint');
}

export function noteFile(generation: string): string {
  return path.join(generation, 'note');
}

/** Makes a generation that holds a snapshot (or nothing) and no entries; durable when it resolves. */
export async function createGeneration(
  context: StoreContext,
  id: GenerationIdentity,
  base: { readonly meta: SnapshotMeta; readonly snapshot: Snapshot | undefined },
  share: MemoryShare,
): Promise<LevelDb> {
  const directory = generationDirectory(context.replicasDirectory, id);
  await mkdir(directory, { recursive: true });
  if (base.snapshot !== undefined) {
    const file = snapshotFile(directory, base.meta);
    await writeFileDurably(file, encodeSnapshot(base.snapshot, context.crc32c));
  }
  const database = databaseDirectory(directory);
  const db = await LevelDb.open(database, { createIfMissing: true, ...share });
  try {
    await db.write(
      [{ type: 'put', key: IDENTITY_KEY, value: encodeGenerationIdentity(id, context.crc32c) }],
      { sync: true },
    );
    // The names of the files, from the inside out.
    const replica = path.dirname(directory);
    for (const parent of [database, directory, replica, context.replicasDirectory]) {
      await syncDirectory(parent);
    }
  } catch (error) {
    await db.close();
    throw error;
  }
  return db;
}

/** Where a log stands of which nothing was ever truncated. */
export function emptyMeta(record: ReplicaRecord): SnapshotMeta {
  return { last: NO_ENTRY, chain: 0, timeMs: 0, membership: record.facts.spec.bootstrap };
}

/** The watermark of the generation that counts; undefined if nothing was written to it yet. */
export function currentWatermark(record: ReplicaRecord): ReplicaRecord['watermark'] | undefined {
  const { watermark, facts } = record;
  const isCurrent =
    watermark.generation === facts.generation && watermark.incarnation === facts.incarnation;
  return isCurrent ? watermark : undefined;
}

/**
 * Makes the generation after a replica's current one, from a snapshot, and has the state file name it:
 * from then on it is the replica's. The caller closes and removes the old one. If it rejects, the old
 * one still counts.
 */
export async function replaceGeneration(
  context: StoreContext,
  record: ReplicaRecord,
  by: {
    readonly snapshot: Snapshot;
    readonly needsRepair: boolean;
    readonly share: MemoryShare;
    /** Nobody reads the old one any more. */
    readonly oldIsFree: () => Promise<void>;
  },
): Promise<LevelDb> {
  const { snapshot, needsRepair } = by;
  const { incarnation, spec, generation } = record.facts;
  const id = { groupId: spec.groupId, generation: generation + 1, incarnation };
  const directory = generationDirectory(context.replicasDirectory, id);
  await rm(directory, { recursive: true, force: true });
  const db = await createGeneration(context, id, { meta: snapshot.meta, snapshot }, by.share);
  try {
    await by.oldIsFree();
    await context.stateFile.update(record, {
      generation: id.generation,
      ...repairFacts(record.facts, needsRepair),
      snapshot: { last: snapshot.meta.last, chain: snapshot.meta.chain },
    });
    return db;
  } catch (error) {
    await db.close();
    throw error;
  }
}
