import { rm } from 'node:fs/promises';
import { invariant } from '../base/assert.js';
import { deferred } from '../base/deferred.js';
import type { Durability } from '../model/durability.js';
import type { LogIndex } from '../model/ids.js';
import type { EntryId, IndexRange, LogEntry, RewrittenPayload } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';
import {
  PrefixTruncatedError,
  StoreDamagedError,
  StoreFencedError,
  type Checkpoint,
  type LogStore,
  type Snapshot,
} from '../ports/log-store.js';
import type { HardState, Persist, SnapshotMeta } from '../raft/io.js';
import { ApartWriter } from './apart-writer.js';
import { batchBytes, buildBatch, bytesOf } from './batch-builder.js';
import { Fence } from './fence.js';
import { replaceGeneration } from './generation.js';
import type { LazySync } from './lazy-sync.js';
import { lazySyncOf } from './log-sync.js';
import type { LevelDb } from './level-db.js';
import { LogMap, tailOf, type LogTail } from './log-map.js';
import { LogReader } from './log-reader.js';
import { LogRewriter } from './log-rewriter.js';
import type { MemoryShare } from './memory-budget.js';
import { PrefixCleaner } from './prefix-cleaner.js';
import { Readers } from './readers.js';
import { RecordKeeper } from './record-keeper.js';
import { restAfter, scrub, type ScrubPace } from './scrub.js';
import { SideFiles } from './side-files.js';
import type { ReplicaRecord } from './state-file.js';
import type { StoreContext } from './store-context.js';
import { checkTables } from './table-check.js';
import { WriteFrontier } from './write-frontier.js';
import { WriteQueue, type WriteJob } from './write-queue.js';

/** One LevelDB batch; a single write may exceed it alone. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The log of one replica in its own LevelDB, beside its record in the broker's state file.
 *
 * Owned by one host. One write is in flight at a time; everything given meanwhile goes out as the
 * next one. Hard state goes to the state file in parallel (record-keeper.ts). The watermark is noted
 * after every batch and lowered durably before a truncation.
 *
 * Invariants: map describes what is durable, plus the batch in flight; after the first error nothing
 * is written or read any more (fenced).
 */
export class LevelLogStore implements LogStore {
  private readonly context: StoreContext;
  private readonly record: ReplicaRecord;
  private readonly keeper: RecordKeeper;
  private readonly files: SideFiles;
  private readonly share: MemoryShare;
  private readonly onClosed: () => void;
  private readonly cleaner: PrefixCleaner;
  private readonly rewriter: LogRewriter;
  private db: LevelDb;
  private map: LogMap;
  private reader: LogReader;
  private readonly queue = new WriteQueue();
  private running: Promise<void> | undefined;
  /** Ends when the write given last has ended, well or not. */
  private lastGiven: Promise<unknown> = Promise.resolve();
  private readonly frontier: WriteFrontier;
  private readonly readers = new Readers();
  private prefixTurn: Promise<unknown> = Promise.resolve();
  private rewriteTurn: Promise<unknown> = Promise.resolve();
  private readonly fencing: Fence;
  private readonly lazySync: LazySync;
  private closing: Promise<void> | undefined;

  constructor(
    context: StoreContext,
    record: ReplicaRecord,
    opened: {
      readonly db: LevelDb;
      readonly map: LogMap;
      readonly share: MemoryShare;
      readonly wasVerifiedWhole: boolean;
    },
    onClosed: () => void,
  ) {
    this.context = context;
    this.record = record;
    this.keeper = new RecordKeeper(context.stateFile, record);
    this.files = new SideFiles(context, record);
    this.fencing = new Fence(context, record, opened.wasVerifiedWhole);
    this.lazySync = lazySyncOf(context, record, {
      database: () => this.files.database,
      fence: (error) => this.fence(error),
    });
    this.db = opened.db;
    this.map = opened.map;
    this.reader = new LogReader(opened.db, opened.map, context.crc32c);
    this.share = opened.share;
    this.onClosed = onClosed;
    this.frontier = new WriteFrontier(opened.map.tail.last.index);
    const apart = new ApartWriter({
      database: () => this.db,
      firstIndex: () => this.map.first,
      alone: (run) => this.giveAlone(run),
      compactions: context.compactions,
    });
    this.cleaner = new PrefixCleaner(apart, (error) => this.fence(error));
    this.rewriter = new LogRewriter(apart, context.crc32c);
    this.cleaner.start();
  }

