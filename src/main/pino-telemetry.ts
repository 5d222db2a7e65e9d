import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Logger, Metrics, Telemetry } from '../ports/telemetry.js';

const PREFIX = 'millrace_';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface ProcessTelemetry extends Telemetry {
  readonly contentType: string;
  /** All metrics in Prometheus' text format, the process' own and its event loop's delay included. */
  metricsText(): Promise<string>;
}

/**
 * Logs as JSON lines (to standard output unless told otherwise), metrics for Prometheus. Lines are
 * written at once: the last ones before a crash are the ones that matter.
 */
export function pinoTelemetry(options: {
  readonly level: LogLevel;
  readonly brokerId: number;
  readonly destination?: DestinationStream;
  /**
   * Leaves out the metrics of the process: one of several brokers in it cannot tell its share, and
   * their collectors stay for as long as the process.
   */
  readonly brokerOnly?: boolean;
}): ProcessTelemetry {
  const settings = {
    level: options.level,
    base: { brokerId: options.brokerId },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
    // Without one an error is an object without its text. The causes' texts are part of it.
    serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
  };
  const root =
    options.destination === undefined ? pino(settings) : pino(settings, options.destination);
  const registry = new Registry();
  if (options.brokerOnly !== true) collectDefaultMetrics({ register: registry, prefix: PREFIX });
  return {
    log: loggerOf(root),
    metrics: metricsOf(registry),
    contentType: registry.contentType,
    metricsText: () => registry.metrics(),
  };
}

function loggerOf(logger: PinoLogger): Logger {
  return {
    trace: (fields, text) => logger.trace(fields, text),
    debug: (fields, text) => logger.debug(fields, text),
    info: (fields, text) => logger.info(fields, text),
    warn: (fields, text) => logger.warn(fields, text),
    error: (fields, text) => logger.error(fields, text),
    child: (fields) => loggerOf(logger.child(fields)),
  };
}

/** Several parts may ask for one name: they get the same metric. */
function metricsOf(registry: Registry): Metrics {
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  const registers = [registry];
  return {
    counter: (name, help) => {
      const counter = once(
        counters,
        name,
        () => new Counter({ name: PREFIX + name, help, registers }),
      );
      return { add: (amount) => counter.inc(amount) };
    },
    gauge: (name, help) => {
      const gauge = once(gauges, name, () => new Gauge({ name: PREFIX + name, help, registers }));
      return { set: (value) => gauge.set(value) };
    },
    histogram: (name, help, buckets) => {
      const make = (): Histogram =>
        new Histogram({ name: PREFIX + name, help, buckets: [...buckets], registers });
      const histogram = once(histograms, name, make);
      return { observe: (value) => histogram.observe(value) };
    },
  };
}

function once<T>(made: Map<string, T>, name: string, make: () => T): T {
  const existing = made.get(name);
  if (existing !== undefined) return existing;
  const metric = make();
  made.set(name, metric);
  return metric;
}
