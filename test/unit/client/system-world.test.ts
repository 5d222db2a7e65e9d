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

  it('runs no timer that was cancelled', async () => {
    let runs = 0;
    const cancel = timers.after(5, () => (runs += 1));
    timers.after(6, () => (runs += 10));
    cancel();
    await later(20);
    expect(runs).to.equal(10);
  });
});
