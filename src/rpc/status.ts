import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import {
  BrokerError,
  ERRORS,
  isErrorCode,
  type ErrorCode,
  type ErrorFacts,
  type LeaderHint,
} from '../model/errors.js';
import type {
  Error as WireErrorInput,
  Error__Output as WireError,
} from './gen/millrace/common/v1/Error.js';
import { protoTypes } from './proto.js';

/** Trailing metadata key of the serialized millrace.common.v1.Error. */
export const ERROR_TRAILER = 'millrace-error-bin';

/** gRPC keeps trailers small: 8 KiB of headers in all is a common limit. */
const MESSAGE_LENGTH_MAX = 2_000;

/** A BrokerError as it stands in the body of an answer or in a trailer. */
export function errorToWire(error: BrokerError): WireErrorInput {
  const { leader, retryAfterMs, ...facts } = error.facts;
  const number = (fact: unknown): number => (Number.isSafeInteger(fact) ? (fact as number) : 0);
  return {
    code: error.code,
    message: error.message.slice(0, MESSAGE_LENGTH_MAX),
    retriable: error.retriable,
    outcomeUnknown: error.outcome === 'unknown',
    leader: leader === undefined ? null : { ...leader },
    retryAfterMs: number(retryAfterMs),
    expectedSequence: number(facts['expectedSequence']),
    logEndOffset: number(facts['logEndOffset']),
    ...(facts.keyOffset === undefined ? undefined : { keyOffset: number(facts.keyOffset) }),
    logStartOffset: number(facts['logStartOffset']),
    highWatermark: number(facts['highWatermark']),
  };
}

/** Total: a code of a newer broker becomes INTERNAL, or UNKNOWN_OUTCOME where that could matter. */
export function errorFromWire(wire: WireError): BrokerError {
  if (!isErrorCode(wire.code)) {
    const code = wire.outcomeUnknown || wire.retriable ? 'UNKNOWN_OUTCOME' : 'INTERNAL';
    return new BrokerError(code, `${wire.code}: ${wire.message}`);
  }
  return new BrokerError(wire.code, wire.message, factsOf(wire.code, wire));
}

function factsOf(code: ErrorCode, wire: WireError): ErrorFacts {
  const facts: Record<string, unknown> = {};
  // The broker knows better than the table whether this request may have been carried out.
  const outcome = wire.outcomeUnknown ? 'unknown' : 'none';
  if (outcome !== ERRORS[code].outcome) facts['outcome'] = outcome;
  if (wire.leader !== null) facts['leader'] = leaderFrom(wire.leader);
  if (wire.retryAfterMs > 0) facts['retryAfterMs'] = wire.retryAfterMs;
  if (code === 'OUT_OF_ORDER_SEQUENCE') facts['expectedSequence'] = wire.expectedSequence;
  // By key, or by the end of the log.
  if (wire.keyOffset !== undefined) facts['keyOffset'] = wire.keyOffset;
  else if (HAS_LOG_END.has(code)) facts['logEndOffset'] = wire.logEndOffset;
  if (HAS_RANGE.has(code)) {
    facts['logStartOffset'] = wire.logStartOffset;
    facts['highWatermark'] = wire.highWatermark;
  }
  return facts;
}

function leaderFrom(wire: NonNullable<WireError['leader']>): LeaderHint {
  return { brokerId: wire.brokerId, host: wire.host, port: wire.port, term: wire.term };
}

/** The status a call ends with: code by the error table, the whole error in the trailer. */
export function statusOf(thrown: unknown): StatusObject {
  const error = BrokerError.from(thrown);
  const code = status[status[ERRORS[error.code].grpc] as keyof typeof status];
  const metadata = new Metadata();
  metadata.set(ERROR_TRAILER, protoTypes().Error.serialize(errorToWire(error)));
  return {
    code,
    details: `${error.code}: ${error.message.slice(0, MESSAGE_LENGTH_MAX)}`,
    metadata,
  };
}

/**
 * What a failed call means. `isWrite` decides what a broken connection says: a write may have been
 * carried out, a read is simply tried again.
 */
export function errorFromStatus(
  failure: Pick<ServiceError, 'code' | 'details' | 'metadata'>,
  options: { readonly isWrite: boolean },
): BrokerError {
  const carried = carriedError(failure.metadata);
  if (carried !== undefined) return carried;
  const message = failure.details || `gRPC status ${failure.code}`;
  return new BrokerError(codeWithoutTrailer(failure.code, options.isWrite), message);
}

function carriedError(metadata: Metadata | undefined): BrokerError | undefined {
  const [trailer] = metadata?.get(ERROR_TRAILER) ?? [];
  if (!Buffer.isBuffer(trailer)) return undefined;
  try {
    return errorFromWire(protoTypes().Error.deserialize(trailer));
  } catch {
    return undefined;
  }
}

function codeWithoutTrailer(code: status, isWrite: boolean): ErrorCode {
  switch (code) {
    // Our brokers always send the trailer: without it, it was the connection that failed.
    case status.UNAVAILABLE:
    case status.CANCELLED:
    case status.ABORTED:
    case status.UNKNOWN:
    case status.INTERNAL:
      return isWrite ? 'UNKNOWN_OUTCOME' : 'BROKER_UNAVAILABLE';
    case status.DEADLINE_EXCEEDED:
      return 'DEADLINE_EXCEEDED';
    // The transport's own limits and an older broker: the call was refused before it was read.
    case status.RESOURCE_EXHAUSTED:
      return 'THROTTLED';
    case status.UNIMPLEMENTED:
      return 'UNSUPPORTED';
    case status.INVALID_ARGUMENT:
      return 'INVALID_ARGUMENT';
    default:
      return 'INTERNAL';
  }
}

const HAS_LOG_END: ReadonlySet<ErrorCode> = new Set(['EXPECTATION_FAILED', 'LOG_TRUNCATED']);
const HAS_RANGE: ReadonlySet<ErrorCode> = new Set(['OFFSET_OUT_OF_RANGE', 'LOG_TRUNCATED']);
