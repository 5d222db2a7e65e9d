import { invariant } from '../base/assert.js';
import { logIndex, type BrokerId, type LogIndex, type Term } from '../model/ids.js';
import type { EntryId, IndexRange, LogEntry, LogSlice } from '../model/log-entry.js';
import { decodeMembership, type Membership } from '../model/membership.js';
import { isVoter, sameMembership } from './conf-change.js';
import type { RaftInit, SnapshotMeta } from './io.js';
import { MembershipLog } from './membership-log.js';
import { RecentWindow } from './recent-window.js';
import { TermIndex } from './term-index.js';

/** A write under way, and the log's prefix that is durable once it and all before it are done. */
interface Outstanding {
  readonly ticket: number;
  attests: LogIndex;
}

/**
 * The log of one replica as its core knows it: terms and memberships of everything, the newest
 * entries in memory, and how far it is written, committed and applied.
 *
 *   snapshot.last ≤ applied ≤ handed ≤ commit ≤ last.index; durable ≤ last.index
 *
 * None of applied, handed and commit ever falls. `durable` falls with a truncation, as then do the
 * claims of the writes under way: a completion counts for what its ticket wrote and is still there
 * (RB07).
 */
export class RaftLog {
  private snapshotMeta: SnapshotMeta;
  private readonly terms: TermIndex;
  private readonly memberships: MembershipLog;
  private readonly window: RecentWindow;
  private lastEntryTimeMs: number;
  private commitIndex: LogIndex;
  private appliedIndex: LogIndex;
  /** Highest index given out to be applied. */
  private handedIndex: LogIndex;
  private durableIndex: LogIndex;
  /** First index not yet in any persist. */
  private stagedNext: LogIndex;
  private outstanding: Outstanding[] = [];
  /** A snapshot received whose persist has not been given out yet. */
  private pendingInstall: SnapshotMeta | undefined = undefined;
  /** Tickets of installs under way. */
  private installTicket = 0;
  private doneTicket = 0;

  constructor(init: RaftInit) {
    const { snapshot, last } = init;
    invariant(snapshot.last.index <= last.index, 'the snapshot is not beyond the log', { last });
    invariant(init.applied <= last.index, 'what was applied is in the log', {
      applied: init.applied,
      last,
    });
    this.snapshotMeta = snapshot;
    this.terms = new TermIndex(snapshot.last, init.termRuns, last);
    this.memberships = new MembershipLog(
      { index: snapshot.last.index, membership: snapshot.membership },
      init.memberships,
    );
    this.window = new RecentWindow(logIndex(last.index + 1));
    this.lastEntryTimeMs = init.lastTimeMs;
    this.commitIndex = logIndex(Math.max(snapshot.last.index, init.applied));
    this.appliedIndex = this.commitIndex;
    this.handedIndex = this.commitIndex;
    this.durableIndex = last.index;
    this.stagedNext = logIndex(last.index + 1);
  }

  get last(): EntryId {
    return this.terms.last;
  }
  get lastIndex(): LogIndex {
    return logIndex(this.window.next - 1);
  }
  get lastTimeMs(): number {
    return this.lastEntryTimeMs;
  }
  get commit(): LogIndex {
    return this.commitIndex;
  }
  get applied(): LogIndex {
    return this.appliedIndex;
  }
  get handed(): LogIndex {
    return this.handedIndex;
  }
  get durable(): LogIndex {
    return this.durableIndex;
  }
  get snapshot(): SnapshotMeta {
    return this.snapshotMeta;
  }
  /** The membership in force, and the index it stands at. */
  get membership(): Membership {
    return this.memberships.current.membership;
  }
  get membershipIndex(): LogIndex {
    return this.memberships.current.index;
  }
  get recentBytes(): number {
    return this.window.bytes;
  }
  get recentFirst(): LogIndex {
    return this.window.first;
  }
  get recentNext(): LogIndex {
    return this.window.next;
  }
  get isInstalling(): boolean {
    return this.pendingInstall !== undefined || this.installTicket > this.doneTicket;
  }
  get hasUnstaged(): boolean {
    return this.pendingInstall !== undefined || this.stagedNext < this.window.next;
  }
  get hasCommitted(): boolean {
    return this.handedIndex < this.commitIndex && !this.isInstalling;
  }
  get termRuns(): ReturnType<TermIndex['list']> {
    return this.terms.list();
  }

  /**
   * Whether the broker votes in the membership in force or in one that may yet come back. One whose
   * removal is not committed must still campaign: it may be the only one that can commit it
   * (thesis §4.2.2).
   */
  mayBeVoter(id: BrokerId): boolean {
    if (isVoter(this.membership, id)) return true;
    if (this.membershipIndex <= this.commitIndex) return false;
    return this.memberships
      .possibleAt(this.commitIndex)
      .some(({ membership }) => isVoter(membership, id));
  }

  /** undefined if the entry is not in the log: truncated away, or not yet there. */
  termAt(index: LogIndex): Term | undefined {
    return this.terms.termAt(index);
  }

  holds(id: EntryId): boolean {
    return this.terms.termAt(id.index) === id.term;
  }

  /** Where this log may still agree with one that has an entry of this term at this index. */
  lastAtMost(id: EntryId): EntryId {
    return this.terms.lastAtMost(id.index, id.term);
  }

  /** Whether a log that ends in `id` is at least as up to date as this one (thesis §3.6.1). */
  isCoveredBy(id: EntryId): boolean {
    return covers(id, this.terms.last);
  }

  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined {
    return this.window.slice(range, bytesMax);
  }

