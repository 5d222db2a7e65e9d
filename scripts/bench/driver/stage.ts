import process from 'node:process';

import type { DriverMessage } from './job.js';
import { watchLoopDelay } from './clock.js';

/** What the program around a job gives it. */
export interface DriverContext {
  readonly bootstrap: readonly string[];
  /** Marks what is measured: whoever started this process books CPU and memory of all from here on. */
  begins(): void;
  /** Ends it; the loop delay's p99 in between. */
  ends(): number;
}

/** A line of JSON on standard output: programs in any language can say that. */
export function tell(message: DriverMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

export function driverContext(bootstrap: readonly string[]): DriverContext {
  let delay = watchLoopDelay();
  return {
    bootstrap,
    begins: () => {
      tell({ kind: 'begins' });
      delay.stop();
      delay = watchLoopDelay();
    },
    ends: () => {
      tell({ kind: 'ends' });
      return delay.stop();
    },
  };
}
