import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import type { RaftGroup } from '../host/raft-group.js';
import { logIndex, offset, term, type LogIndex, type Offset } from '../model/ids.js';
import {
  NO_ENTRY,
  type EntryId,
  type LogEntry,
  type RewrittenPayload,
} from '../model/log-entry.js';
import { readBatchHeader } from '../model/record-batch.js';
import type { CompactionBounds } from '../partition/command.js';
import {
  compactBatch,
  KeyTable,
  noteKeys,
  type CompactionStep,
  type KeyTableLimits,
} from '../partition/compaction.js';
import type { PartitionState } from '../partition/partition-state.js';
import type { BatchCodecs } from '../ports/batch-codecs.js';
import { PrefixTruncatedError } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { World } from '../ports/world.js';
import { closeBatch, openBatch } from './batch-records.js';
import type { CompactionMetrics } from './compaction-metrics.js';
import { ReplicaJob, type IsOver, type Lane } from './replica-job.js';

const MIB = 1024 * 1024;
/** Keys of one stretch: what does not fit waits for the next round over the log. */
const KEY_TABLE_LIMITS: KeyTableLimits = { bytesMax: 64 * MIB, recordsMax: 4_000_000 };
/** Read and looked through in one go, while nothing else runs on this thread. */
const SLICE_BYTES = 256 * 1024;
/** Rewritten at once: the replica's own writes wait that long. */
const WRITE_BYTES_MAX = 4 * MIB;
const WRITE_ENTRIES_MAX = 4_096;
/** Log that lies between the first and the last of them, which LevelDB writes anew. */
const WRITE_SPAN_BYTES_MAX = 16 * MIB;
/** A pass takes no more than a third of the time, of this thread and of the disk. */
const REST_SHARE = 2;
/** The prefix may move so often during one pass. */
const TRUNCATED_RETRIES_MAX = 16;

/** How far one replica has come, and what it found there. */
export interface Compacted extends CompactionBounds {
  /** What the batches below `to` take by now. */
  readonly bytes: number;
  /** The first tombstone below `to`, of those that may go in time. */
  readonly firstTombstone: Offset | undefined;
  /** The last entry that was looked at: what is remembered is true of a log that has it. */
  readonly last: EntryId;
}

const NOTHING: Compacted = {
  to: offset(0),
  tombstonesBelow: offset(0),
  bytes: 0,
  firstTombstone: undefined,
  last: NO_ENTRY,
};

export interface LogCompactorDeps {
  readonly group: RaftGroup;
  readonly state: PartitionState;
  readonly lane: Lane;
  readonly codecs: BatchCodecs;
  readonly crc32c: Crc32c;
  readonly world: World;
  readonly metrics: CompactionMetrics;
  readonly log: Logger;
}

/**
 * Brings one replica's stored batches to the bounds that its partition's state has (CORRECTNESS 24):
 * notes the keys of what was never compacted, stretch by stretch, and rewrites everything before each
 * stretch's end, in slices and with rests between them. How far it came is remembered after every
 * stretch; what a crash interrupts is done once more, which changes nothing.
 *
 * Invariants: nothing above the applied bounds is touched; batches are rewritten in the order of the
 * log, so that a tombstone never goes before what it supersedes; local and invisible: nothing
 * replicated depends on when it runs.
 */
export class LogCompactor {
  private readonly deps: LogCompactorDeps;
  private readonly job: ReplicaJob;
  /** Undefined until it was read, and in every new life. */
  private done: Compacted | undefined;

  constructor(deps: LogCompactorDeps) {
    this.deps = deps;
    this.job = new ReplicaJob(deps.lane);
  }

  /** How far this replica has come, as far as is known without asking its store. */
  get known(): Compacted | undefined {
    return this.done;
  }

  async reached(): Promise<Compacted> {
    if (this.done !== undefined) return this.done;
    const isOver = this.job.watch();
    const note = await this.deps.group.note();
    const noted = note && decodeCompacted(note);
    const found = noted !== undefined && (await this.holds(noted.last)) ? noted : NOTHING;
    if (isOver()) return NOTHING;
    // A pass may have ended meanwhile, and knows better.
    this.done ??= found;
    return this.done;
  }

