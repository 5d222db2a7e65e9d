import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 10;

export interface LoopDelay {
  /** The 99th percentile of how much later than due the event loop turned, in ms. */
  stop(): number;
}

/** Watches how late a timer of this process fires. */
export function watchLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return {
    stop: () => {
      histogram.disable();
      // It records how long a turn took, the timer's own interval included.
      return Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS);
    },
  };
}
