import type { BrokerId, Incarnation, LogIndex, Term } from '../model/ids.js';
import type { EntryId, LogEntry } from '../model/log-entry.js';

/** What every message between two members of one Raft group carries. */
export interface MessageBase {
  readonly from: BrokerId;
  readonly to: BrokerId;
  /** The sender's term; in a pre-vote request and its grant, the term it would campaign in. */
  readonly term: Term;
  /** Which life of the sender's store this is; a changed one resets the leader's match to 0. */
  readonly incarnation: Incarnation;
}

/** Asks whether a campaign could succeed; changes nobody's term or vote (thesis §9.6). */
export interface PreVoteRequest extends MessageBase {
  readonly kind: 'preVoteRequest';
  readonly lastLog: EntryId;
}

export interface VoteRequest extends MessageBase {
  readonly kind: 'voteRequest';
  readonly lastLog: EntryId;
  /** A transfer ordered by the leader: exempt from leader stickiness (thesis §4.2.3). */
  readonly isTransfer: boolean;
}

export interface VoteResponse extends MessageBase {
  readonly kind: 'preVoteResponse' | 'voteResponse';
  readonly granted: boolean;
  /**
   * The voter's log is damaged: its grant says only that the candidate's log covers its watermark,
   * and counts only when every voter has answered and at least one intact member granted.
   */
  readonly damaged: boolean;
  /**
   * Damaged in that it lost its unsynced end: its grant says that the candidate's log covers what is
   * left of its own, and counts as little by itself.
   */
  readonly lostTail?: true;
}

/** Up to where a replica under repair must be durable, in this term or later, to be whole. */
export interface RepairTarget {
  readonly index: LogIndex;
  /** The life it is for: to another one it means nothing, as that may lack more. */
  readonly life: Incarnation;
}

export interface AppendRequest extends MessageBase {
  readonly kind: 'appendRequest';
  readonly prev: EntryId;
  readonly entries: readonly LogEntry[];
  readonly commit: LogIndex;
  /** To a replica under repair. */
  readonly repairTarget: RepairTarget | undefined;
}

export interface AppendResponse extends MessageBase {
  readonly kind: 'appendResponse';
  /** Echo of the request's prev.index, to tell a stale answer from a current one. */
  readonly prevIndex: LogIndex;
  readonly outcome:
    | { readonly ok: true; readonly match: LogIndex }
    /** hint: the follower's last entry that may still match (thesis §5.3, term-aware). */
    | { readonly ok: false; readonly hint: EntryId };
  /** The sender's log is damaged and not yet whole: it does not count in any quorum. */
  readonly repairing: boolean;
}

export interface HeartbeatRequest extends MessageBase {
  readonly kind: 'heartbeatRequest';
  /** Never above what the receiver is known to hold: the life of it that the leader has heard. */
  readonly commit: LogIndex;
  /** Latest read barrier round, 0 for none (thesis §6.4). */
  readonly readRound: number;
  readonly repairTarget: RepairTarget | undefined;
}

export interface HeartbeatResponse extends MessageBase {
  readonly kind: 'heartbeatResponse';
  readonly readRound: number;
  readonly repairing: boolean;
}

/**
 * The leader's last word before it falls silent: nothing is under way, everything is committed. Whoever
 * has exactly this log sleeps too and says nothing; anybody else answers with a wake request.
 */
export interface QuiesceRequest extends MessageBase {
  readonly kind: 'quiesceRequest';
  /** The last entry of the leader's log; committed, and acknowledged by the receiver. */
  readonly last: EntryId;
}

/** To a leader that may be asleep: this follower is not, and wants to hear it. */
export interface WakeRequest extends MessageBase {
  readonly kind: 'wakeRequest';
}

/** The leader's order to campaign at once (thesis §3.10). */
export interface TimeoutNow extends MessageBase {
  readonly kind: 'timeoutNow';
}

export type Message =
  | PreVoteRequest
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | HeartbeatRequest
  | HeartbeatResponse
  | QuiesceRequest
  | WakeRequest
  | TimeoutNow;

/** Entries and nothing else travel in bulk; all other messages are control and must not wait. */
export function isBulk(message: Message): boolean {
  return message.kind === 'appendRequest' && message.entries.length > 0;
}
