import type { HardState, SnapshotMeta } from '../raft/io.js';
import type { LogTail } from './log-map.js';
import { repairFacts } from './record-codec.js';
import type { ReplicaRecord, StateFile } from './state-file.js';
import type { WriteJob } from './write-queue.js';

/**
 * What one store writes into its replica's record of the state file. Owned by the store, which says
 * what its log holds.
 *
 * Invariants: a change of whether the log needs repair is durable only after the entries given before
 * it and with it; a watermark speaks for the generation that counts.
 */
export class RecordKeeper {
  private readonly stateFile: StateFile;
  private readonly record: ReplicaRecord;
  private givenNeedsRepair: boolean;

  constructor(stateFile: StateFile, record: ReplicaRecord) {
    this.stateFile = stateFile;
    this.record = record;
    this.givenNeedsRepair = record.facts.hardState.needsRepair;
  }

  /** Whether repair is needed once everything given is written. */
  get needsRepairThen(): boolean {
    return this.givenNeedsRepair;
  }

  /**
   * Term and vote may be durable before the entries given with them. Whether the log needs repair
   * is said about those entries, so a change of it follows them.
   */
  giveHardState(hardState: HardState | undefined): Pick<WriteJob, 'hardState' | 'afterwards'> {
    if (hardState === undefined) return { hardState: undefined, afterwards: undefined };
    const { needsRepair } = this.record.facts.hardState;
    const now = this.stateFile.update(this.record, { hardState: { ...hardState, needsRepair } });
    // Seen by whoever completes the job; the queue may be fenced before it gets there.
    now.catch(() => undefined);
    if (hardState.needsRepair === this.givenNeedsRepair) {
      return { hardState: now, afterwards: undefined };
    }
    this.givenNeedsRepair = hardState.needsRepair;
    return { hardState: now, afterwards: () => this.setNeedsRepair(hardState.needsRepair) };
  }

  private setNeedsRepair(needsRepair: boolean): Promise<void> {
    return this.stateFile.update(this.record, repairFacts(this.record.facts, needsRepair));
  }

  /** The log ends there, durably or nearly so. */
  noteEnd(tail: LogTail): void {
    this.stateFile.writeWatermark(this.record, this.watermarkAt(tail));
  }

  /** Before what lies above goes; durable when it resolves. */
  lowerEnd(tail: LogTail): Promise<void> {
    return this.stateFile.lowerWatermark(this.record, this.watermarkAt(tail));
  }

  private watermarkAt(tail: LogTail): ReplicaRecord['watermark'] {
    const { generation, incarnation } = this.record.facts;
    return { generation, incarnation, last: tail.last, chain: tail.chain };
  }

  /** From then on the log begins behind this snapshot. */
  moveSnapshot({ last, chain }: SnapshotMeta): Promise<void> {
    return this.stateFile.update(this.record, { snapshot: { last, chain } });
  }

  giveUp(): Promise<void> {
    return this.stateFile.update(this.record, { isGivenUp: true });
  }

  /** All of the log was read, and is whole. */
  async noteVerified(): Promise<void> {
    if (!this.record.facts.diedUnverified) return;
    await this.stateFile.update(this.record, { diedUnverified: false });
  }

  noteCleanClose(): Promise<void> {
    return this.stateFile.update(this.record, { isCleanlyClosed: true });
  }
}
