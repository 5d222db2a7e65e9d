import { rm } from 'node:fs/promises';
import path from 'node:path';
import { StoreDamagedError, type Checkpoint, type Snapshot } from '../ports/log-store.js';
import type { SnapshotMeta } from '../raft/io.js';
import { directoryBytes, readFileIfThere, writeFileDurably } from './durable-files.js';
import {
  checkpointFile,
  databaseDirectory,
  generationDirectory,
  noteFile,
  snapshotFile,
} from './generation.js';
import type { ReplicaRecord } from './state-file.js';
import {
  decodeNote,
  decodeSnapshot,
  encodeCheckpoint,
  encodeNote,
  encodeSnapshot,
} from './state-files.js';
import type { StoreContext } from './store-context.js';

/**
 * The files beside the database in the generation of a replica that counts: snapshot, checkpoint and
 * note. Owned by one store.
 *
 * Invariants: which generation it is, is asked in the same turn in which a call is made, so that what
 * an install replaces meanwhile is never mixed with what it brings; what is written is durable when
 * the call resolves.
 */
export class SideFiles {
  private readonly context: StoreContext;
  private readonly record: ReplicaRecord;

  constructor(context: StoreContext, record: ReplicaRecord) {
    this.context = context;
    this.record = record;
  }

  get generation(): number {
    return this.record.facts.generation;
  }

  get directory(): string {
    const { groupId } = this.record.facts.spec;
    const { generation } = this;
    return generationDirectory(this.context.replicasDirectory, { groupId, generation });
  }

  get database(): string {
    return databaseDirectory(this.directory);
  }

  /** Undefined if there is no such file. */
  async snapshot(meta: SnapshotMeta): Promise<Snapshot | undefined> {
    const file = snapshotFile(this.directory, meta);
    const bytes = await readFileIfThere(file);
    if (bytes === undefined) return undefined;
    const found = decodeSnapshot(bytes, this.context.crc32c);
    if (found === undefined) throw damaged(file);
    return found;
  }

  /** Into the directory that counted when its making began. */
  async saveSnapshot(directory: string, snapshot: Snapshot): Promise<void> {
    const file = snapshotFile(directory, snapshot.meta);
    await writeFileDurably(file, encodeSnapshot(snapshot, this.context.crc32c));
  }

  async dropSnapshot(meta: SnapshotMeta): Promise<void> {
    await rm(snapshotFile(this.directory, meta), { force: true });
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    const file = checkpointFile(this.directory);
    await writeFileDurably(file, encodeCheckpoint(checkpoint, this.context.crc32c));
  }

  async saveNote(note: Uint8Array): Promise<void> {
    const file = noteFile(this.directory);
    await writeFileDurably(file, [encodeNote(note, this.context.crc32c)]);
  }

  /** Undefined if there is none, or if it cannot be read any more. */
  async note(): Promise<Uint8Array | undefined> {
    const bytes = await readFileIfThere(noteFile(this.directory));
    return bytes && decodeNote(bytes, this.context.crc32c);
  }

  /** What these and the database take. */
  async sizeBytes(): Promise<number> {
    const [own, database] = await Promise.all([
      directoryBytes(this.directory),
      directoryBytes(this.database),
    ]);
    return own + database;
  }
}

function damaged(file: string): StoreDamagedError {
  return new StoreDamagedError(`${path.basename(file)} is damaged`);
}
