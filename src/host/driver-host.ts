import type { BrokerId, LogIndex, RaftGroupId } from '../model/ids.js';
import type { LogStore } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { World } from '../ports/world.js';
import type { RaftConfig } from '../raft/config.js';
import type { Asleep, SnapshotMeta } from '../raft/io.js';
import type { RepairTarget } from '../raft/message.js';
import type { RaftNode } from '../raft/raft-node.js';
import type { HostMetrics } from './host-metrics.js';
import type { HostTuning } from './host-options.js';
import type { MembershipHistory } from './membership-history.js';
import type { RaftGroupOwner } from './raft-group.js';

/** What a driver asks of the host it runs in. */
export interface DriverHost<Driver> {
  readonly self: BrokerId;
  readonly world: World;
  readonly tuning: HostTuning;
  readonly metrics: HostMetrics;
  readonly config: RaftConfig;
  mayLead(id: BrokerId): boolean;
  /** There may be something to collect or to apply: take it in the coming turn. */
  markDirty(driver: Driver): void;
  /** The group fell asleep, or woke. */
  sleepChanged(driver: Driver, asleep: Asleep | undefined): void;
  /** Its followers have not heard yet what is committed. */
  commitOwed(driver: Driver): void;
  sendSnapshot(driver: Driver, peer: BrokerId, repairTarget: RepairTarget | undefined): void;
}

/** What a driver starts from: an open store and what it held. */
export interface DriverStart {
  readonly id: RaftGroupId;
  readonly node: RaftNode;
  readonly store: LogStore;
  readonly owner: RaftGroupOwner;
  readonly log: Logger;
  /** The machine's state stands here. */
  readonly applied: LogIndex;
  readonly snapshot: SnapshotMeta;
  readonly memberships: MembershipHistory;
  readonly tellsCommitAtOnce: boolean;
  /** Called once, when this life of the replica ends by an error. */
  readonly failed: (error: unknown, isBug: boolean) => void;
}
