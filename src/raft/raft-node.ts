import type { IndexRange, LogEntry } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';
import type { RaftConfig } from './config.js';
import type { Proposal, ProposeResult, RaftEvent, RaftInit, RaftStatus, Ready } from './io.js';

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
   * Entries from range.first on that are still in memory, up to range.next or bytesMax but at least
   * one; undefined if range.first is not in memory.
   */
  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined;
  recentBytes(): number;
  /** Drops applied and durable entries from memory until at most bytesMax remain. */
  trimRecent(bytesMax: number): void;
}

export type CreateRaftNode = (init: RaftInit, config: RaftConfig) => RaftNode;
