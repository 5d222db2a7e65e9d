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

/** A 32-bit field of a request. On the wire a larger number would silently become another one. */
export function uint32(value: number, field: string): number {
  return within(value, field, 0, 0xffff_ffff);
}

/** A 64-bit field of a request. */
export function int64(value: number, field: string): number {
  return within(value, field, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
}

function within(value: number, field: string, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const text = `${field} must be a whole number from ${min} to ${max}, not ${value}`;
  throw new BrokerError('INVALID_ARGUMENT', text);
}

export function maybeError(wire: Error__Output | null): BrokerError | undefined {
  return wire === null ? undefined : errorFromWire(wire);
}
