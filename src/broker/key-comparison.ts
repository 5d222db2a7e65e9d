import { BrokerError } from '../model/errors.js';
import { offset, type Offset } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import { readBatchHeader } from '../model/record-batch.js';
import {
  keyedRecords,
  LastOffsets,
  type KeyedRecord,
  type LastOffsetsLimits,
  type LogBounds,
} from '../partition/last-offsets.js';
import type { PartitionState } from '../partition/partition-state.js';
import type { Logger } from '../ports/telemetry.js';
import type { World } from '../ports/world.js';
import type { ByteBudget } from './budget.js';
import { sleep } from './deadline.js';
import type { LogReader } from './log-reader.js';
import type { PendingProduce } from './pending-produce.js';
import { keyLimit, throttled } from './produce-refusals.js';

/** Read at a time while the table is built. */
const SLICE_BYTES = 1024 * 1024;
/** Between two looks whether what is in flight has been committed. */
const POLL_MS = 5;
const PROGRESS_MS = 5_000;
/** Taken out of the broker's budget at a time. */
const RESERVE_BYTES = 256 * 1024;
/** Produces that may wait for the table. */
const WAITING_MAX = 4_096;

export interface KeyComparisonDeps {
  readonly world: World;
  readonly state: PartitionState;
  readonly reader: LogReader;
  /** For the tables of all partitions of a broker. */
  readonly budget: ByteBudget;
  readonly log: Logger;
  readonly name: string;
  readonly limits?: LastOffsetsLimits;
  /** The table is there, or there will be none: what waited for it has its turn. */
  resume(waiting: readonly PendingProduce[]): void;
}

type Stage =
  | { readonly kind: 'none' | 'building' | 'ready' }
  /** More keys than may be, while the log began there. */
  | { readonly kind: 'full'; readonly logStartOffset: Offset; readonly error: BrokerError };

/**
 * What one leadership knows of the last offsets of keys: nothing until somebody asks, then it reads the
 * log from its start, and from there on takes note of every append, committed or not.
 *
 * Invariants: while the table is ready it covers the leader's whole log, so that nothing that was
 * appended can be missing in a comparison; it ends with the leadership, and with it whatever it knew of
 * entries that may be lost. Its memory is within the broker's budget, and given back once.
 */
export class KeyComparison {
  private readonly deps: KeyComparisonDeps;
  private stage: Stage = { kind: 'none' };
  private table: LastOffsets;
  private reserved = 0;
  private prunedAt: LogBounds = NOTHING_PRUNED;
  private waiting: PendingProduce[] = [];
  /** Rises whenever the table is given up: a build that goes on for an older one has no effect. */
  private life = 0;

  constructor(deps: KeyComparisonDeps) {
    this.deps = deps;
    this.table = new LastOffsets(deps.limits ?? TABLE_LIMITS);
  }

  get isReady(): boolean {
    return this.stage.kind === 'ready';
  }

  /**
   * Puts a produce in line until the table is there, and begins to build it if nobody has: everything
   * below `logEnd` is read from the log. The error says why that cannot be.
   */
  wait(pending: PendingProduce, logEnd: Offset): BrokerError | undefined {
    const { stage } = this;
    if (stage.kind === 'full') {
      if (this.bounds().logStartOffset <= stage.logStartOffset) return stage.error;
      this.forget();
    }
    if (this.waiting.length >= WAITING_MAX) {
      return throttled('too many produces wait for the keys of the partition to be read');
    }
    this.waiting.push(pending);
    pending.waitForKeys();
    if (this.stage.kind === 'none') {
      this.stage = { kind: 'building' };
      void this.build(logEnd, this.life);
    }
    return undefined;
  }

  /** Only while it is ready. */
  lastOf(key: Uint8Array): number {
    return this.table.lastOf(key, this.bounds());
  }

  /** A batch was appended at `baseOffset`. */
  note(records: readonly KeyedRecord[], baseOffset: Offset): void {
    if (this.stage.kind !== 'ready' && this.stage.kind !== 'building') return;
    for (const { key, delta, isTombstone } of records) {
      if (this.noteOne(key, offset(baseOffset + delta), isTombstone)) continue;
      this.overflow();
      return;
    }
  }

  /** Gives the table up; what waits comes back, to be judged anew. */
  forget(): readonly PendingProduce[] {
    if (this.stage.kind === 'none') return [];
    this.stage = { kind: 'none' };
    this.life += 1;
    this.table = new LastOffsets(this.deps.limits ?? TABLE_LIMITS);
    this.prunedAt = NOTHING_PRUNED;
    this.deps.budget.release(this.reserved);
    this.reserved = 0;
    const { waiting } = this;
    this.waiting = [];
    return waiting;
  }

  private bounds(): LogBounds {
    const { logStartOffset, compaction } = this.deps.state;
    return { logStartOffset, tombstonesBelow: compaction.tombstonesBelow };
  }