  persist(write: Persist, installState?: Uint8Array): Promise<void> {
    const refusal = this.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    try {
      return write.install === undefined
        ? this.giveWrite(write)
        : this.giveInstall(write.hardState, write.install, installState);
    } catch (error) {
      this.fence(error);
      return Promise.reject(error);
    }
  }

  async read(
    range: IndexRange,
    options: { readonly bytesMax: number },
  ): Promise<readonly LogEntry[]> {
    invariant(range.first < range.next, 'a read asks for something', { ...range });
    this.assertUsable();
    if (this.frontier.isPending(range.next - 1)) await this.settled();
    this.assertStillThere(range.first);
    if (!this.frontier.isReadable(range.first)) {
      throw new RangeError(`entry ${range.first} is not in the log, or is being replaced`);
    }
    const next = this.frontier.readableUpTo(range.next);
    return this.reading(() => this.reader.read({ first: range.first, next }, options.bytesMax));
  }

  async truncatePrefix(
    last: EntryId,
    state: Uint8Array,
    membership: Membership,
  ): Promise<SnapshotMeta> {
    this.assertUsable();
    const turn = this.prefixTurn.then(() => this.movePrefix(last, state, membership));
    this.prefixTurn = turn.catch(() => undefined);
    return turn;
  }

  async snapshot(): Promise<Snapshot | undefined> {
    this.assertUsable();
    await this.settled();
    const { snapshot } = this.map;
    if (snapshot.last.index === 0) return undefined;
    const read = await this.reading(async () => {
      const found = await this.files.snapshot(snapshot);
      if (found !== undefined) return found;
      if (this.map.snapshot !== snapshot) return 'replaced';
      throw new StoreDamagedError(`snapshot ${snapshot.last.index} is gone`);
    });
    // Not as a reader: an install that replaces it waits for readers, and this would wait for it.
    return read === 'replaced' ? this.snapshot() : read;
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    this.assertUsable();
    if (this.frontier.isPending(checkpoint.index)) await this.settled();
    await this.guarded(this.lazySync.drain());
    invariant(checkpoint.index <= this.map.tail.last.index, 'a checkpoint stands inside the log', {
      index: checkpoint.index,
      last: this.map.tail.last.index,
    });
    if (checkpoint.index < this.map.snapshot.last.index) return;
    await this.reading(() => this.files.saveCheckpoint(checkpoint));
  }

