import type { BrokerError } from '../model/errors.js';
import type { BatchReport } from './accumulator.js';
import type { BrokerAddress, ClusterMethods, TopicPartition } from './types.js';

/** Something is tried again. */
export type RetryEvent = {
  /** Which attempt failed, from 1. */
  readonly attempt: number;
  /** Until it is tried again, unless waiting ends early. */
  readonly delayMs: number;
  /** Why; undefined: not because of an answer. */
  readonly error: BrokerError | undefined;
} & (
  | ({ readonly kind: 'produce' | 'fetch' } & TopicPartition)
  | { readonly kind: 'call'; readonly method: keyof ClusterMethods }
);

/** A partition has another leader. */
export interface LeaderChangeEvent extends TopicPartition {
  readonly brokerId: number;
  readonly leaderEpoch: number;
  /** Undefined: none was known. */
  readonly previousBrokerId: number | undefined;
}

/** Records of one partition came, and are held until they are read. */
export interface FetchEvent extends TopicPartition {
  readonly broker: BrokerAddress;
  /** As stored; 0: there was nothing new. */
  readonly bytes: number;
  readonly nextOffset: number;
  readonly highWatermark: number;
}

/**
 * What a client tells of its work, for metrics and logs. Each is called in the midst of that work:
 * it has to be quick. What it throws, or rejects with, is dropped.
 */
export interface ClientHooks {
  /** Something failed, and will be tried again. */
  readonly onRetry?: ((event: RetryEvent) => unknown) | undefined;
  /** A leader became known. */
  readonly onLeaderChange?: ((event: LeaderChangeEvent) => unknown) | undefined;
  /** A batch was acknowledged, or given up. */
  readonly onProduce?: ((report: BatchReport) => unknown) | undefined;
  /** Records of a partition came. */
  readonly onFetch?: ((event: FetchEvent) => unknown) | undefined;
}

/** The same hooks, none of which ever throws. Those that are not set stay so, and cost nothing. */
export function guardedHooks(hooks: ClientHooks): ClientHooks {
  return {
    onRetry: guarded(hooks.onRetry),
    onLeaderChange: guarded(hooks.onLeaderChange),
    onProduce: guarded(hooks.onProduce),
    onFetch: guarded(hooks.onFetch),
  };
}

export function guarded<Event>(
  hook: ((event: Event) => unknown) | undefined,
): ((event: Event) => void) | undefined {
  if (hook === undefined) return undefined;
  return (event) => {
    try {
      const result = hook(event);
      if (result instanceof Promise) result.catch(() => undefined);
    } catch {
      // The client's work does not depend on who looks at it.
    }
  };
}
