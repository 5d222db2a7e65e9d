import type { Offsets, SendCall } from './line.js';
import type { Operation } from './session.js';
import { offsetOf, quorumAck, type KeyLog, type Send, type Sends } from './sends.js';
import type { Report } from './verdict.js';

/** The two highest acked offsets of a key, of different processes. */
interface Acked {
  best: number;
  bestProcess: number;
  second: number;
}

/** Acks wait here until time moves on: what ended at the same microsecond is concurrent. */
interface FreshAck {
  readonly send: Send;
  readonly offset: number;
  readonly epoch: number | undefined;
}

/** Holes beyond this are counted, not listed. */
const MISSING_LISTED_MAX = 1_000_000;

/** Whether the send's answer named one epoch. */
const epochOf = (epoch: number | Offsets | undefined): number | undefined =>
  typeof epoch === 'number' ? epoch : undefined;

/** What writes must keep: C01 and C02 (their acks), C03, C04, C10, C13, C18 (acks), C19, C20. */
export class WriteChecks {
  private readonly sends: Sends;
  private readonly report: Report;
  private readonly acked = new Map<KeyLog, Acked>();
  private readonly epochNode = new Map<KeyLog, Map<number, number>>();
  private readonly epochFloor = new Map<KeyLog, number>();
  private readonly floors = new Map<Send, number>();
  private fresh: FreshAck[] = [];
  private freshAt = -1;

  constructor(sends: Sends, report: Report) {
    this.sends = sends;
    this.report = report;
  }

  invoked(call: SendCall, p: number, line: number, at: number): void {
    this.advance(at);
    const log = this.sends.keyLog(call.k);
    const acked = this.acked.get(log);
    const floor = acked === undefined ? -1 : acked.bestProcess === p ? acked.second : acked.best;
    const send = this.sends.add(call, p, line, at, floor);
    const epoch = this.epochFloor.get(log);
    if (epoch !== undefined) this.floors.set(send, epoch);
  }

  completed(operation: Operation<SendCall>): void {
    const send = this.sends.get(operation.call.v);
    if (send === undefined) return;
    this.advance(operation.endedAt);
    const offset = quorumAck(operation);
    send.end = offset === undefined && operation.end === 'ok' ? 'info' : operation.end;
    send.endedAt = operation.endedAt;
    const epochFloor = this.floors.get(send);
    this.floors.delete(send);
    if (offset === undefined) return;
    send.ackOffset = offset;
    send.key.observe(offset);
    const known = send.key.valueAt[offset];
    if (known === undefined) send.key.valueAt[offset] = send.value;
    else if (known !== send.value) this.twoValues(send.key, offset, known, send.value);
    if (send.polledOffset !== undefined && send.polledOffset !== offset) {
      this.twoOffsets(send, offset, send.polledOffset);
    }
    const epoch = epochOf(operation.answer.epoch);
    if (epoch !== undefined) this.checkEpoch(send, epoch, epochFloor, operation.answer.node);
    this.fresh.push({ send, offset, epoch });
  }

  twoValues(key: KeyLog, offset: number, a: string, b: string): void {
    this.report.violation('C01', `${key.name} offset ${offset} holds both "${a}" and "${b}"`);
  }

  twoOffsets(send: Send, a: number, b: number): void {
    this.report.violation('C02', `"${send.value}" stands at offsets ${a} and ${b}`);
  }

  /** Highest epoch acked on a key strictly before now; for C18. */
  epochBefore(key: KeyLog, at: number): number {
    this.advance(at);
    return this.epochFloor.get(key) ?? -1;
  }

  /** Highest offset acked on a key strictly before now; for C17. */
  ackedBefore(key: KeyLog, at: number): number {
    this.advance(at);
    return this.acked.get(key)?.best ?? -1;
  }

  finish(): void {
    const { report } = this;
    for (const id of ['C01', 'C02', 'C03', 'C04', 'C10', 'C13', 'C19'] as const) report.hasData(id);
    for (const send of this.sends.all()) {
      this.checkPolled(send);
      this.checkRealTime(send);
    }
    for (const key of this.sends.keys.values()) {
      this.checkSendOrder(key);
      this.checkDensity(key);
      this.checkStampedEpochs(key);
    }
    this.checkProducers();
  }

  /** Lets acks that ended before `at` count as before. */
  private advance(at: number): void {
    if (at === this.freshAt) return;
    this.freshAt = at;
    if (this.fresh.length === 0) return;
    for (const { send, offset, epoch } of this.fresh) {
      const { key, p } = send;
      const acked = this.acked.get(key) ?? { best: -1, bestProcess: -1, second: -1 };
      if (offset > acked.best) {
        if (acked.bestProcess !== p) acked.second = acked.best;
        acked.best = offset;
        acked.bestProcess = p;
      } else if (offset > acked.second && acked.bestProcess !== p) {
        acked.second = offset;
      }
      this.acked.set(key, acked);
      if (epoch !== undefined) {
        this.epochFloor.set(key, Math.max(epoch, this.epochFloor.get(key) ?? -1));
      }
    }
    this.fresh = [];
  }

