import { invariant } from '../base/assert.js';
import { ByteReader, ByteWriter } from '../base/bytes.js';
import { lowerBound } from '../base/collections.js';
import type { Crc32c } from '../base/crc32c.js';
import { incarnation, logIndex, raftGroupId } from '../model/ids.js';
import type { Incarnation, LogIndex, RaftGroupId, Term } from '../model/ids.js';
import type { EntryId, EntryKind } from '../model/log-entry.js';
import type { SnapshotMeta } from '../raft/io.js';
import type { EntryLinks } from './entry-codec.js';
import { seal, unseal } from './sealed.js';

export interface TermRun {
  readonly term: Term;
  readonly first: LogIndex;
}

/** Where a log ends: its last entry, that entry's chain and time. */
export interface LogTail {
  readonly last: EntryId;
  readonly chain: number;
  readonly timeMs: number;
}

/**
 * A log's small facts in memory: where it begins and ends, its runs of terms, where its membership
 * entries stand. Owned by one store.
 *
 * Invariants: runs ascend strictly in first index and term and cover (snapshot.last, tail.last];
 * membership indexes ascend strictly inside that range.
 */
export class LogMap {
  snapshot: SnapshotMeta;
  tail: LogTail;
  runs: TermRun[];
  memberships: LogIndex[];

  constructor(snapshot: SnapshotMeta) {
    this.snapshot = snapshot;
    this.tail = tailOf(snapshot);
    this.runs = [];
    this.memberships = [];
  }

  get first(): LogIndex {
    return logIndex(this.snapshot.last.index + 1);
  }

  /** Term of the entry at `index`; undefined outside [snapshot.last, tail.last]. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.snapshot.last.index) return this.snapshot.last.term;
    if (index < this.first || index > this.tail.last.index) return undefined;
    const at = lowerBound(this.runs.length, (i) => (this.runs[i]?.first ?? Infinity) <= index);
    return this.runs[at - 1]?.term;
  }

  /** Where the entry stands among the others: what is stored with it. */
  append(entry: EntryId & { readonly kind: EntryKind }, chain: number, timeMs: number): EntryLinks {
    const { last } = this.tail;
    invariant(entry.index === last.index + 1, 'appended entries are dense', {
      index: entry.index,
      last: last.index,
    });
    invariant(entry.term >= last.term, 'terms never fall along a log', { entry, last });
    const membershipBefore = this.memberships.at(-1) ?? logIndex(0);
    let run = this.runs.at(-1);
    if (run?.term !== entry.term) {
      run = { term: entry.term, first: entry.index };
      this.runs.push(run);
    }
    if (entry.kind === 'membership') this.memberships.push(entry.index);
    this.tail = { last: { term: entry.term, index: entry.index }, chain, timeMs };
    return { runFirst: run.first, membershipBefore };
  }

  /** Forgets everything above the new tail. */
  truncateTail(tail: LogTail): void {
    const { index } = tail.last;
    invariant(index >= this.snapshot.last.index, 'a snapshot is never truncated', { index });
    this.runs = this.runs.filter((run) => run.first <= index);
    this.memberships = this.memberships.filter((at) => at <= index);
    this.tail = tail;
  }

  /** Takes over what was found of a log that ends at `tail`. */
  restore(found: Pick<LogMap, 'runs' | 'memberships'>, tail: LogTail): void {
    this.tail = tail;
    this.runs = found.runs;
    this.memberships = found.memberships;
  }

  /** The prefix up to and with snapshot.last is now the snapshot's. */
  movePrefix(snapshot: SnapshotMeta): void {
    const first = snapshot.last.index + 1;
    invariant(first <= this.tail.last.index + 1, 'a prefix ends inside the log', { first });
    this.runs = this.runs
      .filter((_, i) => (this.runs[i + 1]?.first ?? Infinity) > first)
      .map((run) => (run.first < first ? { term: run.term, first: logIndex(first) } : run));
    if (first > this.tail.last.index) this.runs = [];
    this.memberships = this.memberships.filter((at) => at >= first);
    this.snapshot = snapshot;
  }
}

export function tailOf(snapshot: SnapshotMeta): LogTail {
  return { last: snapshot.last, chain: snapshot.chain, timeMs: snapshot.timeMs };
}

/** Which life of which replica a LevelDB belongs to; must agree with the state file. */
export interface GenerationIdentity {
  readonly groupId: RaftGroupId;
  readonly generation: number;
  readonly incarnation: Incarnation;
  /** The life before, of a log that went on after it had lost its tail: the state file may not know yet. */
  readonly was?: Incarnation;
}

/*
 * Identity value: sealed 'MRid', version u8 = 1, group id u64, generation u64, incarnation u64; with a
 * life before, version u8 = 2 and its incarnation u64 behind.
 */
const IDENTITY_MAGIC = 0x4d526964;

export function encodeGenerationIdentity(id: GenerationIdentity, crc32c: Crc32c): Uint8Array {
  const w = new ByteWriter(40).u8(id.was === undefined ? 1 : 2);
  w.u64(id.groupId).u64(id.generation).u64(id.incarnation);
  if (id.was !== undefined) w.u64(id.was);
  return seal(IDENTITY_MAGIC, w.finish(), crc32c);
}

/** undefined if damaged. */
export function decodeGenerationIdentity(
  bytes: Uint8Array,
  crc32c: Crc32c,
): GenerationIdentity | undefined {
  const body = unseal(IDENTITY_MAGIC, bytes, crc32c);
  const version = body?.[0];
  if (body === undefined || (version !== 1 && version !== 2)) return undefined;
  if (body.length !== (version === 1 ? 25 : 33)) return undefined;
  const r = new ByteReader(body.subarray(1));
  const id = {
    groupId: raftGroupId(r.u64()),
    generation: r.u64(),
    incarnation: incarnation(r.u64()),
  };
  return version === 1 ? id : { ...id, was: incarnation(r.u64()) };
}
