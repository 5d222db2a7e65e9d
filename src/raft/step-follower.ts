import { invariant } from '../base/assert.js';
import { logIndex, term as toTerm, type BrokerId, type LogIndex, type Term } from '../model/ids.js';
import { mustAgree } from './commit-conflict.js';
import type { EntryId, LogEntry } from '../model/log-entry.js';
import type { SnapshotMeta } from './io.js';
import type {
  AppendRequest,
  AppendResponse,
  HeartbeatRequest,
  QuiesceRequest,
  RepairTarget,
} from './message.js';
import type { Replica } from './replica.js';

/**
 * What a replica does for the leader of its term: take entries, acknowledge them once durable, follow
 * the commit index, heal. Owned by RaftCore, which has checked the term and noted the leader.
 *
 * `verified` is the highest index known to equal the leader's log; it starts anew at the commit
 * index in each term. An acknowledgement names min(durable, verified), never more.
 */
export class Follower {
  private readonly replica: Replica;
  private term: Term = toTerm(0);
  private verified: LogIndex = logIndex(0);
  private acked: LogIndex = logIndex(0);
  /** Someone waits for what is verified to become durable. */
  private owed: { readonly to: BrokerId; readonly prevIndex: LogIndex } | undefined = undefined;
  /** Whole once durable and verified up to here; the highest this term's leader named. */
  private repairTarget: LogIndex | undefined = undefined;

  constructor(replica: Replica) {
    this.replica = replica;
  }

  get verifiedIndex(): LogIndex {
    return this.verified;
  }

  append(m: AppendRequest): void {
    const { log } = this.replica;
    this.enterTerm();
    this.noteRepairTarget(m.repairTarget);
    const { prev, entries } = aboveSnapshot(m, log.snapshot.last);
    if (!log.holds(prev)) {
      mustAgree(prev.index > log.commit, 'committed entries are the same everywhere', {
        prev,
        commit: log.commit,
      });
      this.refuse(m);
      return;
    }
    this.take(entries);
    const end = prev.index + entries.length;
    if (end > this.verified) this.verified = logIndex(end);
    this.follow(Math.min(m.commit, end));
    this.maybeEndRepair();
    this.owed = { to: m.from, prevIndex: m.prev.index };
    this.acknowledge();
  }

  heartbeat(m: HeartbeatRequest): void {
    const { replica } = this;
    this.enterTerm();
    this.noteRepairTarget(m.repairTarget);
    // The leader names only what this replica acknowledged in this term; but that may have been a life before.
    const isOfThisLife = !replica.needsRepair || this.isMeant(m.repairTarget);
    this.follow(Math.min(m.commit, isOfThisLife ? replica.log.lastIndex : this.verified));
    this.maybeEndRepair();
    replica.send({
      kind: 'heartbeatResponse',
      from: replica.self,
      to: m.from,
      term: replica.term,
      incarnation: replica.incarnation,
      readRound: m.readRound,
      repairing: replica.needsRepair,
    });
  }

  /**
   * The leader falls silent. Whether this replica may too: it has the leader's log to its end, and
   * durably; then all of it is committed. Otherwise the leader has to go on speaking.
   */
  mayQuiesce(m: QuiesceRequest): boolean {
    const { replica } = this;
    const { log } = replica;
    this.enterTerm();
    const isSame = log.lastIndex === m.last.index && log.last.term === m.last.term;
    const isWhole = Math.min(log.durable, this.verified) === m.last.index && !log.isInstalling;
    if (isSame && isWhole && !replica.needsRepair && replica.isHardStateDurable) {
      this.follow(m.last.index);
      return true;
    }
    const { self, term, incarnation } = replica;
    replica.send({ kind: 'wakeRequest', from: self, to: m.from, term, incarnation });
    return false;
  }

