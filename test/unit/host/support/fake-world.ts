import { setImmediate } from 'node:timers/promises';

import { Prng } from '../../../../src/base/prng.js';
import type { Cancel, World } from '../../../../src/ports/world.js';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time: nothing happens until a test lets it pass. */
export class FakeWorld implements World {
  readonly random;
  readonly clock = {
    nowMs: (): number => 1_700_000_000_000 + this.#nowMs,
    monotonicMs: (): number => this.#nowMs,
  };
  readonly timers = {
    after: (delayMs: number, run: () => void): Cancel => this.#schedule(delayMs, run),
    every: (periodMs: number, run: () => void): Cancel => {
      let cancel: Cancel;
      let isCancelled = false;
      const again = (): void => {
        cancel = this.#schedule(periodMs, () => {
          run();
          if (!isCancelled) again();
        });
      };
      again();
      return () => {
        isCancelled = true;
        cancel();
      };
    },
    defer: (run: () => void): void => {
      this.#deferred.push(run);
    },
  };
  #nowMs = 0;
  #order = 0;
  #timers: Timer[] = [];
  #deferred: (() => void)[] = [];

  constructor(seed = 1) {
    const prng = new Prng(seed);
    this.random = {
      u32: (): number => prng.u32(),
      bytes: (length: number): Uint8Array => Uint8Array.from({ length }, () => prng.u32() & 255),
    };
  }

  /** Lets this much time pass, and everything due in it happen. */
  async run(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await this.settle();
      const next = this.#nextDue(untilMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      // As in Node: all timers that are due run before anything that was deferred.
      for (let due = this.#nextDue(this.#nowMs); due; due = this.#nextDue(this.#nowMs)) {
        this.#drop(due);
        due.run();
      }
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass without running what is due in it: the process stood still. */
  freeze(ms: number): void {
    this.#nowMs += ms;
  }

  async until(condition: () => boolean, limitMs = 30_000): Promise<void> {
    const untilMs = this.#nowMs + limitMs;
    await this.settle();
    while (!condition()) {
      if (this.#nowMs >= untilMs) throw new Error(`not within ${limitMs} ms: ${String(condition)}`);
      await this.run(5);
    }
  }

  /** Runs what needs no time. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      await setImmediate();
      const deferred = this.#deferred;
      this.#deferred = [];
      for (const run of deferred) run();
      quiet = deferred.length > 0 ? 0 : quiet + 1;
    }
  }

  #schedule(delayMs: number, run: () => void): Cancel {
    const timer = { atMs: this.#nowMs + delayMs, order: this.#order++, run };
    this.#timers.push(timer);
    return () => this.#drop(timer);
  }

  #drop(timer: Timer): void {
    this.#timers = this.#timers.filter((t) => t !== timer);
  }

  #nextDue(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > untilMs) continue;
      if (first === undefined || timer.atMs < first.atMs) first = timer;
      else if (timer.atMs === first.atMs && timer.order < first.order) first = timer;
    }
    return first;
  }
}
