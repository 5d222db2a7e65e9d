import { invariant } from '../base/assert.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import type { LogSlice } from '../model/log-entry.js';

/**
 * How far one log is written, beside what was given to be written: tells which entries can be read, and
 * for which a read has to wait. Owned by one store, which says what it is given and what it has done.
 *
 * Invariants: what is readable is durable and not about to be replaced; while something that was given
 * replaces what is there, everything from there on is pending.
 */
export class WriteFrontier {
  /** Last index once everything given is written. */
  private givenLast: LogIndex;
  /** Entries from here on wait for writes under way. */
  private pendingFrom: number;
  /** What a read may ask LevelDB for ends here. */
  private readableNext: number;
  /** Given jobs that replace what is there. */
  private replacing = 0;

  /** Everything up to `last` is written. */
  constructor(last: LogIndex) {
    this.givenLast = last;
    this.pendingFrom = last + 1;
    this.readableNext = last + 1;
  }

  isPending(index: number): boolean {
    return index >= this.pendingFrom;
  }

  isReadable(index: LogIndex): boolean {
    return index < this.readableNext;
  }

  /** As far as can be read, at most to `next`. */
  readableUpTo(next: number): LogIndex {
    return logIndex(Math.min(next, this.readableNext));
  }

  /** As far as can be read and nothing is pending, at most to `next`. */
  settledUpTo(next: number): LogIndex {
    return this.readableUpTo(Math.min(next, this.pendingFrom));
  }

  /** Entries to append were given; whether they replace what is there. */
  given({ prev, entries }: LogSlice): boolean {
    invariant(prev.index <= this.givenLast, 'an append leaves no gap', {
      prev: prev.index,
      last: this.givenLast,
    });
    const replaces = prev.index < this.givenLast;
    if (replaces) this.replacing += 1;
    this.pendingFrom = Math.min(this.pendingFrom, prev.index + 1);
    this.givenLast = logIndex(prev.index + entries.length);
    return replaces;
  }

  /** A snapshot that ends there was given, to replace everything. */
  givenInstall(last: LogIndex): void {
    this.replacing += 1;
    this.pendingFrom = 0;
    this.givenLast = last;
  }

  /** What a given job replaces above `last` is about to go. */
  cut(last: LogIndex): void {
    this.replacing -= 1;
    this.readableNext = last + 1;
  }

  /** Everything up to `last` is durable. */
  written(last: LogIndex): void {
    this.readableNext = last + 1;
    if (this.replacing === 0) this.pendingFrom = last + 1;
  }
}
