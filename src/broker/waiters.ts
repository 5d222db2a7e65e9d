import type { Timers } from '../ports/world.js';

/** Hears when a partition may have more to say: more was committed, or its leadership changed. */
export interface ReplicaWaiter {
  progressed(): void;
}

/** Woken at a time: some 8 ms of work (docs/PERFORMANCE.md, `producers-idle`). */
const SLICE = 32;

/**
 * Who waits for one replica. Ten thousand readers may wait for one record: they are woken in slices,
 * with turns between them in which heartbeats and writes go on, the first slice in the turn of the news.
 *
 * Invariant: whoever waits when there is news is woken after it, unless it has ceased to wait.
 */
export class Waiters {
  private readonly timers: Pick<Timers, 'defer'>;
  private readonly waiting = new Set<ReplicaWaiter>();
  /** To be woken, in order. */
  private readonly due = new Set<ReplicaWaiter>();
  /** A slice is being woken, or is to be in a later turn. */
  private isWaking = false;

  constructor(timers: Pick<Timers, 'defer'>) {
    this.timers = timers;
  }

  add(waiter: ReplicaWaiter): void {
    this.waiting.add(waiter);
  }

  delete(waiter: ReplicaWaiter): void {
    this.waiting.delete(waiter);
    this.due.delete(waiter);
  }

  wake(): void {
    for (const waiter of this.waiting) this.due.add(waiter);
    if (!this.isWaking) this.wakeSlice();
  }

  private wakeSlice(): void {
    this.isWaking = true;
    let left = SLICE;
    for (const waiter of this.due) {
      if (left === 0) break;
      left -= 1;
      this.due.delete(waiter);
      waiter.progressed();
    }
    this.isWaking = this.due.size > 0;
    if (this.isWaking) this.timers.defer(() => this.wakeSlice());
  }
}
