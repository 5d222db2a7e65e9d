import { invariant } from '../base/assert.js';
import { lowerBound } from '../base/collections.js';
import type { Cancel, World } from '../ports/world.js';

/** Deadlines are met up to this much late: what falls together costs one timer. */
const GRAIN_MS = 16;

interface Slot {
  readonly due: number;
  first: Timeout | undefined;
}

/**
 * Something that waits until an answer or its deadline, whichever comes first. Extended by what
 * waits, so that a deadline costs no object and no timer of its own.
 */
export abstract class Timeout {
  /** Owned by {@link Deadlines}: its place in a doubly linked list. */
  link: { slot: Slot; previous: Timeout | undefined; next: Timeout | undefined } | undefined;

  /** Called once, unless cancelled before. */
  abstract timedOut(): void;
}

/**
 * Deadlines of all produces and long polls of a broker: slots of one grain, each a list, and one timer
 * for the earliest. Adding and cancelling cost a few pointers.
 *
 * Invariants: what waits is in one list, once; the timer is set for the earliest slot or before it.
 */
export class Deadlines {
  private readonly world: Pick<World, 'clock' | 'timers'>;
  private readonly slots = new Map<number, Slot>();
  /** Keys of `slots`, descending. */
  private order: number[] = [];
  private armedFor = Number.POSITIVE_INFINITY;
  private disarm: Cancel | undefined;

  constructor(world: Pick<World, 'clock' | 'timers'>) {
    this.world = world;
  }

  add(timeout: Timeout, afterMs: number): void {
    invariant(timeout.link === undefined, 'a deadline is added once');
    const due = Math.ceil((this.world.clock.monotonicMs() + afterMs) / GRAIN_MS);
    const slot = this.slots.get(due) ?? this.open(due);
    const next = slot.first;
    timeout.link = { slot, previous: undefined, next };
    if (next?.link !== undefined) next.link.previous = timeout;
    slot.first = timeout;
  }

  /** Harmless if it was never added or has already come. */
  cancel(timeout: Timeout): void {
    const link = timeout.link;
    if (link === undefined) return;
    timeout.link = undefined;
    if (link.previous?.link !== undefined) link.previous.link.next = link.next;
    else link.slot.first = link.next;
    if (link.next?.link !== undefined) link.next.link.previous = link.previous;
  }

  stop(): void {
    this.disarm?.();
    this.disarm = undefined;
    this.slots.clear();
    this.order = [];
    this.armedFor = Number.NEGATIVE_INFINITY;
  }

  private open(due: number): Slot {
    const slot: Slot = { due, first: undefined };
    this.slots.set(due, slot);
    const at = lowerBound(this.order.length, (i) => (this.order[i] ?? 0) > due);
    this.order.splice(at, 0, due);
    if (due < this.armedFor) this.arm(due);
    return slot;
  }

  private arm(due: number): void {
    this.disarm?.();
    this.armedFor = due;
    const delayMs = Math.max(0, due * GRAIN_MS - this.world.clock.monotonicMs());
    this.disarm = this.world.timers.after(delayMs, () => this.sweep());
  }

  private sweep(): void {
    this.disarm = undefined;
    this.armedFor = Number.POSITIVE_INFINITY;
    // A timer may fire a little early; what is due within the grain is due.
    const now = this.world.clock.monotonicMs() / GRAIN_MS + 0.5;
    for (let due = this.order.at(-1); due !== undefined && due <= now; due = this.order.at(-1)) {
      this.order.pop();
      const slot = this.slots.get(due);
      this.slots.delete(due);
      for (let timeout = slot?.first; timeout !== undefined; timeout = slot?.first) {
        this.cancel(timeout);
        timeout.timedOut();
      }
    }
    const next = this.order.at(-1);
    if (next !== undefined && this.armedFor > next) this.arm(next);
  }
}