  private checkEpoch(
    send: Send,
    epoch: number,
    floor: number | undefined,
    node: number | undefined,
  ): void {
    const { key } = send;
    this.report.hasData('C18');
    if (floor !== undefined && epoch < floor) {
      this.report.violation(
        'C18',
        `"${send.value}" was acked under epoch ${epoch} though ${floor} had acked before`,
      );
    }
    if (node === undefined) return;
    const nodes = this.epochNode.get(key) ?? new Map<number, number>();
    this.epochNode.set(key, nodes);
    const other = nodes.get(epoch);
    if (other === undefined) nodes.set(epoch, node);
    else if (other !== node) {
      this.report.violation(
        'C18',
        `${key.name} epoch ${epoch} was acked by nodes ${other} and ${node}`,
      );
    }
  }

  private checkPolled(send: Send): void {
    if (send.ackOffset === undefined || send.polledOffset !== undefined) return;
    const { key } = send;
    const facts = `"${send.value}" was acked at ${key.name} offset ${send.ackOffset}`;
    if (send.ackOffset < key.highestSeen) {
      this.report.violation('C03', `${facts} and lost: nobody polled it`);
    } else {
      this.report.violation('C04', `${facts} and never polled`);
    }
  }

  private checkRealTime(send: Send): void {
    const offset = offsetOf(send);
    if (offset === undefined || send.floor < offset) return;
    this.report.violation(
      'C13',
      `"${send.value}" got offset ${offset}, but offset ${send.floor} was acked before it was sent`,
    );
  }

  private checkSendOrder(key: KeyLog): void {
    const last = new Map<number, number>();
    for (const send of key.sends) {
      const offset = offsetOf(send);
      if (offset === undefined) continue;
      const before = last.get(send.p);
      if (before !== undefined && before >= offset) {
        this.report.violation(
          'C10',
          `process ${send.p} sent "${send.value}" to ${key.name} after offset ${before}: ${offset}`,
        );
      }
      last.set(send.p, Math.max(offset, before ?? -1));
    }
  }

  private checkDensity(key: KeyLog): void {
    const missing = key.highestObserved + 1 - key.lowestObserved - key.observedCount;
    if (missing > MISSING_LISTED_MAX) {
      this.report.violation('C19', `${key.name}: ${missing} offsets are missing`);
      return;
    }
    for (let offset = key.lowestObserved; offset < key.highestObserved; offset += 1) {
      if (key.observed[offset] === 1 || key.control.has(offset)) continue;
      this.report.violation('C19', `${key.name} offset ${offset} is missing`);
    }
  }

  private checkStampedEpochs(key: KeyLog): void {
    let highest = -1;
    for (let offset = 0; offset < key.epochAt.length; offset += 1) {
      const epoch = key.epochAt[offset];
      if (epoch === undefined) continue;
      this.report.hasData('C18');
      if (epoch < highest) {
        this.report.violation('C18', `${key.name} offset ${offset} falls to epoch ${epoch}`);
      }
      highest = Math.max(highest, epoch);
    }
  }

  private checkProducers(): void {
    const groups = new Map<string, Send[]>();
    for (const send of this.sends.all()) {
      if (send.producer === undefined) continue;
      this.report.hasData('C20');
      const { pid, pe } = send.producer;
      const name = `${pid} ${pe} ${send.key.name}`;
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [send]);
      else group.push(send);
    }
    for (const [name, group] of groups) this.checkProducer(name, group);
  }

  private checkProducer(name: string, group: Send[]): void {
    const sequence = (send: Send): number => send.producer?.seq ?? 0;
    group.sort((a, b) => sequence(a) - sequence(b));
    let highest = -1;
    for (const [at, send] of group.entries()) {
      const before = group[at - 1];
      const seq = sequence(send);
      if (before !== undefined && sequence(before) === seq) {
        this.report.violation(
          'C20',
          `producer ${name}: "${before.value}" and "${send.value}" share sequence ${seq}`,
        );
      }
      const offset = offsetOf(send);
      if (offset === undefined) continue;
      if (offset <= highest) {
        this.report.violation(
          'C20',
          `producer ${name}: sequence ${seq} has offset ${offset}, a lower one ${highest}`,
        );
      }
      highest = Math.max(highest, offset);
    }
  }
}
