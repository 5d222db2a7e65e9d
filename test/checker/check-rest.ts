import type { Call, Config, DumpLine } from './line.js';
import { linearizable, type ModelCall } from './linearizable.js';
import type { Sends } from './sends.js';
import type { Operation } from './session.js';
import type { Report } from './verdict.js';

/** What replicas must hold: C21 and C22. */
export class DumpChecks {
  private readonly sends: Sends;
  private readonly report: Report;
  private readonly dumps = new Map<string, DumpLine[]>();

  constructor(sends: Sends, report: Report) {
    this.sends = sends;
    this.report = report;
  }

  dumped(line: DumpLine): void {
    this.report.hasData('C21');
    this.report.hasData('C22');
    const dumps = this.dumps.get(line.k) ?? [];
    this.dumps.set(line.k, dumps);
    dumps.push(line);
    const key = this.sends.keyLog(line.k);
    for (const [offset] of line.rows) key.observe(offset);
  }

  finish(): void {
    for (const [name, dumps] of this.dumps) {
      const first = dumps[0];
      if (first === undefined) continue;
      for (const other of dumps.slice(1)) this.compare(name, first, other);
      for (const dump of dumps) this.checkRows(dump);
    }
  }

  private fail(dump: DumpLine, what: string): void {
    this.report.violation('C21', `${dump.k} on node ${dump.node}: ${what}`);
  }

  private compare(name: string, a: DumpLine, b: DumpLine): void {
    const isSame =
      a.start === b.start &&
      a.hw === b.hw &&
      a.chain === b.chain &&
      JSON.stringify(a.rows) === JSON.stringify(b.rows);
    if (!isSame) {
      this.report.violation('C21', `${name} differs on nodes ${a.node} and ${b.node}`);
    }
  }

  private checkRows(dump: DumpLine): void {
    const key = this.sends.keyLog(dump.k);
    const held = new Set<number>();
    for (const [offset, value, crc, epoch] of dump.rows) {
      if (held.has(offset)) this.fail(dump, `offset ${offset} has two rows`);
      held.add(offset);
      const isKnown = key.valueAt[offset] !== undefined;
      if (offset <= key.highestSeen && !isKnown && !key.control.has(offset)) {
        this.fail(dump, `offset ${offset} was neither acked nor polled`);
      }
      if (value === null) {
        if (!key.control.has(offset)) this.fail(dump, `offset ${offset} has no value`);
        continue;
      }
      const send = this.sends.get(value);
      if (send === undefined) this.fail(dump, `"${value}" at ${offset} was never sent`);
      if (send?.end === 'fail') {
        this.report.violation('C22', `"${value}" failed, but node ${dump.node} holds it`);
      }
      const known = key.valueAt[offset];
      if (known !== undefined && known !== value) {
        this.fail(dump, `offset ${offset} holds "${value}", clients know "${known}"`);
      }
      if (crc !== undefined && send?.crc !== undefined && crc !== send.crc) {
        this.fail(dump, `offset ${offset} has crc ${crc}, sent with ${send.crc}`);
      }
      const stamped = key.epochAt[offset];
      if (epoch !== undefined && stamped !== undefined && epoch !== stamped) {
        this.fail(dump, `offset ${offset} has epoch ${epoch}, clients know ${stamped}`);
      }
    }
    for (let offset = 0; offset < key.valueAt.length; offset += 1) {
      if (key.valueAt[offset] === undefined || held.has(offset)) continue;
      this.fail(dump, `offset ${offset}, which clients know, is missing`);
    }
  }
}

type TopicCall = Extract<Call, { readonly topic: string }>;
const ABSENT = 'null';

/** What topics' metadata must keep: C25. */
export class TopicChecks {
  private readonly report: Report;
  private readonly calls = new Map<string, ModelCall[]>();

  constructor(report: Report) {
    this.report = report;
  }

  completed(operation: Operation<TopicCall>): void {
    this.report.hasData('C25');
    const step = stepOf(operation);
    if (step === undefined) return;
    const { call, end, endedAt, invokedAt } = operation;
    const calls = this.calls.get(call.topic) ?? [];
    this.calls.set(call.topic, calls);
    const isKnown = end === 'ok' || end === 'fail';
    calls.push({
      from: invokedAt,
      to: isKnown ? endedAt : Number.POSITIVE_INFINITY,
      step,
      text: `${call.f} ended ${end ?? 'never'}`,
      effect: isKnown ? undefined : JSON.stringify(call),
    });
  }

  finish(): void {
    for (const [topic, calls] of this.calls) {
      const result = linearizable(calls, ABSENT);
      if (result.kind === 'yes') continue;
      const why = result.kind === 'no' ? result.at.text : 'could not be decided';
      this.report.violation('C25', `topic ${topic}: ${why}`);
    }
  }
}

interface TopicState {
  readonly partitions: number;
  readonly cfg: Config;
}

const encode = ({ partitions, cfg }: TopicState): string =>
  JSON.stringify([partitions, Object.entries(cfg).sort(([a], [b]) => (a < b ? -1 : 1))]);

function decode(state: string): TopicState {
  const [partitions, cfg] = JSON.parse(state) as [number, [string, unknown][]];
  return { partitions, cfg: Object.fromEntries(cfg) };
}

function withoutNulls(cfg: Config): Config {
  return Object.fromEntries(Object.entries(cfg).filter(([, value]) => value !== null));
}

/** What a topic call does to the topic; undefined if its answer says nothing. */
function stepOf(operation: Operation<TopicCall>): ModelCall['step'] | undefined {
  const { call, end, answer } = operation;
  if (end === 'fail') {
    if (answer.err === 'EXISTS') return (state) => (state === ABSENT ? undefined : state);
    if (answer.err === 'NOT_FOUND') return (state) => (state === ABSENT ? state : undefined);
    return undefined;
  }
  switch (call.f) {
    case 'topic-create': {
      const made = encode({ partitions: call.partitions, cfg: withoutNulls(call.cfg ?? {}) });
      return (state) => (state === ABSENT ? made : undefined);
    }
    case 'topic-delete':
      return (state) => (state === ABSENT ? undefined : ABSENT);
    case 'topic-config':
      return (state) => {
        if (state === ABSENT) return undefined;
        const { partitions, cfg } = decode(state);
        return encode({ partitions, cfg: withoutNulls({ ...cfg, ...call.cfg }) });
      };
    case 'topic-get':
      return end === 'ok' ? (state) => matches(state, operation) : undefined;
  }
}

function matches(state: string, operation: Operation<TopicCall>): string | undefined {
  const seen = operation.answer.state ?? null;
  if (seen === null || state === ABSENT)
    return seen === null && state === ABSENT ? state : undefined;
  const { cfg } = decode(state);
  const expected = encode({ partitions: seen.partitions, cfg: seen.cfg ?? cfg });
  return expected === state ? state : undefined;
}
