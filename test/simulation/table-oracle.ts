import { BATCH_HEADER_BYTES, readBatchHeader } from '../../src/model/record-batch.js';
import type { GroupOracle } from './group-oracle.js';
import type { LogImage } from './log-image.js';
import { must } from './violation.js';
import { recordsOf } from '../support/records-of.js';

interface TableRecord {
  readonly key: string;
  /** Undefined: a tombstone. */
  readonly value: string | undefined;
  /** Offset of the next record with its key. */
  next: number | undefined;
}

/** A record as it was found. */
export interface FoundRecord {
  readonly offset: number;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/**
 * I29: what compaction may take from a partition, and what it must leave. Reads the truth off the
 * committed log as it was appended: a record is missing only below the bounds that were committed, and
 * only for a later one of its key below them, or as a tombstone that was given up; what is there stands
 * where it stood, with the bytes that it had.
 */
export class TableOracle {
  private readonly oracle: GroupOracle;
  private readonly records: TableRecord[] = [];
  private readonly lastOf = new Map<string, number>();
  private scanned = 0;
  private to = 0;
  private tombstonesBelow = 0;

  constructor(oracle: GroupOracle) {
    this.oracle = oracle;
  }

  /** Someone has applied these bounds. */
  bounded(to: number, tombstonesBelow: number): void {
    this.to = Math.max(this.to, to);
    this.tombstonesBelow = Math.max(this.tombstonesBelow, tombstonesBelow);
  }

  /** Everything in [from, next) that may not be missing was found, and nothing else. */
  holds(from: number, next: number, found: readonly FoundRecord[], where: object): void {
    this.scan();
    let at = from;
    for (const { offset, key, value } of found) {
      for (; at < offset; at += 1) this.mustBeDispensable(at, where);
      const known = this.records[offset];
      const facts = { ...where, group: this.oracle.group, offset, from, next };
      must(offset === at && offset < next, 'I29', 'a record comes out of order', facts);
      const isSame = key !== undefined && known?.key === textOf(key);
      must(isSame, 'I29', 'a record has another key than was written', facts);
      const text = value === undefined ? undefined : textOf(value);
      must(known.value === text, 'I29', 'a record has another value than was written', facts);
      at += 1;
    }
    for (; at < next; at += 1) this.mustBeDispensable(at, where);
  }

  /** The same of stored or fetched bytes: whole batches, which may have been rewritten. */
  holdsBatch(batch: Uint8Array, where: object): string {
    const header = readBatchHeader(batch);
    const found = [...recordsOf(header, batch.subarray(BATCH_HEADER_BYTES))];
    const { baseOffset, lastOffsetDelta } = header;
    this.holds(baseOffset, baseOffset + lastOffsetDelta + 1, found, where);
    return found.map(({ offset }) => offset).join(' ');
  }

  /** Offsets of the records that a replica has, all of them checked. */
  stored(log: LogImage, broker: number): string {
    const found: string[] = [];
    for (let index = log.base.index + 1; index <= log.last.index; index += 1) {
      const entry = log.at(index)?.entry;
      if (entry?.kind === 'batch') found.push(this.holdsBatch(entry.payload, { broker }));
    }
    return found.filter((text) => text !== '').join(' ');
  }

  /** The last value of every key that has one. */
  table(): Map<string, string> {
    this.scan();
    const table = new Map<string, string>();
    for (const [key, at] of this.lastOf) {
      const value = this.records[at]?.value;
      if (value !== undefined) table.set(key, value);
    }
    return table;
  }

  private mustBeDispensable(at: number, where: object): void {
    const { to, tombstonesBelow } = this;
    const record = this.records[at];
    const facts = { ...where, group: this.oracle.group, at, to, tombstonesBelow };
    must(record !== undefined && at < to, 'I29', 'a record is missing that stays', facts);
    const isSuperseded = record.next !== undefined && record.next < to;
    const isOldTombstone = record.value === undefined && at < tombstonesBelow;
    must(isSuperseded || isOldTombstone, 'I29', 'the last record of a key is missing', {
      ...{ ...facts, key: record.key, next: record.next },
    });
  }

  private scan(): void {
    const { committed } = this.oracle;
    for (; this.scanned < committed.length; this.scanned += 1) {
      const entry = committed[this.scanned]?.entry;
      if (entry?.kind !== 'batch') continue;
      const header = readBatchHeader(entry.payload);
      for (const { key, value } of recordsOf(header, entry.payload.subarray(BATCH_HEADER_BYTES))) {
        const name = key === undefined ? '' : textOf(key);
        const at = this.records.length;
        const before = this.records[this.lastOf.get(name) ?? -1];
        if (before !== undefined) before.next = at;
        this.lastOf.set(name, at);
        const text = value === undefined ? undefined : textOf(value);
        this.records.push({ key: name, value: text, next: undefined });
      }
    }
  }
}
