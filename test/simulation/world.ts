import { invariant } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';
import type { Cancel, Clock, Random, Timers, World } from '../../src/ports/world.js';
import type { Chronicle } from './timeline.js';
import { TraceHash } from './trace.js';

/** Simulated time, in whole microseconds since the run began. */
export type Micros = number;

export const ms = (n: number): Micros => Math.round(n * 1_000);
export const seconds = (n: number): Micros => Math.round(n * 1_000_000);

/** What becomes of an event when it is due: it may run, wait for its owner, or be dropped. */
export interface EventOwner {
  readonly isAlive: boolean;
  /** Takes the event over while the owner is stopped (SIGSTOP); true if it did. */
  holdBack(event: SimEvent): boolean;
}

export interface SimEvent {
  readonly at: Micros;
  /** Breaks ties: events due together run in the order they were scheduled. */
  readonly sequence: number;
  readonly owner: EventOwner | undefined;
  readonly run: () => void;
  isCancelled: boolean;
}

/**
 * The one clock and the one queue of a run. Every effect of the world (a timer, a message, a disk
 * write) is an event here; between two events all promises settle, because a tick of Node's comes only
 * once the microtask queue has run dry. Nothing else may wait on the real world, so a seed decides the
 * run.
 */
export class Scheduler {
  readonly hash = new TraceHash();
  now: Micros = 0;
  eventsRun = 0;
  private readonly heap = new EventHeap();
  private sequence = 0;
  private eventsNow = 0;
  /** The first failure of this run: a broken invariant anywhere ends it. */
  private failure: { readonly error: unknown } | undefined;

  schedule(delay: Micros, owner: EventOwner | undefined, run: () => void): SimEvent {
    invariant(delay >= 0, 'no event in the past', { delay });
    const event: SimEvent = {
      at: this.now + Math.round(delay),
      sequence: this.sequence++,
      owner,
      run,
      isCancelled: false,
    };
    this.heap.push(event);
    return event;
  }

  /** How often links and disks misbehaved as the seed lets them, by kind of fault. */
  readonly mishaps = new Map<string, number>();

  mishap(kind: string): void {
    this.mishaps.set(kind, (this.mishaps.get(kind) ?? 0) + 1);
  }

  /** Set for a timeline: what happens, in few words. */
  chronicle: Chronicle | undefined;
  /** Set for a verbose run: one line for everything that happens. */
  narrator: ((line: string) => void) | undefined;

  say(line: () => string): void {
    this.narrator?.(`${(this.now / 1_000).toFixed(3).padStart(11)} ${line()}`);
  }

  /** Ends the run at the next event boundary. */
  fail(error: unknown): void {
    this.failure ??= { error };
  }

  private advance(to: Micros): void {
    this.eventsNow = to > this.now ? 0 : this.eventsNow + 1;
    this.now = Math.max(this.now, to);
    if (this.eventsNow > INSTANT_EVENTS_MAX) throw new Error(`time stands still at ${this.now}`);
  }

  /**
   * Runs events until `done` says so or `until` is reached; true if `done` did. It is asked after every
   * event, or, if that is dear, once for each `lookEvery` of simulated time.
   */
  async run(
    until: Micros,
    done: () => boolean = () => false,
    lookEvery: Micros = 0,
  ): Promise<boolean> {
    let lookAt = this.now;
    const isDone = (): boolean => {
      if (this.now < lookAt) return false;
      lookAt = this.now + lookEvery;
      return done();
    };
    await new Promise<void>((resolve, reject) => {
      // A tick of Node's comes once all microtasks have run, but two ticks may follow each other at once.
      const nothing = Promise.resolve();
      const soon = (): void => void nothing.then(turn);
      const turn = (): void => {
        try {
          if (this.failure === undefined && !isDone() && this.runNext(until)) {
            if (this.eventsRun % EVENTS_PER_BREATH === 0) setImmediate(soon);
            else process.nextTick(soon);
          } else resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      soon();
    });
    // Node reports what nobody caught only when it has nothing else to do.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.failure !== undefined) throw this.failure.error;
    return done();
  }

  /** Runs the next event that is due by then; false if there is none. */
  private runNext(until: Micros): boolean {
    for (;;) {
      const next = this.heap.peek();
      if (next === undefined || next.at > until) {
        this.now = Math.max(this.now, until);
        return false;
      }
      this.heap.pop();
      if (next.isCancelled || next.owner?.isAlive === false) continue;
      this.advance(next.at);
      if (next.owner?.holdBack(next) === true) continue;
      this.eventsRun += 1;
      this.hash.add(this.now);
      next.run();
      return true;
    }
  }
}

/** Rejections that nobody caught end a run, at the latest after so many events. */
const EVENTS_PER_BREATH = 128;

/** More events than this at one instant: something waits for itself. */
const INSTANT_EVENTS_MAX = 200_000;

/** A binary heap ordered by (at, sequence). */
class EventHeap {
  private readonly items: SimEvent[] = [];

  peek(): SimEvent | undefined {
    return this.items[0];
  }

  push(event: SimEvent): void {
    const items = this.items;
    let at = items.length;
    items.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent];
      if (above === undefined || !isBefore(event, above)) break;
      items[at] = above;
      at = parent;
    }
    items[at] = event;
  }

