import type { BrokerId, Incarnation, LogIndex, Term } from '../model/ids.js';
import type { EntryId, EntryKind, IndexRange, LogSlice } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';
import type { Message, RepairTarget } from './message.js';

/** What must survive a crash before anything that depends on it leaves (thesis §3.3, §3.8). */
export interface HardState {
  readonly term: Term;
  readonly votedFor: BrokerId | undefined;
  /** The log is damaged or was emptied: no vote, no campaign, no count, until repaired. */
  readonly needsRepair: boolean;
}

/** A prefix of the log that was replaced by its state: `last` is the last entry it covers. */
export interface SnapshotMeta {
  readonly last: EntryId;
  /** Chain hash of the header of `last` (base/chain-hash.ts). */
  readonly chain: number;
  /** The leader's time in `last`. */
  readonly timeMs: number;
  readonly membership: Membership;
}

/** Everything the core starts from: what the store found. */
export interface RaftInit {
  readonly self: BrokerId;
  readonly incarnation: Incarnation;
  readonly hardState: HardState;
  /** The last truncated entry, or zeros and the bootstrap membership of a fresh group. */
  readonly snapshot: SnapshotMeta;
  /** Runs of terms in (snapshot.last, last], ascending by first index. */
  readonly termRuns: readonly { readonly term: Term; readonly first: LogIndex }[];
  /** Membership entries above the snapshot, ascending. */
  readonly memberships: readonly { readonly index: LogIndex; readonly membership: Membership }[];
  readonly last: EntryId;
  readonly lastTimeMs: number;
  /** What the state machine has already applied (a checkpoint): known to be committed. */
  readonly applied: LogIndex;
  /** What a damaged log is known to have held: candidates must cover it. Zeros if intact. */
  readonly watermark: EntryId;
  /**
   * The log needs repair because it lost its unsynced end to a power cut; what is left of it is whole, so
   * that it may be compared with others'.
   */
  readonly lostTail?: boolean;
  /** Seeds election jitter. */
  readonly seed: number;
  /**
   * The same number on all replicas of a group, different from group to group (its id): rotates who
   * campaigns first, so that the groups of a dead broker do not all go to the same next one.
   */
  readonly rankSalt?: number;
}

export interface Proposal {
  readonly kind: Extract<EntryKind, 'batch' | 'command'>;
  readonly payload: Uint8Array;
  /** The leader's wall clock; the entry gets max(previous entry's, this). */
  readonly timeMs: number;
}

export type RefusalReason =
  | 'notLeader'
  /** Leading, but a transfer is under way. */
  | 'transferring'
  /** The uncommitted tail is at its limit. */
  | 'tailFull'
  /** A membership change is pending, or no entry of this term is committed yet. */
  | 'membershipBusy'
  | 'invalidMembership';

export type ProposeResult =
  /** timeMs: as stamped into the last entry. */
  | { readonly accepted: true; readonly first: EntryId; readonly timeMs: number }
  | {
      readonly accepted: false;
      readonly reason: RefusalReason;
      readonly leader: BrokerId | undefined;
    };

/** Everything the core hears, besides proposals. Nothing else exists. */
export type RaftEvent =
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly message: Message }
  /** The persist with this ticket, and all before it, is durable. */
  | { readonly kind: 'persisted'; readonly ticket: number }
  /** A catch-up read came back. */
  | { readonly kind: 'entriesRead'; readonly peer: BrokerId; readonly slice: LogSlice }
  /** A catch-up read failed or found its range truncated. */
  | { readonly kind: 'readFailed'; readonly peer: BrokerId }
  | { readonly kind: 'applied'; readonly index: LogIndex }
  /** Messages to the peer were dropped: probe it. */
  | { readonly kind: 'peerUnreachable'; readonly peer: BrokerId }
  /** The stream to the peer broke and an immediate reconnect was refused: its process is gone. */
  | { readonly kind: 'connectionLost'; readonly peer: BrokerId }
  /**
   * Nobody leads as far as is known here, and somebody should before a whole timeout has passed: ask
   * for pre-votes in so many ticks (0: now), and for a while try again quickly. Means nothing to who
   * hears a leader, is campaigning already, or may not campaign.
   */
  | { readonly kind: 'campaign'; readonly inTicks: number }
  | { readonly kind: 'readBarrier'; readonly token: number }
  /** Followers hear now of what is committed, unless something that goes to them says so. */
  | { readonly kind: 'tellCommit' }
  /**
   * The host sees the brokers of all members alive, and will watch over them: a leader of a group in
   * which nothing is under way, and whose followers have everything, falls asleep with them. Means
   * nothing to anybody else.
   */
  | { readonly kind: 'quiesce' }
  /** The host is no longer sure of a group that sleeps. Means nothing to one that is awake. */
  | { readonly kind: 'wake' }
  /**
   * This process stood still for longer than an election timeout, and what came meanwhile was taken in:
   * a leader that hears no quorum anew within half of one steps down. Means nothing to anybody else.
   */
  | { readonly kind: 'stalled' }
  | { readonly kind: 'transferLeadership'; readonly to: BrokerId }
  /** The local log's prefix up to and with snapshot.last was replaced. */
  | { readonly kind: 'prefixMoved'; readonly snapshot: SnapshotMeta }
  /** A peer that leads in `term` sent a whole snapshot; the host holds its bytes. */
  | {
      readonly kind: 'snapshotReceived';
      readonly from: BrokerId;
      readonly term: Term;
      readonly snapshot: SnapshotMeta;
      readonly repairTarget: RepairTarget | undefined;
    }
  /** The snapshot sent to the peer arrived whole, or did not. */
  | {
      readonly kind: 'snapshotReported';
      readonly peer: BrokerId;
      readonly lastIndex: LogIndex;
      readonly ok: boolean;
    };

