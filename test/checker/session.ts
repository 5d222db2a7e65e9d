import {
  PHASES,
  topicOf,
  type Answer,
  type Call,
  type CallName,
  type CompletionLine,
  type CompletionType,
  type EventLine,
  type InvokeLine,
  type Line,
  type Phase,
} from './line.js';
import { InvalidHistoryError } from './parse.js';

/** One call with its end. A call never completed has no end and counts as `info`. */
export interface Operation<C extends Call = Call> {
  readonly p: number;
  readonly call: C;
  readonly invokeLine: number;
  readonly invokedAt: number;
  readonly end: CompletionType | undefined;
  readonly endLine: number;
  readonly endedAt: number;
  readonly answer: Answer;
}

/** Hears the history in order, each call twice: when asked and when answered. */
export interface HistoryListener {
  invoked(line: InvokeLine): void;
  completed(operation: Operation): void;
  event(line: EventLine): void;
}

interface ProcessState {
  inFlight: InvokeLine | undefined;
  isDead: boolean;
  mode: 'none' | 'assigned' | 'subscribed';
  groups: Set<string>;
}

const SETTLE_US = 10_000_000;

/**
 * Pairs calls with their ends and refuses what the format forbids between lines: a process with two
 * calls at once, phases out of order, a value sent twice. Throws InvalidHistoryError.
 */
export class Session {
  readonly phaseAt = new Map<Phase, number>();
  private readonly listener: HistoryListener;
  private readonly processes = new Map<number, ProcessState>();
  private readonly sentTopics = new Set<string>();
  private readonly deletedTopics = new Set<string>();
  private readonly sentKeys = new Set<string>();
  private readonly ackedSinceHeal = new Set<string>();
  private readonly dumped = new Set<string>();
  private readonly values = new Set<string>();
  private lastTime = 0;
  private lines = 0;

  constructor(listener: HistoryListener) {
    this.listener = listener;
  }

  /** Lines taken so far; the next one's number. */
  get lineCount(): number {
    return this.lines;
  }

  take(line: Line): void {
    this.must(line.t >= this.lastTime, 't decreases');
    this.lastTime = line.t;
    const phase = this.phaseNow();
    if (phase === undefined) {
      this.must(line.f === 'phase' && line.v === 'start', 'the first line is phase start');
    }
    this.must(phase !== 'end', 'phase end is the last line');
    if ('type' in line) {
      if (line.type === 'invoke') this.invoke(line);
      else this.complete(line);
    } else {
      this.event(line);
    }
    this.lines += 1;
  }

  /** The history is over: every phase came, and what is in flight never completed. */
  finish(): void {
    this.must(this.phaseNow() === 'end', 'the last line is phase end');
    for (const state of this.processes.values()) {
      if (state.inFlight !== undefined) this.listener.completed(operationOf(state.inFlight));
    }
  }

  private phaseNow(): Phase | undefined {
    return PHASES[this.phaseAt.size - 1];
  }

  private must(holds: boolean, reason: string): asserts holds {
    if (!holds) throw new InvalidHistoryError(this.lines, reason);
  }

  private stateOf(p: number): ProcessState {
    let state = this.processes.get(p);
    if (state === undefined) {
      state = { inFlight: undefined, isDead: false, mode: 'none', groups: new Set() };
      this.processes.set(p, state);
    }
    this.must(!state.isDead, `process ${p} is used after info`);
    return state;
  }

  private invoke(line: InvokeLine): void {
    const state = this.stateOf(line.p);
    this.must(state.inFlight === undefined, `process ${line.p} has a call in flight`);
    state.inFlight = line;
    switch (line.f) {
      case 'send':
        this.invokeSend(line);
        break;
      case 'assign':
        this.must(state.mode !== 'subscribed', 'a process never both assigns and subscribes');
        state.mode = 'assigned';
        break;
      case 'subscribe':
        this.must(state.mode !== 'assigned', 'a process never both assigns and subscribes');
        state.mode = 'subscribed';
        state.groups.add(line.g);
        break;
      case 'poll':
        this.must(state.mode !== 'none', 'a process polls only after assign or subscribe');
        break;
      case 'commit':
        this.must(state.groups.has(line.g), 'only members commit');
        break;
      case 'topic-delete':
        this.must(!this.sentTopics.has(line.topic), 'a topic that receives sends is deleted');
        this.deletedTopics.add(line.topic);
        break;
      case 'committed':
      case 'topic-create':
      case 'topic-config':
      case 'topic-get':
    }
    this.listener.invoked(line);
  }

