import type { Clock } from '../ports/world.js';

/**
 * Time that this process lived through. A gap between two readings counts for at most `gapMsMax`:
 * a broker that was itself stopped for a while must not take for silent whoever it could not hear.
 *
 * To be read more often than that, or it falls behind.
 */
export class LivedClock {
  readonly #clock: Clock;
  readonly #gapMsMax: number;
  #elapsedMs = 0;
  #lastMs: number;

  constructor(clock: Clock, gapMsMax: number) {
    this.#clock = clock;
    this.#gapMsMax = gapMsMax;
    this.#lastMs = clock.monotonicMs();
  }

  nowMs(): number {
    const at = this.#clock.monotonicMs();
    this.#elapsedMs += Math.min(this.#gapMsMax, Math.max(0, at - this.#lastMs));
    this.#lastMs = at;
    return this.#elapsedMs;
  }
}
