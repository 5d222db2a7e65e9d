import { deferred, type Deferred } from '../base/deferred.js';
import type { Durability } from '../model/durability.js';
import type { RaftGroupId } from '../model/ids.js';
import type { EntryId, IndexRange, LogEntry, RewrittenPayload } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';
import {
  StoreFencedError,
  type BrokerIdentity,
  type BrokerStore,
  type Checkpoint,
  type LoadedReplica,
  type LogStore,
  type ReplicaInfo,
  type ReplicaSpec,
  type Snapshot,
} from '../ports/log-store.js';
import type { Timers } from '../ports/world.js';
import type { Persist, SnapshotMeta } from '../raft/io.js';

/** How long every write of a broker takes to become durable; may be changed at any time. */
export interface DiskSpeed {
  writeMs: number;
}

/** Writes wait here for their disk, and are refused once the broker on it was killed. */
interface Disk {
  readonly timers: Timers;
  readonly speed: DiskSpeed;
  readonly isDead: () => boolean;
}

/**
 * A store whose disk may be slow, and whose process may be killed: then what was not durable is lost,
 * and nothing is written any more. Owned by one life of a test broker.
 */
export class FaultyBrokerStore implements BrokerStore {
  private readonly inner: BrokerStore;
  private readonly disk: Disk;
  private readonly logs = new Set<FaultyLogStore>();
  private readonly writes: DiskQueue;
  private isDead = false;

  constructor(inner: BrokerStore, options: { readonly timers: Timers; readonly speed: DiskSpeed }) {
    this.inner = inner;
    this.disk = { ...options, isDead: () => this.isDead };
    this.writes = new DiskQueue(this.disk);
  }

  /** In this turn: whatever is not durable by now never will be. */
  die(): void {
    this.isDead = true;
    this.writes.refuse();
    for (const log of this.logs) log.die();
  }

  identity(): BrokerIdentity | undefined {
    return this.inner.identity();
  }

  saveIdentity(identity: BrokerIdentity): Promise<void> {
    return this.writes.write(() => this.inner.saveIdentity(identity));
  }

  replicas(): readonly ReplicaInfo[] {
    return this.inner.replicas();
  }

  createReplica(spec: ReplicaSpec): Promise<void> {
    return this.writes.write(() => this.inner.createReplica(spec));
  }

  async openReplica(groupId: RaftGroupId): Promise<{ store: LogStore; loaded: LoadedReplica }> {
    assertAlive(this.disk);
    const { store, loaded } = await this.inner.openReplica(groupId);
    const log = new FaultyLogStore(store, this.disk, () => this.logs.delete(log));
    this.logs.add(log);
    return { store: log, loaded };
  }

  deleteReplica(groupId: RaftGroupId): Promise<void> {
    return this.writes.write(() => this.inner.deleteReplica(groupId));
  }

  freeBytes(): Promise<number> {
    return this.inner.freeBytes();
  }

  /** What was killed is left as it lies: the next life must not find it cleanly closed. */
  async close(): Promise<void> {
    for (const log of [...this.logs]) await log.close();
    await this.writes.close();
    if (!this.isDead) await this.inner.close();
  }
}

/** The log of one replica on such a disk. Reads see what was given before; else they take no time. */
class FaultyLogStore implements LogStore {
  private readonly inner: LogStore;
  private readonly disk: Disk;
  private readonly writes: DiskQueue;
  private readonly closed: () => void;

  constructor(inner: LogStore, disk: Disk, closed: () => void) {
    this.inner = inner;
    this.disk = disk;
    this.writes = new DiskQueue(disk);
    this.closed = closed;
  }

  die(): void {
    this.writes.refuse();
  }

  persist(write: Persist, installState?: Uint8Array): Promise<void> {
    return this.writes.write(() => this.inner.persist(write, installState));
  }

  async read(
    range: IndexRange,
    options: { readonly bytesMax: number },
  ): Promise<readonly LogEntry[]> {
    return await this.writes.read(() => this.inner.read(range, options));
  }

