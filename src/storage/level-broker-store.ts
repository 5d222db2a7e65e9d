import { randomBytes } from 'node:crypto';
import { mkdir, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { invariant } from '../base/assert.js';
import { crc32c as portableCrc32c, type Crc32c } from '../base/crc32c.js';
import { Slots } from '../base/slots.js';
import { incarnation, type Incarnation, type RaftGroupId } from '../model/ids.js';
import type {
  BrokerIdentity,
  BrokerStore,
  LoadedReplica,
  LogStore,
  ReplicaInfo,
  ReplicaSpec,
} from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import { bootMarkOf, readBootMark } from './boot-mark.js';
import { loadIdentity, storeIdentity } from './broker-identity.js';
import { isDamage } from './damage.js';
import { namesIn, syncDirectory } from './durable-files.js';
import { replicaDirectory } from './generation.js';
import { isLockedError, LevelDb } from './level-db.js';
import { LevelLogStore } from './level-log-store.js';
import { MemoryBudget } from './memory-budget.js';
import { beginningOf } from './new-replica.js';
import { FREE_FACTS } from './record-codec.js';
import { openReplica } from './replica-opener.js';
import { Room } from './room.js';
import { StateFile, StateFileError, type ReplicaRecord } from './state-file.js';
import { Scratch, type StoreContext } from './store-context.js';

const MIB = 1024 * 1024;
const MEMORY_BUDGET_BYTES_DEFAULT = 192 * MIB;
const FREE_BYTES_MIN_DEFAULT = 256 * MIB;
const SCRATCH_KEEP_BYTES_MAX = 16 * MIB;
const OPENINGS_AT_ONCE = 8;

export interface LevelBrokerStoreOptions {
  /** A native one, where bytes are many; portable if left out. */
  readonly crc32c?: Crc32c;
  /** For write buffers and block caches of all open replicas together. */
  readonly memoryBudgetBytes?: number;
  /** With less free on the volume, damaged logs that were set aside are given up. 256 MiB. */
  readonly freeBytesMin?: number;
  readonly log?: Logger;
  /** Whoever simulates a power cut says which boot this is; the system's own is read otherwise. */
  readonly bootId?: string;
  /** Told once when the state file cannot be written any more: the broker must end. */
  readonly onVolumeFailure?: (error: unknown) => void;
}

/** Another process, or another store of this one, has the data directory. */
export class DataDirectoryInUseError extends Error {
  override readonly name = 'DataDirectoryInUseError';
}

/**
 * One broker's data directory:
 *
 *   identity    whose it is
 *   state       facts and watermark of every replica (state-file.ts); the list of replicas
 *   lock/       a LevelDB open for the life of the process: the system releases it at its death
 *   replicas/   logs (generation.ts)
 *
 * Invariants: what replicas there are is said by the state file alone, never by which directories
 * exist; a replica's files are deleted only after its record says so durably.
 */
export class LevelBrokerStore implements BrokerStore {
  private readonly directory: string;
  private readonly context: StoreContext;
  private readonly lock: LevelDb;
  private known: BrokerIdentity | undefined;
  private readonly records = new Map<RaftGroupId, ReplicaRecord>();
  /** Deleted, but not all of their files are: nobody's replicas any more. */
  private readonly deleting = new Map<RaftGroupId, ReplicaRecord>();
  private readonly open = new Map<RaftGroupId, LogStore | 'opening'>();
  private readonly openings = new Set<Promise<unknown>>();
  private readonly creating = new Set<RaftGroupId>();
  private isClosed = false;

  private constructor(
    directory: string,
    context: StoreContext,
    lock: LevelDb,
    known: BrokerIdentity | undefined,
  ) {
    this.directory = directory;
    this.context = context;
    this.lock = lock;
    this.known = known;
    for (const record of context.stateFile.records()) {
      const { use, spec } = record.facts;
      if (use === 'used') this.records.set(spec.groupId, record);
      else if (use === 'deleting') this.deleting.set(spec.groupId, record);
    }
  }

  static async open(
    directory: string,
    options: LevelBrokerStoreOptions = {},
  ): Promise<LevelBrokerStore> {
    const crc32c = options.crc32c ?? portableCrc32c;
    const replicasDirectory = path.join(directory, 'replicas');
    await mkdir(replicasDirectory, { recursive: true });
    const lock = await lockDirectory(directory);
    try {
      const identity = await loadIdentity(directory, crc32c);
      const stateFile = await StateFile.open(path.join(directory, 'state'), {
        crc32c,
        mayCreate: identity === undefined,
        onFailure: options.onVolumeFailure ?? (() => undefined),
      });
      if (identity === undefined && stateFile.records().length > 0) {
        await stateFile.close();
        throw new StateFileError(
          `${directory} holds replicas but no identity: this broker must not start`,
        );
      }
      await syncDirectory(directory);
      await syncDirectory(path.dirname(path.resolve(directory)));
      const context: StoreContext = {
        replicasDirectory,
        stateFile,
        crc32c,
        log: options.log,
        memory: new MemoryBudget(options.memoryBudgetBytes ?? MEMORY_BUDGET_BYTES_DEFAULT),
        scratch: new Scratch(SCRATCH_KEEP_BYTES_MAX),
        compactions: new Slots(1),
        room: new Room({
          replicasDirectory,
          freeBytesMin: options.freeBytesMin ?? FREE_BYTES_MIN_DEFAULT,
          log: options.log,
        }),
        bootMark: options.bootId === undefined ? await readBootMark() : bootMarkOf(options.bootId),
        openings: new Slots(OPENINGS_AT_ONCE),
      };
      const store = new LevelBrokerStore(directory, context, lock, identity);
      await store.finishDeletions();
      return store;
    } catch (error) {
      await lock.close();
      throw error;
    }
  }

  identity(): BrokerIdentity | undefined {
    return this.known;
  }

  async saveIdentity(identity: BrokerIdentity): Promise<void> {
    this.assertOpen();
    await storeIdentity(this.directory, identity, this.context.crc32c);
    this.known = identity;
  }

  replicas(): readonly ReplicaInfo[] {
    return [...this.records.values()]
      .map(({ facts }) => ({
        spec: facts.spec,
        incarnation: facts.incarnation,
        hardState: facts.hardState,
      }))
      .sort((a, b) => a.spec.groupId - b.spec.groupId);
  }

  async createReplica(spec: ReplicaSpec): Promise<void> {
    this.assertOpen();
    invariant(this.known !== undefined, 'replicas belong to an identified broker');
    const { groupId } = spec;
    const isTaken = this.records.has(groupId) || this.creating.has(groupId);
    invariant(!isTaken, 'a group id is used once', { groupId });
    this.creating.add(groupId);
    try {
      // Its files would be taken for the new replica's, and the new one's for its.
      await this.finishDeletion(groupId);
      const facts = {
        ...FREE_FACTS,
        ...beginningOf(spec),
        ...({ use: 'used', spec, incarnation: newIncarnation() } as const),
      };
      this.records.set(groupId, await this.context.stateFile.allocate(facts));
    } finally {
      this.creating.delete(groupId);
    }
  }

  async openReplica(groupId: RaftGroupId): Promise<{ store: LogStore; loaded: LoadedReplica }> {
    this.assertOpen();
    const record = this.mustFind(groupId);
    invariant(!this.open.has(groupId), 'a replica is opened once at a time', { groupId });
    this.open.set(groupId, 'opening');
    const share = this.context.memory.take(this.records.size);
    const onClosed = (): void => {
      this.context.memory.giveBack(share);
      this.open.delete(groupId);
    };
    const opening = this.context.openings.run(() =>
      openReplica(this.context, record, { share, newIncarnation }),
    );
    this.openings.add(opening);
    try {
      const opened = await opening;
      const store = new LevelLogStore(this.context, record, { ...opened, share }, onClosed);
      this.open.set(groupId, store);
      return { store, loaded: opened.loaded };
    } catch (error) {
      onClosed();
      throw error;
    } finally {
      this.openings.delete(opening);
    }
  }

  async deleteReplica(groupId: RaftGroupId): Promise<void> {
    this.assertOpen();
    invariant(!this.open.has(groupId), 'a replica is closed before it is deleted', { groupId });
    const record = this.records.get(groupId);
    if (record !== undefined) {
      this.records.delete(groupId);
      this.deleting.set(groupId, record);
      await this.context.stateFile.update(record, { use: 'deleting' });
    }
    await this.finishDeletion(groupId);
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.directory);
    return bavail * bsize;
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    try {
      await Promise.allSettled(this.openings);
      const stores = [...this.open.values()].filter((store) => store !== 'opening');
      await Promise.allSettled(stores.map((store) => store.close()));
      await this.context.stateFile.close();
    } finally {
      await this.lock.close();
    }
  }

  /** What cannot be finished now is tried again by the next deletion or creation, or at a restart. */
  private async finishDeletions(): Promise<void> {
    for (const groupId of [...this.deleting.keys()]) {
      try {
        await this.finishDeletion(groupId);
      } catch (error) {
        const facts = { raftGroup: groupId, error: String(error) };
        this.context.log?.warn(facts, 'the files of a deleted replica are still there');
      }
    }
  }

  /** Known until its record is free, so that a failed deletion can be repeated. */
  private async finishDeletion(groupId: RaftGroupId): Promise<void> {
    const record = this.deleting.get(groupId);
    if (record === undefined) return;
    // Under the same number stands a replica made since: the files are its own.
    if (!this.records.has(groupId)) {
      await rm(replicaDirectory(this.context, groupId), { recursive: true, force: true });
      await syncDirectory(this.context.replicasDirectory);
    }
    await this.context.stateFile.update(record, FREE_FACTS);
    this.deleting.delete(groupId);
  }

  private mustFind(groupId: RaftGroupId): ReplicaRecord {
    const record = this.records.get(groupId);
    invariant(record !== undefined, 'the replica exists', { groupId });
    return record;
  }

  private assertOpen(): void {
    invariant(!this.isClosed, 'the broker store is open');
  }
}

/**
 * Takes the directory for this process; the system gives it back at the process's death. Nothing is
 * stored there, so that a damaged one is made anew; what locks, the file LOCK, stays.
 */
export async function lockDirectory(directory: string): Promise<LevelDb> {
  const folder = path.join(directory, 'lock');
  try {
    return await openLock(folder).catch(async (error: unknown) => {
      if (!isDamage(error)) throw error;
      for (const name of await namesIn(folder)) {
        if (name !== 'LOCK') await rm(path.join(folder, name), { recursive: true, force: true });
      }
      return await openLock(folder);
    });
  } catch (error) {
    if (!isLockedError(error)) throw error;
    throw new DataDirectoryInUseError(`${directory} is in use by another broker`, { cause: error });
  }
}

function openLock(folder: string): Promise<LevelDb> {
  const sizes = { writeBufferBytes: 64 * 1024, cacheBytes: 0 };
  return LevelDb.open(folder, { createIfMissing: true, ...sizes });
}

/** Unlikely ever to come twice, and never 0. */
function newIncarnation(): Incarnation {
  return incarnation(randomBytes(6).readUIntBE(0, 6) + 1);
}
