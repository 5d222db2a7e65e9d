import { setImmediate as turn } from 'node:timers/promises';

import { Prng } from '../../../src/base/prng.js';
import type { Cancel, World } from '../../../src/ports/world.js';

interface Repeated {
  readonly periodMs: number;
  readonly run: () => void;
  dueMs: number;
}

/** Time stands still, but for what {@link pass} lets pass: a case takes no longer than its disk. */
export class StillWorld implements World {
  private monotonicMs = 1_000;
  private readonly repeated = new Set<Repeated>();
  private readonly prng: Prng;

  readonly clock = {
    nowMs: (): number => 1_700_000_000_000 + this.monotonicMs,
    monotonicMs: (): number => this.monotonicMs,
  };
  readonly timers = {
    // Retries and other late things: no case waits for any.
    after: (): Cancel => () => undefined,
    every: (periodMs: number, run: () => void): Cancel => {
      const entry = { periodMs, run, dueMs: this.monotonicMs + periodMs };
      this.repeated.add(entry);
      return () => void this.repeated.delete(entry);
    },
    defer: (run: () => void): void => void setImmediate(run),
  };
  readonly random = {
    u32: (): number => this.prng.u32(),
    bytes: (length: number): Uint8Array => Uint8Array.from({ length }, () => this.prng.u32() & 255),
  };

  constructor(seed: number) {
    this.prng = new Prng(seed);
  }

  /** What comes due in this time happens; what it leads to and needs no disk has happened afterwards. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.monotonicMs + ms;
    for (;;) {
      const next = [...this.repeated].sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > untilMs) break;
      this.monotonicMs = next.dueMs;
      next.dueMs += next.periodMs;
      next.run();
    }
    this.monotonicMs = untilMs;
    for (let i = 0; i < TURNS; i += 1) await turn();
  }
}

const TURNS = 3;
