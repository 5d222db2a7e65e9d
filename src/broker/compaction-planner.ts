import type { RaftGroup } from '../host/raft-group.js';
import type { CompactionSettings } from '../metadata/topic-config.js';
import { logIndex, offset, type BrokerId, type LogIndex, type Offset } from '../model/ids.js';
import type { LogEntry } from '../model/log-entry.js';
import { membersOf } from '../model/membership.js';
import { readBatchHeader } from '../model/record-batch.js';
import type { CompactionBounds } from '../partition/command.js';
import type { PartitionState } from '../partition/partition-state.js';
import type { Compacted } from './log-compactor.js';

/** Bytes of a read that is to give one entry. */
const ONE = 1;

export interface CompactionPlannerDeps {
  readonly self: BrokerId;
  readonly group: RaftGroup;
  readonly state: PartitionState;
  /** How far the replica of this partition on another broker has come. */
  askCompacted(broker: BrokerId): Promise<Offset>;
}

/** What a leader is to propose. */
export type CompactionPlan = CompactionBounds & { readonly settledBelow: Offset };

/**
 * Decides, where a partition is led, how far its log may be compacted: up to the high watermark, and
 * not among records that are too young. Ages are told by the leader's times in the entries.
 *
 * Tombstones are given up later than what they stand for. Once *every* member of the partition has
 * compacted past them, by its own account, nobody holds a record that they have superseded: from then on
 * they are kept for `delete.retention.ms`, for readers that have such a record already. When that began
 * is replicated (PartitionState.settled), so that a change of leaders does not begin it anew. A member
 * that does not answer keeps the tombstones where they are.
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
  ): Promise<CompactionPlan | undefined> {
    const bounds = this.deps.state.compaction;
    // One pass after another: bounds that hurry ahead of the work would only make it more.
    if (done.to < bounds.to || done.tombstonesBelow < bounds.tombstonesBelow) return undefined;
    const end = await this.dirtyEnd(done, settings, nowMs);
    const isDirty = end > bounds.to && (await this.isWorthIt(done, settings, nowMs));
    const to = isDirty ? end : bounds.to;
    const tombstones = await this.tombstones(done, settings, nowMs);
    if (!isDirty && tombstones === undefined) return undefined;
    const { tombstonesBelow } = bounds;
    return { to, tombstonesBelow, settledBelow: offset(0), ...tombstones };
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

  /** What is to become of tombstones; undefined: nothing now. */
  private async tombstones(
    { firstTombstone }: Compacted,
    { deleteRetentionMs }: CompactionSettings,
    nowMs: number,
  ): Promise<Partial<CompactionPlan> | undefined> {
    if (firstTombstone === undefined) return undefined;
    const { compaction, settled } = this.deps.state;
    const isSettled = settled.below > Math.max(firstTombstone, compaction.tombstonesBelow);
    if (isSettled && nowMs - settled.sinceMs < deleteRetentionMs) return undefined;
    const reached = await this.reachedByAll();
    if (reached === undefined) return undefined;
    // Those that came since begin their time now, in the same command.
    const settledBelow = reached > settled.below ? reached : offset(0);
    if (isSettled) {
      const below = offset(Math.min(settled.below, reached));
      if (below <= compaction.tombstonesBelow) return undefined;
      return { tombstonesBelow: below, settledBelow };
    }
    return reached > firstTombstone && settledBelow > 0 ? { settledBelow } : undefined;
  }

  /** Every member has compacted up to here; undefined: one does not say. */
  private async reachedByAll(): Promise<Offset | undefined> {
    const { state, group, self } = this.deps;
    const status = group.status();
    if (status === undefined) return undefined;
    const others = membersOf(status.membership).filter((id) => id !== self);
    try {
      const reached = await Promise.all(others.map((id) => this.deps.askCompacted(id)));
      // This replica is where the bounds are, or there would be no plan.
      return offset(Math.min(state.compaction.to, ...reached));
    } catch {
      return undefined;
    }
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
