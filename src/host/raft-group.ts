import type { Durability } from '../model/durability.js';
import type { BrokerId, LogIndex, RaftGroupId, Term } from '../model/ids.js';
import type { EntryId, IndexRange, LogEntry, RewrittenPayload } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';
import type { ReplicaSpec } from '../ports/log-store.js';
import type { StateMachine } from '../ports/state-machine.js';
import type { RaftStatus, RefusalReason, RoleChange } from '../raft/io.js';

/** What became of one proposal. Exactly one of committed and failed is called, once. */
export interface ProposalObserver {
  /** The entry is on this broker's disk; says nothing about a quorum. Comes before `committed` or never. */
  persisted?(): void;
  /** Committed and applied; `result` is what the state machine's apply returned. */
  committed(result: unknown, id: EntryId): void;
  /** Leadership, the replica or the broker went away first: it may have been committed, or yet be. */
  failed(): void;
}

export type ProposeOutcome =
  | { readonly accepted: true; readonly id: EntryId; readonly timeMs: number }
  /** Definitely not appended. */
  | {
      readonly accepted: false;
      readonly reason: RefusalReason | 'unavailable';
      readonly leader: BrokerId | undefined;
    };

/** The owner of a group: holds its state machine and hears what happens to it. Calls are synchronous. */
export interface RaftGroupOwner {
  readonly machine: StateMachine;
  /** Role, term or known leader changed. */
  roleChanged(change: RoleChange): void;
  /** This replica leads in `term` and has applied an entry of that term: its state is current. */
  leaderReady(term: Term): void;
  /** The machine's state moved to `index` (by entries, a checkpoint or a snapshot). */
  applied(index: LogIndex): void;
  /** The replica stopped serving (a storage error, damage); the host is already reopening it. */
  fenced(reason: unknown): void;
}

/** One Raft group on this broker, as its owner uses it. */
export interface RaftGroup {
  readonly id: RaftGroupId;
  /** Undefined while the replica is fenced or reopening. */
  status(): RaftStatus | undefined;
  /** Leads and has applied an entry of its term. */
  isLeaderReady(): boolean;
  /** Synchronous: when it returns accepted, the entry stands at the leader's log end. */
  propose(
    proposal: { readonly kind: 'batch' | 'command'; readonly payload: Uint8Array },
    observer: ProposalObserver,
  ): ProposeOutcome;
  /**
   * Confirms leadership with a quorum and waits until everything committed by then is applied
   * (ReadIndex, thesis §6.4). Rejects with BrokerError NOT_LEADER or DEADLINE_EXCEEDED.
   */
  readBarrier(deadlineMs: number): Promise<void>;
  /**
   * Changes the members to exactly these; resolves once the final membership is committed and rejects
   * with BrokerError if it was refused or its outcome is not known. THROTTLED: not now, or a voter to be is
   * no learner that the leader knows to be filled up.
   */
  changeMembership(
    target: Pick<Membership, 'voters' | 'learners'>,
    deadlineMs: number,
  ): Promise<void>;
  /** Resolves once another member is known to lead; rejects with TRANSFER_FAILED after deadlineMs. */
  transferLeadership(to: BrokerId, deadlineMs: number): Promise<void>;
  /** Entries still in memory, synchronously; undefined if range.first is not. */
  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined;
  /** From memory or the store; at least one entry. Rejects with PrefixTruncatedError below the first. */
  read(range: IndexRange, bytesMax: number): Promise<readonly LogEntry[]>;
  /** First index that can be read. */
  firstIndex(): LogIndex;
  /** Replaces entries up to and with `last` (applied here) by the machine's state as of `last`. */
  truncatePrefix(last: LogIndex, state: Uint8Array): Promise<void>;
  /** The state machine's bytes at the last truncated entry; undefined if nothing was truncated. */
  baseState(): Promise<{ readonly index: LogIndex; readonly state: Uint8Array } | undefined>;
  /** As `LogStore.rewrite`, for committed entries that are durable here. */
  rewrite(payloads: readonly RewrittenPayload[]): Promise<void>;
  /** As `LogStore.saveNote` and its counterpart. */
  saveNote(note: Uint8Array): Promise<void>;
  note(): Promise<Uint8Array | undefined>;
  sizeBytes(): Promise<number>;
  /** When entries count as this replica's own, from the next write on and in every later life. */
  setDurability(durability: Durability): void;
}

/** All Raft groups of this broker. */
export interface MultiRaft {
  start(): void;
  /**
   * Creates the replica durably if it does not exist, then opens it. Who campaigns first in a
   * new group is `preferredLeader`, or else told by the group's id.
   */
  open(
    spec: ReplicaSpec,
    owner: RaftGroupOwner,
    options?: {
      readonly preferredLeader?: BrokerId | undefined;
      /** `fsync` if left out. */
      readonly durability?: Durability | undefined;
      /** Followers hear at once what is committed: their machines are what this broker goes by. */
      readonly tellsCommitAtOnce?: boolean;
    },
  ): Promise<RaftGroup>;
  /** Stops the group; its data stays. Idempotent. */
  close(groupId: RaftGroupId): Promise<void>;
  /** Stops the group and deletes its data: only after a committed delete. */
  delete(groupId: RaftGroupId): Promise<void>;
  /**
   * Hands leaderships to other members where possible, within deadlineMs. `elseAnyone`: those who may
   * not lead are still better than staying where it is.
   */
  transferAllLeaderships(
    deadlineMs: number,
    options: { readonly elseAnyone: boolean },
  ): Promise<void>;
  stop(): Promise<void>;
}
