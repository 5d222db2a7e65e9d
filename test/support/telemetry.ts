import type { Fields, Logger, Telemetry } from '../../src/ports/telemetry.js';

export interface LogLine {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
  readonly fields: Fields;
}

export interface RecordingTelemetry extends Telemetry {
  readonly lines: LogLine[];
  /** Sums of counters and last values of gauges, by name. */
  readonly values: Map<string, number>;
}

/** Telemetry that remembers what it was told. */
export function recordingTelemetry(): RecordingTelemetry {
  const lines: LogLine[] = [];
  const values = new Map<string, number>();
  const logger = (bound: Fields): Logger => {
    const at =
      (level: LogLine['level']) =>
      (fields: Fields, text: string): void => {
        lines.push({ level, text, fields: { ...bound, ...fields } });
      };
    return {
      trace: at('trace'),
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => logger({ ...bound, ...fields }),
    };
  };
  return {
    lines,
    values,
    log: logger({}),
    metrics: {
      counter: (name) => ({ add: (n) => void values.set(name, (values.get(name) ?? 0) + n) }),
      gauge: (name) => ({ set: (n) => void values.set(name, n) }),
      histogram: () => ({ observe: () => undefined }),
    },
  };
}
