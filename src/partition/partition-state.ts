import { invariant } from '../base/assert.js';
import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { logIndex, offset, type LogIndex, type Offset } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import { originalLength, type LogEntry } from '../model/log-entry.js';
import { readBatchHeader } from '../model/record-batch.js';
import { decodePartitionCommand, type CommandResult, type CompactionBounds } from './command.js';
import { EpochCache } from './epoch-cache.js';
import { INDEX_LIMITS, OffsetIndex, type IndexLimits } from './offset-index.js';
import { ProducerTable, type ProducerLimits } from './producer-state.js';

export interface PartitionLimits {
  readonly producers: ProducerLimits;
  readonly index: IndexLimits;
}

/** The same on every broker of a cluster: what is applied must not depend on who applies it. */
export const PARTITION_LIMITS: PartitionLimits = {
  producers: { producersMax: LIMITS.producersPerPartitionMax, expiryMs: LIMITS.producerExpiryMs },
  index: INDEX_LIMITS,
};

/** 2: with the bounds of compaction. */
const VERSION = 2;
const NOT_COMPACTED: CompactionBounds = { to: offset(0), tombstonesBelow: offset(0) };

/** Every replica has compacted up to here, as the leader knew at that time. */
export interface Settled {
  readonly below: Offset;
  /** The leader's time, ms since 1970. */
  readonly sinceMs: number;
}

const NOT_SETTLED: Settled = { below: offset(0), sinceMs: 0 };

/**
 * The replicated state of one partition (a StateMachine of ports/): offsets, producers, epochs and
 * the sparse index, as of the last applied entry. Owned by a partition replica; also used by itself
 * to roll a base state forward over entries that are about to be truncated.
 *
 * Invariants: batches are applied exactly at nextOffset; 0 <= logStartOffset <= nextOffset, neither
 * falls; compaction's bounds do not fall either; entries that are neither batch nor command change
 * nothing that is encoded, and no entry's effect depends on whether compaction has rewritten it.
 */
export class PartitionState {
  private readonly limits: PartitionLimits;
  private next = offset(0);
  private logStart = offset(0);
  private compactTo = NOT_COMPACTED;
  /** Bytes of all batches ever below the bound, about, as of when it rose last. */
  private compactedAtBytes = 0;
  private settledTo = NOT_SETTLED;
  private applied = logIndex(0);
  private lastTimeMs = 0;
  private epochCache = new EpochCache();
  private offsetIndex: OffsetIndex;
  private producerTable: ProducerTable;

  constructor(limits: PartitionLimits = PARTITION_LIMITS) {
    this.limits = limits;
    this.offsetIndex = new OffsetIndex(limits.index);
    this.producerTable = new ProducerTable(limits.producers);
  }

  /** Offset of the next record to be committed: what is applied is committed. */
  get highWatermark(): Offset {
    return this.next;
  }

  get logStartOffset(): Offset {
    return this.logStart;
  }

  /** How far the log is to be compacted; each replica gets there in its own time. */
  get compaction(): CompactionBounds {
    return this.compactTo;
  }

  /** What every replica had compacted by then: tombstones below are kept for a while from then on. */
  get settled(): Settled {
    return this.settledTo;
  }

  /** Bytes of batches above compaction's bound, about. */
  get bytesSinceCompaction(): number {
    return this.offsetIndex.bytesTotal - this.compactedAtBytes;
  }

  /** Index of the last applied entry. */
  get appliedIndex(): LogIndex {
    return this.applied;
  }

  /** The leader's time in the last applied batch or command. */
  get timeMs(): number {
    return this.lastTimeMs;
  }

  get epochs(): EpochCache {
    return this.epochCache;
  }

  get index(): OffsetIndex {
    return this.offsetIndex;
  }

  get producers(): ProducerTable {
    return this.producerTable;
  }

  /** A command's result; nothing for other entries. */
  apply(entry: LogEntry): CommandResult | undefined {
    invariant(entry.index > this.applied, 'entries are applied in order', {
      index: entry.index,
      applied: this.applied,
    });
    this.applied = entry.index;
    if (entry.kind === 'batch') {
      this.applyBatch(entry);
      return undefined;
    }
    return entry.kind === 'command' ? this.applyCommand(entry) : undefined;
  }

  encode(): Uint8Array {
    const w = new ByteWriter(1024);
    w.u8(VERSION).uvarint(this.next).uvarint(this.logStart).uvarint(this.lastTimeMs);
    w.uvarint(this.compactTo.to).uvarint(this.compactTo.tombstonesBelow);
    w.uvarint(this.compactedAtBytes);
    w.uvarint(this.settledTo.below).uvarint(this.settledTo.sinceMs);
    this.epochCache.encode(w);
    this.offsetIndex.encode(w);
    this.producerTable.encode(w);
    return w.finish();
  }

