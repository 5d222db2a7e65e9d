import type { RaftGroup } from '../host/raft-group.js';
import { logIndex, type LogIndex, type Offset } from '../model/ids.js';
import type { LogEntry } from '../model/log-entry.js';
import { readBatchHeader } from '../model/record-batch.js';
import { PartitionState, type PartitionLimits } from '../partition/partition-state.js';
import { PastStates } from '../partition/past-states.js';
import type { Logger } from '../ports/telemetry.js';
import { ReplicaJob, type IsOver, type Lane } from './replica-job.js';

const MIB = 1024 * 1024;
/**
 * Less than this share of what is kept is not worth a new snapshot and a compaction, unless it is
 * everything: a log takes about a ninth more room than its records need.
 */
const KEPT_SHARE = 1 / 8;
const CHUNK_BYTES_MIN = MIB;
const CHUNK_BYTES_MAX = 64 * MIB;
const READ_BYTES = MIB;

/**
 * Gives back the bytes of one replica's entries below the log start: brings the base state (the
 * partition as of the last truncated entry) forward, by a state of the past and over what lies between
 * that and the log start, and hands it to the group, which makes it durable before it deletes
 * (CORRECTNESS 20).
 *
 * Invariants: only applied entries whose records all lie below the applied log start are dropped;
 * local and invisible: nothing replicated depends on when or whether it runs.
 */
export class LogTruncator {
  private readonly group: RaftGroup;
  private readonly state: PartitionState;
  private readonly limits: PartitionLimits;
  private readonly job: ReplicaJob;
  private readonly log: Logger;
  private readonly past = new PastStates();
  /** Bytes of batches that were dropped up to the base; undefined until it was read. */
  private baseBytes: number | undefined;

  constructor(
    group: RaftGroup,
    state: PartitionState,
    options: { readonly limits: PartitionLimits; readonly lane: Lane; readonly log: Logger },
  ) {
    this.group = group;
    this.state = state;
    this.limits = options.limits;
    this.job = new ReplicaJob(options.lane);
    this.log = options.log;
  }

  /** Something was applied. */
  applied(): void {
    this.past.note(this.state);
  }

  /** Starts a truncation if it is worth it and none is under way. */
  maybeTruncate(): boolean {
    if (!this.job.isFree || !this.isWorthIt()) return false;
    this.job.run(
      (isOver) => this.truncate(isOver),
      (error) => {
        // The replica was fenced, closed or given a snapshot meanwhile, and whoever did that said so.
        this.baseBytes = undefined;
        this.log.debug({ error }, 'log truncation put off');
      },
    );
    return true;
  }

  lifeEnded(): void {
    this.job.lifeEnded();
    this.baseBytes = undefined;
    this.past.clear();
  }

  stop(): void {
    this.job.stop();
  }

  private isWorthIt(): boolean {
    const { logStartOffset, highWatermark, index } = this.state;
    if (logStartOffset === 0) return false;
    const base = this.baseBytes;
    if (base === undefined) return true;
    if (logStartOffset === highWatermark) return index.bytesTotal > base;
    const dropTo = index.spanOf(logStartOffset)?.bytesBefore ?? 0;
    const chunk = (index.bytesTotal - dropTo) * KEPT_SHARE;
    return dropTo - base >= Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, chunk));
  }

  private async truncate(isOver: IsOver): Promise<void> {
    if (isOver()) return;
    const base = await this.group.baseState();
    const rolled = new PartitionState(this.limits);
    const baseIndex = base?.index ?? logIndex(0);
    rolled.restore(base?.state, baseIndex);
    if (isOver()) return;
    this.baseBytes = rolled.index.bytesTotal;
    if (!this.isWorthIt()) return;
    const target = this.state.logStartOffset;
    const past = this.past.newestBelow(target);
    if (past !== undefined && past.index > baseIndex) rolled.restore(past.state, past.index);
    await this.roll(rolled, target, isOver);
    const last = rolled.appliedIndex;
    if (last <= baseIndex || isOver()) return;
    await this.group.truncatePrefix(last, rolled.encode());
    if (isOver()) return;
    this.baseBytes = rolled.index.bytesTotal;
    this.past.dropUpTo(last);
    this.log.info({ lastIndex: last, logStartOffset: target }, 'log prefix truncated');
  }

  /** Applies entries to `rolled` up to the last before the first batch that is kept. */
  private async roll(rolled: PartitionState, target: Offset, isOver: IsOver): Promise<void> {
    const end: LogIndex = this.state.appliedIndex;
    while (rolled.appliedIndex < end && !isOver()) {
      const range = { first: logIndex(rolled.appliedIndex + 1), next: logIndex(end + 1) };
      for (const entry of await this.group.read(range, READ_BYTES)) {
        if (isKept(entry, target)) return;
        rolled.apply(entry);
      }
    }
  }
}

function isKept(entry: LogEntry, target: Offset): boolean {
  if (entry.kind !== 'batch') return false;
  const header = readBatchHeader(entry.payload);
  return header.baseOffset + header.lastOffsetDelta >= target;
}