  /**
   * Whether the log is still the one that had this entry, or begins after it. A relaxed topic's log may
   * have lost its end in a power cut, and been given another.
   */
  private async holds(last: EntryId): Promise<boolean> {
    const { group } = this.deps;
    const status = group.status();
    if (status === undefined || last.index > status.last.index) return false;
    if (last.index < group.firstIndex()) return true;
    const range = { first: last.index, next: logIndex(last.index + 1) };
    const [entry] = await group.read(range, 1);
    return entry?.term === last.term;
  }

  /** Starts a pass if there is something to do and none is under way. */
  maybeRun(): boolean {
    if (!this.job.isFree || !this.isWanted()) return false;
    this.job.run(
      (isOver) => this.run(isOver),
      (error) => this.deps.log.debug({ error }, 'compaction put off'),
    );
    return true;
  }

  lifeEnded(): void {
    this.job.lifeEnded();
    this.done = undefined;
  }

  stop(): void {
    this.job.stop();
  }

  private isWanted(): boolean {
    const { to, tombstonesBelow } = this.deps.state.compaction;
    if (to === 0) return false;
    const { done } = this;
    return done === undefined || done.to < to || done.tombstonesBelow < tombstonesBelow;
  }

  private async run(isOver: IsOver): Promise<void> {
    let done = await this.reached();
    const goal = this.deps.state.compaction;
    // A restarted replica may have come further than the state that it has applied so far.
    if (isOver() || !this.isWanted() || done.to > goal.to) return;
    const began = done.bytes;
    const startMs = this.deps.world.clock.monotonicMs();
    do {
      const keys = new KeyTable(KEY_TABLE_LIMITS);
      const to = await this.noteStretch(keys, { from: done.to, below: goal.to }, isOver);
      const tombstonesBelow = offset(
        Math.max(done.tombstonesBelow, Math.min(goal.tombstonesBelow, to)),
      );
      const pass = new Pass({ keys, to, tombstonesBelow }, this.deps);
      await this.walk(
        logIndex(1),
        () => to,
        isOver,
        (entry) => pass.take(entry),
      );
      if (isOver()) return;
      await pass.flush();
      if (isOver()) return;
      const { bytes, firstTombstone } = pass;
      done = { to, tombstonesBelow, bytes, firstTombstone, last: pass.last ?? done.last };
      await this.deps.group.saveNote(encodeCompacted(done));
      if (isOver()) return;
      this.done = done;
      this.deps.metrics.passed(pass.reclaimedBytes);
    } while (done.to < goal.to);
    const tookMs = Math.round(this.deps.world.clock.monotonicMs() - startMs);
    this.deps.log.info({ ...done, bytesBefore: began, tookMs }, 'log compacted');
  }

  /** Notes keys until there is no room for more; where the stretch ends. */
  private async noteStretch(
    keys: KeyTable,
    range: { readonly from: Offset; readonly below: Offset },
    isOver: IsOver,
  ): Promise<Offset> {
    let end = range.below;
    if (range.from >= range.below) return end;
    const start = this.deps.state.index.spanOf(range.from)?.index ?? logIndex(1);
    const endNow = (): Offset => end;
    await this.walk(start, endNow, isOver, async (entry) => {
      const header = readBatchHeader(entry.payload);
      if (header.baseOffset + header.lastOffsetDelta < range.from) return;
      const opening = openBatch(entry.payload, this.deps.codecs);
      const batch = opening instanceof Promise ? await opening : opening;
      const full = batch && noteKeys(batch, range, keys);
      if (full !== undefined) end = full;
    });
    return end;
  }

  /**
   * Visits the batches from `first` on that begin below the end, in order, with a rest after every slice
   * by what the slice took. Ends early, and quietly, with this life.
   */
  private async walk(
    first: LogIndex,
    end: () => Offset,
    isOver: IsOver,
    visit: (entry: LogEntry) => Promise<void>,
  ): Promise<void> {
    const { group, state, world } = this.deps;
    let at = logIndex(Math.max(first, group.firstIndex()));
    let truncated = 0;
    while (at <= state.appliedIndex && !isOver()) {
      const range = { first: at, next: logIndex(state.appliedIndex + 1) };
      const beganMs = world.clock.monotonicMs();
      let entries: readonly LogEntry[];
      try {
        entries = await group.read(range, SLICE_BYTES);
      } catch (error) {
        truncated += 1;
        if (!(error instanceof PrefixTruncatedError) || truncated > TRUNCATED_RETRIES_MAX) {
          throw error;
        }
        at = logIndex(Math.max(at, group.firstIndex()));
        continue;
      }
      for (const entry of entries) {
        at = logIndex(entry.index + 1);
        if (entry.kind !== 'batch') continue;
        if (readBatchHeader(entry.payload).baseOffset >= end()) return;
        await visit(entry);
      }
      await this.rest(world.clock.monotonicMs() - beganMs);
    }
  }