  /** A whole snapshot of the leader is at hand: install it unless the log already covers it. */
  snapshot(from: BrokerId, snapshot: SnapshotMeta, repairTarget: RepairTarget | undefined): void {
    const { log } = this.replica;
    this.enterTerm();
    this.noteRepairTarget(repairTarget);
    const { last } = snapshot;
    if (last.index > log.commit) {
      if (log.holds(last)) log.commitTo(last.index);
      else log.install(snapshot);
    }
    if (log.commit > this.verified) this.verified = log.commit;
    this.owed = { to: from, prevIndex: last.index };
    this.acknowledge();
  }

  persisted(): void {
    if (this.term !== this.replica.term) return;
    this.maybeEndRepair();
    this.acknowledge();
  }

  private enterTerm(): void {
    const { term, log } = this.replica;
    if (this.term === term) return;
    this.term = term;
    this.verified = log.commit;
    this.acked = logIndex(0);
    this.owed = undefined;
    this.repairTarget = undefined;
  }

  /** Appends what is missing; truncates only at a real conflict of terms (RB02). */
  private take(entries: readonly LogEntry[]): void {
    const { log } = this.replica;
    const fresh = entries.findIndex((entry) => !log.holds(entry));
    if (fresh < 0) return;
    const first = entries[fresh];
    invariant(first !== undefined, 'the entry found is there');
    if (first.index <= log.lastIndex) {
      mustAgree(first.index > log.commit, 'committed entries stay', {
        first: first.index,
        commit: log.commit,
      });
      invariant(first.index > this.verified, 'one leader never contradicts itself', {
        first: first.index,
        verified: this.verified,
      });
      log.truncateAfter(logIndex(first.index - 1));
    }
    log.append(fresh === 0 ? entries : entries.slice(fresh));
  }

  private follow(commit: number): void {
    this.replica.log.commitTo(logIndex(commit));
    if (this.replica.log.commit > this.verified) this.verified = this.replica.log.commit;
  }

  private refuse(m: AppendRequest): void {
    const { log } = this.replica;
    this.respond(m.from, m.prev.index, { ok: false, hint: log.lastAtMost(m.prev) });
  }

  /** Acknowledges what is durable, and waits for the rest. */
  private acknowledge(): void {
    if (this.owed === undefined) return;
    const { to, prevIndex } = this.owed;
    const match = logIndex(Math.min(this.replica.log.durable, this.verified));
    if (match === this.verified) this.owed = undefined;
    else if (match <= this.acked) return;
    this.acked = match;
    this.respond(to, prevIndex, { ok: true, match });
  }

  private respond(to: BrokerId, prevIndex: LogIndex, outcome: AppendResponse['outcome']): void {
    const { replica } = this;
    replica.send({
      kind: 'appendResponse',
      from: replica.self,
      to,
      term: replica.term,
      incarnation: replica.incarnation,
      prevIndex,
      outcome,
      repairing: replica.needsRepair,
    });
  }

  private isMeant(target: RepairTarget | undefined): target is RepairTarget {
    return target?.life === this.replica.incarnation;
  }

  private noteRepairTarget(target: RepairTarget | undefined): void {
    if (!this.replica.needsRepair || !this.isMeant(target)) return;
    if (target.index >= (this.repairTarget ?? 0)) this.repairTarget = target.index;
  }

  private maybeEndRepair(): void {
    const { replica } = this;
    if (!replica.needsRepair || this.repairTarget === undefined) return;
    const whole = Math.min(replica.log.durable, this.verified);
    if (whole >= this.repairTarget && !replica.log.isInstalling) replica.endRepair();
  }
}

/** Cuts off what the snapshot covers: it is committed, so the logs agree there. */
function aboveSnapshot(
  m: AppendRequest,
  last: EntryId,
): { readonly prev: EntryId; readonly entries: readonly LogEntry[] } {
  if (m.prev.index >= last.index) return m;
  const covered = Math.min(m.entries.length, last.index - m.prev.index);
  const same = m.entries[last.index - m.prev.index - 1];
  mustAgree((same?.term ?? last.term) === last.term, 'a snapshot is of committed entries', {
    snapshot: last,
    leaders: same?.term,
  });
  return { prev: last, entries: m.entries.slice(covered) };
}
