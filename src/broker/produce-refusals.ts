import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import type { RecordBatchHeader } from '../model/record-batch.js';

/*
 * What the leader of a partition says to batches that it does not append. None of them says more than
 * that: a batch that was refused here is not in the log.
 */

const RETRY_AFTER_MS = 20;

export function throttled(message: string): BrokerError {
  return new BrokerError('THROTTLED', message, { retryAfterMs: RETRY_AFTER_MS });
}

/** `logEndOffset` is confirmed: the expectation would have held there. */
export function expectationFailed(expected: number, logEndOffset: number): BrokerError {
  const message = `the batch expects offset ${expected}, but the log ends at ${logEndOffset}`;
  return new BrokerError('EXPECTATION_FAILED', message, { logEndOffset });
}

/** `keyOffset` is confirmed: the expectation would have held there. */
export function keyExpectationFailed(expected: number, keyOffset: number): BrokerError {
  const say = (at: number): string => (at < 0 ? 'to have no record' : `at offset ${at}`);
  const message = `the batch expects the key ${say(expected)}, and it is ${keyOffset < 0 ? 'without one' : say(keyOffset)}`;
  return new BrokerError('EXPECTATION_FAILED', message, { keyOffset });
}

export function keyLimit(held: { readonly keys: number; readonly bytes: number }): BrokerError {
  const { comparedKeysMax, comparedKeyBytesMax, comparedKeyBytesPerBrokerMax } = LIMITS;
  const message =
    `the partition holds more keys than can be compared by: ${held.keys} in about ${held.bytes} bytes; ` +
    `at most ${comparedKeysMax} keys and ${comparedKeyBytesMax} bytes a partition, and ` +
    `${comparedKeyBytesPerBrokerMax} bytes for all that a broker leads`;
  return new BrokerError('KEY_LIMIT', message);
}

/** Why a batch of an idempotent producer is not the next one of it. */
export function producerError(
  verdict:
    | { readonly kind: 'fenced'; readonly epoch: number }
    | { readonly kind: 'outOfOrder'; readonly expected: number }
    | { readonly kind: 'unknownProducer' | 'limit' },
  header: RecordBatchHeader,
): BrokerError {
  const who = `producer ${header.producerId}`;
  switch (verdict.kind) {
    case 'fenced':
      return new BrokerError(
        'PRODUCER_FENCED',
        `${who} epoch ${header.producerEpoch} was replaced by epoch ${verdict.epoch}`,
      );
    case 'outOfOrder':
      return new BrokerError(
        'OUT_OF_ORDER_SEQUENCE',
        `${who} sent sequence ${header.baseSequence}, expected is ${verdict.expected}`,
        { expectedSequence: verdict.expected },
      );
    case 'unknownProducer':
      return new BrokerError(
        'UNKNOWN_PRODUCER',
        `${who} epoch ${header.producerEpoch} is not known here and must start at sequence 0, ` +
          `not ${header.baseSequence}`,
      );
    case 'limit':
      return new BrokerError(
        'PRODUCER_LIMIT',
        `the partition remembers ${LIMITS.producersPerPartitionMax} producers, all of them used ` +
          `within the last ${LIMITS.deliveryTimeoutMsMax} ms`,
        { retryAfterMs: 1_000 },
      );
  }
}
