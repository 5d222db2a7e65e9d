import { topicOf, type NemesisLine, type Row, type SubscribeCall } from './line.js';
import { quorumAck, type KeyLog, type Sends } from './sends.js';
import type { Operation } from './session.js';
import type { SendCall } from './line.js';
import type { Report } from './verdict.js';

const HEALED_WITHIN_US = 10_000_000;
const DRAINED_WITHIN_US = 60_000_000;

/** A time without an acknowledged write of one key. */
interface WriteGap {
  readonly from: number;
  readonly to: number;
}

interface KeyWrites {
  inFlight: number;
  /** When the gap that is open now began; undefined before the first ack or while idle. */
  gapFrom: number | undefined;
  /** An ack came while nothing else was in flight: the gap begins with the next send. */
  isIdle: boolean;
  readonly gaps: WriteGap[];
  firstAckAfterHeal: number | undefined;
  hasSendAfterHeal: boolean;
}

/** A group that reads from the beginning, and what it has polled. */
interface GroupReads {
  readonly topics: Set<string>;
  readonly polled: Map<KeyLog, number[]>;
}

/** What faults may cost: C23 (everything goes on after them) and C24 (how long writes stop). */
export class LivenessChecks {
  private readonly sends: Sends;
  private readonly report: Report;
  private readonly phaseAt: ReadonlyMap<string, number>;
  private readonly writes = new Map<KeyLog, KeyWrites>();
  private readonly nemeses: NemesisLine[] = [];
  private readonly groups = new Map<string, GroupReads>();
  private readonly groupOf = new Map<number, string>();
  /** Keys each final reader assigned from the beginning after drain. */
  private readonly finalReaders = new Map<number, Set<string>>();
  private readonly finalPolled = new Map<KeyLog, number[]>();
  private readonly finalAssigned = new Set<string>();

  constructor(sends: Sends, report: Report, phaseAt: ReadonlyMap<string, number>) {
    this.sends = sends;
    this.report = report;
    this.phaseAt = phaseAt;
  }

  nemesis(line: NemesisLine): void {
    this.nemeses.push(line);
  }

  sendInvoked(keyName: string, at: number): void {
    const writes = this.writesOf(this.sends.keyLog(keyName));
    writes.inFlight += 1;
    if (this.phaseAt.has('heal')) writes.hasSendAfterHeal = true;
    if (!writes.isIdle) return;
    writes.isIdle = false;
    writes.gapFrom = at;
  }

  sendCompleted(operation: Operation<SendCall>): void {
    const writes = this.writesOf(this.sends.keyLog(operation.call.k));
    writes.inFlight -= 1;
    if (quorumAck(operation) === undefined) return;
    const at = operation.endedAt;
    if (writes.gapFrom !== undefined) writes.gaps.push({ from: writes.gapFrom, to: at });
    writes.isIdle = writes.inFlight === 0;
    writes.gapFrom = writes.isIdle ? undefined : at;
    if (this.phaseAt.has('heal')) writes.firstAckAfterHeal ??= at;
  }

  assigned(p: number, keys: readonly string[], fromBeginning: readonly string[]): void {
    if (!this.phaseAt.has('drain')) return;
    const already = this.finalReaders.get(p) ?? new Set();
    const kept = keys.filter((k) => already.has(k) || fromBeginning.includes(k));
    this.finalReaders.set(p, new Set(kept));
  }

  subscribed(p: number, call: SubscribeCall): void {
    if (call.reset === 'end') return;
    const group = this.groups.get(call.g) ?? { topics: new Set(), polled: new Map() };
    for (const topic of call.v) group.topics.add(topic);
    this.groups.set(call.g, group);
    this.groupOf.set(p, call.g);
  }

  polled(p: number, at: number, recs: Readonly<Record<string, readonly Row[]>>): void {
    const limit = (this.phaseAt.get('drain') ?? Number.POSITIVE_INFINITY) + DRAINED_WITHIN_US;
    const final = this.finalReaders.get(p);
    const group = this.groups.get(this.groupOf.get(p) ?? '');
    for (const name in recs) {
      const rows = recs[name];
      if (rows === undefined || rows.length === 0) continue;
      const key = this.sends.keyLog(name);
      if (final?.has(name) === true) {
        this.finalAssigned.add(name);
        if (at <= limit) markAll(this.finalPolled, key, rows);
      }
      if (group !== undefined && at <= limit) markAll(group.polled, key, rows);
    }
  }

