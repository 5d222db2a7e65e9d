/** Time as a broker sees it. */
export interface Clock {
  /** Wall clock, ms since 1970; may jump. Only for what people and records see. */
  nowMs(): number;
  /** Never goes back; ms from an arbitrary start, with fractions. */
  monotonicMs(): number;
}

/** Cancels what was scheduled; harmless when it has already run. */
export type Cancel = () => void;

export interface Timers {
  /** Runs once, never before `delayMs` have passed on {@link Clock.monotonicMs}. */
  after(delayMs: number, run: () => void): Cancel;
  every(periodMs: number, run: () => void): Cancel;
  /** Runs soon, after what is already due in this turn of the event loop; coalesces a turn's work. */
  defer(run: () => void): void;
}

export interface Random {
  /** Uniform in [0, 2^32). */
  u32(): number;
  /** Cryptographic in production; for ids. */
  bytes(length: number): Uint8Array;
}

export interface World {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}
