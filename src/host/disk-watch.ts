import type { BrokerId } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { Clock } from '../ports/world.js';
import type { PersistTracker } from './persist-tracker.js';

export interface DiskWatchDeps {
  readonly persists: Pick<PersistTracker, 'count' | 'stalledMs'>;
  readonly clock: Clock;
  readonly diskStallMs: number;
  /** Who should lead instead; undefined: nobody can. */
  readonly heir: () => BrokerId | undefined;
  readonly handOver: (to: BrokerId) => void;
  readonly log: Logger;
}

/**
 * Has a leader whose disk hangs hand over: it leads on as long as its followers can commit, but better
 * one of them does. Owned by one life of a replica, which asks while it leads.
 *
 * Invariant: hands over at most once in the time after which a disk counts as hanging.
 */
export class DiskWatch {
  readonly #deps: DiskWatchDeps;
  #handledMs = 0;

  constructor(deps: DiskWatchDeps) {
    this.#deps = deps;
  }

  check(): void {
    const { persists, clock, diskStallMs, log } = this.#deps;
    if (persists.count === 0) return;
    const nowMs = clock.monotonicMs();
    const stalledMs = persists.stalledMs(nowMs);
    if (stalledMs < diskStallMs || nowMs - this.#handledMs < diskStallMs) return;
    this.#handledMs = nowMs;
    const to = this.#deps.heir();
    log.warn({ stalledMs: Math.round(stalledMs), to }, 'the disk hangs');
    if (to !== undefined) this.#deps.handOver(to);
  }
}
