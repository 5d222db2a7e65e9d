import type { Answer, Call, CallName, CompletionType, EventLine, Phase } from './line.js';

type EventFields = EventLine extends infer E
  ? E extends EventLine
    ? Omit<E, 'i' | 't'>
    : never
  : never;

/**
 * Writes a history: numbers the lines, keeps time from going back, and hands out process ids, a new
 * one after every call whose outcome is unknown. The sink gets each line with its line end.
 */
export class HistoryWriter {
  private readonly sink: (line: string) => void;
  private readonly nowMicros: () => number;
  private readonly inFlight = new Map<number, CallName>();
  private line = 0;
  private lastTime = 0;
  private nextProcess = 0;

  constructor(sink: (line: string) => void, nowMicros: () => number) {
    this.sink = sink;
    this.nowMicros = nowMicros;
  }

  get linesWritten(): number {
    return this.line;
  }

  /** A process id never used before. */
  newProcess(): number {
    return this.nextProcess++;
  }

  phase(v: Phase): void {
    this.write(v === 'start' ? { f: 'phase', v, format: 1 } : { f: 'phase', v });
  }

  event(event: EventFields): void {
    this.write(event);
  }

  invoke(p: number, call: Call): void {
    this.inFlight.set(p, call.f);
    const { f, ...rest } = call;
    this.write({ p, type: 'invoke', f, ...rest });
  }

  /** Ends the process's call, and says which; after `info` the process must not be used again. */
  complete(p: number, type: CompletionType, answer: Answer = {}): CallName {
    const f = this.inFlight.get(p);
    if (f === undefined) throw new Error(`process ${p} has no call in flight`);
    this.inFlight.delete(p);
    this.write({ p, type, f, ...answer });
    return f;
  }

  private write(fields: object): void {
    this.lastTime = Math.max(this.lastTime, Math.round(this.nowMicros()));
    this.sink(`${JSON.stringify({ i: this.line, t: this.lastTime, ...fields })}\n`);
    this.line += 1;
  }
}
