import type { Crc32c } from '../../base/crc32c.js';
import type { BrokerHealth, BrokerServices } from '../../broker/types.js';
import { BrokerError } from '../../model/errors.js';
import type { BrokerId } from '../../model/ids.js';
import type { Counter, Histogram, Logger, Telemetry } from '../../ports/telemetry.js';
import type { Clock } from '../../ports/world.js';

const LATENCY_BUCKETS_MS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 30_000];

export interface ApiMetrics {
  readonly calls: Counter;
  readonly failedCalls: Counter;
  readonly produceRequests: Counter;
  readonly produceFailures: Counter;
  readonly produceBytes: Counter;
  readonly produceMs: Histogram;
  readonly fetchResponses: Counter;
  readonly fetchBytes: Counter;
}

export function apiMetrics({ metrics }: Telemetry): ApiMetrics {
  return {
    calls: metrics.counter('api_calls_total', 'Unary calls of clients'),
    failedCalls: metrics.counter('api_failed_calls_total', 'Unary calls that failed'),
    produceRequests: metrics.counter('produce_requests_total', 'Batches offered by producers'),
    produceFailures: metrics.counter('produce_failures_total', 'Batches answered with an error'),
    produceBytes: metrics.counter('produce_bytes_total', 'Bytes of batches offered by producers'),
    produceMs: metrics.histogram(
      'produce_ms',
      'From a batch being read to its answer, ms',
      LATENCY_BUCKETS_MS,
    ),
    fetchResponses: metrics.counter('fetch_responses_total', 'Answers to fetches'),
    fetchBytes: metrics.counter('fetch_bytes_total', 'Bytes of batches given to consumers'),
  };
}

/** What the handlers of the client API work with. */
export interface ApiContext {
  readonly self: BrokerId;
  readonly clock: Clock;
  readonly crc32c: Crc32c;
  readonly log: Logger;
  readonly metrics: ApiMetrics;
  /** Undefined until the broker is part of its cluster. */
  services(): BrokerServices | undefined;
  health(): BrokerHealth;
}

export function mustServe(context: ApiContext): BrokerServices {
  const services = context.services();
  if (services !== undefined) return services;
  throw new BrokerError('BROKER_UNAVAILABLE', `starting: ${context.health().reason}`);
}
