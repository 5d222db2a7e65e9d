import { invariant } from '../base/assert.js';
import { MalformedBytesError, type ByteReader, type ByteWriter } from '../base/bytes.js';
import { offset, type Offset } from '../model/ids.js';
import { SEQUENCE_LIMIT } from '../model/record-batch.js';

/** Batches remembered per producer: as many as a client may have in flight. */
export const REMEMBERED_BATCHES = 5;

/** What a batch header says about its producer. */
export interface ProducerStamp {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordsCount: number;
}

/** A batch that was appended, as a repetition of it is answered. */
export interface ProducerBatch {
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: Offset;
  /** The leader's time of the append. */
  readonly timeMs: number;
}

export interface ProducerLimits {
  readonly producersMax: number;
  /** Unused state goes after this. */
  readonly expiryMs: number;
}

/** Sequences count records and wrap from 2^31 - 1 to 0. */
export function lastSequenceOf(stamp: ProducerStamp): number {
  return (stamp.baseSequence + stamp.recordsCount - 1) % SEQUENCE_LIMIT;
}

export function nextSequence(lastSequence: number): number {
  return (lastSequence + 1) % SEQUENCE_LIMIT;
}

/** Throughout its epoch: the last batches, oldest first, at least one. */
export interface ProducerState {
  epoch: number;
  batches: ProducerBatch[];
}

/**
 * The applied half of idempotence: per producer its epoch and last five batches, a function of the
 * log's batch headers. Owned by PartitionState; read by {@link ProducerOverlay}.
 *
 * Invariants: never more than producersMax producers; the map's order is that of each producer's last
 * batch in the log (a restored table has it too, because it is encoded in this order), so that the
 * first one is always the longest unused.
 */
export class ProducerTable {
  private readonly limits: ProducerLimits;
  private readonly producers = new Map<number, ProducerState>();

  constructor(limits: ProducerLimits) {
    this.limits = limits;
  }

  get size(): number {
    return this.producers.size;
  }

  get producersMax(): number {
    return this.limits.producersMax;
  }

  get(producerId: number): ProducerState | undefined {
    return this.producers.get(producerId);
  }

  has(producerId: number): boolean {
    return this.producers.has(producerId);
  }

  /** Producers with their last batch, the longest unused first. */
  *byAge(): Generator<{ readonly producerId: number; readonly lastUsedMs: number }> {
    for (const [producerId, state] of this.producers) {
      yield { producerId, lastUsedMs: lastOf(state).timeMs };
    }
  }

  /**
   * Takes a committed batch in. What the leader validated is asserted again where the state still
   * tells: an expiry between validation and apply may have taken it away.
   */
  record(stamp: ProducerStamp, baseOffset: Offset, timeMs: number): void {
    const batch: ProducerBatch = {
      baseSequence: stamp.baseSequence,
      lastSequence: lastSequenceOf(stamp),
      baseOffset,
      timeMs,
    };
    const state = this.producers.get(stamp.producerId);
    if (state === undefined) {
      this.makeRoom();
      this.producers.set(stamp.producerId, { epoch: stamp.producerEpoch, batches: [batch] });
      return;
    }
    invariant(stamp.producerEpoch >= state.epoch, 'producer epoch falls', { ...stamp });
    if (stamp.producerEpoch === state.epoch) {
      const expected = nextSequence(lastOf(state).lastSequence);
      invariant(stamp.baseSequence === expected, 'producer sequence gap', { ...stamp, expected });
      state.batches.push(batch);
      if (state.batches.length > REMEMBERED_BATCHES) state.batches.shift();
    } else {
      state.epoch = stamp.producerEpoch;
      state.batches = [batch];
    }
    this.producers.delete(stamp.producerId);
    this.producers.set(stamp.producerId, state);
  }

  /** Forgets producers unused for longer than the expiry, by the leader's time. */
  expire(nowMs: number): void {
    for (const [producerId, state] of this.producers) {
      if (lastOf(state).timeMs >= nowMs - this.limits.expiryMs) return;
      this.producers.delete(producerId);
    }
  }

  /**
   * Count; then per producer, longest unused first: id, epoch, count of batches, and per batch first
   * and last sequence, base offset, time; all uvarint.
   */
  encode(w: ByteWriter): void {
    w.uvarint(this.producers.size);
    for (const [producerId, state] of this.producers) {
      w.uvarint(producerId).uvarint(state.epoch).uvarint(state.batches.length);
      for (const batch of state.batches) {
        w.uvarint(batch.baseSequence).uvarint(batch.lastSequence);
        w.uvarint(batch.baseOffset).uvarint(batch.timeMs);
      }
    }
  }

  static decode(r: ByteReader, limits: ProducerLimits): ProducerTable {
    const table = new ProducerTable(limits);
    const count = r.uvarint();
    for (let i = 0; i < count; i += 1) {
      const producerId = r.uvarint();
      const epoch = r.uvarint();
      const batches = decodeBatches(r);
      if (table.has(producerId)) throw new MalformedBytesError(`producer ${producerId} twice`);
      table.producers.set(producerId, { epoch, batches });
    }
    return table;
  }

  /** The leader accepts a new producer into a full table only if the first may go: so it may here. */
  private makeRoom(): void {
    if (this.producers.size < this.limits.producersMax) return;
    for (const producerId of this.producers.keys()) {
      this.producers.delete(producerId);
      return;
    }
  }
}

function decodeBatches(r: ByteReader): ProducerBatch[] {
  const count = r.uvarint();
  if (count < 1 || count > REMEMBERED_BATCHES) {
    throw new MalformedBytesError(`${count} batches of a producer`);
  }
  return Array.from({ length: count }, () => ({
    baseSequence: r.uvarint(),
    lastSequence: r.uvarint(),
    baseOffset: offset(r.uvarint()),
    timeMs: r.uvarint(),
  }));
}

function lastOf(state: ProducerState): ProducerBatch {
  const last = state.batches.at(-1);
  invariant(last !== undefined, 'a producer has a last batch');
  return last;
}
