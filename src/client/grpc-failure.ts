import type { ServiceError } from '@grpc/grpc-js';
import { BrokerError } from '../model/errors.js';
import { ERROR_TRAILER, errorFromStatus } from '../rpc/status.js';

/** What a call or stream that ended with `error` means to this client. */
export function failureOf(error: Error, isWrite: boolean, address?: string): BrokerError {
  if (error instanceof BrokerError) return error;
  const failure = errorFromStatus(error as ServiceError, { isWrite });
  const isBare = (error as ServiceError).metadata.get(ERROR_TRAILER).length === 0;
  if (!isBare || address === undefined || failure.code !== 'DEADLINE_EXCEEDED') return failure;
  // gRPC's own text is of no use to anybody.
  return new BrokerError(failure.code, `no answer from ${address} in time`, {}, { cause: error });
}
