import { invariant } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';
import type { Incarnation, RaftGroupId } from '../../src/model/ids.js';
import type {
  BrokerIdentity,
  BrokerStore,
  LoadedReplica,
  LogStore,
  ReplicaInfo,
  ReplicaSpec,
} from '../../src/ports/log-store.js';
import {
  loadReplica,
  ReplicaDisk,
  SimLogStore,
  type CrashKind,
  type DiskOptions,
  type DiskWatcher,
} from './disk-replica.js';
import { ms, type Scheduler, type SimProcess } from './world.js';

const FREE_BYTES = 1e12;

/** Tells which group an opened replica belongs to, by what the store handed out. */
export type OpenWatcher = (broker: number, group: RaftGroupId, loaded: LoadedReplica) => void;

/**
 * The disk of one broker: it outlives the broker's processes. Each life opens it anew with
 * {@link SimDisk.open} and leaves it with {@link SimDisk.crash}, or in an orderly way with close.
 */
export class SimDisk {
  identity: BrokerIdentity | undefined;
  readonly replicas = new Map<RaftGroupId, ReplicaDisk>();
  /** What was deleted: acknowledgements may rest on what it held. */
  readonly deleted = new Map<RaftGroupId, ReplicaDisk>();
  watcher: DiskWatcher | undefined;
  openWatcher: OpenWatcher | undefined;
  options: DiskOptions;

  readonly broker: number;
  readonly scheduler: Scheduler;
  readonly prng: Prng;

  constructor(broker: number, scheduler: Scheduler, prng: Prng, options: DiskOptions) {
    this.broker = broker;
    this.scheduler = scheduler;
    this.prng = prng;
    this.options = options;
  }

  open(process: SimProcess): BrokerStore {
    return new SimBrokerStore(this, process);
  }

  crash(kind: CrashKind): void {
    for (const replica of this.replicas.values()) replica.crash(kind);
  }

  /** The next opening of this replica, which no process has open, finds it damaged. */
  damage(group: RaftGroupId): void {
    const replica = this.replicas.get(group);
    invariant(replica !== undefined && replica.open === undefined, 'only a closed disk is damaged');
    replica.isDamaged = true;
  }

  addReplica(spec: ReplicaSpec): void {
    if (this.replicas.has(spec.groupId)) return;
    const first = (this.prng.u32() + 1) as Incarnation;
    const replica = new ReplicaDisk(this.broker, spec, first, this.scheduler, this.prng.fork());
    this.replicas.set(spec.groupId, replica);
  }
}

/** One life's view of a broker's disk. */
class SimBrokerStore implements BrokerStore {
  private readonly disk: SimDisk;
  private readonly process: SimProcess;

  constructor(disk: SimDisk, process: SimProcess) {
    this.disk = disk;
    this.process = process;
  }

  identity(): BrokerIdentity | undefined {
    return this.disk.identity;
  }

  async saveIdentity(identity: BrokerIdentity): Promise<void> {
    await this.pause();
    this.disk.identity = identity;
  }

  replicas(): readonly ReplicaInfo[] {
    const replicas = [...this.disk.replicas.values()].map((replica) => ({
      spec: replica.spec,
      incarnation: replica.incarnation,
      hardState: replica.hardState,
    }));
    return replicas.sort((a, b) => a.spec.groupId - b.spec.groupId);
  }

  async createReplica(spec: ReplicaSpec): Promise<void> {
    await this.pause();
    this.disk.addReplica(spec);
  }

  async openReplica(groupId: RaftGroupId): Promise<{ store: LogStore; loaded: LoadedReplica }> {
    await this.pause();
    const replica = this.mustFind(groupId);
    invariant(replica.open === undefined, 'a replica is opened once', { groupId });
    const loaded = loadReplica(replica);
    const { disk, process } = this;
    const store = new SimLogStore(
      replica,
      process,
      () => disk.options,
      () => disk.watcher,
    );
    replica.open = store;
    disk.openWatcher?.(disk.broker, groupId, loaded);
    return { store, loaded };
  }

  async deleteReplica(groupId: RaftGroupId): Promise<void> {
    await this.pause();
    const replica = this.disk.replicas.get(groupId);
    if (replica === undefined) return;
    invariant(replica.open === undefined, 'only a closed replica is deleted', { groupId });
    this.disk.watcher?.deleting(this.disk.broker, groupId);
    this.disk.deleted.set(groupId, replica);
    this.disk.replicas.delete(groupId);
  }

  async freeBytes(): Promise<number> {
    await this.pause();
    return FREE_BYTES;
  }

  async close(): Promise<void> {
    for (const replica of this.disk.replicas.values()) await replica.open?.close();
  }

  private mustFind(groupId: RaftGroupId): ReplicaDisk {
    const replica = this.disk.replicas.get(groupId);
    invariant(replica !== undefined, 'the replica exists', { groupId });
    return replica;
  }

  /** A visit to the disk: what follows happens only if the process lives to see it. */
  private pause(): Promise<void> {
    const { scheduler, prng } = this.disk;
    return new Promise((resolve) => {
      scheduler.schedule(ms(0.1) + prng.int(500), this.process, resolve);
    });
  }
}
