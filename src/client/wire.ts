import { BrokerError } from '../model/errors.js';
import type { Error__Output } from '../rpc/gen/millrace/common/v1/Error.js';
import { errorFromWire } from '../rpc/status.js';

export interface Cancellable {
  cancel(): void;
}

export type UnaryDone<Answer> = (error: Error | null, answer?: Answer) => void;

/** Turns one unary call of gRPC's callback style into a promise. */
export interface UnaryRunner {
  run<Answer>(call: (deadline: Date, done: UnaryDone<Answer>) => Cancellable): Promise<Answer>;
}

/** A 64-bit field of the wire that is used as a number. */
export function safe(value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new BrokerError('INTERNAL', `the broker answered with ${value}, which is beyond 2^53`);
}

/** A field in which -1 stands for nothing. */
export function maybe(value: number): number | undefined {
  return value < 0 ? undefined : safe(value);
}

export function maybeError(wire: Error__Output | null): BrokerError | undefined {
  return wire === null ? undefined : errorFromWire(wire);
}