/**
 * One ordered write. Tickets rise; a later ticket's completion implies every earlier one's.
 * At most one of `append` and `install` is present.
 */
export interface Persist {
  readonly ticket: number;
  /** Present only when it changed. */
  readonly hardState: HardState | undefined;
  /** Replaces everything after prev.index. */
  readonly append: LogSlice | undefined;
  /** Replace log and state by the snapshot received from this peer, then report persisted. */
  readonly install: SnapshotMeta | undefined;
}

/**
 * A group that sleeps needs no ticks and sends nothing, until a proposal, a message, a lost connection
 * or its host wakes it. It rests on the word of the host that the members' brokers are there.
 */
export interface Asleep {
  readonly term: Term;
  readonly leader: BrokerId;
  /** Everybody else in the group. */
  readonly others: readonly BrokerId[];
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface RoleChange {
  readonly role: Role;
  readonly term: Term;
  readonly leader: BrokerId | undefined;
  /**
   * Elected by everybody, after a majority had lost the unsynced ends of their logs: what was committed
   * there and on no log that is left is lost.
   */
  readonly mayHaveLost?: true;
}

/**
 * Everything the core wants done, in the order: persist is started, messages are sent at once (the
 * core holds back what depends on a persist until its ticket completes), committed entries are
 * applied in order.
 */
export interface Ready {
  readonly persists: readonly Persist[];
  readonly messages: readonly Message[];
  /**
   * Newly committed, to be applied and then reported with `applied`. A quorum has persisted them; this
   * replica's own disk may still be at work, so a checkpoint waits until it has caught up.
   */
  readonly committed: IndexRange | undefined;
  readonly catchUpReads: readonly {
    readonly peer: BrokerId;
    readonly from: LogIndex;
    readonly bytesMax: number;
  }[];
  /** Send the store's snapshot to these peers; answer with snapshotReported. */
  readonly snapshotsToSend: readonly {
    readonly peer: BrokerId;
    readonly repairTarget: RepairTarget | undefined;
  }[];
  readonly roleChange: RoleChange | undefined;
  /** The read is safe once `index` is applied. */
  readonly barriersReached: readonly { readonly token: number; readonly index: LogIndex }[];
  readonly barriersFailed: readonly number[];
}

/** One follower as the leader sees it. */
export interface PeerStatus {
  readonly id: BrokerId;
  readonly match: LogIndex;
  readonly next: LogIndex;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  /** It answered within an election timeout. */
  readonly isActive: boolean;
  readonly isRepairing: boolean;
}

export interface RaftStatus {
  readonly self: BrokerId;
  readonly role: Role;
  readonly term: Term;
  readonly leader: BrokerId | undefined;
  readonly votedFor: BrokerId | undefined;
  readonly needsRepair: boolean;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  readonly last: EntryId;
  /** Highest index that is durable here. */
  readonly durable: LogIndex;
  readonly snapshotIndex: LogIndex;
  readonly membership: Membership;
  /** Only on a leader. */
  readonly peers: readonly PeerStatus[];
  readonly transferringTo: BrokerId | undefined;
}
