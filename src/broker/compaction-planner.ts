import type { RaftGroup } from '../host/raft-group.js';
import type { CompactionSettings } from '../metadata/topic-config.js';
import { logIndex, offset, type BrokerId, type LogIndex, type Offset } from '../model/ids.js';
import type { LogEntry } from '../model/log-entry.js';
import { membersOf } from '../model/membership.js';
import { readBatchHeader } from '../model/record-batch.js';
import type { CompactionBounds } from '../partition/command.js';
import type { PartitionState } from '../partition/partition-state.js';
import type { Compacted } from './log-compactor.js';

/** Of the time that tombstones are kept. */
const OVERDUE_SHARE = 1 / 4;
/** Bytes of a read that is to give one entry. */
const ONE = 1;

export interface CompactionPlannerDeps {
  readonly self: BrokerId;
  readonly group: RaftGroup;
  readonly state: PartitionState;
  /** How far the replica of this partition on another broker has come. */
  askCompacted(broker: BrokerId): Promise<Offset>;
}

/**
 * Decides, where a partition is led, how far its log may be compacted: up to the high watermark, and
 * not among records that are too young. Ages are told by the leader's times in the entries.
 *
 * Tombstones are given up later than what they stand for, and only below what *every* member of the
 * partition has compacted by its own account. So nobody holds a record that such a tombstone has
 * superseded, and who is sent the log from there on misses nothing by not being sent the tombstone. A
 * member that does not answer keeps the tombstones where they are.
 */
export class CompactionPlanner {
  private readonly deps: CompactionPlannerDeps;

  constructor(deps: CompactionPlannerDeps) {
    this.deps = deps;
  }

  /** New bounds; undefined: nothing is worth a pass over the log. */
  async plan(
    done: Compacted,
    settings: CompactionSettings,
    nowMs: number,
  ): Promise<CompactionBounds | undefined> {
    const bounds = this.deps.state.compaction;
    // One pass after another: bounds that hurry ahead of the work would only make it more.
    if (done.to < bounds.to || done.tombstonesBelow < bounds.tombstonesBelow) return undefined;
    const to = await this.dirtyEnd(done, settings, nowMs);
    const isDirty = to > bounds.to && (await this.isWorthIt(done, settings, nowMs));
    const next = isDirty ? to : bounds.to;
    if (!isDirty && !(await this.isOverdue(done, settings, nowMs))) return undefined;
    const horizon = await this.horizon(done, settings, nowMs);
    const tombstonesBelow = offset(Math.max(horizon, bounds.tombstonesBelow));
    if (!isDirty && tombstonesBelow === bounds.tombstonesBelow) return undefined;
    return { to: next, tombstonesBelow };
  }

  /** What is old enough to be compacted ends here. */
  private async dirtyEnd(
    done: Compacted,
    { minLagMs }: CompactionSettings,
    nowMs: number,
  ): Promise<Offset> {
    const { highWatermark } = this.deps.state;
    if (highWatermark <= done.to) return done.to;
    if (minLagMs === 0) return highWatermark;
    return this.firstAfter(nowMs - minLagMs);
  }

  private async isWorthIt(
    done: Compacted,
    { minDirtyRatio, maxLagMs }: CompactionSettings,
    nowMs: number,
  ): Promise<boolean> {
    const dirty = this.deps.state.bytesSinceCompaction;
    if (dirty >= minDirtyRatio * (dirty + done.bytes) && dirty > 0) return true;
    if (maxLagMs < 0) return false;
    const oldest = await this.firstAfter(nowMs - maxLagMs);
    return oldest > this.deps.state.compaction.to;
  }

  /**
   * A tombstone is due for so long that it is worth a pass of its own; those that follow it closely go
   * with it.
   */
  private async isOverdue(
    { firstTombstone }: Compacted,
    { deleteRetentionMs }: CompactionSettings,
    nowMs: number,
  ): Promise<boolean> {
    if (firstTombstone === undefined) return false;
    const ageMs = deleteRetentionMs * (1 + OVERDUE_SHARE);
    return firstTombstone < (await this.firstAfter(nowMs - ageMs));
  }

  /** Tombstones below it are old enough, and stand for nothing any more, wherever the log is kept. */
  private async horizon(
    { firstTombstone }: Compacted,
    { deleteRetentionMs }: CompactionSettings,
    nowMs: number,
  ): Promise<Offset> {
    const { state, group, self } = this.deps;
    if (firstTombstone === undefined) return offset(0);
    const oldEnough = await this.firstAfter(nowMs - deleteRetentionMs);
    if (oldEnough <= firstTombstone) return offset(0);
    const status = group.status();
    if (status === undefined) return offset(0);
    const others = membersOf(status.membership).filter((id) => id !== self);
    // This replica is where the bounds are, or there would be no plan.
    const reached = await Promise.all(others.map((id) => this.deps.askCompacted(id))).catch(
      () => undefined,
    );
    if (reached === undefined) return offset(0);
    return offset(Math.min(oldEnough, state.compaction.to, ...reached));
  }

  /** Offset of the first batch that the leader took in after this time; else the high watermark. */
  private async firstAfter(timeMs: number): Promise<Offset> {
    const { group, state } = this.deps;
    const end: number = state.appliedIndex + 1;
    const { highWatermark } = state;
    let low: number = group.firstIndex();
    let high = end;
    // Times never fall along a log.
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = await this.entryAt(logIndex(middle));
      if (entry.timeMs > timeMs) high = middle;
      else low = middle + 1;
    }
    for (let at = low; at < end; at += 1) {
      const entry = await this.entryAt(logIndex(at));
      if (entry.kind === 'batch') return readBatchHeader(entry.payload).baseOffset;
    }
    return highWatermark;
  }

  private async entryAt(index: LogIndex): Promise<LogEntry> {
    const range = { first: index, next: logIndex(index + 1) };
    const [entry] = await this.deps.group.read(range, ONE);
    if (entry === undefined) throw new RangeError(`entry ${index} is not there`);
    return entry;
  }
}
