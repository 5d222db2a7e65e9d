import { BrokerError } from '../model/errors.js';
import type { Clock, Timers, World } from '../ports/world.js';

/** A point in monotonic time that a request may not outlive. */
export class Deadline {
  readonly #clock: Clock;
  readonly #endMs: number;

  constructor(clock: Clock, durationMs: number) {
    this.#clock = clock;
    this.#endMs = clock.monotonicMs() + durationMs;
  }

  /** Never below 0. */
  remainingMs(): number {
    return Math.max(0, this.#endMs - this.#clock.monotonicMs());
  }

  get isOver(): boolean {
    return this.remainingMs() <= 0;
  }
}

export function sleep(timers: Timers, delayMs: number): Promise<void> {
  return new Promise((resolve) => void timers.after(delayMs, resolve));
}

/** The promise's outcome, or DEADLINE_EXCEEDED; the promise itself goes on. */
export function within<T>(
  world: World,
  durationMs: number,
  what: string,
  promise: Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = world.timers.after(durationMs, () => {
      const waitedMs = Math.round(durationMs);
      reject(new BrokerError('DEADLINE_EXCEEDED', `${what} took longer than ${waitedMs} ms`));
    });
    promise.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(BrokerError.from(error));
      },
    );
  });
}

/** Waits between attempts: doubles from `firstMs` to `lastMs`. */
export class Backoff {
  readonly #firstMs: number;
  readonly #lastMs: number;
  #nextMs: number;

  constructor(firstMs: number, lastMs: number) {
    this.#firstMs = firstMs;
    this.#lastMs = lastMs;
    this.#nextMs = firstMs;
  }

  nextMs(): number {
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(this.#lastMs, delayMs * 2);
    return delayMs;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
