import { LIMITS } from '../model/limits.js';
import type { LogIndex } from '../model/ids.js';

/**
 * Linearizable reads of one term of office (ReadIndex, thesis §6.4): a read is safe at the commit
 * index of its arrival once a quorum confirmed, in a round begun later, that this is the leader.
 * Owned by Leader.
 *
 * Invariants: rounds ascend; a barrier belongs to a round not yet begun when it arrived, so that an
 * answer to an earlier round never confirms it (RB48).
 */
export class ReadBarriers {
  /** Waiting for the first commit of the own term, which makes the commit index true. */
  private early: number[] = [];
  private pending: { readonly token: number; readonly index: LogIndex; readonly round: number }[] =
    [];
  private lastRound = 0;
  private isRoundWanted = false;

  get count(): number {
    return this.early.length + this.pending.length;
  }

  /** The round that heartbeats carry: 0 if nobody waits. */
  get round(): number {
    return this.pending.length > 0 ? this.lastRound : 0;
  }

  get lastRoundBegun(): number {
    return this.lastRound;
  }

  get wantsRound(): boolean {
    return this.isRoundWanted;
  }

  /** False if too many wait already. `commit` is undefined before a commit of the own term. */
  add(token: number, commit: LogIndex | undefined): boolean {
    if (this.count >= LIMITS.fetchWaitersMax) return false;
    if (commit === undefined) {
      this.early.push(token);
      return true;
    }
    this.pending.push({ token, index: commit, round: this.lastRound + 1 });
    this.isRoundWanted = true;
    return true;
  }

  /** The own term committed: those who waited for it get their index now. */
  admitEarly(commit: LogIndex): void {
    const tokens = this.early;
    this.early = [];
    for (const token of tokens) this.add(token, commit);
  }

  beginRound(): number {
    this.lastRound++;
    this.isRoundWanted = false;
    return this.lastRound;
  }

  /** A quorum confirmed the leader in this round. */
  confirmed(round: number): { readonly token: number; readonly index: LogIndex }[] {
    let count = 0;
    for (const barrier of this.pending) {
      if (barrier.round > Math.min(round, this.lastRound)) break;
      count++;
    }
    return this.pending.splice(0, count).map(({ token, index }) => ({ token, index }));
  }

  /** Everybody who waits, for the leader steps down. */
  drain(): number[] {
    const tokens = [...this.early, ...this.pending.map((barrier) => barrier.token)];
    this.early = [];
    this.pending = [];
    return tokens;
  }
}
