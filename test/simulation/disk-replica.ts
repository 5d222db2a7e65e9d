import { invariant } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';
import type { Durability } from '../../src/model/durability.js';
import type { Incarnation, LogIndex, Term } from '../../src/model/ids.js';
import {
  entryBytes,
  type EntryId,
  type IndexRange,
  type LogEntry,
  type RewrittenPayload,
} from '../../src/model/log-entry.js';
import { decodeMembership, type Membership } from '../../src/model/membership.js';
import {
  PrefixTruncatedError,
  StoreFencedError,
  type Checkpoint,
  type LoadedReplica,
  type LogStore,
  type ReplicaSpec,
  type Snapshot,
} from '../../src/ports/log-store.js';
import type { HardState, Persist, SnapshotMeta } from '../../src/raft/io.js';
import { beginningOf } from '../../src/storage/new-replica.js';
import { LogImage, type ChainedEntry } from './log-image.js';
import { drawFlush, UnsyncedTail } from './unsynced-tail.js';
import { ms, type Micros, type Scheduler, type SimEvent, type SimProcess } from './world.js';

/** How a disk behaves; drawn once a seed, and made good for the liveness phase. */
export interface DiskOptions {
  readonly writeMax: Micros;
  readonly syncMax: Micros;
  /** Chance that a sync takes up to slowSyncMax. */
  readonly slowSyncChance: number;
  readonly slowSyncMax: Micros;
  readonly readMax: Micros;
  /** Chance that a sync fails; what it should have made durable may or may not be. */
  readonly syncErrorChance: number;
}

export const GOOD_DISK: DiskOptions = {
  writeMax: 50,
  syncMax: 300,
  slowSyncChance: 0,
  slowSyncMax: 0,
  readMax: 200,
  syncErrorChance: 0,
};

/** How a process ended, as its disk sees it. */
export type CrashKind =
  /** kill -9: what was handed to the operating system stays. */
  | 'process'
  /** What was not synced may be gone. */
  | 'power';

const NO_ENTRY: EntryId = { term: 0 as Term, index: 0 as LogIndex };
/** The watermark of production is synced this often; a power cut may leave it this old. */
const WATERMARK_PERIOD = ms(100);

type Operation =
  | {
      readonly kind: 'persist';
      readonly write: Persist;
      readonly linked: readonly ChainedEntry[];
      readonly installState: Uint8Array | undefined;
    }
  | { readonly kind: 'truncate'; readonly meta: SnapshotMeta; readonly state: Uint8Array }
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint }
  | { readonly kind: 'durability'; readonly flushMax: Micros | undefined }
  | { readonly kind: 'rewrite'; readonly payloads: readonly RewrittenPayload[] }
  | { readonly kind: 'note'; readonly note: Uint8Array };

interface Queued {
  readonly operation: Operation;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Hears which prefixes replicas replace by their state: the oracle. */
export interface DiskWatcher {
  truncating(broker: number, group: number, meta: SnapshotMeta, state: Uint8Array): void;
  deleting(broker: number, group: number): void;
}

/** What one replica's disk durably holds: it outlives every process. */
export class ReplicaDisk {
  log = new LogImage();
  hardState: HardState;
  snapshot: Snapshot | undefined;
  checkpoint: Checkpoint | undefined;
  readonly tail = new UnsyncedTail();
  note: Uint8Array | undefined;
  /** What the log held before it was found damaged; zeros while it is whole. */
  lostWatermark: EntryId;
  /** Set from outside while no process has it open: the next opening finds it damaged. */
  isDamaged = false;
  /** Set by a scenario: the sync that is due next reports an error. */
  failsNextSync = false;
  /** What the log held when it was damaged: a commit may rest on it although it is gone. */
  lost: LogImage | undefined;
  open: SimLogStore | undefined;
  watermarkAtCrash: EntryId = NO_ENTRY;
  private syncedWatermark: EntryId = NO_ENTRY;
  private watermarkSyncedAt: Micros = 0;

  readonly broker: number;
  readonly spec: ReplicaSpec;
  incarnation: Incarnation;
  readonly scheduler: Scheduler;
  readonly prng: Prng;

  constructor(
    broker: number,
    spec: ReplicaSpec,
    incarnation: Incarnation,
    scheduler: Scheduler,
    prng: Prng,
  ) {
    this.broker = broker;
    this.spec = spec;
    this.incarnation = incarnation;
    this.scheduler = scheduler;
    this.prng = prng;
    const { hardState, lost } = beginningOf(spec);
    this.hardState = hardState;
    this.lostWatermark = lost;
  }

