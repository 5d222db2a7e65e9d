import { randomBytes } from 'node:crypto';
import type { World } from '../ports/world.js';

/** The real clock, timers and randomness of this process. */
export function systemWorld(): World {
  let draws = new Uint32Array(0);
  let at = 0;
  return {
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
    timers: {
      after: (delayMs, run) => {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
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
