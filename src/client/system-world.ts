import { randomBytes } from 'node:crypto';
import type { Cancel, World } from '../ports/world.js';

/** The real clock, timers and randomness of this process. */
export function systemWorld(): World {
  let draws = new Uint32Array(0);
  let at = 0;
  return {
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
    timers: {
      after,
      every: (periodMs, run) => {
        const timer = setInterval(run, periodMs);
        return () => clearInterval(timer);
      },
      defer: (run) => {
        setImmediate(run);
      },
    },
    random: {
      u32: () => {
        if (at === draws.length) {
          draws = new Uint32Array(Uint8Array.from(randomBytes(256)).buffer);
          at = 0;
        }
        at += 1;
        return draws[at - 1] as number;
      },
      bytes: (length) => Uint8Array.from(randomBytes(length)),
    },
  };
}

/**
 * Node cuts delays and its own clock to whole milliseconds, so that its timers fire up to two
 * milliseconds early by the clock that we read; whoever looks at that clock then would find that it
 * is not time yet. Such a timer is set again for the rest.
 */
function after(delayMs: number, run: () => void): Cancel {
  const dueMs = performance.now() + delayMs;
  const fire = (): void => {
    const leftMs = dueMs - performance.now();
    if (leftMs > 0) timer = setTimeout(fire, leftMs);
    else run();
  };
  let timer = setTimeout(fire, delayMs);
  return () => clearTimeout(timer);
}