  commit(operation: Operation): void {
    switch (operation.kind) {
      case 'persist':
        this.commitHardState(operation.write);
        this.commitLog(operation);
        break;
      case 'truncate':
        // A snapshot that was installed meanwhile may stand higher.
        if (operation.meta.last.index <= this.log.base.index) break;
        this.log.dropThrough(operation.meta.last);
        this.snapshot = { meta: operation.meta, state: operation.state };
        break;
      case 'checkpoint':
        this.checkpoint = operation.checkpoint;
        break;
      case 'durability':
        this.tail.flushMax = operation.flushMax;
        break;
      case 'rewrite':
        this.log.rewrite(operation.payloads);
        break;
      case 'note':
        this.note = operation.note;
    }
    this.moveWatermark();
  }

  commitHardState(write: Persist): void {
    if (write.hardState === undefined) return;
    this.hardState = write.hardState;
    if (write.hardState.needsRepair) return;
    this.lostWatermark = NO_ENTRY;
    this.tail.isLost = false;
  }

  /** The process that had this open is gone. */
  crash(kind: CrashKind): void {
    this.open?.crash(kind);
    // The file outside the log is exact after a killed process, and up to 100 ms old after a cut.
    this.watermarkAtCrash = kind === 'process' ? this.log.last : this.syncedWatermark;
    if (kind === 'process') return;
    const before = this.log.copy();
    this.tail.cutPower(this.log, this.prng);
    if (this.tail.isInDoubt) this.lost = before;
  }

  private commitLog(operation: Extract<Operation, { kind: 'persist' }>): void {
    const { append, install } = operation.write;
    if (append !== undefined) this.tail.lowered(append.prev.index);
    if (append !== undefined) this.log.replaceAfter(append.prev.index, operation.linked);
    if (install === undefined) return;
    this.log.resetTo(install.last, install.chain);
    this.tail.lowered(install.last.index);
    this.snapshot = { meta: install, state: operation.installState ?? new Uint8Array() };
    this.checkpoint = undefined;
    this.note = undefined;
  }

  private moveWatermark(): void {
    const { last } = this.log;
    const isDue = this.scheduler.now >= this.watermarkSyncedAt + WATERMARK_PERIOD;
    if (!isDue && last.index >= this.syncedWatermark.index) return;
    this.syncedWatermark = last;
    this.watermarkSyncedAt = this.scheduler.now;
  }
}

/**
 * One replica's store in one life of its broker. Writes queue up; all that waits goes out together:
 * first handed over (a killed process leaves it behind), then synced (a power cut no longer loses
 * it), and only then does the caller hear of it.
 */
export class SimLogStore implements LogStore {
  /** The log as the replica has asked for it: what is durable and what is on the way. */
  readonly view: LogImage;
  private queue: Queued[] = [];
  private batch: Queued[] | undefined;
  private phase: 'writing' | 'syncing' = 'writing';
  private phaseEvent: SimEvent | undefined;
  private fence: Error | undefined;
  private idle: (() => void)[] = [];

  private readonly disk: ReplicaDisk;
  private readonly process: SimProcess;
  private readonly options: () => DiskOptions;
  private readonly watcher: () => DiskWatcher | undefined;

  constructor(
    disk: ReplicaDisk,
    process: SimProcess,
    options: () => DiskOptions,
    watcher: () => DiskWatcher | undefined,
  ) {
    this.disk = disk;
    this.process = process;
    this.options = options;
    this.watcher = watcher;
    this.view = disk.log.copy();
  }

  persist(write: Persist, installState?: Uint8Array): Promise<void> {
    if (this.fence !== undefined) return this.refuse(this.fence);
    const { append, install } = write;
    let linked: ChainedEntry[] = [];
    try {
      if (append !== undefined) {
        linked = this.view.link(append.prev.index, append.entries);
        this.view.replaceAfter(append.prev.index, linked);
      }
    } catch (error) {
      return this.refuse(error as Error);
    }
    if (install !== undefined) this.view.resetTo(install.last, install.chain);
    return this.enqueue({ kind: 'persist', write, linked, installState });
  }

  read(range: IndexRange, options: { readonly bytesMax: number }): Promise<readonly LogEntry[]> {
    return this.afterDelay(() => this.readNow(range, options.bytesMax));
  }

