import type { Logger, Telemetry } from '../ports/telemetry.js';
import { BrokerMetrics } from './broker-metrics.js';

/** What a broker's process tells of itself. */
export interface ProcessTelemetry extends Telemetry {
  /** Of `metricsText`. */
  readonly contentType: string;
  /** All metrics in Prometheus' text format. */
  metricsText(): Promise<string>;
}

/** The broker's own metrics, and those of its process if there are any, beside a log. */
export function telemetryOf(log: Logger, processMetrics?: () => Promise<string>): ProcessTelemetry {
  const metrics = new BrokerMetrics();
  return {
    log,
    metrics,
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    metricsText: async () => metrics.text() + ((await processMetrics?.()) ?? ''),
  };
}

/** Counts, and says nothing. */
export function silentTelemetry(): ProcessTelemetry {
  const nothing = (): void => undefined;
  const log: Logger = {
    ...{ trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing },
    child: () => log,
  };
  return telemetryOf(log);
}
