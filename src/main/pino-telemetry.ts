import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Logger } from '../ports/telemetry.js';
import { LoopDelay } from './loop-delay.js';
import { telemetryOf, type ProcessTelemetry } from './process-telemetry.js';

const PREFIX = 'millrace_';
/** Milliseconds between two looks of prom-client at the event loop: never. */
const NEVER = 2 ** 31 - 1;

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * Logs as JSON lines (to standard output unless told otherwise), metrics for Prometheus, those of the
 * process and its event loop's delay included. Lines are written at once: the last ones before a crash
 * are the ones that matter.
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
  if (options.brokerOnly === true) return telemetryOf(loggerOf(root));
  const registry = new Registry();
  collectDefaultMetrics({
    register: registry,
    prefix: PREFIX,
    eventLoopMonitoringPrecision: NEVER,
  });
  new LoopDelay(registry, PREFIX);
  return telemetryOf(loggerOf(root), () => registry.metrics());
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
