import { invariant } from '../base/assert.js';
import {
  lastSequenceOf,
  nextSequence,
  REMEMBERED_BATCHES,
  type ProducerBatch,
  type ProducerStamp,
  type ProducerTable,
} from './producer-state.js';

/** What the leader says to a batch of an idempotent producer (PROTOCOLS §2). */
export type ProducerVerdict<Token> =
  | { readonly kind: 'accept' }
  /** Appended and committed before: the original's place. */
  | { readonly kind: 'duplicate'; readonly batch: ProducerBatch }
  /** Appended before and still in flight: whatever becomes of the original. */
  | { readonly kind: 'inFlight'; readonly token: Token }
  | { readonly kind: 'fenced'; readonly epoch: number }
  | { readonly kind: 'unknownProducer' }
  | { readonly kind: 'outOfOrder'; readonly expected: number }
  /** The table is full of producers too young to be forgotten. */
  | { readonly kind: 'limit' };

interface PendingBatch<Token> {
  readonly epoch: number;
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly token: Token;
}

interface PendingProducer<Token> {
  /** Of the latest pending batch. */
  epoch: number;
  lastSequence: number;
  /** In log order; never empty. */
  readonly batches: PendingBatch<Token>[];
}

const ACCEPT = { kind: 'accept' } as const;
const UNKNOWN_PRODUCER = { kind: 'unknownProducer' } as const;
const LIMIT = { kind: 'limit' } as const;

/**
 * The leader's half of idempotence: batches appended but not applied, over the applied table. Dropped
 * whole when leadership ends (CORRECTNESS 28); a new leader starts with none, because it validates
 * only after it has applied everything before its own term.
 *
 * The token stands for an appended batch: a repetition of it waits for its outcome.
 */
export class ProducerOverlay<Token> {
  private readonly pending = new Map<number, PendingProducer<Token>>();

  check(
    table: ProducerTable,
    stamp: ProducerStamp,
    at: { readonly nowMs: number; readonly keptMs: number },
  ): ProducerVerdict<Token> {
    const pending = this.pending.get(stamp.producerId);
    const applied = table.get(stamp.producerId);
    const admit = (): ProducerVerdict<Token> =>
      pending !== undefined || this.hasRoom(table, stamp.producerId, at.nowMs - at.keptMs)
        ? ACCEPT
        : LIMIT;
    if (pending === undefined && applied === undefined) {
      return stamp.baseSequence === 0 ? admit() : UNKNOWN_PRODUCER;
    }
    const epoch = pending?.epoch ?? applied?.epoch ?? 0;
    if (stamp.producerEpoch < epoch) return { kind: 'fenced', epoch };
    if (stamp.producerEpoch > epoch) return stamp.baseSequence === 0 ? admit() : UNKNOWN_PRODUCER;
    const lastSequence = pending?.lastSequence ?? applied?.batches.at(-1)?.lastSequence;
    invariant(lastSequence !== undefined, 'a known producer has a last sequence');
    const expected = nextSequence(lastSequence);
    if (stamp.baseSequence === expected) return admit();
    return this.repetition(pending, applied, stamp) ?? { kind: 'outOfOrder', expected };
  }

  /** The batch was appended behind everything pending. */
  append(stamp: ProducerStamp, token: Token): void {
    const lastSequence = lastSequenceOf(stamp);
    const batch = {
      epoch: stamp.producerEpoch,
      baseSequence: stamp.baseSequence,
      lastSequence,
      token,
    };
    const pending = this.pending.get(stamp.producerId);
    if (pending === undefined) {
      this.pending.set(stamp.producerId, {
        epoch: stamp.producerEpoch,
        lastSequence,
        batches: [batch],
      });
      return;
    }
    pending.epoch = stamp.producerEpoch;
    pending.lastSequence = lastSequence;
    pending.batches.push(batch);
  }

  /** The producer's oldest pending batch was applied: the table has it now. */
  applied(producerId: number, token: Token): void {
    const pending = this.pending.get(producerId);
    const oldest = pending?.batches.shift();
    invariant(oldest?.token === token, 'batches are applied in the order of their append', {
      producerId,
    });
    if (pending?.batches.length === 0) this.pending.delete(producerId);
  }

  clear(): void {
    this.pending.clear();
  }

  private repetition(
    pending: PendingProducer<Token> | undefined,
    applied: { readonly epoch: number; readonly batches: readonly ProducerBatch[] } | undefined,
    stamp: ProducerStamp,
  ): ProducerVerdict<Token> | undefined {
    const lastSequence = lastSequenceOf(stamp);
    const isSame = (batch: { baseSequence: number; lastSequence: number }): boolean =>
      batch.baseSequence === stamp.baseSequence && batch.lastSequence === lastSequence;
    let looked = 0;
    const batches = pending?.batches ?? [];
    for (let i = batches.length - 1; i >= 0 && looked < REMEMBERED_BATCHES; i -= 1) {
      const batch = batches[i];
      looked += 1;
      if (batch?.epoch === stamp.producerEpoch && isSame(batch)) {
        return { kind: 'inFlight', token: batch.token };
      }
    }
    if (applied?.epoch !== stamp.producerEpoch) return undefined;
    for (let i = applied.batches.length - 1; i >= 0 && looked < REMEMBERED_BATCHES; i -= 1) {
      const batch = applied.batches[i];
      looked += 1;
      if (batch !== undefined && isSame(batch)) return { kind: 'duplicate', batch };
    }
    return undefined;
  }

  /**
   * Whether the table holds this producer along with everything pending, forgetting none but those
   * last used before `idleSinceMs` and not about to be used again. A known producer needs room, too:
   * its place may be the one that was counted on for a new producer before it came back.
   */
  private hasRoom(table: ProducerTable, producerId: number, idleSinceMs: number): boolean {
    if (table.size + this.pending.size < table.producersMax) return true;
    let missing = table.size - table.producersMax;
    if (!table.has(producerId)) missing += 1;
    for (const id of this.pending.keys()) if (!table.has(id)) missing += 1;
    if (missing <= 0) return true;
    for (const { producerId: id, lastUsedMs } of table.byAge()) {
      if (lastUsedMs >= idleSinceMs) return false;
      if (id === producerId || this.pending.has(id)) continue;
      missing -= 1;
      if (missing <= 0) return true;
    }
    return false;
  }
}