  private noteOne(key: Uint8Array, at: Offset, isTombstone: boolean): boolean {
    if (this.table.note(key, at, isTombstone) && this.maybeReserve()) return true;
    const bounds = this.bounds();
    const { logStartOffset, tombstonesBelow } = this.prunedAt;
    const hasMoved =
      bounds.logStartOffset > logStartOffset || bounds.tombstonesBelow > tombstonesBelow;
    if (!hasMoved) return false;
    this.prunedAt = bounds;
    this.table.prune(bounds);
    return this.table.note(key, at, isTombstone) && this.maybeReserve();
  }

  private maybeReserve(): boolean {
    while (this.table.bytes > this.reserved) {
      if (!this.deps.budget.take(RESERVE_BYTES)) return false;
      this.reserved += RESERVE_BYTES;
    }
    return true;
  }

  private overflow(): void {
    const { keys, bytes } = this.table;
    const error = keyLimit({ keys, bytes });
    const { logStartOffset } = this.bounds();
    const waiting = this.forget();
    this.stage = { kind: 'full', logStartOffset, error };
    this.deps.log.warn({ partition: this.deps.name, keys, bytes }, 'too many keys to compare by');
    for (const pending of waiting) pending.refuse(error);
  }

  /** Never rejects. */
  private async build(target: Offset, life: number): Promise<void> {
    const { log, name: partition, world } = this.deps;
    const sinceMs = world.clock.monotonicMs();
    log.info(
      { partition, from: this.bounds().logStartOffset, target },
      'reading the keys of a log',
    );
    try {
      await this.readUpTo(target, life);
    } catch (thrown) {
      if (this.life !== life) return;
      log.warn({ partition, err: thrown }, 'the keys of a log could not be read');
      const error = asRefusal(thrown);
      for (const pending of this.forget()) pending.refuse(error);
      return;
    }
    if (this.life !== life) return;
    this.stage = { kind: 'ready' };
    const elapsedMs = Math.round(world.clock.monotonicMs() - sinceMs);
    const { keys, bytes } = this.table;
    log.info({ partition, keys, bytes, elapsedMs }, 'the keys of a log are known');
    const { waiting } = this;
    this.waiting = [];
    this.deps.resume(waiting);
  }

  private async readUpTo(target: Offset, life: number): Promise<void> {
    const { state, reader, world, log, name: partition } = this.deps;
    let from = state.logStartOffset;
    let toldMs = world.clock.monotonicMs();
    while (this.life === life) {
      from = offset(Math.max(from, state.logStartOffset));
      if (from >= target) return;
      if (from >= state.highWatermark) {
        // What was in flight when the reading began: committed soon, or lost with the leadership.
        await sleep(world.timers, POLL_MS);
        continue;
      }
      const read = await this.readSlice(reader, from);
      if (this.life !== life) return;
      if (read === undefined) continue;
      for (const batch of read.batches) if (!this.noteStored(batch)) return;
      from = read.nextOffset;
      const nowMs = world.clock.monotonicMs();
      if (nowMs - toldMs > PROGRESS_MS) {
        toldMs = nowMs;
        log.info({ partition, from, target, keys: this.table.keys }, 'still reading the keys');
      }
      // Slices from memory come without a pause: others have their turn in between.
      await new Promise<void>((resolve) => world.timers.defer(resolve));
    }
  }

  /** Undefined: retention was faster. */
  private async readSlice(
    reader: LogReader,
    from: Offset,
  ): Promise<{ readonly batches: readonly Uint8Array[]; readonly nextOffset: Offset } | undefined> {
    try {
      return await reader.read(from, { bytesMax: SLICE_BYTES, atLeastOne: true });
    } catch (thrown) {
      if (BrokerError.from(thrown).code === 'OFFSET_OUT_OF_RANGE') return undefined;
      throw thrown;
    }
  }

  /** False: there are more keys than may be. */
  private noteStored(batch: Uint8Array): boolean {
    const header = readBatchHeader(batch);
    if (header.recordsCount === 0) return true;
    for (const { key, delta, isTombstone } of storedRecords(batch)) {
      if (this.noteOne(key, offset(header.baseOffset + delta), isTombstone)) continue;
      this.overflow();
      return false;
    }
    return true;
  }
}

const TABLE_LIMITS = { keysMax: LIMITS.comparedKeysMax, bytesMax: LIMITS.comparedKeyBytesMax };
const NOTHING_PRUNED: LogBounds = { logStartOffset: offset(0), tombstonesBelow: offset(0) };

function storedRecords(batch: Uint8Array): KeyedRecord[] {
  const header = readBatchHeader(batch);
  try {
    return keyedRecords(header, batch);
  } catch (cause) {
    const text =
      `the batch at offset ${header.baseOffset} is from before the topic compared by key, and its ` +
      'keys cannot be seen: comparisons are possible once it is below the log start';
    throw new BrokerError('UNSUPPORTED', text, {}, { cause });
  }
}

/** Nothing was appended, whatever went wrong with reading. */
function asRefusal(thrown: unknown): BrokerError {
  const error = BrokerError.from(thrown);
  if (error.outcome === 'none') return error;
  return new BrokerError(error.code, error.message, { ...error.facts, outcome: 'none' });
}
