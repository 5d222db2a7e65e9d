import type { Clock } from '../ports/world.js';
import type { Fields, Logger } from '../ports/telemetry.js';

/** Warns at most once per period, and then says how many times it kept quiet. */
export class RateLimitedLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #periodMs: number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  constructor(log: Logger, clock: Clock, periodMs: number) {
    this.#log = log;
    this.#clock = clock;
    this.#periodMs = periodMs;
  }

  warn(fields: Fields, text: string): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#lastMs < this.#periodMs) {
      this.#suppressed += 1;
      return;
    }
    this.#log.warn({ ...fields, suppressed: this.#suppressed }, text);
    this.#lastMs = now;
    this.#suppressed = 0;
  }
}