  /** True if the membership in force changed. */
  append(entries: readonly LogEntry[]): boolean {
    const membershipIndex = this.membershipIndex;
    for (const entry of entries) {
      this.terms.append(entry);
      this.window.push(entry);
      if (entry.kind === 'membership') {
        const membership = decodeMembership(entry.payload);
        this.memberships.append({ index: entry.index, membership });
      }
      this.lastEntryTimeMs = entry.timeMs;
    }
    return this.membershipIndex !== membershipIndex;
  }

  /**
   * Drops what conflicts with a newer leader. Entries up to the commit index are for ever; a request
   * to drop one is a bug somewhere, and stops the replica (RB02).
   */
  truncateAfter(index: LogIndex): void {
    invariant(index >= this.commitIndex, 'committed entries stay', {
      index,
      commit: this.commitIndex,
    });
    this.terms.truncateAfter(index);
    this.window.truncateAfter(index);
    this.memberships.truncateAfter(index);
    this.lowerDurable(index);
    if (this.stagedNext > index + 1) this.stagedNext = logIndex(index + 1);
  }

  /** False if it was committed already. */
  commitTo(index: LogIndex): boolean {
    if (index <= this.commitIndex) return false;
    invariant(index <= this.lastIndex, 'only what is in the log commits', {
      index,
      last: this.lastIndex,
    });
    this.commitIndex = index;
    return true;
  }

  /** What is to be applied next, once. */
  takeCommitted(): IndexRange | undefined {
    if (!this.hasCommitted) return undefined;
    const range = {
      first: logIndex(this.handedIndex + 1),
      next: logIndex(this.commitIndex + 1),
    };
    this.handedIndex = this.commitIndex;
    return range;
  }

  appliedTo(index: LogIndex): void {
    if (index <= this.appliedIndex) return;
    invariant(index <= this.handedIndex, 'only what was handed out is applied', {
      index,
      handed: this.handedIndex,
    });
    this.appliedIndex = index;
  }

  /** Entries that are applied and durable are on disk and need no memory. */
  trim(bytesMax: number, through = this.appliedIndex): void {
    const done = Math.min(through, this.appliedIndex, this.durableIndex, this.stagedNext - 1);
    this.window.trim(bytesMax, logIndex(done + 1));
  }

  /** What a persist with this ticket writes; it attests the whole log up to its own end. */
  stageInstall(ticket: number): SnapshotMeta | undefined {
    const install = this.pendingInstall;
    if (install === undefined) return undefined;
    this.pendingInstall = undefined;
    this.installTicket = ticket;
    this.outstanding.push({ ticket, attests: install.last.index });
    return install;
  }

  stageAppend(ticket: number): LogSlice | undefined {
    invariant(this.pendingInstall === undefined, 'an install goes before what follows it');
    this.outstanding.push({ ticket, attests: this.lastIndex });
    if (this.stagedNext >= this.window.next) return undefined;
    const prevIndex = logIndex(this.stagedNext - 1);
    const prevTerm = this.termAt(prevIndex);
    invariant(prevTerm !== undefined, 'writes are contiguous', { prevIndex });
    const entries = this.window.slice({ first: this.stagedNext, next: this.window.next }, Infinity);
    invariant(entries !== undefined, 'unwritten entries are in memory', { prevIndex });
    this.stagedNext = this.window.next;
    return { prev: { term: prevTerm, index: prevIndex }, entries };
  }

  /** This ticket's write, and all before it, is durable. Tickets rise. */
  persisted(ticket: number): void {
    this.doneTicket = ticket;
    let done = 0;
    for (const write of this.outstanding) {
      if (write.ticket > ticket) break;
      if (write.attests > this.durableIndex) this.durableIndex = write.attests;
      done++;
    }
    this.outstanding.splice(0, done);
    if (!this.isInstalling && this.appliedIndex < this.snapshotMeta.last.index) {
      this.appliedIndex = this.snapshotMeta.last.index;
    }
  }

  /** A received snapshot replaces everything. What was durable of the old log attests no more. */
  install(snapshot: SnapshotMeta): void {
    invariant(snapshot.last.index > this.commitIndex, 'a snapshot never goes back', {
      snapshot: snapshot.last,
      commit: this.commitIndex,
    });
    this.lowerDurable(this.commitIndex);
    this.snapshotMeta = snapshot;
    const next = logIndex(snapshot.last.index + 1);
    this.terms.reset(snapshot.last);
    this.memberships.reset({ index: snapshot.last.index, membership: snapshot.membership });
    this.window.reset(next);
    this.lastEntryTimeMs = snapshot.timeMs;
    this.stagedNext = next;
    this.commitIndex = snapshot.last.index;
    this.handedIndex = snapshot.last.index;
    this.pendingInstall = snapshot;
  }

  /** The store truncated its prefix up to and with snapshot.last. */
  movePrefix(snapshot: SnapshotMeta): void {
    const { last, membership } = snapshot;
    if (last.index <= this.snapshotMeta.last.index) return;
    invariant(last.index <= this.appliedIndex, 'only applied entries are truncated', {
      last,
      applied: this.appliedIndex,
    });
    const known = this.memberships.asOf(last.index);
    invariant(
      sameMembership(known, membership),
      'a snapshot carries the membership as of its last entry',
      { known, membership },
    );
    this.terms.moveBase(last);
    this.memberships.moveBase(last, membership);
    this.window.trim(-1, logIndex(last.index + 1));
    this.snapshotMeta = snapshot;
  }

  private lowerDurable(index: LogIndex): void {
    if (this.durableIndex > index) this.durableIndex = index;
    for (const write of this.outstanding) if (write.attests > index) write.attests = index;
  }
}

/** Whether a log that ends in `a` is at least as up to date as one that ends in `b`. */
export function covers(a: EntryId, b: EntryId): boolean {
  return a.term > b.term || (a.term === b.term && a.index >= b.index);
}