  async truncatePrefix(
    last: EntryId,
    state: Uint8Array,
    membership: Membership,
  ): Promise<SnapshotMeta> {
    const { snapshot } = this.disk;
    if (snapshot !== undefined && last.index <= snapshot.meta.last.index) return snapshot.meta;
    const item = this.view.at(last.index);
    if (item === undefined) throw new PrefixTruncatedError(`no entry ${last.index} to truncate at`);
    const { chain, entry } = item;
    const meta: SnapshotMeta = {
      last: { term: entry.term, index: entry.index },
      chain,
      timeMs: entry.timeMs,
      membership,
    };
    this.watcher()?.truncating(this.disk.broker, this.disk.spec.groupId, meta, state);
    await this.enqueue({ kind: 'truncate', meta, state: Uint8Array.from(state) });
    if (meta.last.index > this.view.base.index) this.view.dropThrough(meta.last);
    return meta;
  }

  snapshot(): Promise<Snapshot | undefined> {
    return this.afterDelay(() => this.disk.snapshot);
  }

  saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    const copy = { index: checkpoint.index, state: Uint8Array.from(checkpoint.state) };
    return this.enqueue({ kind: 'checkpoint', checkpoint: copy });
  }

  async rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    await this.enqueue({ kind: 'rewrite', payloads });
    this.view.rewrite(payloads);
  }

  saveNote(note: Uint8Array): Promise<void> {
    return this.enqueue({ kind: 'note', note: Uint8Array.from(note) });
  }

  note(): Promise<Uint8Array | undefined> {
    return this.afterDelay(() => this.disk.note);
  }

  setDurability(durability: Durability): Promise<void> {
    const flushMax = durability.kind === 'fsync' ? undefined : ms(durability.flushMs);
    return this.enqueue({ kind: 'durability', flushMax });
  }

  giveUp(): Promise<void> {
    this.disk.tail.isGivenUp = true;
    return Promise.resolve();
  }

  verifyAll(options: { readonly signal?: AbortSignal }): Promise<number> {
    return this.afterDelay(() => {
      options.signal?.throwIfAborted();
      return this.disk.log.items.length;
    });
  }

  sizeBytes(): Promise<number> {
    const bytes = this.disk.log.items.reduce(
      (sum, { entry }) => sum + entry.payload.length + 64,
      0,
    );
    return this.afterDelay(() => bytes);
  }

  async close(): Promise<void> {
    if (this.batch !== undefined) await new Promise<void>((resolve) => this.idle.push(resolve));
    if (this.fence === undefined) this.disk.tail.settled(this.disk.log);
    this.fence ??= new StoreFencedError('closed');
    if (this.disk.open === this) this.disk.open = undefined;
  }

  /** The process ended: decides what of the unfinished writes is on the disk. */
  crash(kind: CrashKind): void {
    if (this.phaseEvent !== undefined) this.phaseEvent.isCancelled = true;
    this.fence = new StoreFencedError('crashed');
    this.disk.open = undefined;
    if (this.batch === undefined) return;
    const isHandedOver = this.phase === 'syncing';
    const { prng } = this.disk;
    const stays = isHandedOver && (kind === 'process' || prng.chance(0.3));
    // Hard state lives in a file of its own, written first: a crash may fall between the two.
    const isSplit = isHandedOver && !stays && prng.chance(0.3);
    for (const { operation } of this.batch) {
      if (stays) this.disk.commit(operation);
      else if (isSplit && operation.kind === 'persist') this.disk.commitHardState(operation.write);
    }
  }

  private enqueue(operation: Operation): Promise<void> {
    if (this.fence !== undefined) return this.refuse(this.fence);
    return new Promise<void>((resolve, reject) => {
      this.queue.push({ operation, resolve, reject });
      if (this.batch === undefined) this.startBatch();
    });
  }

  private startBatch(): void {
    this.batch = this.queue;
    this.queue = [];
    this.phase = 'writing';
    const { scheduler, prng } = this.disk;
    const { writeMax } = this.options();
    const delay = prng.int(writeMax + 1);
    this.phaseEvent = scheduler.schedule(delay, undefined, () => this.startSync());
  }

  private startSync(): void {
    if (this.isLazyBatch()) {
      this.endLazily();
      return;
    }
    this.phase = 'syncing';
    const { scheduler, prng } = this.disk;
    const { syncMax, slowSyncChance, slowSyncMax } = this.options();
    const isSlow = slowSyncChance > 0 && prng.chance(slowSyncChance);
    if (isSlow) scheduler.mishap('slowDisk');
    const delay = isSlow ? prng.int(slowSyncMax + 1) : prng.int(syncMax + 1);
    this.phaseEvent = scheduler.schedule(delay, undefined, () => this.endSync());
  }

  private endSync(): void {
    const batch = this.batch ?? [];
    const { prng, tail } = this.disk;
    const { syncErrorChance } = this.options();
    const mayFail = syncErrorChance > 0 || this.disk.failsNextSync;
    const hasFailed = mayFail && (this.disk.failsNextSync || prng.chance(syncErrorChance));
    this.disk.failsNextSync = false;
    if (!hasFailed || prng.chance(0.5)) {
      for (const { operation } of batch) this.disk.commit(operation);
    }
    // Entries that came with a hard state are synced later all the same; a snapshot waits for them.
    const isStrict = batch.some(({ operation: { kind } }) => kind !== 'persist' && kind !== 'note');
    if (!hasFailed && (isStrict || !tail.isLazy)) tail.settled(this.disk.log);
    else if (!hasFailed) this.flushLater();
    this.endBatch(batch, hasFailed);
  }

  /** Entries that only follow what is there: reported once the operating system has them. */
  private isLazyBatch(): boolean {
    if (!this.disk.tail.isLazy) return false;
    let last: number = this.disk.log.last.index;
    return (this.batch ?? []).every(({ operation }) => {
      if (operation.kind !== 'persist') return false;
      const { hardState, append, install } = operation.write;
      const follows = (append?.prev.index ?? last) === last;
      last += append?.entries.length ?? 0;
      return hardState === undefined && install === undefined && follows;
    });
  }

  private endLazily(): void {
    const batch = this.batch ?? [];
    for (const { operation } of batch) this.disk.commit(operation);
    this.flushLater();
    this.endBatch(batch, false);
  }

  private flushLater(): void {
    const { scheduler, prng, tail } = this.disk;
    tail.wrote();
    scheduler.schedule(drawFlush(prng, tail.flushMax ?? 0), undefined, () => {
      if (this.fence !== undefined) return;
      const { index, term } = this.disk.log.last;
      const delay = prng.int(this.options().syncMax + 1);
      scheduler.schedule(delay, undefined, () => {
        const isStillThere = this.fence === undefined && this.disk.log.termAt(index) === term;
        if (isStillThere) this.disk.tail.synced(index);
      });
    });
  }

  private endBatch(batch: readonly Queued[], hasFailed: boolean): void {
    const { scheduler, spec } = this.disk;
    this.batch = undefined;
    this.phaseEvent = undefined;
    scheduler.hash.add(11, this.disk.broker, spec.groupId, this.disk.log.last.index);
    if (hasFailed) {
      this.fail(batch);
    } else {
      scheduler.say(
        () => `b${this.disk.broker} g${spec.groupId} disk holds up to ${this.disk.log.last.index}`,
      );
      scheduler.schedule(0, this.process, () => {
        for (const { resolve } of batch) resolve();
      });
      if (this.queue.length > 0) this.startBatch();
    }
    if (!this.isBusy()) this.becomeIdle();
  }

  private isBusy(): boolean {
    return this.batch !== undefined;
  }

  private fail(batch: readonly Queued[]): void {
    const { scheduler, broker, spec } = this.disk;
    scheduler.mishap('syncError');
    const error = new Error('the disk failed to sync');
    scheduler.say(() => `b${broker} g${spec.groupId} disk fails a sync`);
    this.fence = new StoreFencedError('an earlier write failed');
    const all = [...batch, ...this.queue];
    this.queue = [];
    scheduler.schedule(0, this.process, () => {
      for (const { reject } of all) reject(error);
    });
  }

  private becomeIdle(): void {
    const waiting = this.idle;
    this.idle = [];
    if (waiting.length === 0) return;
    this.disk.scheduler.schedule(0, this.process, () => {
      for (const resolve of waiting) resolve();
    });
  }

  private afterDelay<T>(get: () => T): Promise<T> {
    if (this.fence !== undefined) return this.refuse(this.fence);
    const { scheduler, prng } = this.disk;
    const { readMax } = this.options();
    return new Promise<T>((resolve, reject) => {
      scheduler.schedule(prng.int(readMax + 1), this.process, () => {
        if (this.fence !== undefined) {
          reject(this.fence);
          return;
        }
        try {
          resolve(get());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  private refuse<T>(error: Error): Promise<T> {
    return new Promise<T>((_resolve, reject) => {
      this.disk.scheduler.schedule(0, this.process, () => reject(error));
    });
  }

  private readNow(range: IndexRange, bytesMax: number): readonly LogEntry[] {
    const { view } = this;
    if (range.first <= view.base.index || range.first <= this.disk.log.base.index) {
      throw new PrefixTruncatedError(`entry ${range.first} is below the first`);
    }
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (let index: number = range.first; index < range.next; index += 1) {
      const item = view.at(index);
      if (item === undefined) break;
      bytes += entryBytes(item.entry);
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(item.entry);
    }
    invariant(entries.length > 0, 'a read asks for what the log holds', {
      first: range.first,
      last: view.last.index,
    });
    return entries;
  }
}

/** What opening a replica's disk finds. A damaged one is emptied and remembers what it held. */
export function loadReplica(disk: ReplicaDisk): LoadedReplica {
  const wasDamaged = disk.isDamaged || disk.tail.isGivenUp;
  const isInDoubt = disk.tail.isInDoubt && !wasDamaged;
  if (wasDamaged) emptyDamaged(disk);
  else if (isInDoubt) goOnAfterLoss(disk);
  disk.tail.settled(disk.log);
  disk.tail.flushMax = undefined;
  const { log } = disk;
  const isFresh = log.last.index === 0 && disk.hardState.term === 0;
  const snapshot: SnapshotMeta = disk.snapshot?.meta ?? {
    last: NO_ENTRY,
    chain: 0,
    timeMs: 0,
    membership: disk.spec.bootstrap,
  };
  const termRuns: { term: Term; first: LogIndex }[] = [];
  const memberships: { index: LogIndex; membership: Membership }[] = [];
  for (const { entry } of log.items) {
    if (termRuns[termRuns.length - 1]?.term !== entry.term) {
      termRuns.push({ term: entry.term, first: entry.index });
    }
    if (entry.kind === 'membership') {
      memberships.push({ index: entry.index, membership: decodeMembership(entry.payload) });
    }
  }
  const { checkpoint } = disk;
  const isUsable =
    checkpoint !== undefined &&
    checkpoint.index >= log.base.index &&
    checkpoint.index <= log.last.index;
  return {
    verdict: wasDamaged
      ? { kind: 'damaged', reason: 'damaged by the simulator' }
      : isInDoubt
        ? { kind: 'tailLost', reason: 'cut by the simulator' }
        : { kind: isFresh ? 'empty' : 'sound' },
    wasUnsynced: disk.tail.wasUnsynced,
    raft: {
      incarnation: disk.incarnation,
      hardState: disk.hardState,
      // A new object at every opening: the oracle knows the replica by it.
      snapshot: { ...snapshot },
      termRuns,
      memberships,
      last: log.last,
      lastTimeMs: log.items[log.items.length - 1]?.entry.timeMs ?? snapshot.timeMs,
      watermark: disk.lostWatermark,
      lostTail: disk.tail.isLost,
    },
    snapshot: disk.snapshot,
    checkpoint: isUsable ? checkpoint : undefined,
  };
}

/** As in production: a new incarnation, in need of repair, with what is left. */
function goOnAfterLoss(disk: ReplicaDisk): void {
  const { tail, hardState } = disk;
  tail.isInDoubt = false;
  tail.isLost = !hardState.needsRepair || tail.isLost;
  disk.note = undefined;
  disk.incarnation = (disk.prng.u32() + 1) as Incarnation;
  disk.hardState = { ...hardState, needsRepair: true };
}

/** Empties a damaged log, durably: hard state stays, what it held is remembered. */
function emptyDamaged(disk: ReplicaDisk): void {
  disk.isDamaged = false;
  disk.tail.isInDoubt = false;
  disk.tail.isLost = false;
  disk.tail.isGivenUp = false;
  disk.lost = disk.log.copy();
  // A log damaged again before it was repaired still owes what it held at first.
  if (!disk.hardState.needsRepair) disk.lostWatermark = disk.watermarkAtCrash;
  disk.log = new LogImage();
  disk.snapshot = undefined;
  disk.checkpoint = undefined;
  disk.note = undefined;
  disk.incarnation = (disk.prng.u32() + 1) as Incarnation;
  disk.hardState = { ...disk.hardState, needsRepair: true };
}
