import type { RaftGroup } from '../host/raft-group.js';
import type { BrokerId, LogIndex, Offset, Term } from '../model/ids.js';
import { membersOf } from '../model/membership.js';
import type { PartitionState } from '../partition/partition-state.js';
import type { Clock } from '../ports/world.js';
import type { PartitionFacts, ReplicaDescription } from './admin-types.js';

type Status = NonNullable<ReturnType<RaftGroup['status']>>;

/** What was committed for less than this is on its way to a follower that is in sync. */
const IN_FLIGHT_MS = 500;

/**
 * Remembers what was committed about half a second ago. Under load a follower is always a few entries
 * behind the commit index; it is out of sync when it lacks what was committed a while ago.
 */
export class CommitSamples {
  private readonly clock: Clock;
  private older: LogIndex | undefined;
  private newer: { readonly index: LogIndex; readonly atMs: number } | undefined;
  private last: LogIndex | undefined;
  private lastMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  note(index: LogIndex): void {
    const now = this.clock.monotonicMs();
    if (now - this.lastMs >= IN_FLIGHT_MS) {
      this.older = this.last;
      this.newer = { index, atMs: now };
    } else if (this.newer === undefined || now - this.newer.atMs >= IN_FLIGHT_MS) {
      this.older = this.newer?.index;
      this.newer = { index, atMs: now };
    }
    this.last = index;
    this.lastMs = now;
  }

  /** Everyone in sync has this; `commit` is the commit index now. */
  settled(commit: LogIndex): LogIndex {
    const now = this.clock.monotonicMs();
    if (now - this.lastMs >= IN_FLIGHT_MS || this.newer === undefined) return commit;
    const sample = now - this.newer.atMs >= IN_FLIGHT_MS ? this.newer.index : this.older;
    return sample === undefined || sample > commit ? commit : sample;
  }
}

/** What the leader knows of its partition. */
export function describePartition(
  status: Status,
  at: {
    readonly term: Term;
    readonly inSyncFrom: LogIndex;
    readonly state: PartitionState;
    readonly sizeBytes: number;
    readonly compactedTo: Offset;
  },
): PartitionFacts {
  const { voters, votersOutgoing } = status.membership;
  const describe = (id: BrokerId): ReplicaDescription => {
    const role = voters.includes(id) || votersOutgoing.includes(id) ? 'voter' : 'learner';
    if (id === status.self) {
      const matchIndex = status.durable;
      return { brokerId: id, role, inSync: true, matchIndex, repairing: status.needsRepair };
    }
    const peer = status.peers.find((candidate) => candidate.id === id);
    const inSync =
      peer !== undefined && peer.isActive && !peer.isRepairing && peer.match >= at.inSyncFrom;
    return {
      brokerId: id,
      role,
      inSync,
      matchIndex: peer?.match ?? (0 as LogIndex),
      repairing: peer?.isRepairing ?? false,
    };
  };
  return {
    leader: status.self,
    leaderEpoch: at.term,
    replicas: membersOf(status.membership).map(describe),
    logStartOffset: at.state.logStartOffset,
    highWatermark: at.state.highWatermark,
    sizeBytes: at.sizeBytes,
    compactedTo: at.compactedTo,
  };
}
