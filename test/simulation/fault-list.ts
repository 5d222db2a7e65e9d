import type { Scheduler } from './world.js';

/** A fault that struck, or would have: its name is the same in every run of a seed. */
export interface Strike {
  readonly name: string;
  readonly atMs: number;
  readonly what: string;
}

/**
 * The faults of one run, in order, each under a name by which the next run of the same seed can leave
 * it out. Whoever strikes draws for every fault the same way, whether it is carried out or not.
 */
export class FaultList {
  readonly strikes: Strike[] = [];
  private readonly scheduler: Scheduler;
  private readonly without: ReadonlySet<string>;
  private readonly counts = new Map<string, number>();

  constructor(scheduler: Scheduler, without: ReadonlySet<string> = new Set()) {
    this.scheduler = scheduler;
    this.without = without;
  }

  /** Whether a whole kind of fault is left out. */
  lacks(kind: string): boolean {
    return this.without.has(kind);
  }

  /** The name of the next fault of one who strikes. */
  next(striker: string): string {
    const count = (this.counts.get(striker) ?? 0) + 1;
    this.counts.set(striker, count);
    return `${striker}${count}`;
  }

  /** Whether the fault is carried out; if so, it is noted. */
  mayStrike(name: string, what: string): boolean {
    if (this.without.has(name) || this.without.has(what)) return false;
    const atMs = Math.round(this.scheduler.now / 1_000);
    this.strikes.push({ name, atMs, what });
    this.scheduler.chronicle?.note({ lane: 'faults', kind: 'fault', text: what });
    return true;
  }
}