  truncatePrefix(last: EntryId, state: Uint8Array, membership: Membership): Promise<SnapshotMeta> {
    return this.writes.write(() => this.inner.truncatePrefix(last, state, membership));
  }

  async snapshot(): Promise<Snapshot | undefined> {
    return await this.writes.read(() => this.inner.snapshot());
  }

  saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    return this.writes.write(() => this.inner.saveCheckpoint(checkpoint));
  }

  rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    return this.writes.write(() => this.inner.rewrite(payloads));
  }

  saveNote(note: Uint8Array): Promise<void> {
    return this.writes.write(() => this.inner.saveNote(note));
  }

  async note(): Promise<Uint8Array | undefined> {
    return await this.writes.read(() => this.inner.note());
  }

  setDurability(durability: Durability): Promise<void> {
    return this.writes.write(() => this.inner.setDurability(durability));
  }

  giveUp(): Promise<void> {
    return this.inner.giveUp();
  }

  async verifyAll(options: {
    readonly bytesPerSecondMax: number;
    readonly signal?: AbortSignal;
  }): Promise<number> {
    return await this.writes.read(() => this.inner.verifyAll(options));
  }

  sizeBytes(): Promise<number> {
    return this.inner.sizeBytes();
  }

  async close(): Promise<void> {
    await this.writes.close();
    this.closed();
    if (!this.disk.isDead()) await this.inner.close();
  }
}

interface Waiting {
  readonly run: () => Promise<void>;
  readonly refuse: (error: Error) => void;
}

/**
 * Writes in the order they were given. A slow disk syncs one batch at a time; what is given meanwhile
 * goes out together with the next one. As long as what Raft hands over unsynced, which Raft bounds.
 */
class DiskQueue {
  private readonly disk: Disk;
  private waiting: Waiting[] = [];
  /** Taken by the sync under way, not durable yet. */
  private syncing: readonly Waiting[] = [];
  private isBusy = false;
  private isClosed = false;
  private onIdle: Deferred<undefined> | undefined;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  async write<T>(run: () => Promise<T>): Promise<T> {
    assertAlive(this.disk);
    const takesTime = this.disk.speed.writeMs > 0 && !this.isClosed;
    if (!takesTime && !this.isBusy) return await run();
    return await this.inTurn(run);
  }

  /** Behind the writes given before; at once if there are none. */
  async read<T>(run: () => Promise<T>): Promise<T> {
    assertAlive(this.disk);
    return this.isBusy ? await this.inTurn(run) : await run();
  }

  /** Everything that is not durable is lost. */
  refuse(): void {
    const lost = [...this.syncing, ...this.waiting];
    this.syncing = [];
    this.waiting = [];
    for (const { refuse } of lost) refuse(killed());
    this.becomeIdle();
  }

  /** Resolves once everything given is written or lost; takes no time for anything afterwards. */
  async close(): Promise<void> {
    this.isClosed = true;
    if (!this.isBusy) return;
    this.onIdle ??= deferred<undefined>();
    await this.onIdle.promise;
  }

  private async inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = deferred<T>();
    this.waiting.push({
      run: () =>
        run().then(
          (value) => done.resolve(value),
          (error: unknown) => done.reject(error),
        ),
      refuse: (error) => done.reject(error),
    });
    if (!this.isBusy) this.sync();
    return await done.promise;
  }

  private sync(): void {
    this.isBusy = true;
    this.syncing = this.waiting;
    this.waiting = [];
    this.disk.timers.after(this.disk.speed.writeMs, () => {
      const batch = this.syncing;
      this.syncing = [];
      void Promise.all(batch.map(({ run }) => run())).then(() => {
        if (this.waiting.length > 0) this.sync();
        else this.becomeIdle();
      });
    });
  }

  private becomeIdle(): void {
    this.isBusy = false;
    this.onIdle?.resolve(undefined);
    this.onIdle = undefined;
  }
}

function assertAlive(disk: Disk): void {
  if (disk.isDead()) throw killed();
}

function killed(): StoreFencedError {
  return new StoreFencedError('the broker was killed');
}
