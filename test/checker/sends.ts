import type { SendCall } from './line.js';
import type { Operation } from './session.js';

/** What is known of one send. */
export interface Send {
  readonly id: number;
  readonly key: KeyLog;
  readonly value: string;
  readonly p: number;
  readonly crc: string | undefined;
  readonly invokeLine: number;
  readonly invokedAt: number;
  /** `ok` with less than quorum acks counts as info. */
  end: 'ok' | 'fail' | 'info' | undefined;
  endedAt: number;
  ackOffset: number | undefined;
  polledOffset: number | undefined;
  readonly producer:
    { readonly pid: number; readonly pe: number; readonly seq: number } | undefined;
  /** Highest offset another process had been acked before this was invoked; -1 if none. */
  floor: number;
}

/** The offset of a send: its ack's, else, unless it failed, the one polls show. */
export function offsetOf(send: Send): number | undefined {
  if (send.ackOffset !== undefined) return send.ackOffset;
  return send.end === 'fail' ? undefined : send.polledOffset;
}

/** A wider stretch of offsets than any run has: walked by what is known instead. */
const WALK_MAX = 50_000_000;

/** What clients learned of one key's log, by offset. */
export class KeyLog {
  readonly name: string;
  /** Everything sent to this key, in the order of invocation. */
  readonly sends: Send[] = [];
  /** Value known at each offset (an index into Sends.values), from acks and polls. */
  readonly valueAt: (string | undefined)[] = [];
  /** 1 where a poll returned the offset. */
  readonly seen: number[] = [];
  readonly epochAt: (number | undefined)[] = [];
  readonly control = new Set<number>();
  /** Offsets that acks or dumps showed besides polls. */
  readonly observed: number[] = [];
  observedCount = 0;
  highestSeen = -1;
  highestObserved = -1;
  lowestObserved = Number.POSITIVE_INFINITY;
  highestEnd = 0;

  constructor(name: string) {
    this.name = name;
  }

  see(offset: number): void {
    this.seen[offset] = 1;
    if (offset > this.highestSeen) this.highestSeen = offset;
    this.observe(offset);
  }

  observe(offset: number): void {
    if (this.observed[offset] !== 1) this.observedCount += 1;
    this.observed[offset] = 1;
    if (offset > this.highestObserved) this.highestObserved = offset;
    if (offset < this.lowestObserved) this.lowestObserved = offset;
    if (offset >= this.highestEnd) this.highestEnd = offset + 1;
  }

  isSeen(offset: number): boolean {
    return this.seen[offset] === 1;
  }

  /** First seen offset in [from, to), or undefined. */
  seenIn(from: number, to: number): number | undefined {
    const end = Math.min(to, this.highestSeen + 1);
    if (end - from > WALK_MAX) {
      const known = Object.keys(this.seen).map(Number);
      return known.find((offset) => offset >= from && offset < end);
    }
    for (let offset = from; offset < end; offset += 1) {
      if (this.seen[offset] === 1) return offset;
    }
    return undefined;
  }
}

/** Every send and every key of a history. */
export class Sends {
  readonly keys = new Map<string, KeyLog>();
  private readonly byValue = new Map<string, Send>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  all(): Iterable<Send> {
    return this.byValue.values();
  }

  get(value: string): Send | undefined {
    return this.byValue.get(value);
  }

  keyLog(name: string): KeyLog {
    let log = this.keys.get(name);
    if (log === undefined) {
      log = new KeyLog(name);
      this.keys.set(name, log);
    }
    return log;
  }

  add(call: SendCall, p: number, line: number, at: number, floor: number): Send {
    const key = this.keyLog(call.k);
    const { pid, pe, seq } = call;
    const send: Send = {
      id: this.count++,
      key,
      value: call.v,
      p,
      crc: call.crc,
      invokeLine: line,
      invokedAt: at,
      end: undefined,
      endedAt: Number.POSITIVE_INFINITY,
      ackOffset: undefined,
      polledOffset: undefined,
      producer: pid === undefined || seq === undefined ? undefined : { pid, pe: pe ?? 0, seq },
      floor,
    };
    key.sends.push(send);
    this.byValue.set(call.v, send);
    return send;
  }
}

/** The offset an operation acknowledged with a quorum, if it did. */
export function quorumAck(operation: Operation<SendCall>): number | undefined {
  const { call, answer, end } = operation;
  if (end !== 'ok' || (call.acks ?? 'quorum') !== 'quorum') return undefined;
  return answer.off;
}
