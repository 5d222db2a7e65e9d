import { decodeMembership } from '../model/membership.js';
import { TERM_LIMIT } from '../model/ids.js';
import type { EntryId, LogEntry } from '../model/log-entry.js';
import type { SnapshotMeta } from './io.js';
import type { Message, RepairTarget } from './message.js';

/** Indexes above this are refused, so that adding to one never leaves the safe integers. */
const INDEX_LIMIT = 2 ** 52;

/**
 * Whether a correct peer could have sent this: terms below 2^31, safe indexes, contiguous entries
 * whose terms never descend nor pass the sender's. Anything else is refused, not obeyed
 * (CORRECTNESS.md 18).
 */
export function isPlausible(m: Message): boolean {
  if (!isTerm(m.term) || m.from === m.to) return false;
  switch (m.kind) {
    case 'preVoteRequest':
    case 'voteRequest':
      return isEntryId(m.lastLog) && m.lastLog.term < m.term;
    case 'appendRequest':
      if (m.term === 0) return false;
      return isIndex(m.commit) && isTarget(m.repairTarget) && areEntries(m.prev, m.entries, m.term);
    case 'appendResponse':
      if (!isIndex(m.prevIndex)) return false;
      return m.outcome.ok ? isIndex(m.outcome.match) : isEntryId(m.outcome.hint);
    case 'heartbeatRequest':
      if (m.term === 0) return false;
      return isIndex(m.commit) && isTarget(m.repairTarget) && Number.isSafeInteger(m.readRound);
    case 'heartbeatResponse':
      return Number.isSafeInteger(m.readRound);
    case 'quiesceRequest':
      return m.term > 0 && isEntryId(m.last) && m.last.term <= m.term;
    case 'preVoteResponse':
    case 'voteResponse':
    case 'wakeRequest':
    case 'timeoutNow':
      return true;
  }
}

export function isPlausibleSnapshot(term: number, snapshot: SnapshotMeta): boolean {
  return isTerm(term) && isEntryId(snapshot.last) && snapshot.last.term <= term;
}

function areEntries(prev: EntryId, entries: readonly LogEntry[], term: number): boolean {
  if (!isEntryId(prev)) return false;
  let before = prev;
  for (const entry of entries) {
    if (entry.index !== before.index + 1 || !isIndex(entry.index)) return false;
    if (!isTerm(entry.term) || entry.term < before.term) return false;
    if (entry.kind === 'membership' && !isMembership(entry.payload)) return false;
    before = entry;
  }
  return before.term <= term;
}

function isMembership(payload: Uint8Array): boolean {
  try {
    return decodeMembership(payload).voters.length > 0;
  } catch {
    return false;
  }
}

function isEntryId(id: EntryId): boolean {
  return isTerm(id.term) && isIndex(id.index);
}

function isTerm(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < TERM_LIMIT;
}

function isIndex(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < INDEX_LIMIT;
}

function isTarget(target: RepairTarget | undefined): boolean {
  return target === undefined || isIndex(target.index);
}
