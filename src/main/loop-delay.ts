import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';

/** The Raft ticker's own by default, so that the two come to share a waking. */
const PERIOD_MS = 50;
const NANOSECONDS_PER_MS = 1e6;
const NANOSECONDS_PER_SECOND = 1e9;
/** The least that a histogram takes. */
const NANOSECONDS_MIN = 1;

type Part = readonly [name: string, help: string, of: (late: RecordableHistogram) => number];

const PARTS: readonly Part[] = [
  ['min', 'The least that a timer was late', (late) => late.min],
  ['max', 'The most that a timer was late', (late) => late.max],
  ['mean', 'How late timers were, the mean', (late) => late.mean],
  ['stddev', 'How late timers were, the standard deviation', (late) => late.stddev],
  ['p50', 'How late timers were, the 50th percentile', (late) => late.percentile(50)],
  ['p90', 'How late timers were, the 90th percentile', (late) => late.percentile(90)],
  ['p99', 'How late timers were, the 99th percentile', (late) => late.percentile(99)],
];

/**
 * How late the event loop runs its timers, by one that knows when it was due. It stands in for prom-client's
 * own, which wakes an idle broker a hundred times a second and counts the ten milliseconds between as if
 * they were lateness. Twenty looks a second find the same share of late ones.
 *
 * Invariant: what is told counts from when it was told last.
 */
export class LoopDelay {
  private readonly late = createHistogram();
  private readonly timer: NodeJS.Timeout;
  private dueMs = performance.now() + PERIOD_MS;

  /** In `registry`, in place of what has the same names there. */
  constructor(registry: Registry, prefix: string) {
    const gauges: { readonly gauge: Gauge; readonly of: Part[2] }[] = [];
    for (const [part, help, of] of PARTS) {
      const name = `${prefix}nodejs_eventloop_lag_${part}_seconds`;
      registry.removeSingleMetric(name);
      // A registry reads them in the order in which they came: the first fills in all.
      const isFirst = gauges.length === 0;
      const collect = (): void => {
        for (const one of gauges) one.gauge.set(this.seconds(one.of));
        this.late.reset();
      };
      const registers = [registry];
      const text = `${help}, since it was asked last.`;
      const gauge = new Gauge({ name, help: text, registers, ...(isFirst && { collect }) });
      gauges.push({ gauge, of });
    }
    this.timer = setInterval(() => this.look(performance.now()), PERIOD_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private seconds(of: Part[2]): number {
    return this.late.count === 0 ? 0 : of(this.late) / NANOSECONDS_PER_SECOND;
  }

  private look(nowMs: number): void {
    const lateNs = Math.round((nowMs - this.dueMs) * NANOSECONDS_PER_MS);
    this.late.record(Math.max(NANOSECONDS_MIN, lateNs));
    this.dueMs = nowMs + PERIOD_MS;
  }
}
