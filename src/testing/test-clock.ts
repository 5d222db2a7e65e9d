import { systemWorld, TIMEOUT_MS_MAX } from '../client/system-world.js';
import type { Cancel, World } from '../ports/world.js';

interface Timer {
  dueMs: number;
  handle: NodeJS.Timeout | undefined;
  /** Sets the machine's timer for what is left. */
  readonly arm: () => void;
}

/**
 * The time that all brokers of a test cluster, and the clients made by it, live in. It goes on by
 * itself like any clock; a test may let it leap, or hold it still. A leap is to brokers what a
 * machine's sleep is: whatever fell due in it runs once, sessions and elections do not count it as
 * silence of others. What the network does (connections, deadlines of calls under way) is in the time
 * of the machine.
 *
 * Invariant: it never goes back, and a timer never runs before its time.
 */
export class TestClock {
  private readonly worlds = new Set<TestWorld>();
  private readonly startedAtMs = Date.now();
  /** Passed before `runningSinceMs`. */
  private passedMs = 0;
  /** On the machine's monotonic clock; undefined while the clock is held. */
  private runningSinceMs: number | undefined = performance.now();

  /** Milliseconds since 1970, as the brokers see it. */
  nowMs(): number {
    return Math.floor(this.startedAtMs + this.monotonicMs());
  }

  /** Milliseconds since the cluster was started. */
  monotonicMs(): number {
    const since = this.runningSinceMs;
    return this.passedMs + (since === undefined ? 0 : performance.now() - since);
  }

  /** Whether it stands. */
  get isHeld(): boolean {
    return this.runningSinceMs === undefined;
  }

  /**
   * Leaps ahead, also while the clock is held. Resolves once every timer that fell due has run; what
   * these set going may take longer.
   */
  async advance(ms: number): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0) {
      throw new RangeError(`clock.advance: want milliseconds from 0 on, not ${ms}`);
    }
    this.passedMs += ms;
    this.rearm();
    // Node runs timers of one delay in the order in which they were set: this one is the last.
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
  }

  /** From now on time passes by `advance` alone: no heartbeats, no elections, no timeouts. */
  hold(): void {
    this.passedMs = this.monotonicMs();
    this.runningSinceMs = undefined;
    this.rearm();
  }

  /** Time passes by itself again. */
  release(): void {
    this.runningSinceMs ??= performance.now();
    this.rearm();
  }

  /**
   * For one life of one broker, or for one client; its wall clock goes wrong by `skewMs()`.
   * @internal
   */
  world(skewMs: () => number = () => 0): TestWorld {
    const world = new TestWorld(this, skewMs, () => this.worlds.delete(world));
    this.worlds.add(world);
    return world;
  }

  /** The clock leapt, or was held or released: every timer has another while to wait. */
  private rearm(): void {
    const timers = [...this.worlds].flatMap((world) => [...world.pending]);
    timers.sort((a, b) => a.dueMs - b.dueMs);
    for (const timer of timers) timer.arm();
  }
}

/**
 * A world on a {@link TestClock}. Once it has ended, none of its timers runs or keeps the process, and
 * none can be set: whatever still waited in it is never woken.
 */
export class TestWorld implements World {
  readonly clock: World['clock'];
  readonly random: World['random'] = systemWorld().random;
  readonly timers: World['timers'];
  private readonly time: TestClock;
  private readonly ended: () => void;
  /** Set and not yet run. */
  readonly pending = new Set<Timer>();
  private isOver = false;

  constructor(time: TestClock, skewMs: () => number, ended: () => void) {
    this.time = time;
    this.ended = ended;
    this.clock = {
      nowMs: () => time.nowMs() + skewMs(),
      monotonicMs: () => time.monotonicMs(),
    };
    this.timers = {
      after: (delayMs, run) => this.set(delayMs, undefined, run),
      every: (periodMs, run) => this.set(periodMs, periodMs, run),
      defer: (run) => void setImmediate(run),
    };
  }

  end(): void {
    this.isOver = true;
    for (const timer of this.pending) clearTimeout(timer.handle);
    this.pending.clear();
    this.ended();
  }

  /** Every `periodMs`, if given; once otherwise. */
  private set(delayMs: number, periodMs: number | undefined, run: () => void): Cancel {
    if (this.isOver) return () => undefined;
    const dueMs = this.time.monotonicMs() + delayMs;
    const drop = (): void => {
      clearTimeout(timer.handle);
      this.pending.delete(timer);
    };
    // Node's timers may come early by a millisecond or two: those wait for the rest.
    const fire = (): void => {
      const nowMs = this.time.monotonicMs();
      const isDue = timer.dueMs <= nowMs;
      if (isDue && periodMs === undefined) this.pending.delete(timer);
      else if (isDue && periodMs !== undefined) timer.dueMs = nowMs + periodMs;
      if (this.pending.has(timer)) timer.arm();
      if (isDue) run();
    };
    const arm = (): void => {
      clearTimeout(timer.handle);
      const leftMs = Math.max(0, timer.dueMs - this.time.monotonicMs());
      if (this.time.isHeld && leftMs > 0) return;
      timer.handle = setTimeout(fire, Math.min(leftMs, TIMEOUT_MS_MAX));
    };
    const timer: Timer = { dueMs, handle: undefined, arm };
    this.pending.add(timer);
    arm();
    return drop;
  }
}
