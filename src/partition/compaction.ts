import type { Crc32c } from '../base/crc32c.js';
import { MalformedBytesError } from '../base/bytes.js';
import { offset, type Offset } from '../model/ids.js';
import {
  ATTRIBUTE_CODEC_MASK,
  BATCH_HEADER_BYTES,
  readBatchHeader,
  withRecords,
  type RecordBatchHeader,
} from '../model/record-batch.js';
import { RecordTable } from '../model/record-table.js';
import type { StoredRecord } from '../model/record.js';
import type { CompactionBounds } from './command.js';
import { keyText } from './key-text.js';

/*
 * A log compacted to {to, tombstonesBelow} has, below `to`, only the last record of each key among
 * those below `to`; no record without a key; and below `tombstonesBelow` no record without a value.
 * What is left keeps its offset, its time and its place.
 *
 * Whether a record stays depends on later records alone. So a log may get there in any number of
 * steps, each of which looks at a stretch of keys and removes what that supersedes, and may lose its
 * beginning meanwhile: what it holds in the end is the same. Only tombstones ask for care: while one
 * goes, everything it supersedes must be gone already, in every log that may go on from this one.
 */

export interface KeyTableLimits {
  readonly bytesMax: number;
  readonly recordsMax: number;
}

/** What a key costs besides its own bytes, roughly. */
const KEY_OVERHEAD_BYTES = 80;

/**
 * The last offset of every key in a stretch of the log. Keys are told apart by all of their bytes.
 * Takes at least one record, then as many as its limits allow.
 */
export class KeyTable {
  private readonly limits: KeyTableLimits;
  private readonly offsets = new Map<string, Offset>();
  private bytes = 0;
  private records = 0;

  constructor(limits: KeyTableLimits) {
    this.limits = limits;
  }

  get size(): number {
    return this.offsets.size;
  }

  /** False if there is no room: the stretch ends before this record. */
  note(key: Uint8Array, at: Offset): boolean {
    const text = keyText(key);
    const bytes = this.offsets.has(text) ? 0 : key.length + KEY_OVERHEAD_BYTES;
    const isFull =
      this.records >= this.limits.recordsMax || this.bytes + bytes > this.limits.bytesMax;
    if (isFull && this.records > 0) return false;
    this.offsets.set(text, at);
    this.bytes += bytes;
    this.records += 1;
    return true;
  }

  /** Of the key, as far as the table goes. */
  lastOf(key: Uint8Array): Offset | undefined {
    return this.offsets.get(keyText(key));
  }
}

/** One step of a compaction: keys of a stretch are known, everything up to its end is rewritten. */
export interface CompactionStep extends CompactionBounds {
  readonly keys: KeyTable;
}

export interface BatchRecords {
  readonly header: RecordBatchHeader;
  /** The records section, decompressed. */
  readonly records: Uint8Array;
}

/** The codec bits of a stored batch; 0: its records section can be read as it is. */
export function codecOfBatch(batch: Uint8Array): number {
  return readBatchHeader(batch).attributes & ATTRIBUTE_CODEC_MASK;
}

/** `records` is what its records section decompresses to; left out where it is not compressed. */
export function recordsOfBatch(batch: Uint8Array, records?: Uint8Array): BatchRecords {
  return {
    header: readBatchHeader(batch),
    records: records ?? batch.subarray(BATCH_HEADER_BYTES),
  };
}

/**
 * Takes note of the keys of a batch's records in [from, below). The offset of the first record that
 * had no room; undefined: all had. What cannot be read as records has no keys, on every replica.
 */
export function noteKeys(
  batch: BatchRecords,
  range: { readonly from: Offset; readonly below: Offset },
  keys: KeyTable,
): Offset | undefined {
  const all = tableOf(batch);
  if (all === undefined) return undefined;
  for (let i = all.indexFrom(range.from); i < all.count; i += 1) {
    const key = all.key(i);
    if (key === undefined) continue;
    const at = offset(all.offset(i));
    if (at >= range.below) return undefined;
    if (!keys.note(key, at)) return at;
  }
  return undefined;
}

/** What is left of a batch, and what is worth knowing about it. */
export interface CompactedBatch {
  /** The records that stay, one after another; undefined: all do. */
  readonly rest: { readonly count: number; readonly bytes: Uint8Array } | undefined;
  /** The first tombstone that stays. */
  readonly firstTombstone: Offset | undefined;
}

const UNTOUCHED: CompactedBatch = { rest: undefined, firstTombstone: undefined };

/** Which records of a batch stay. A batch that cannot be read stays as it is, on every replica. */
export function compactBatch(batch: BatchRecords, step: CompactionStep): CompactedBatch {
  const all = tableOf(batch);
  if (all === undefined) return UNTOUCHED;
  const kept: number[] = [];
  let length = 0;
  for (let i = 0; i < all.count; i += 1) {
    if (!stays(all.record(i), step)) continue;
    kept.push(i);
    length += all.end(i) - all.start(i);
  }
  const tombstone = kept.find((i) => all.valueStart(i) < 0);
  const firstTombstone = tombstone === undefined ? undefined : offset(all.offset(tombstone));
  if (kept.length === all.count) return { rest: undefined, firstTombstone };
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const i of kept) {
    bytes.set(all.bytes.subarray(all.start(i), all.end(i)), at);
    at += all.end(i) - all.start(i);
  }
  return { rest: { count: kept.length, bytes }, firstTombstone };
}

/** The stored batch with these records in place of its own. */
export function rebuildBatch(
  batch: Uint8Array,
  rest: { readonly count: number; readonly bytes: Uint8Array },
  options: {
    /** The same records compressed: taken if that makes them smaller. */
    readonly compressed?: { readonly codec: number; readonly bytes: Uint8Array } | undefined;
    readonly crc32c: Crc32c;
  },
): Uint8Array {
  const { compressed, crc32c } = options;
  const isSmaller = compressed !== undefined && compressed.bytes.length < rest.bytes.length;
  const stored = isSmaller ? compressed : { codec: 0, bytes: rest.bytes };
  return withRecords(batch, { count: rest.count, ...stored }, crc32c);
}

/** The first record without a key; undefined: all have one. Throws MalformedBytesError. */
export function firstKeyless(batch: BatchRecords): StoredRecord | undefined {
  const all = new RecordTable(batch.header, batch.records);
  for (let i = 0; i < all.count; i += 1) if (all.keyStart(i) < 0) return all.record(i);
  return undefined;
}

function stays(record: StoredRecord, step: CompactionStep): boolean {
  if (record.offset >= step.to) return true;
  if (record.key === undefined) return false;
  const last = step.keys.lastOf(record.key);
  if (last !== undefined && last > record.offset) return false;
  return record.value !== undefined || record.offset >= step.tombstonesBelow;
}

/** Undefined if it is malformed: producers may write what they like into topics of any other kind. */
function tableOf({ header, records }: BatchRecords): RecordTable | undefined {
  try {
    return new RecordTable(header, records);
  } catch (error) {
    if (error instanceof MalformedBytesError) return undefined;
    throw error;
  }
}
