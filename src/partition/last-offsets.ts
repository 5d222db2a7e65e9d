import { bytesEqual, MalformedBytesError } from '../base/bytes.js';
import { BrokerError } from '../model/errors.js';
import { offset, type Offset } from '../model/ids.js';
import { RecordTable } from '../model/record-table.js';
import {
  ATTRIBUTE_CODEC_MASK,
  BATCH_HEADER_BYTES,
  type RecordBatchHeader,
} from '../model/record-batch.js';
import { keyText } from './key-text.js';

/** A key has no record in the log. */
export const ABSENT = -1;

/** What an entry of the table takes beside its key: two words, a map's slot and a string's head. */
const ENTRY_BYTES = 64;

export interface LastOffsetsLimits {
  readonly keysMax: number;
  /** Estimated, keys and table together. */
  readonly bytesMax: number;
}

/** Below these, what is in the log no longer counts; both are replicated and never fall. */
export interface LogBounds {
  readonly logStartOffset: Offset;
  /** Tombstones below it may be gone from the log by compaction, on this replica or another. */
  readonly tombstonesBelow: Offset;
}

/** A record as the table sees it. */
export interface KeyedRecord {
  /** Its place in its batch. */
  readonly delta: number;
  readonly key: Uint8Array;
  readonly isTombstone: boolean;
}

/**
 * The last offset of each key of a log, as a pure function of the log: it does not matter in which order
 * stretches of it were noted, and whether compaction or retention had already taken away what no longer
 * counts.
 *
 * Invariant: never holds more than its limits; what had no room is told, and then the table is of no
 * use any more.
 */
export class LastOffsets {
  private readonly limits: LastOffsetsLimits;
  /** Of a tombstone its complement, which is negative. */
  private readonly offsets = new Map<string, number>();
  private bytesHeld = 0;

  constructor(limits: LastOffsetsLimits) {
    this.limits = limits;
  }

  get keys(): number {
    return this.offsets.size;
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return this.bytesHeld;
  }

  /** False: it is full. */
  note(key: Uint8Array, at: Offset, isTombstone: boolean): boolean {
    const text = keyText(key);
    const known = this.offsets.get(text);
    if (known === undefined) {
      const bytes = text.length + ENTRY_BYTES;
      const { keysMax, bytesMax } = this.limits;
      if (this.offsets.size >= keysMax || this.bytesHeld + bytes > bytesMax) return false;
      this.bytesHeld += bytes;
    } else if (at <= offsetOf(known)) return true;
    this.offsets.set(text, isTombstone ? ~at : at);
    return true;
  }

  /** {@link ABSENT} if nothing of the key counts any more. */
  lastOf(key: Uint8Array, bounds: LogBounds): Offset | typeof ABSENT {
    const known = this.offsets.get(keyText(key));
    return known !== undefined && counts(known, bounds) ? offset(offsetOf(known)) : ABSENT;
  }

  /** Forgets keys of which nothing counts any more. */
  prune(bounds: LogBounds): void {
    for (const [text, known] of this.offsets) {
      if (counts(known, bounds)) continue;
      this.offsets.delete(text);
      this.bytesHeld -= text.length + ENTRY_BYTES;
    }
  }
}

function offsetOf(known: number): number {
  return known < 0 ? -known - 1 : known;
}

function counts(known: number, { logStartOffset, tombstonesBelow }: LogBounds): boolean {
  const at = offsetOf(known);
  return at >= logStartOffset && (known >= 0 || at >= tombstonesBelow);
}

/** Throws INVALID_BATCH on a batch whose records cannot be read here. Records without a key are left out. */
export function keyedRecords(header: RecordBatchHeader, batch: Uint8Array): KeyedRecord[] {
  if ((header.attributes & ATTRIBUTE_CODEC_MASK) !== 0) {
    throw new BrokerError(
      'INVALID_BATCH',
      'the topic compares by key (compare.by.key), and takes no compressed batches: their keys cannot be seen',
    );
  }
  const records = tableOf(header, batch);
  const found: KeyedRecord[] = [];
  for (let i = 0; i < records.count; i += 1) {
    const key = records.key(i);
    if (key === undefined) continue;
    const delta = records.offset(i) - header.baseOffset;
    found.push({ delta, key, isTombstone: records.valueStart(i) < 0 });
  }
  return found;
}

function tableOf(header: RecordBatchHeader, batch: Uint8Array): RecordTable {
  try {
    return new RecordTable(header, batch.subarray(BATCH_HEADER_BYTES));
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause;
    throw new BrokerError('INVALID_BATCH', `invalid record batch: ${cause.message}`, {}, { cause });
  }
}

/** The key that all records of a batch have; undefined: they have several, or one has none. */
export function onlyKeyOf(
  { recordsCount }: RecordBatchHeader,
  records: readonly KeyedRecord[],
): Uint8Array | undefined {
  const first = records[0]?.key;
  if (first === undefined || records.length !== recordsCount) return undefined;
  return records.every(({ key }) => bytesEqual(key, first)) ? first : undefined;
}
