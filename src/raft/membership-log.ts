import { invariant } from '../base/assert.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import type { EntryId } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';

export interface MembershipAt {
  readonly index: LogIndex;
  readonly membership: Membership;
}

/**
 * The memberships a log holds. The one in force is the last one in the log, committed or not
 * (thesis §4.1); truncation brings the one before it back. Owned by RaftLog.
 *
 * Invariant: indexes ascend; the first is the snapshot's.
 */
export class MembershipLog {
  private list: MembershipAt[];

  constructor(base: MembershipAt, above: readonly MembershipAt[]) {
    this.list = [base];
    for (const at of above) this.append(at);
  }

  get current(): MembershipAt {
    const at = this.list[this.list.length - 1];
    invariant(at !== undefined, 'there is always a membership');
    return at;
  }

  append(at: MembershipAt): void {
    invariant(at.index > this.current.index, 'memberships ascend', { index: at.index });
    this.list.push(at);
  }

  /** True if the membership in force changed. */
  truncateAfter(index: LogIndex): boolean {
    const before = this.list.length;
    while (this.list.length > 1 && this.current.index > index) this.list.pop();
    return this.list.length < before;
  }

  /** The one in force at an index not below the snapshot's. */
  asOf(index: LogIndex): Membership {
    const found = this.list.findLast((at) => at.index <= index);
    invariant(found !== undefined, 'there is a membership from the snapshot on', { index });
    return found.membership;
  }

  /** The one in force as of `commit`, and every later one: any of them may turn out to stand. */
  possibleAt(commit: LogIndex): readonly MembershipAt[] {
    const at = this.list.findLastIndex((item) => item.index <= commit);
    return this.list.slice(Math.max(at, 0));
  }

  moveBase(base: EntryId, membership: Membership): void {
    const above = this.list.filter((at) => at.index > base.index);
    this.list = [{ index: logIndex(base.index), membership }, ...above];
  }

  reset(base: MembershipAt): void {
    this.list = [base];
  }
}
