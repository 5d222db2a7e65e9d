import type { Consumer } from '../../src/client/index.js';
import { Prng } from '../../src/base/prng.js';

/** What a full read showed that must not be; empty when all is well. */
export interface ReadVerdict {
  readonly read: number;
  /** Acknowledged, and not there or not at its offset. */
  readonly lost: number;
  /** Changed, twice, never sent, refused as not appended, or with a hole before it. */
  readonly wrong: number;
  readonly examples: readonly string[];
}

const EXAMPLES_MAX = 5;

/**
 * Everything a run sent and what was answered. A value's bytes follow from its number, so that any
 * wrong byte shows, and any record says for itself which one it is.
 */
export class Ledger {
  readonly acked = new Map<number, number>();
  /** The client said that these were not appended. */
  readonly refused = new Set<number>();
  sent = 0;
  private readonly seed: number;
  private readonly valueBytes: number;

  constructor(options: { readonly seed: number; readonly valueBytes: number }) {
    this.seed = options.seed;
    this.valueBytes = options.valueBytes;
  }

  next(): { readonly id: number; readonly value: Uint8Array } {
    const id = this.sent;
    this.sent += 1;
    return { id, value: this.valueOf(id) };
  }

  /** Reads a partition from its beginning to its end and holds it against what was answered. */
  async judge(consumer: Consumer): Promise<ReadVerdict> {
    const offsetOf = new Map<number, number>();
    const examples: string[] = [];
    let wrong = 0;
    let lost = 0;
    let expectedOffset = 0;
    const note = (text: string): void => {
      if (examples.length < EXAMPLES_MAX) examples.push(text);
    };
    // What is answered while this reads need not be in it.
    const acked = [...this.acked];
    try {
      for await (const record of consumer) {
        const fault = this.faultOf(record.value ?? new Uint8Array(), offsetOf, record.offset);
        if (record.offset !== expectedOffset) {
          wrong += 1;
          note(`offset ${record.offset} follows ${expectedOffset - 1}`);
        }
        expectedOffset = record.offset + 1;
        if (fault === undefined) continue;
        wrong += 1;
        note(`offset ${record.offset}: ${fault}`);
      }
    } finally {
      await consumer.close();
    }
    for (const [id, offset] of acked) {
      if (offsetOf.get(id) === offset) continue;
      lost += 1;
      note(`record ${id}, acknowledged at ${offset}, is at ${offsetOf.get(id) ?? 'no offset'}`);
    }
    return { read: offsetOf.size, lost, wrong, examples };
  }

  private faultOf(
    value: Uint8Array,
    offsetOf: Map<number, number>,
    offset: number,
  ): string | undefined {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const id = bytes.length < ID_BYTES ? -1 : bytes.readUInt32BE(0);
    if (id < 0 || id >= this.sent) return 'was never sent';
    if (!bytes.equals(this.valueOf(id))) return `record ${id} has wrong bytes`;
    if (this.refused.has(id)) return `record ${id} was refused as not appended`;
    const before = offsetOf.get(id);
    if (before !== undefined) return `record ${id} was at ${before} already`;
    offsetOf.set(id, offset);
    return undefined;
  }

  private valueOf(id: number): Buffer {
    const value = Buffer.alloc(Math.max(ID_BYTES, this.valueBytes));
    const prng = new Prng(this.seed ^ Math.imul(id + 1, 0x9e37_79b1));
    for (let at = ID_BYTES; at + 4 <= value.length; at += 4) value.writeUInt32BE(prng.u32(), at);
    value.writeUInt32BE(id, 0);
    return value;
  }
}

const ID_BYTES = 4;
