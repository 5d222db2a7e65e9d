import type { BrokerId } from '../model/ids.js';
import type { LivedClock } from './lived-clock.js';

/**
 * Which brokers the metadata leader has heard of lately. Its own, and begun afresh with every
 * leadership: nobody is fenced before a full session has passed under this leader.
 */
export class Liveness {
  readonly #sessionMs: number;
  readonly #lived: LivedClock;
  readonly #startMs: number;
  readonly #heardAt = new Map<BrokerId, number>();

  constructor(options: { readonly sessionMs: number; readonly lived: LivedClock }) {
    this.#sessionMs = options.sessionMs;
    this.#lived = options.lived;
    this.#startMs = options.lived.nowMs();
  }

  heard(id: BrokerId): void {
    this.#heardAt.set(id, this.#lived.nowMs());
  }

  /** Those among `expected` whose session is over. */
  silent(expected: Iterable<BrokerId>): BrokerId[] {
    const nowMs = this.#lived.nowMs();
    // Not heard of under this leader yet: its session starts with the leadership.
    const isSilent = (id: BrokerId): boolean =>
      nowMs - (this.#heardAt.get(id) ?? this.#startMs) > this.#sessionMs;
    return [...expected].filter(isSilent);
  }
}
