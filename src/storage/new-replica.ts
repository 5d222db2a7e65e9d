import { TERM_LIMIT, logIndex, term } from '../model/ids.js';
import { NO_ENTRY, type EntryId } from '../model/log-entry.js';
import { membersOf } from '../model/membership.js';
import type { ReplicaSpec } from '../ports/log-store.js';
import type { HardState } from '../raft/io.js';

/** More than any log holds. */
const EVERYTHING: EntryId = {
  term: term(TERM_LIMIT - 1),
  index: logIndex(Number.MAX_SAFE_INTEGER),
};

/**
 * What a replica begins with. A founder has promised nothing yet and votes at once. One that joins a group
 * later may follow another of the same broker that voted, acknowledged and was deleted: a member that
 * lags so far that it knows only that one would count this one's vote, given by an empty log, for its
 * own. So it begins as a damaged one that may have held anything: it votes for nobody and counts for
 * nothing until a leader has filled it up to where the group was when it came, the entries that took
 * the earlier one out included.
 */
export function beginningOf({ bootstrap }: ReplicaSpec): {
  readonly hardState: HardState;
  readonly lost: EntryId;
} {
  const isLate = membersOf(bootstrap).length === 0;
  return {
    hardState: { term: term(0), votedFor: undefined, needsRepair: isLate },
    lost: isLate ? EVERYTHING : NO_ENTRY,
  };
}
