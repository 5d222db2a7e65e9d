import { BATCH_HEADER_BYTES, readBatchHeader } from '../../src/model/record-batch.js';
import { linearizable, type ModelCall } from '../checker/linearizable.js';
import { recordsOf } from '../support/records-of.js';
import type { GroupOracle } from './group-oracle.js';
import { must, Violation } from './violation.js';
import type { Micros } from './world.js';

/** A key without a record, as clients name it. */
export const ABSENT = -1;

/** One write by key: `expected` is undefined for one that takes the key's place whatever that is. */
export interface KeyedWrite {
  readonly id: number;
  readonly key: string;
  readonly expected: number | undefined;
  readonly count: number;
  readonly from: Micros;
}

type Outcome =
  | { readonly kind: 'ok'; readonly to: Micros; readonly offset: number }
  /** `last` is told where the refusal is for the expectation. */
  | { readonly kind: 'refused'; readonly to: Micros; readonly last: number | undefined }
  | { readonly kind: 'unknown' };

/** What stands in a record's value: which write it is of, and which record of that. */
export const valueOf = (write: number, at: number): string => `${write}:${at}`;

const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

/**
 * What clients were told who compare and append by key to one partition, held against its committed log
 * (I27): the log says which writes took effect, in which order, and so what became of those of which
 * nobody heard; and each key's last offset must be a register in the time of those who asked.
 */
export class KeyedOracle {
  appended = 0;
  refused = 0;
  unknown = 0;
  private readonly oracle: GroupOracle;
  private readonly writes: { readonly write: KeyedWrite; readonly outcome: Outcome }[] = [];

  constructor(oracle: GroupOracle) {
    this.oracle = oracle;
  }

  told(write: KeyedWrite, outcome: Outcome): void {
    const { expected, key } = write;
    if (outcome.kind === 'ok') this.appended += 1;
    else if (outcome.kind === 'unknown') this.unknown += 1;
    else if (outcome.last !== undefined) {
      this.refused += 1;
      const facts = { key, expected };
      must(outcome.last !== expected, 'I27', 'an expectation that holds is refused', facts);
    }
    this.writes.push({ write, outcome });
  }

  /** Throws if what was told cannot have happened. Every write has ended. */
  check(): void {
    const placeOf = this.readLog();
    const calls = new Map<string, ModelCall[]>();
    for (const { write, outcome } of this.writes) {
      const call = this.callOf(write, outcome, placeOf.get(write.id));
      if (call === undefined) continue;
      const ofKey = calls.get(write.key) ?? [];
      ofKey.push(call);
      calls.set(write.key, ofKey);
    }
    for (const [key, ofKey] of calls) {
      const result = linearizable(ofKey, String(ABSENT));
      if (result.kind === 'yes') continue;
      const at = result.kind === 'no' ? result.at.text : 'could not be decided';
      throw new Violation('I27', 'the last offset of a key is no register', { key, at });
    }
  }

  /** First offsets of the writes in the log; each stands there once, as a whole, where it may. */
  private readLog(): Map<number, number> {
    const writes = new Map(this.writes.map(({ write }) => [write.id, write]));
    const placeOf = new Map<number, number>();
    const lastOf = new Map<string, number>();
    let next = 0;
    for (const { entry } of this.oracle.committed) {
      if (entry.kind !== 'batch') continue;
      const header = readBatchHeader(entry.payload);
      for (const record of recordsOf(header, entry.payload.subarray(BATCH_HEADER_BYTES))) {
        const [id = -1, at = -1] = textOf(record.value).split(':').map(Number);
        const write = writes.get(id);
        const key = textOf(record.key);
        const facts = { offset: next, id, at, key, expected: write?.expected };
        must(write?.key === key, 'I27', 'a record stands under another key', facts);
        if (at === 0) {
          must(!placeOf.has(id), 'I27', 'a write stands in the log twice', facts);
          const last = lastOf.get(key) ?? ABSENT;
          const holds = write.expected === undefined || write.expected === last;
          must(holds, 'I27', 'a write by key is appended where it was not expected', {
            ...{ ...facts, last },
          });
          placeOf.set(id, next);
        } else must(placeOf.get(id) === next - at, 'I27', 'a write is torn apart', facts);
        lastOf.set(key, next);
        next += 1;
      }
    }
    return placeOf;
  }

  private callOf(
    { id, key, expected, count, from }: KeyedWrite,
    outcome: Outcome,
    place: number | undefined,
  ): ModelCall | undefined {
    const facts = { key, id, expected, place };
    if (outcome.kind === 'refused') {
      must(place === undefined, 'I27', 'a write that was refused is appended', facts);
      const { to, last } = outcome;
      if (last === undefined) return undefined;
      const step = (state: string): string | undefined =>
        state === String(last) ? state : undefined;
      return { from, to, step, text: `${String(expected)} is refused for ${last}` };
    }
    if (outcome.kind === 'ok') {
      must(place === outcome.offset, 'I27', 'a write is not where it was acknowledged', facts);
    }
    if (place === undefined) return undefined;
    const after = String(place + count - 1);
    const step = (state: string): string | undefined => {
      const holds = expected === undefined ? Number(state) < place : state === String(expected);
      return holds ? after : undefined;
    };
    const to = outcome.kind === 'ok' ? outcome.to : Number.POSITIVE_INFINITY;
    return { from, to, step, text: `append at ${place}, expecting ${String(expected)}` };
  }
}
