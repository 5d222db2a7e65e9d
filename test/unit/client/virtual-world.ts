import { Prng } from '../../../src/base/prng.js';
import type { Cancel, World } from '../../../src/ports/world.js';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly everyMs: number | undefined;
  readonly run: () => void;
}

/** A clock that moves only when told to. Promises settle between two timers, as in production. */
export class VirtualWorld implements World {
  nowMs = 0;
  /** One-shot timers run so much before their time: nobody's progress may hang on their precision. */
  earlyMs = 0;
  private readonly prng: Prng;
  private pending: Timer[] = [];
  private orders = 0;

  constructor(seed = 1) {
    this.prng = new Prng(seed);
  }

  readonly clock = {
    nowMs: () => 1_700_000_000_000 + Math.floor(this.nowMs),
    monotonicMs: () => this.nowMs,
  };

  readonly timers = {
    after: (delayMs: number, run: () => void) =>
      this.add(delayMs > this.earlyMs ? delayMs - this.earlyMs : delayMs, undefined, run),
    every: (periodMs: number, run: () => void) => this.add(periodMs, periodMs, run),
    defer: (run: () => void) => void this.add(0, undefined, run),
  };

  readonly random = {
    u32: () => this.prng.u32(),
    bytes: (length: number) => Uint8Array.from({ length }, () => this.prng.u32() & 0xff),
  };

  /** Timers that are set. In production each of them may keep the process from ending. */
  get timersSet(): number {
    return this.pending.length;
  }

  /** Runs everything due within `ms`, in order. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settle();
    for (;;) {
      const next = this.earliest();
      if (next === undefined || next.atMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.pending.splice(this.pending.indexOf(next), 1);
      if (next.everyMs !== undefined) this.add(next.everyMs, next.everyMs, next.run, next.order);
      next.run();
      await settle();
    }
    this.nowMs = endMs;
  }

  /** Advances until the promise is settled, at most `withinMs`. */
  async until<T>(promise: Promise<T>, withinMs = 600_000): Promise<T> {
    const state = { isDone: false };
    const done = (): void => {
      state.isDone = true;
    };
    promise.then(done, done);
    const endMs = this.nowMs + withinMs;
    await settle();
    while (!state.isDone && this.nowMs < endMs) await this.advance(5);
    if (!state.isDone) throw new Error(`not settled within ${withinMs} ms of virtual time`);
    return await promise;
  }

  private add(
    delayMs: number,
    everyMs: number | undefined,
    run: () => void,
    order?: number,
  ): Cancel {
    this.orders += 1;
    const key = order ?? this.orders;
    this.pending.push({ atMs: this.nowMs + delayMs, order: key, everyMs, run });
    return () => {
      this.pending = this.pending.filter((t) => t.order !== key);
    };
  }

  private earliest(): Timer | undefined {
    let best: Timer | undefined;
    for (const t of this.pending) {
      const isBefore =
        best === undefined || t.atMs < best.atMs || (t.atMs === best.atMs && t.order < best.order);
      if (isBefore) best = t;
    }
    return best;
  }
}

/** Lets every promise that can settle do so. */
async function settle(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