  private rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.deps.world.timers.after(Math.max(1, Math.ceil(ms * REST_SHARE)), resolve);
    });
  }
}

/** One walk over everything below a stretch's end, and what is to be written of it. */
class Pass {
  /** What all batches take after it. */
  bytes = 0;
  reclaimedBytes = 0;
  firstTombstone: Offset | undefined;
  last: EntryId | undefined;
  private step: CompactionStep;
  /** A batch that stays closed was passed: what it holds may need the tombstones that follow. */
  private keepsTombstones = false;
  private readonly deps: Pick<LogCompactorDeps, 'group' | 'codecs' | 'crc32c'>;
  private pending: RewrittenPayload[] = [];
  private pendingBytes = 0;
  private spanBytes = 0;

  constructor(step: CompactionStep, deps: Pick<LogCompactorDeps, 'group' | 'codecs' | 'crc32c'>) {
    this.step = step;
    this.deps = deps;
  }

  async take(entry: LogEntry): Promise<void> {
    const opening = openBatch(entry.payload, this.deps.codecs);
    const batch = opening instanceof Promise ? await opening : opening;
    if (batch === undefined) {
      this.keepsTombstones = true;
      this.step = { ...this.step, tombstonesBelow: offset(0) };
    }
    const result = batch && compactBatch(batch, this.step);
    if (!this.keepsTombstones) this.firstTombstone ??= result?.firstTombstone;
    const rest = result?.rest;
    const payload = rest && (await closeBatch(entry.payload, rest, this.deps));
    this.last = { term: entry.term, index: entry.index };
    this.bytes += payload?.length ?? entry.payload.length;
    if (this.pending.length > 0) this.spanBytes += entry.payload.length;
    if (payload !== undefined) {
      this.reclaimedBytes += entry.payload.length - payload.length;
      this.pending.push({ index: entry.index, term: entry.term, payload });
      this.pendingBytes += payload.length;
    }
    const isFull =
      this.pendingBytes >= WRITE_BYTES_MAX ||
      this.pending.length >= WRITE_ENTRIES_MAX ||
      this.spanBytes >= WRITE_SPAN_BYTES_MAX;
    if (isFull) await this.flush();
  }

  async flush(): Promise<void> {
    const { pending } = this;
    this.pending = [];
    this.pendingBytes = 0;
    this.spanBytes = 0;
    if (pending.length > 0) await this.deps.group.rewrite(pending);
  }
}

/*
 * version u8 = 1, to v, tombstonesBelow v, bytes v, first tombstone plus one v (0: none), last.term v,
 * last.index v.
 */
const VERSION = 1;

export function encodeCompacted(done: Compacted): Uint8Array {
  const { to, tombstonesBelow, bytes, firstTombstone } = done;
  const w = new ByteWriter(40).u8(VERSION).uvarint(to).uvarint(tombstonesBelow).uvarint(bytes);
  w.uvarint(firstTombstone === undefined ? 0 : firstTombstone + 1);
  return w.uvarint(done.last.term).uvarint(done.last.index).finish();
}

/** Undefined if it cannot be read: the work is done once more. */
export function decodeCompacted(note: Uint8Array): Compacted | undefined {
  try {
    const r = new ByteReader(note);
    if (r.u8() !== VERSION) return undefined;
    const bounds = { to: offset(r.uvarint()), tombstonesBelow: offset(r.uvarint()) };
    const bytes = r.uvarint();
    const tombstone = r.uvarint();
    const last = { term: term(r.uvarint()), index: logIndex(r.uvarint()) };
    r.end();
    const firstTombstone = tombstone === 0 ? undefined : offset(tombstone - 1);
    return { ...bounds, bytes, firstTombstone, last };
  } catch (error) {
    if (error instanceof MalformedBytesError) return undefined;
    throw error;
  }
}
