import type { World } from '../ports/world.js';
import { backoffMs, type Backoff } from './backoff.js';
import { checkArgument } from './check-argument.js';

/** How often a client may try again, all in all. */
export interface RetryBudgetOptions {
  /** Retries per second that go on for as long as it takes. Default: 100. */
  readonly perSecond?: number | undefined;
  /** Retries that are made up front without a delay of their own: failovers come in bursts. Default: 500. */
  readonly burst?: number | undefined;
}

/** What each success gives back, in retries: one in five may need a second attempt for ever. */
const PER_SUCCESS = 0.2;
/** Nobody waits longer than this only because others retry, too. */
const EXTRA_MS_MAX = 5_000;

/**
 * How often one client tries again, all its producers, consumers and calls together, so that a cluster
 * in trouble is not stormed by those who wait for it. Every retry takes one off the budget, which fills
 * up with time and with every success; once it is spent, retries wait longer, not for ever, and are
 * never dropped: what gives up is the caller's own deadline.
 *
 * Whoever learns that waiting is over, as from a new leader, does not wait for the rest of it.
 *
 * Invariants: a delay is never shorter than the back-off alone; `left` is at most the burst, and as
 * much debt as the longest extra wait pays back.
 */
export class RetryBudget {
  private readonly world: World;
  private readonly perSecond: number;
  private readonly burst: number;
  private left: number;
  private updatedMs: number;

  constructor(world: World, options: RetryBudgetOptions = {}) {
    const { perSecond = 100, burst = 500 } = options;
    checkArgument(perSecond > 0, 'retryBudget.perSecond must be positive');
    checkArgument(burst >= 0, 'retryBudget.burst must be 0 or more');
    this.world = world;
    this.perSecond = perSecond;
    this.burst = burst;
    this.left = burst;
    this.updatedMs = world.clock.monotonicMs();
  }

  /** Takes a retry off. How long it waits: the attempt's jittered back-off, or longer. */
  delayMs(backoff: Backoff, attempt: number): number {
    const { random } = this.world;
    const waitMs = backoffMs(backoff, attempt, random);
    this.refill();
    const debtMax = (this.perSecond * EXTRA_MS_MAX) / 1_000;
    this.left = Math.max(this.left - 1, -debtMax);
    if (this.left >= 0) return waitMs;
    const extraMs = (-this.left / this.perSecond) * 1_000;
    // Those who wait for as long as anyone does are spread, too.
    return Math.max(waitMs, extraMs * (0.5 + random.u32() / 0x2_0000_0000));
  }

  succeeded(): void {
    if (this.left < this.burst) this.left = Math.min(this.burst, this.left + PER_SUCCESS);
  }

  private refill(): void {
    const nowMs = this.world.clock.monotonicMs();
    const fresh = ((nowMs - this.updatedMs) / 1_000) * this.perSecond;
    this.left = Math.min(this.burst, this.left + fresh);
    this.updatedMs = nowMs;
  }
}
