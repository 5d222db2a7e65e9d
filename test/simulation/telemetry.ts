import { InvariantError } from '../../src/base/assert.js';
import type { Fields, Logger, Metrics, Telemetry } from '../../src/ports/telemetry.js';
import type { Scheduler } from './world.js';

const NO_METRICS: Metrics = {
  counter: () => ({ add: () => undefined }),
  gauge: () => ({ set: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
};

/** Says what a broker logs in a verbose run. A logged broken invariant ends the run: it is a bug. */
export function simTelemetry(broker: number, scheduler: Scheduler): Telemetry {
  return { log: new SimLogger(broker, scheduler, {}), metrics: NO_METRICS };
}

class SimLogger implements Logger {
  private readonly broker: number;
  private readonly scheduler: Scheduler;
  private readonly bound: Fields;

  constructor(broker: number, scheduler: Scheduler, bound: Fields) {
    this.broker = broker;
    this.scheduler = scheduler;
    this.bound = bound;
  }

  trace(): void {
    // Every message is in the trace already.
  }
  debug(fields: Fields, text: string): void {
    this.line('debug', fields, text);
  }
  info(fields: Fields, text: string): void {
    this.line('info', fields, text);
  }
  warn(fields: Fields, text: string): void {
    this.line('warn', fields, text);
  }
  error(fields: Fields, text: string): void {
    this.line('error', fields, text);
  }
  child(fields: Fields): Logger {
    return new SimLogger(this.broker, this.scheduler, { ...this.bound, ...fields });
  }

  private line(level: string, fields: Fields, text: string): void {
    const { error } = fields;
    if (error instanceof InvariantError) this.scheduler.fail(error);
    this.scheduler.say(() => {
      const facts = JSON.stringify({ ...this.bound, ...fields }, printable);
      return `b${this.broker} ${level} ${text} ${facts}`;
    });
  }
}

function printable(_key: string, value: unknown): unknown {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return value instanceof Uint8Array ? `${value.length} bytes` : value;
}