  restore(state: Uint8Array | undefined, index: LogIndex): void {
    this.applied = index;
    if (state === undefined) {
      this.next = offset(0);
      this.logStart = offset(0);
      this.lastTimeMs = 0;
      this.compactTo = NOT_COMPACTED;
      this.compactedAtBytes = 0;
      this.settledTo = NOT_SETTLED;
      this.epochCache = new EpochCache();
      this.offsetIndex = new OffsetIndex(this.limits.index);
      this.producerTable = new ProducerTable(this.limits.producers);
      return;
    }
    const r = new ByteReader(state);
    const version = r.u8();
    if (version < 1 || version > VERSION)
      throw new MalformedBytesError(`partition state version ${version}`);
    this.next = offset(r.uvarint());
    this.logStart = offset(r.uvarint());
    this.lastTimeMs = r.uvarint();
    this.compactTo =
      version === 1
        ? NOT_COMPACTED
        : { to: offset(r.uvarint()), tombstonesBelow: offset(r.uvarint()) };
    this.compactedAtBytes = version === 1 ? 0 : r.uvarint();
    this.settledTo =
      version === 1 ? NOT_SETTLED : { below: offset(r.uvarint()), sinceMs: r.uvarint() };
    this.epochCache = EpochCache.decode(r);
    this.offsetIndex = OffsetIndex.decode(r, this.limits.index);
    this.producerTable = ProducerTable.decode(r, this.limits.producers);
    r.end();
    invariant(this.logStart <= this.next, 'log start is within the log', {
      logStart: this.logStart,
      next: this.next,
    });
  }

  private applyBatch(entry: LogEntry): void {
    const header = readBatchHeader(entry.payload);
    invariant(header.baseOffset === this.next, 'offset gap', {
      got: header.baseOffset,
      want: this.next,
      index: entry.index,
    });
    invariant(header.leaderEpoch === entry.term, 'a batch carries the term it was appended in', {
      leaderEpoch: header.leaderEpoch,
      term: entry.term,
    });
    // Compaction takes records, never offsets: what was appended is told by the last delta.
    const recordsCount = header.lastOffsetDelta + 1;
    invariant(recordsCount > 0, 'a batch has offsets', { index: entry.index });
    invariant(header.recordsCount <= recordsCount, 'a batch has no more records than offsets', {
      index: entry.index,
    });
    const endOffset = offset(this.next + recordsCount);
    this.epochCache.assign(entry.term, this.next);
    this.offsetIndex.add({
      offset: this.next,
      endOffset,
      index: entry.index,
      bytes: originalLength(entry),
      maxTimestamp: header.maxTimestamp,
      timeMs: entry.timeMs,
    });
    if (header.producerId >= 0) {
      const stamp = header.recordsCount === recordsCount ? header : { ...header, recordsCount };
      this.producerTable.record(stamp, this.next, entry.timeMs);
    }
    this.tick(entry.timeMs);
    this.next = endOffset;
  }

  private applyCommand(entry: LogEntry): CommandResult {
    const command = decodePartitionCommand(entry.payload);
    this.tick(entry.timeMs);
    if (command.to > this.next) {
      return {
        kind: 'rejected',
        reason: `offset ${command.to} is beyond the high watermark ${this.next}`,
      };
    }
    if (command.kind === 'compact') return this.applyCompact(command, entry.timeMs);
    if (command.to > this.logStart) {
      this.logStart = command.to;
      this.epochCache.trimBefore(command.to);
      this.offsetIndex.trimBefore(command.to);
    }
    return { kind: 'moved', logStartOffset: this.logStart };
  }

  private applyCompact(
    bounds: CompactionBounds & { readonly settledBelow: Offset },
    timeMs: number,
  ): CommandResult {
    const { to, tombstonesBelow } = this.compactTo;
    if (bounds.to > to) this.compactedAtBytes = this.offsetIndex.bytesBelow(bounds.to);
    this.compactTo = {
      to: offset(Math.max(to, bounds.to)),
      tombstonesBelow: offset(Math.max(tombstonesBelow, bounds.tombstonesBelow)),
    };
    if (bounds.settledBelow > this.settledTo.below) {
      this.settledTo = { below: bounds.settledBelow, sinceMs: timeMs };
    }
    return { kind: 'compacting', ...this.compactTo };
  }

  private tick(timeMs: number): void {
    invariant(timeMs >= this.lastTimeMs, "the leader's time never falls", {
      timeMs,
      lastTimeMs: this.lastTimeMs,
    });
    this.lastTimeMs = timeMs;
    this.producerTable.expire(timeMs);
  }
}
