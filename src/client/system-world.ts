import { randomBytes } from 'node:crypto';
import type { Cancel, World } from '../ports/world.js';

/** Node takes a longer delay for one of a millisecond. */
export const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** The real clock, timers and randomness of this process. */
export function systemWorld(): World {
  let draws = new Uint32Array(0);
  let at = 0;
  return {
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
    timers: {
      after,
      every,
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
 * is not time yet. Such a timer is set again for the rest, and so is one for longer than Node can wait.
 */
function after(delayMs: number, run: () => void): Cancel {
  const dueMs = performance.now() + delayMs;
  const fire = (): void => {
    const leftMs = dueMs - performance.now();
    if (leftMs > 0) timer = setTimeout(fire, Math.min(leftMs, TIMEOUT_MS_MAX));
    else run();
  };
  let timer = setTimeout(fire, Math.min(delayMs, TIMEOUT_MS_MAX));
  return () => clearTimeout(timer);
}

function every(periodMs: number, run: () => void): Cancel {
  if (periodMs <= TIMEOUT_MS_MAX) {
    const timer = setInterval(run, periodMs);
    return () => clearInterval(timer);
  }
  const again = (): Cancel =>
    after(periodMs, () => {
      cancel = again();
      run();
    });
  let cancel = again();
  return () => cancel();
}