  finish(): void {
    this.report.hasData('C23');
    const healed = this.phaseAt.get('heal') ?? 0;
    for (const [key, writes] of this.writes) {
      this.closeGap(writes);
      const first = writes.firstAckAfterHeal;
      if (first === undefined || first > healed + HEALED_WITHIN_US) {
        this.report.violation('C23', `${key.name} had no ok send within 10 s after heal`);
      }
      this.checkDrained(key);
    }
    if (this.nemeses.some((line) => line.v.limitMs !== undefined)) this.checkGaps();
  }

  /** What makes a run too thin to judge: a key without load after heal, or without a final read. */
  thinness(): string | undefined {
    for (const [key, writes] of this.writes) {
      if (!writes.hasSendAfterHeal) return `${key.name} has no load after heal`;
      const hasFinal = [...this.finalReaders.values()].some((keys) => keys.has(key.name));
      if (!hasFinal) return `${key.name} has no final read from the beginning`;
    }
    return undefined;
  }

  /** Longest write gap that touches the faults, in ms. */
  gapMaxMs(): number {
    const first = this.nemeses[0];
    if (first === undefined) return 0;
    let longest = 0;
    for (const writes of this.writes.values()) {
      for (const gap of writes.gaps) {
        longest = Math.max(longest, gap.to - Math.max(gap.from, first.t));
      }
    }
    return longest / 1_000;
  }

  private writesOf(key: KeyLog): KeyWrites {
    let writes = this.writes.get(key);
    if (writes === undefined) {
      writes = {
        inFlight: 0,
        gapFrom: undefined,
        isIdle: false,
        gaps: [],
        firstAckAfterHeal: undefined,
        hasSendAfterHeal: false,
      };
      this.writes.set(key, writes);
    }
    return writes;
  }

  /** A gap that nothing ended lasts until drain. */
  private closeGap(writes: KeyWrites): void {
    const drain = this.phaseAt.get('drain') ?? 0;
    if (writes.gapFrom !== undefined && writes.gapFrom < drain) {
      writes.gaps.push({ from: writes.gapFrom, to: drain });
    }
    writes.gapFrom = undefined;
  }

  private checkDrained(key: KeyLog): void {
    let highest: number | undefined;
    for (const send of key.sends) {
      const { ackOffset } = send;
      if (ackOffset === undefined || !key.isSeen(ackOffset)) continue;
      if (highest === undefined || ackOffset > highest) highest = ackOffset;
    }
    if (highest === undefined) return;
    if (this.finalPolled.get(key)?.[highest] !== 1) {
      this.report.violation(
        'C23',
        `${key.name}: no reader from the beginning reached offset ${highest} within 60 s of drain`,
      );
    }
    for (const [name, group] of this.groups) {
      if (!group.topics.has(topicOf(key.name))) continue;
      if (group.polled.get(key)?.[highest] === 1) continue;
      this.report.violation(
        'C23',
        `group ${name} did not reach ${key.name} offset ${highest} within 60 s of drain`,
      );
    }
  }

  private checkGaps(): void {
    this.report.hasData('C24');
    const drain = this.phaseAt.get('drain') ?? 0;
    for (const [at, line] of this.nemeses.entries()) {
      const { limitMs, kind } = line.v;
      if (limitMs === undefined) continue;
      const until = this.nemeses[at + 1]?.t ?? drain;
      for (const [key, writes] of this.writes) {
        for (const gap of writes.gaps) {
          if (gap.to < line.t || gap.from > until) continue;
          const lasted = (gap.to - Math.max(gap.from, line.t)) / 1_000;
          if (lasted <= limitMs) continue;
          this.report.violation(
            'C24',
            `${key.name} took no writes for ${lasted} ms after ${kind}, ${limitMs} ms are allowed`,
          );
        }
      }
    }
  }
}

function markAll(into: Map<KeyLog, number[]>, key: KeyLog, rows: readonly Row[]): void {
  let marks = into.get(key);
  if (marks === undefined) {
    marks = [];
    into.set(key, marks);
  }
  for (const [offset] of rows) marks[offset] = 1;
}
