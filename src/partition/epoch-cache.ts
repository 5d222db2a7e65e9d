import { invariant } from '../base/assert.js';
import { MalformedBytesError, type ByteReader, type ByteWriter } from '../base/bytes.js';
import { lowerBound } from '../base/collections.js';
import { offset, term, type Offset, type Term } from '../model/ids.js';

/** Terms with records that are remembered; of older ones nothing is claimed. */
const EPOCHS_MAX = 4_096;

/**
 * Which leader epoch (Raft term) wrote which offsets: epoch -> its first offset, for every epoch that
 * wrote records (KIP-101). Owned by PartitionState.
 *
 * Invariant: epochs and start offsets both strictly rise.
 */
export class EpochCache {
  private epochs: Term[] = [];
  private starts: Offset[] = [];

  /** A batch of `epoch` starts at `start`. Epochs never fall along a log. */
  assign(epoch: Term, start: Offset): void {
    const last = this.epochs.at(-1);
    if (last === epoch) return;
    invariant(last === undefined || epoch > last, 'leader epoch falls', { epoch, last });
    this.epochs.push(epoch);
    this.starts.push(start);
    this.drop(this.epochs.length - EPOCHS_MAX);
  }

  /** The last that wrote a record; undefined: none is remembered. */
  get last(): Term | undefined {
    return this.epochs.at(-1);
  }

  /** The epoch that wrote `at`; undefined below what is remembered. */
  epochOf(at: Offset): Term | undefined {
    return this.epochs[lowerBound(this.starts.length, (i) => (this.starts[i] ?? 0) <= at) - 1];
  }

  /**
   * Where the records of `epoch` and of all before it end: a reader that was told `epoch` and is now
   * beyond this offset has read records that no longer exist.
   */
  endOffsetOf(epoch: number, logEnd: Offset): Offset {
    return (
      this.starts[lowerBound(this.epochs.length, (i) => (this.epochs[i] ?? 0) <= epoch)] ?? logEnd
    );
  }

  /** Forgets epochs that ended at or below `logStart`. */
  trimBefore(logStart: Offset): void {
    this.drop(lowerBound(this.starts.length, (i) => (this.starts[i] ?? 0) <= logStart) - 1);
  }

  /** Count, then (epoch, start) pairs as differences from the previous pair, all uvarint. */
  encode(w: ByteWriter): void {
    w.uvarint(this.epochs.length);
    let [epoch, start] = [0, 0];
    this.epochs.forEach((e, i) => {
      const s = this.starts[i] ?? 0;
      w.uvarint(e - epoch).uvarint(s - start);
      [epoch, start] = [e, s];
    });
  }

  static decode(r: ByteReader): EpochCache {
    const cache = new EpochCache();
    const count = r.uvarint();
    if (count > EPOCHS_MAX) throw new MalformedBytesError(`${count} leader epochs`);
    let [epoch, start] = [0, 0];
    for (let i = 0; i < count; i += 1) {
      epoch += r.uvarint();
      start += r.uvarint();
      cache.epochs.push(term(epoch));
      cache.starts.push(offset(start));
    }
    return cache;
  }

  /** The oldest; none if `count` is not positive. */
  private drop(count: number): void {
    this.epochs.splice(0, count);
    this.starts.splice(0, count);
  }
}
