export type Fields = Readonly<Record<string, unknown>>;

/** Structured logging: constant text, facts as fields. */
export interface Logger {
  trace(fields: Fields, text: string): void;
  debug(fields: Fields, text: string): void;
  info(fields: Fields, text: string): void;
  warn(fields: Fields, text: string): void;
  error(fields: Fields, text: string): void;
  child(fields: Fields): Logger;
}

export interface Counter {
  add(amount: number): void;
}
export interface Gauge {
  set(value: number): void;
}
export interface Histogram {
  observe(value: number): void;
}

/** Names are Prometheus names without the `millrace_` prefix; units end the name. */
export interface Metrics {
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  histogram(name: string, help: string, buckets: readonly number[]): Histogram;
}

export interface Telemetry {
  readonly log: Logger;
  readonly metrics: Metrics;
}