  pop(): void {
    const items = this.items;
    const last = items.pop();
    if (last === undefined || items.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let best = items[child];
      if (best === undefined) break;
      const right = items[child + 1];
      if (right !== undefined && isBefore(right, best)) {
        child += 1;
        best = right;
      }
      if (!isBefore(best, last)) break;
      items[at] = best;
      at = child;
    }
    items[at] = last;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}

export interface ProcessClock {
  /** 1.05 runs five percent fast. */
  readonly rate: number;
  /** What the wall clock shows at simulated time 0. */
  readonly wallBaseMs: number;
}

/**
 * One life of one broker process: the world as its code sees it. `kill` ends it: its timers and
 * whatever is on the way to it are dropped, so code of a dead process never runs again. `pause` is
 * SIGSTOP: everything due waits, in order, until `resume`.
 */
export class SimProcess implements EventOwner, World {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  isAlive = true;
  private held: SimEvent[] | undefined;
  /** Events that were held back, and are due now. */
  private backlog = 0;
  private wallJumpMs = 0;

  readonly brokerId: number;
  /** 1 for the first life of this broker. */
  readonly life: number;
  private readonly scheduler: Scheduler;
  private readonly timing: ProcessClock;

  constructor(
    brokerId: number,
    life: number,
    scheduler: Scheduler,
    timing: ProcessClock,
    prng: Prng,
  ) {
    this.brokerId = brokerId;
    this.life = life;
    this.scheduler = scheduler;
    this.timing = timing;
    const { rate, wallBaseMs } = timing;
    this.clock = {
      nowMs: () => Math.floor(wallBaseMs + this.wallJumpMs + (scheduler.now / 1_000) * rate),
      monotonicMs: () => (scheduler.now / 1_000) * rate,
    };
    this.timers = {
      after: (delayMs, run) => this.after(delayMs, run),
      every: (periodMs, run) => this.every(periodMs, run),
      defer: (run) => void scheduler.schedule(0, this, run),
    };
    this.random = {
      u32: () => prng.u32(),
      bytes: (length) => Uint8Array.from({ length }, () => prng.u32() & 0xff),
    };
  }

  get isPaused(): boolean {
    return this.held !== undefined;
  }

  kill(): void {
    this.isAlive = false;
    this.held = undefined;
  }

  pause(): void {
    this.held ??= [];
  }

  resume(): void {
    const held = this.held ?? [];
    this.held = undefined;
    this.backlog += held.length;
    for (const event of held) {
      this.scheduler.schedule(0, this, () => {
        this.backlog -= 1;
        if (!event.isCancelled) event.run();
      });
    }
  }

  /** What reaches it from outside: heard at once, but by a process that is stopped not before its turn. */
  hear(run: () => void): void {
    if (!this.isAlive) return;
    if (this.held === undefined && this.backlog === 0) run();
    else this.scheduler.schedule(0, this, run);
  }

  jumpWallClock(byMs: number): void {
    this.wallJumpMs += byMs;
  }

  holdBack(event: SimEvent): boolean {
    if (this.held === undefined) return false;
    this.held.push(event);
    return true;
  }

  private delay(delayMs: number): Micros {
    // As in Node: never sooner than asked, and never less than a millisecond.
    return Math.ceil(Math.max(1_000, (delayMs * 1_000) / this.timing.rate));
  }

  private after(delayMs: number, run: () => void): Cancel {
    const event = this.scheduler.schedule(this.delay(delayMs), this, run);
    return () => {
      event.isCancelled = true;
    };
  }

  private every(periodMs: number, run: () => void): Cancel {
    let event: SimEvent;
    const again = (): void => {
      event = this.scheduler.schedule(this.delay(periodMs), this, () => {
        again();
        run();
      });
    };
    again();
    return () => {
      event.isCancelled = true;
    };
  }
}
