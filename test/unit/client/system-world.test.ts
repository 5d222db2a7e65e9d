import { expect } from 'chai';
import { systemWorld } from '../../../src/client/system-world.js';

describe('the world of a process', () => {
  const { clock, timers } = systemWorld();
  const later = async (delayMs: number): Promise<void> => {
    await new Promise<void>((resolve) => void timers.after(delayMs, resolve));
  };

  it('runs no timer before its time, by the clock that its users read', async () => {
    const lateMs = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const delayMs = 1 + i / 37;
        const dueMs = clock.monotonicMs() + delayMs;
        await later(delayMs);
        return clock.monotonicMs() - dueMs;
      }),
    );
    expect(Math.min(...lateMs)).to.be.at.least(0);
  });

  it('waits for longer than Node can, once and again and again', () => {
    const real = { setTimeout: globalThis.setTimeout, setInterval: globalThis.setInterval };
    const asked: { ms: number; run: () => void }[] = [];
    let nowMs = 0;
    let runs = 0;
    const fake = (run: () => void, ms: number): number => asked.push({ ms, run });
    Object.assign(globalThis, { setTimeout: fake, setInterval: fake });
    performance.now = () => nowMs;
    const pass = (): void => {
      const next = asked.shift();
      if (next === undefined) throw new Error('no timer is set');
      expect(next.ms).to.be.at.most(2 ** 31 - 1);
      nowMs += next.ms;
      next.run();
    };
    try {
      timers.after(2 ** 32, () => (runs += 1));
      while (nowMs < 2 ** 32) {
        expect(runs).to.equal(0);
        pass();
      }
      expect(runs).to.equal(1);
      expect(asked).to.have.length(0);
      const cancel = timers.every(2 ** 31, () => (runs += 1));
      while (runs < 3) pass();
      expect(nowMs).to.equal(2 ** 32 + 2 * 2 ** 31);
      cancel();
    } finally {
      Object.assign(globalThis, real);
      Reflect.deleteProperty(performance, 'now');
    }
  });

  it('runs no timer that was cancelled', async () => {
    let runs = 0;
    const cancel = timers.after(5, () => (runs += 1));
    timers.after(6, () => (runs += 10));
    cancel();
    await later(20);
    expect(runs).to.equal(10);
  });
});
