import type { BrokerId, RaftGroupId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { BrokerStore } from '../ports/log-store.js';
import type { Telemetry } from '../ports/telemetry.js';
import type { Transport } from '../ports/transport.js';
import type { World } from '../ports/world.js';
import type { RaftConfig } from '../raft/config.js';
import type { CreateRaftNode } from '../raft/raft-node.js';

/** How the host spends memory, disk and time; the defaults suit production. */
export interface HostTuning {
  /** Entries applied in one turn, over all groups, by bytes. */
  readonly applyTurnBytesMax: number;
  /** Entries read from a store at once, for applying. */
  readonly applyReadBytesMax: number;
  /** Recent entries of all groups together kept in memory. */
  readonly recentEntriesBytesMax: number;
  /** A checkpoint is saved once this much was applied since the last one, whichever comes first. */
  readonly checkpointBytes: number;
  readonly checkpointEntries: number;
  readonly opensInFlightMax: number;
  readonly snapshotsInFlightMax: number;
  /** A failed snapshot is reported, and so tried again, after this long. */
  readonly snapshotRetryMs: number;
  /** Of reading whole logs, after an unclean open and now and then; 0 leaves it out. */
  readonly verifyBytesPerSecondMax: number;
  /** From the end of one reading of a whole log to the next: with the first, every entry within a week. */
  readonly scrubEveryMs: number;
  readonly reopenDelayMinMs: number;
  readonly reopenDelayMaxMs: number;
  /** A replica that ran this long without an error starts anew with the shortest delay. */
  readonly reopenForgiveMs: number;
  /** A store that does not finish closing in this time is left behind. */
  readonly closeTimeoutMs: number;
  /** A leader whose disk finishes nothing for this long hands its leadership over. */
  readonly diskStallMs: number;
  /** A group that had nothing to do for so many ticks falls asleep; 0: never. */
  readonly quiesceAfterTicks: number;
  /** Followers of a group in no hurry hear within this time what is committed. */
  readonly commitNoticeMs: number;
  readonly warnPeriodMs: number;
}

export const DEFAULT_HOST_TUNING: HostTuning = {
  applyTurnBytesMax: LIMITS.applyTurnBytesMax,
  applyReadBytesMax: LIMITS.applyTurnBytesMax,
  recentEntriesBytesMax: LIMITS.recentEntriesBytesMax,
  checkpointBytes: 32 * 1024 * 1024,
  checkpointEntries: 5_000,
  opensInFlightMax: 8,
  snapshotsInFlightMax: 2,
  snapshotRetryMs: 500,
  verifyBytesPerSecondMax: 32 * 1024 * 1024,
  scrubEveryMs: 6 * 24 * 3_600_000,
  reopenDelayMinMs: 100,
  reopenDelayMaxMs: 10_000,
  reopenForgiveMs: 60_000,
  closeTimeoutMs: 10_000,
  diskStallMs: 2_000,
  quiesceAfterTicks: 20,
  commitNoticeMs: 10,
  warnPeriodMs: 10_000,
};

export interface MultiRaftOptions {
  readonly self: BrokerId;
  readonly world: World;
  readonly transport: Transport;
  readonly store: BrokerStore;
  readonly createNode: CreateRaftNode;
  readonly config: RaftConfig;
  readonly tickMs: number;
  readonly telemetry: Telemetry;
  readonly tuning?: Partial<HostTuning>;
  /** Whoever may not lead is passed over where leadership is handed over; left out: everyone may. */
  readonly mayLead?: (id: BrokerId) => boolean;
  /** A replica met a bug of ours and stopped for good; it has been logged already. */
  readonly replicaStopped?: (group: RaftGroupId, error: unknown) => void;
}
