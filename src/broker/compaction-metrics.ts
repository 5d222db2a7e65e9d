import type { Counter, Gauge, Metrics } from '../ports/telemetry.js';

/** What a broker tells of the compaction of its replicas. */
export class CompactionMetrics {
  private readonly passes: Counter;
  private readonly reclaimed: Counter;
  private readonly lag: Gauge;

  constructor(metrics: Metrics) {
    this.passes = metrics.counter(
      'compaction_passes_total',
      'Passes over logs of partition replicas that compaction has ended.',
    );
    this.reclaimed = metrics.counter(
      'compaction_reclaimed_bytes_total',
      'Bytes of records that compaction has removed.',
    );
    this.lag = metrics.gauge(
      'compaction_lag_records',
      'Offsets of all replicas that are to be compacted and are not yet.',
    );
  }

  passed(reclaimedBytes: number): void {
    this.passes.add(1);
    // Recompressed records may take more room than they did.
    this.reclaimed.add(Math.max(0, reclaimedBytes));
  }

  lagging(records: number): void {
    this.lag.set(records);
  }
}
