import { expect } from 'chai';
import { TestClock, type TestWorld } from '../../../src/testing/test-clock.js';

const HOUR_MS = 3_600_000;

describe('the clock of a test cluster', () => {
  let clock: TestClock;
  let world: TestWorld;

  beforeEach(() => {
    clock = new TestClock();
    world = clock.world();
  });
  afterEach(() => world.end());

  it('goes on by itself, and its timers with it', async () => {
    const beforeMs = clock.monotonicMs();
    await new Promise<void>((resolve) => void world.timers.after(5, resolve));
    expect(clock.monotonicMs()).to.be.at.least(beforeMs + 5);
  });

  it('never runs a timer before its time', async () => {
    for (const delayMs of [0, 1, 2, 3, 7]) {
      const dueMs = clock.monotonicMs() + delayMs;
      const ranMs = await new Promise<number>((resolve) => {
        world.timers.after(delayMs, () => resolve(clock.monotonicMs()));
      });
      expect(ranMs).to.be.at.least(dueMs);
    }
  });

  it('leaps, and runs what fell due in the order in which it fell due', async () => {
    const ran: string[] = [];
    clock.hold();
    world.timers.after(HOUR_MS, () => ran.push('last'));
    world.timers.after(1_000, () => ran.push('first'));
    clock.world().timers.after(2_000, () => ran.push('second, of another world'));
    world.timers.after(HOUR_MS + 1, () => ran.push('not yet'));
    const wallMs = clock.nowMs();
    await clock.advance(HOUR_MS);
    expect(ran).to.deep.equal(['first', 'second, of another world', 'last']);
    expect(clock.nowMs() - wallMs).to.equal(HOUR_MS);
  });

  it('runs a periodic timer once in a leap, and then at its period', async () => {
    let runs = 0;
    clock.hold();
    world.timers.every(1_000, () => (runs += 1));
    await clock.advance(10_500);
    expect(runs).to.equal(1);
    await clock.advance(999);
    expect(runs).to.equal(1);
    await clock.advance(1);
    expect(runs).to.equal(2);
  });

  it('stands still while it is held, and goes on from there', async () => {
    let hasRun = false;
    const first = new Promise<void>((resolve) => {
      world.timers.after(20, () => {
        hasRun = true;
        resolve();
      });
    });
    clock.hold();
    const heldMs = clock.monotonicMs();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([clock.monotonicMs(), hasRun]).to.deep.equal([heldMs, false]);
    const second = new Promise<void>((resolve) => void world.timers.after(20, resolve));
    clock.release();
    await Promise.all([first, second]);
    expect(clock.monotonicMs()).to.be.at.least(heldMs + 20);
  });

  it('runs no timer that was cancelled or whose world has ended', async () => {
    const ran: string[] = [];
    clock.hold();
    const cancel = world.timers.after(10, () => ran.push('cancelled'));
    const stop = world.timers.every(10, () => ran.push('stopped'));
    cancel();
    stop();
    const other = clock.world();
    other.timers.after(10, () => ran.push('ended'));
    other.end();
    other.timers.after(10, () => ran.push('set too late'));
    other.timers.every(10, () => ran.push('set too late'));
    await clock.advance(1_000);
    expect(ran).to.deep.equal([]);
  });

  it('may cancel a periodic timer from within it', async () => {
    let runs = 0;
    clock.hold();
    const cancel = world.timers.every(10, () => {
      runs += 1;
      cancel();
    });
    await clock.advance(10);
    await clock.advance(100);
    expect(runs).to.equal(1);
  });

  for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`does not leap by ${ms}`, async () => {
      const refusal = await clock.advance(ms).catch((error: unknown) => String(error));
      expect(refusal).to.match(/clock\.advance: want milliseconds from 0 on/);
    });
  }
});
