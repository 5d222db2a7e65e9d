import type { handleUnaryCall, ServerUnaryCall } from '@grpc/grpc-js';
import { InvariantError } from '../../base/assert.js';
import type { BrokerServices } from '../../broker/types.js';
import { BrokerError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { statusOf } from '../../rpc/status.js';
import { mustServe, type ApiContext } from './context.js';

/** For calls whose client named no deadline. */
const DEADLINE_MS_DEFAULT = 30_000;
/**
 * The client's own deadline ends its call with nothing but "deadline exceeded": the answer has to set
 * out before it, or the reason is never heard.
 */
const ANSWER_GRACE_MS = 200;

export interface CallContext {
  readonly services: BrokerServices;
  readonly deadlineMs: number;
  /** Fires when the client has gone or its deadline has passed. */
  readonly signal: AbortSignal;
}

/** Wraps a handler: whatever it throws becomes a status with the whole error in the trailer. */
export function unary<Request, Answer>(
  context: ApiContext,
  handler: (request: Request, call: CallContext) => Promise<Answer>,
): handleUnaryCall<Request, Answer> {
  return (call, done) => {
    context.metrics.calls.add(1);
    run(context, call, handler).then(
      (answer) => done(null, answer),
      (thrown: unknown) => {
        context.metrics.failedCalls.add(1);
        logBug(context, thrown);
        done(statusOf(thrown));
      },
    );
  };
}

async function run<Request, Answer>(
  context: ApiContext,
  call: ServerUnaryCall<Request, Answer>,
  handler: (request: Request, call: CallContext) => Promise<Answer>,
): Promise<Answer> {
  const controller = new AbortController();
  call.once('cancelled', () => controller.abort());
  const { signal } = controller;
  // gRPC counts on the machine's clock, whatever time the broker lives in.
  const deadlineMs = remainingMs(call.getDeadline(), Date.now());
  return handler(call.request, { services: mustServe(context), deadlineMs, signal });
}

function remainingMs(deadline: number | Date, nowMs: number): number {
  const at = typeof deadline === 'number' ? deadline : deadline.getTime();
  if (at === Infinity) return DEADLINE_MS_DEFAULT;
  const leftMs = at - nowMs;
  const graceMs = Math.min(ANSWER_GRACE_MS, leftMs / 10);
  return Math.min(Math.max(1, Math.floor(leftMs - graceMs)), LIMITS.requestDeadlineMsMax);
}

/** Expected failures are the client's to read; anything else is a bug, and is told here. */
export function logBug(context: ApiContext, thrown: unknown): void {
  if (thrown instanceof BrokerError && thrown.code !== 'INTERNAL') return;
  const text =
    thrown instanceof InvariantError ? 'broken invariant in a request' : 'request failed';
  context.log.error({ err: thrown }, text);
}
