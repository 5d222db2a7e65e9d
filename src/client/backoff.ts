import type { Random } from '../ports/world.js';

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Quick at first: a new leader is usually there within a few hundred milliseconds. */
export const RETRY_BACKOFF: Backoff = { firstMs: 20, maxMs: 1_000 };

/** Doubles with every attempt (from 1) up to the maximum, then takes between half and all of it. */
export function backoffMs(backoff: Backoff, attempt: number, random: Random): number {
  const full = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt - 1, 20));
  return full * (0.5 + random.u32() / 0x2_0000_0000);
}
