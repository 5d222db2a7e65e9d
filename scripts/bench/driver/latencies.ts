import { build, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

import type { JobResult, Quantiles } from './job.js';

const MICROS_MAX = 60_000_000;

/** Latencies at three significant digits, up to a minute. */
export class Latencies {
  private readonly histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MICROS_MAX,
    numberOfSignificantValueDigits: 3,
  });

  note(ms: number): void {
    this.histogram.recordValue(Math.min(MICROS_MAX, Math.max(1, Math.round(ms * 1000))));
  }

  reset(): void {
    this.histogram.reset();
  }

  report(): Pick<JobResult, 'latencyMs' | 'histogram'> {
    const at = (percentile: number): number =>
      this.histogram.getValueAtPercentile(percentile) / 1000;
    const latencyMs: Quantiles = {
      ...{ p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) },
    };
    return { latencyMs, histogram: encodeIntoCompressedBase64(this.histogram) };
  }
}
