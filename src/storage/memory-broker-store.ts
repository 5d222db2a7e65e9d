import { invariant } from '../base/assert.js';
import { incarnation, type RaftGroupId } from '../model/ids.js';
import type {
  BrokerIdentity,
  BrokerStore,
  LoadedReplica,
  LogStore,
  ReplicaInfo,
  ReplicaSpec,
} from '../ports/log-store.js';
import {
  loadMemoryReplica,
  MemoryLogStore,
  newMemoryReplica,
  type MemoryReplica,
} from './memory-log-store.js';

/** What a broker's disk would hold: outlives the stores that are opened on it. */
export class MemoryDisk {
  identity: BrokerIdentity | undefined;
  readonly replicas = new Map<RaftGroupId, MemoryReplica>();
  private incarnations = 0;

  /** Incarnations count up: the same run has the same ones. */
  newIncarnation(): ReturnType<typeof incarnation> {
    this.incarnations += 1;
    return incarnation(this.incarnations);
  }

  /** The replica's log will be found damaged when it is next opened. */
  damage(groupId: RaftGroupId): void {
    const replica = this.replicas.get(groupId);
    invariant(replica !== undefined, 'the replica exists', { groupId });
    replica.isDamaged = true;
  }
}

/** A BrokerStore on a {@link MemoryDisk}: the contract of the real one, without its disk. */
export class MemoryBrokerStore implements BrokerStore {
  private readonly disk: MemoryDisk;
  private readonly open = new Map<RaftGroupId, LogStore>();
  private isClosed = false;

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.disk = disk;
  }

  identity(): BrokerIdentity | undefined {
    return this.disk.identity;
  }

  async saveIdentity(identity: BrokerIdentity): Promise<void> {
    this.assertOpen();
    this.disk.identity = identity;
    await Promise.resolve();
  }

  replicas(): readonly ReplicaInfo[] {
    return [...this.disk.replicas.values()]
      .map((replica) => ({
        spec: replica.spec,
        incarnation: replica.incarnation,
        hardState: replica.hardState,
      }))
      .sort((a, b) => a.spec.groupId - b.spec.groupId);
  }

  async createReplica(spec: ReplicaSpec): Promise<void> {
    this.assertOpen();
    invariant(this.disk.identity !== undefined, 'replicas belong to an identified broker');
    invariant(!this.disk.replicas.has(spec.groupId), 'a group id is used once', { ...spec });
    this.disk.replicas.set(spec.groupId, newMemoryReplica(spec, this.disk.newIncarnation()));
    await Promise.resolve();
  }

  async openReplica(groupId: RaftGroupId): Promise<{ store: LogStore; loaded: LoadedReplica }> {
    this.assertOpen();
    const replica = this.disk.replicas.get(groupId);
    invariant(replica !== undefined, 'the replica exists', { groupId });
    invariant(!this.open.has(groupId), 'a replica is opened once at a time', { groupId });
    const loaded = loadMemoryReplica(replica, () => this.disk.newIncarnation());
    const store = new MemoryLogStore(replica, () => this.open.delete(groupId));
    this.open.set(groupId, store);
    return Promise.resolve({ store, loaded });
  }

  async deleteReplica(groupId: RaftGroupId): Promise<void> {
    this.assertOpen();
    invariant(!this.open.has(groupId), 'a replica is closed before it is deleted', { groupId });
    this.disk.replicas.delete(groupId);
    await Promise.resolve();
  }

  async freeBytes(): Promise<number> {
    return Promise.resolve(Number.MAX_SAFE_INTEGER);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const store of [...this.open.values()]) await store.close();
  }

  private assertOpen(): void {
    invariant(!this.isClosed, 'the broker store is open');
  }
}
