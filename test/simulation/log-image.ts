import { invariant } from '../../src/base/assert.js';
import { chainHash } from '../../src/base/chain-hash.js';
import { crc32c } from '../../src/base/crc32c.js';
import type { LogIndex, Term } from '../../src/model/ids.js';
import {
  ENTRY_KIND_CODES,
  originalLength,
  rewrittenEntry,
  type EntryId,
  type LogEntry,
  type RewrittenPayload,
} from '../../src/model/log-entry.js';

/** An entry with the hash of everything up to and with it: equal chains mean equal logs. */
export interface ChainedEntry {
  readonly entry: LogEntry;
  readonly chain: number;
}

/** Hash of a log that ends with `entry`, when the one before it hashes to `previous`. */
export function chainOf(previous: number, entry: LogEntry): number {
  return chainHash(previous, [
    entry.index,
    entry.term,
    ENTRY_KIND_CODES[entry.kind],
    entry.timeMs,
    originalLength(entry),
    entry.original?.crc ?? crc32c(entry.payload),
  ]);
}

const NOTHING: EntryId = { term: 0 as Term, index: 0 as LogIndex };

/**
 * A log as a list: what lies on a simulated disk, or what a replica has asked it to hold.
 * Invariant: items are contiguous and follow the base, the last entry that was cut off.
 */
export class LogImage {
  base: EntryId = NOTHING;
  baseChain = 0;
  items: ChainedEntry[] = [];

  get last(): EntryId {
    const item = this.items[this.items.length - 1];
    return item === undefined ? this.base : { term: item.entry.term, index: item.entry.index };
  }

  at(index: number): ChainedEntry | undefined {
    return this.items[index - this.base.index - 1];
  }

  /** The hash of the log up to and with `index`; undefined where this log does not know it. */
  chainAt(index: number): number | undefined {
    return index === this.base.index ? this.baseChain : this.at(index)?.chain;
  }

  termAt(index: number): Term | undefined {
    return index === this.base.index ? this.base.term : this.at(index)?.entry.term;
  }

  /** Copies the entries and chains them to what stands at prevIndex; changes nothing. */
  link(prevIndex: number, entries: readonly LogEntry[]): ChainedEntry[] {
    let chain = this.chainAt(prevIndex);
    invariant(chain !== undefined, 'an append follows what the log holds', {
      prevIndex,
      base: this.base.index,
      last: this.last.index,
    });
    return entries.map((given, at) => {
      invariant(given.index === prevIndex + 1 + at, 'an append is contiguous', {
        index: given.index,
        want: prevIndex + 1 + at,
      });
      const entry: LogEntry = { ...given, payload: Uint8Array.from(given.payload) };
      chain = chainOf(chain ?? 0, entry);
      return { entry, chain };
    });
  }

  /** Replaces everything after prevIndex. */
  replaceAfter(prevIndex: number, items: readonly ChainedEntry[]): void {
    const keep = prevIndex - this.base.index;
    invariant(keep >= 0, 'a truncation stays above the base', { prevIndex, base: this.base.index });
    this.items.length = Math.min(this.items.length, keep);
    invariant(this.items.length === keep, 'no gap in a log', { prevIndex, last: this.last.index });
    for (const item of items) this.items.push(item);
  }

  /** Puts other payloads in place; what is not here any more is left out. Chains stay. */
  rewrite(payloads: readonly RewrittenPayload[]): void {
    for (const { index, term, payload } of payloads) {
      const item = this.at(index);
      if (item === undefined) continue;
      invariant(item.entry.term === term, 'what is rewritten is in the log', { index });
      const entry = rewrittenEntry(item.entry, Uint8Array.from(payload), crc32c);
      this.items[index - this.base.index - 1] = { entry, chain: item.chain };
    }
  }

  dropThrough(last: EntryId): void {
    const chain = this.chainAt(last.index);
    invariant(chain !== undefined, 'a dropped prefix is in the log', { last: last.index });
    this.items = this.items.slice(last.index - this.base.index);
    this.base = last;
    this.baseChain = chain;
  }

  resetTo(last: EntryId, chain: number): void {
    this.items = [];
    this.base = last;
    this.baseChain = chain;
  }

  copy(): LogImage {
    const copy = new LogImage();
    copy.base = this.base;
    copy.baseChain = this.baseChain;
    copy.items = [...this.items];
    return copy;
  }
}
