import type { Crc32c } from '../base/crc32c.js';
import { logIndex, term, type LogIndex, type Term } from './ids.js';

/**
 * What an entry holds: a record batch (model/record-batch.ts), a replicated command of the group's
 * state machine, a Raft membership (model/membership.ts), or nothing (a new leader's first entry).
 */
export type EntryKind = 'batch' | 'command' | 'membership' | 'noop';

/** Codes on disk and on the wire; append-only. */
export const ENTRY_KIND_CODES = { batch: 1, command: 2, membership: 3, noop: 4 } as const;

export function entryKindOf(code: number): EntryKind | undefined {
  switch (code) {
    case 1:
      return 'batch';
    case 2:
      return 'command';
    case 3:
      return 'membership';
    case 4:
      return 'noop';
    default:
      return undefined;
  }
}

/** Identity of a slot's content: two logs that agree on it agree on everything before (thesis §3.5). */
export interface EntryId {
  readonly term: Term;
  readonly index: LogIndex;
}

/** What stands before the first entry of every log. */
export const NO_ENTRY: EntryId = { term: term(0), index: logIndex(0) };

export interface LogEntry extends EntryId {
  readonly kind: EntryKind;
  /** The leader's wall clock in ms, never below the previous entry's. */
  readonly timeMs: number;
  /** Shared with whoever holds the entry: never written to after the entry exists. */
  readonly payload: Uint8Array;
  /** Present where compaction has rewritten the payload since. */
  readonly original?: OriginalPayload | undefined;
}

/**
 * What a rewritten entry's payload was when it was appended. The header of the entry, and with it the
 * chain, speak of this one on every replica, whatever is left of it.
 */
export interface OriginalPayload {
  readonly length: number;
  /** CRC-32C. */
  readonly crc: number;
}

/** What takes the place of a stored entry's payload; the entry stays the same in every other way. */
export interface RewrittenPayload extends EntryId {
  readonly payload: Uint8Array;
}

/** The entry with another payload. One that was rewritten before still tells of its first one. */
export function rewrittenEntry(entry: LogEntry, payload: Uint8Array, crc32c: Crc32c): LogEntry {
  const original = entry.original ?? {
    length: entry.payload.length,
    crc: crc32c(entry.payload),
  };
  return { ...entry, payload, original };
}

/** Bytes of the payload as it was appended: what replicated state may depend on. */
export function originalLength(entry: LogEntry): number {
  return entry.original?.length ?? entry.payload.length;
}

/** Half-open: [first, next). */
export interface IndexRange {
  readonly first: LogIndex;
  readonly next: LogIndex;
}

/** A contiguous piece of one leader's log: entries[i].index === prev.index + 1 + i. */
export interface LogSlice {
  readonly prev: EntryId;
  readonly entries: readonly LogEntry[];
}

/** Bytes an entry counts for in windows and budgets: its payload and a header's worth. */
export function entryBytes(entry: LogEntry): number {
  return entry.payload.length + 48;
}