  async rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    this.assertUsable();
    const last = payloads.at(-1);
    if (last === undefined) return;
    if (this.frontier.isPending(last.index)) await this.settled();
    invariant(this.frontier.isReadable(last.index), 'what is rewritten is stored', { ...last });
    const turn = this.rewriteTurn.then(() => this.guarded(this.rewriter.rewrite(payloads)));
    this.rewriteTurn = turn.catch(() => undefined);
    await turn;
  }

  async saveNote(note: Uint8Array): Promise<void> {
    this.assertUsable();
    await this.reading(() => this.files.saveNote(note));
  }

  async note(): Promise<Uint8Array | undefined> {
    this.assertUsable();
    return await this.reading(() => this.files.note());
  }

  setDurability(durability: Durability): Promise<void> {
    const bounds = durability.kind === 'fsync' ? undefined : durability;
    return this.giveAlone(() => this.lazySync.setBounds(bounds));
  }

  async giveUp(): Promise<void> {
    await this.keeper.giveUp();
  }

  async verifyAll(pace: ScrubPace): Promise<number> {
    this.assertUsable();
    await this.settled();
    const { last } = this.map.tail;
    await this.checkTables(pace);
    const verified = await scrub(last.index, pace, {
      first: () => this.map.first,
      read: (from, upTo, bytesMax) => this.readSettled(from, upTo, bytesMax),
    });
    await this.snapshot();
    await this.guarded(this.keeper.noteVerified());
    return verified;
  }

  /** Before LevelDB reads them: it may end the process over what is wrong with them. */
  private async checkTables(pace: ScrubPace): Promise<void> {
    const rest = (bytes: number): Promise<void> => restAfter(bytes, pace);
    try {
      await checkTables(this.files.database, this.context.crc32c, { rest });
    } catch (error) {
      if (error instanceof StoreDamagedError) this.fence(error);
      throw error;
    }
  }

  /** What is there once everything given so far is written, and is not about to be replaced. */
  private async readSettled(
    first: LogIndex,
    last: LogIndex,
    bytesMax: number,
  ): Promise<readonly LogEntry[]> {
    await this.settled();
    const next = this.frontier.settledUpTo(last + 1);
    return first < next ? await this.read({ first, next }, { bytesMax }) : [];
  }

  async sizeBytes(): Promise<number> {
    return await this.files.sizeBytes();
  }

  close(): Promise<void> {
    this.closing ??= this.closeOnce();
    return this.closing;
  }

  // --- writing -------------------------------------------------------------------------------

  private giveWrite(write: Persist): Promise<void> {
    const { append } = write;
    const truncates = append !== undefined && this.frontier.given(append);
    const done = deferred<undefined>();
    this.give({
      kind: 'write',
      append,
      truncates,
      bytes: append === undefined ? 0 : batchBytes(append.entries),
      ...this.keeper.giveHardState(write.hardState),
      done,
    });
    return done.promise;
  }

  private give(job: Parameters<WriteQueue['push']>[0]): void {
    this.queue.push(job);
    this.lastGiven = job.done.promise.catch(() => undefined);
    this.running ??= this.runQueue();
  }

  /** Runs alone while no batch is under way, in the order given. */
  private giveAlone(run: () => Promise<void>): Promise<void> {
    const refusal = this.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const done = deferred<undefined>();
    this.give({ kind: 'alone', run, done });
    return done.promise;
  }

  /** Never rejects: who gave a job learns of its error. */
  private async runQueue(): Promise<void> {
    // What else this turn gives shares the first batch.
    await Promise.resolve();
    while (this.queue.length > 0 && !this.fencing.isUp) {
      const alone = this.queue.takeAlone();
      const jobs = alone === undefined ? this.queue.takeBatch(BATCH_BYTES_MAX) : [alone];
      try {
        if (alone !== undefined) await alone.run();
        else await this.writeBatch(jobs as WriteJob[]);
        for (const job of jobs) job.done.resolve(undefined);
      } catch (error) {
        this.fence(error);
        for (const job of jobs) job.done.reject(error);
      }
    }
    this.running = undefined;
    if (this.fencing.isUp) this.rejectQueue();
  }

  private async writeBatch(jobs: readonly WriteJob[]): Promise<void> {
    const first = jobs[0];
    const oldLast = this.map.tail.last.index;
    if (first?.truncates === true && first.append !== undefined) {
      await this.lowerTail(first.append.prev);
    }
    const lowered = this.map.tail.last.index;
    // Put together and given to LevelDB in one turn: the memory it lies in is every replica's.
    const write = (sync: boolean): Promise<void> => {
      const operations = buildBatch(jobs, this.map, { oldLast, ...this.context });
      return this.db.write(operations, { sync });
    };
    const isLowered = lowered !== oldLast;
    const isLogWritten = isLowered || jobs.some(({ append }) => (append?.entries.length ?? 0) > 0);
    // What replaces entries is always synced: what it replaces must not come back after a power cut.
    if (isLowered) await write(true);
    else if (isLogWritten) await this.lazySync.write(bytesOf(jobs), write);
    const { tail } = this.map;
    this.frontier.written(tail.last.index);
    if (isLogWritten) this.keeper.noteEnd(tail);
    for (const job of jobs) {
      await job.hardState;
      await job.afterwards?.();
    }
  }

  /** Before entries above `prev` go: from here on the log vouches for `prev` only. */
  private async lowerTail(prev: EntryId): Promise<void> {
    const { snapshot } = this.map;
    let tail: LogTail = tailOf(snapshot);
    if (prev.index !== snapshot.last.index) {
      const { entry, chain } = await this.reader.mustGet(prev.index);
      tail = { last: { term: entry.term, index: entry.index }, chain, timeMs: entry.timeMs };
    }
    invariant(tail.last.term === prev.term, 'an append continues this log', { prev, tail });
    this.frontier.cut(tail.last.index);
    await this.keeper.lowerEnd(tail);
    this.map.truncateTail(tail);
    this.reader.forgetChains();
  }

  // --- prefix and snapshot -------------------------------------------------------------------

  private async movePrefix(
    last: EntryId,
    state: Uint8Array,
    membership: Membership,
  ): Promise<SnapshotMeta> {
    await this.settled();
    const before = this.map.snapshot;
    if (last.index <= before.last.index) return before;
    await this.guarded(this.lazySync.drain());
    invariant(this.map.termAt(last.index) === last.term, 'a snapshot ends at an entry', { last });
    const { directory, generation } = this.files;
    const meta = await this.reading(async () => {
      const { chain, entry } = await this.reader.mustGet(last.index);
      const made: SnapshotMeta = { last, chain, timeMs: entry.timeMs, membership };
      await this.files.saveSnapshot(directory, { meta: made, state });
      return made;
    });
    await this.giveAlone(async () => {
      // An install came first: what was to be truncated is gone with its generation.
      if (this.files.generation !== generation) return;
      await this.keeper.moveSnapshot(meta);
      this.map.movePrefix(meta);
      if (before.last.index > 0) await this.files.dropSnapshot(before);
    });
    this.cleaner.start();
    return this.map.snapshot;
  }

  private giveInstall(
    hardState: HardState | undefined,
    meta: SnapshotMeta,
    state: Uint8Array | undefined,
  ): Promise<void> {
    invariant(state !== undefined, 'an install comes with its state');
    this.frontier.givenInstall(meta.last.index);
    // The switch itself says whether repair is over; term and vote do not wait for it.
    const given = this.keeper.giveHardState(hardState);
    const needsRepair = this.keeper.needsRepairThen;
    return this.giveAlone(async () => {
      await given.hardState;
      await this.install({ meta, state }, needsRepair);
    });
  }

  private async install(snapshot: Snapshot, needsRepair: boolean): Promise<void> {
    const old = this.files.directory;
    // Nothing of the old generation is to be synced once its files are gone.
    await this.lazySync.drain();
    const db = await replaceGeneration(this.context, this.record, {
      snapshot,
      needsRepair,
      share: this.share,
      oldIsFree: () => this.readers.gone(),
    });
    const oldDb = this.db;
    this.db = db;
    this.map = new LogMap(snapshot.meta);
    this.reader = new LogReader(db, this.map, this.context.crc32c);
    this.frontier.cut(snapshot.meta.last.index);
    this.frontier.written(snapshot.meta.last.index);
    this.keeper.noteEnd(this.map.tail);
    await oldDb.close();
    await rm(old, { recursive: true, force: true });
  }

  // --- reading -------------------------------------------------------------------------------

  /** Runs a read; an install waits for it before it closes what is being read. */
  private reading<T>(read: () => Promise<T>): Promise<T> {
    return this.readers.run(() => this.guarded(read()));
  }

  // --- life ----------------------------------------------------------------------------------

  /** Waits until every write given so far has ended. */
  private async settled(): Promise<void> {
    await this.lastGiven;
    this.assertUsable();
  }

  /** Any error but an expected one ends the store. */
  private async guarded<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof PrefixTruncatedError || error instanceof StoreFencedError)) {
        this.fence(error);
      }
      throw error;
    }
  }

  private fence(cause: unknown): void {
    if (this.fencing.raise(cause) && this.running === undefined) this.rejectQueue();
  }

  private rejectQueue(): void {
    for (const job of this.queue.takeAll()) job.done.reject(this.refusal());
  }

  private refusal(): Error | undefined {
    if (this.fencing.isUp || this.closing === undefined) return this.fencing.refusal;
    return new StoreFencedError('this store is closed');
  }

  private assertUsable(): void {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
  }

  private assertStillThere(first: LogIndex): void {
    if (first > this.map.snapshot.last.index) return;
    throw new PrefixTruncatedError(`entries up to ${this.map.snapshot.last.index} are truncated`);
  }

  private async closeOnce(): Promise<void> {
    this.cleaner.stop();
    try {
      await this.prefixTurn;
      await this.rewriteTurn;
      await this.lastGiven;
      await this.running;
      await this.readers.gone();
      await this.cleaner.stopped();
      if (!this.fencing.isUp) await this.lazySync.settle();
      this.lazySync.stop();
      await this.fencing.settled();
      await this.db.close();
      if (!this.fencing.isUp) await this.keeper.noteCleanClose();
    } finally {
      this.lazySync.stop();
      this.onClosed();
    }
  }
}
