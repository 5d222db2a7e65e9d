import type { BrokerId } from '../model/ids.js';

/**
 * Which brokers the metadata leader has heard of lately. Its own, and begun afresh with every
 * leadership: nobody is fenced before a full session has passed under this leader.
 *
 * Time is what this process lived through: a tick that comes late counts for at most `gapMsMax`, so
 * that a broker that was itself stopped for a while does not take everyone else for dead.
 */
export class Liveness {
  readonly #sessionMs: number;
  readonly #gapMsMax: number;
  readonly #heardAt = new Map<BrokerId, number>();
  #elapsedMs = 0;
  #lastMs: number;

  constructor(options: {
    readonly sessionMs: number;
    readonly gapMsMax: number;
    readonly monotonicMs: number;
  }) {
    this.#sessionMs = options.sessionMs;
    this.#gapMsMax = options.gapMsMax;
    this.#lastMs = options.monotonicMs;
  }

  heard(id: BrokerId): void {
    this.#heardAt.set(id, this.#elapsedMs);
  }

  /** Advances time. Returns those among `expected` whose session is over. */
  tick(monotonicMs: number, expected: Iterable<BrokerId>): BrokerId[] {
    this.#elapsedMs += Math.min(this.#gapMsMax, Math.max(0, monotonicMs - this.#lastMs));
    this.#lastMs = monotonicMs;
    const silent: BrokerId[] = [];
    for (const id of expected) {
      const heardAt = this.#heardAt.get(id);
      // Not heard of under this leader yet: its session starts with the leadership.
      const since = this.#elapsedMs - (heardAt ?? 0);
      if (since > this.#sessionMs) silent.push(id);
    }
    return silent;
  }
}