  private invokeSend(line: Extract<InvokeLine, { f: 'send' }>): void {
    const phase = this.phaseNow();
    this.must(phase !== 'drain', 'a send is invoked after drain');
    this.must(!this.values.has(line.v), `value "${line.v}" is sent twice`);
    this.values.add(line.v);
    if (this.sentKeys.has(line.k)) return;
    this.sentKeys.add(line.k);
    const topic = topicOf(line.k);
    this.must(!this.deletedTopics.has(topic), 'a topic that receives sends is deleted');
    this.sentTopics.add(topic);
  }

  private complete(line: CompletionLine): void {
    const state = this.stateOf(line.p);
    const { inFlight } = state;
    this.must(inFlight !== undefined, `process ${line.p} has no call in flight`);
    this.must(inFlight.f === line.f, `a ${line.f} ends a ${inFlight.f}`);
    this.checkRepeats(inFlight, line);
    if (line.type === 'ok') this.checkAnswer(inFlight, line);
    state.inFlight = undefined;
    if (line.type === 'info') {
      state.isDead = true;
      state.groups = new Set();
    }
    this.listener.completed(operationOf(inFlight, line));
  }

  private checkAnswer(call: InvokeLine, line: CompletionLine): void {
    if (call.f === 'send') {
      const isQuorum = (call.acks ?? 'quorum') === 'quorum';
      this.must(!isQuorum || line.off !== undefined, 'off is missing');
      if (this.phaseNow() === 'heal') this.ackedSinceHeal.add(call.k);
    }
    if (call.f === 'committed') {
      const answered = call.ks.every((k) => line.offs !== undefined && k in line.offs);
      this.must(answered, 'committed answers every key asked');
    }
  }

  /** A completion may repeat arguments, unchanged. */
  private checkRepeats(call: InvokeLine, line: CompletionLine): void {
    const asked = call as unknown as Record<string, unknown>;
    const told = line as unknown as Record<string, unknown>;
    for (const name in asked) {
      if (name === 'i' || name === 't' || name === 'type' || told[name] === undefined) continue;
      if (asked[name] === told[name]) continue;
      const isSame = JSON.stringify(asked[name]) === JSON.stringify(told[name]);
      this.must(isSame, `the completion changes ${name}`);
    }
  }

  private event(line: EventLine): void {
    const phase = this.phaseNow();
    switch (line.f) {
      case 'phase':
        this.must(line.v === PHASES[this.phaseAt.size], `phase ${line.v} is out of order`);
        this.must(line.v !== 'start' || line.format === 1, 'phase start has format 1');
        if (line.v === 'drain') this.checkDrain(line.t);
        this.phaseAt.set(line.v, line.t);
        break;
      case 'nemesis':
        this.must(phase === 'fault', 'a nemesis line lies between fault and heal');
        break;
      case 'rebalance': {
        const state = this.stateOf(line.p);
        this.must(state.groups.has(line.g), 'only members own partitions');
        break;
      }
      case 'dump': {
        this.must(phase === 'drain', 'a dump lies between drain and end');
        const name = `${line.node} ${line.k}`;
        this.must(!this.dumped.has(name), 'one dump per broker and key');
        this.dumped.add(name);
        break;
      }
      case 'control':
      case 'note':
    }
    this.listener.event(line);
  }

  private checkDrain(at: number): void {
    const hasSettled = at >= (this.phaseAt.get('heal') ?? 0) + SETTLE_US;
    const allServed = [...this.sentKeys].every((k) => this.ackedSinceHeal.has(k));
    this.must(
      hasSettled || allServed,
      'drain comes 10 s after heal, or once every key has had an ok send since',
    );
  }
}

function operationOf(call: InvokeLine, end?: CompletionLine): Operation {
  return {
    p: call.p,
    call,
    invokeLine: call.i,
    invokedAt: call.t,
    end: end?.type,
    endLine: end?.i ?? Number.POSITIVE_INFINITY,
    endedAt: end?.t ?? Number.POSITIVE_INFINITY,
    answer: end ?? {},
  };
}

/** Narrows an operation to one call. */
export function isCall<N extends CallName>(
  operation: Operation,
  name: N,
): operation is Operation<Extract<Call, { f: N }>> {
  return operation.call.f === name;
}
