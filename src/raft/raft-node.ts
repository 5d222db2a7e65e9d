import type { IndexRange, LogEntry } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';
import type { BrokerId, LogIndex, Term } from '../model/ids.js';
import type { RaftConfig } from './config.js';
import type {
  Asleep,
  Proposal,
  ProposeResult,
  RaftEvent,
  RaftInit,
  RaftStatus,
  Ready,
  SnapshotMeta,
} from './io.js';

/**
 * The public face of the consensus core: events in, effects out. Pure and synchronous; the host
 * (host/raft-group-driver.ts) is its only caller.
 */
export interface RaftNode {
  step(event: RaftEvent): void;
  /** Appends to the leader's log, all or none. The ids are first, first + 1, … in the same term. */
  propose(proposals: readonly Proposal[]): ProposeResult;
  /**
   * Proposes a change to exactly these voters and learners: a simple change when one member differs
   * in a safe way, else joint consensus that the leader leaves by itself.
   */
  changeMembership(target: Pick<Membership, 'voters' | 'learners'>, timeMs: number): ProposeResult;
  hasReady(): boolean;
  /** Takes what is to be done; the same effects are not given twice. */
  ready(): Ready;
  status(): RaftStatus;
  /**
   * Followers that have committed entries have not been told that they are. The next entries and
   * heartbeats say so; whoever cannot wait for these steps `tellCommit`.
   */
  readonly owesCommit: boolean;
  /** Another object for every sleep; undefined while awake. */
  readonly asleep: Asleep | undefined;
  /**
   * Entries from range.first on that are still in memory, up to range.next or bytesMax but at least
   * one; undefined if range.first is not in memory.
   */
  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined;
  recentBytes(): number;
  /**
   * Drops applied and durable entries from memory until at most bytesMax remain, but none above
   * `through`.
   */
  trimRecent(bytesMax: number, through?: LogIndex): void;
  /** What checkInvariants and the printers need beyond status(); not for the host's decisions. */
  inspect(): RaftInspection;
}

/** The inside of a core, as a value. */
export interface RaftInspection {
  /** Runs of terms above the snapshot. */
  readonly termRuns: readonly { readonly term: Term; readonly first: LogIndex }[];
  readonly snapshot: SnapshotMeta;
  /** Entries in memory. */
  readonly recent: IndexRange;
  /** Highest index given out as committed. */
  readonly handed: LogIndex;
  /** A follower's highest index known to equal its leader's log. */
  readonly verified: LogIndex;
  readonly membershipIndex: LogIndex;
  /** Messages that wait for a persist. */
  readonly heldMessages: number;
  /** Messages refused since the start because no correct peer sends them. */
  readonly implausibleMessages: number;
  readonly electionElapsedTicks: number;
  readonly uncommittedBytes: number;
  readonly barriersWaiting: number;
  readonly inflights: readonly {
    readonly id: BrokerId;
    readonly count: number;
    readonly bytes: number;
    readonly isPaused: boolean;
  }[];
  readonly config: RaftConfig;
}

export type CreateRaftNode = (init: RaftInit, config: RaftConfig) => RaftNode;
