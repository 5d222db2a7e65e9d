import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { ProduceRequest, ProduceResult } from '../../broker/types.js';
import { BrokerError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { integerIn } from '../../rpc/convert.js';
import type { ProduceRequest__Output } from '../../rpc/gen/millrace/broker/v1/ProduceRequest.js';
import type { ProduceResponse } from '../../rpc/gen/millrace/broker/v1/ProduceResponse.js';
import { mustServe, type ApiContext } from './context.js';
import { produceFailure, produceRequestFrom, produceResponseFrom } from './convert-records.js';
import { logBug } from './unary.js';

export type ProduceCall = ServerDuplexStream<ProduceRequest__Output, ProduceResponse>;

/** Reading goes on once what is in flight has come down to this share of the limits. */
const RESUME_SHARE = 0.5;

/**
 * One client's produce stream. Requests are pipelined; the broker keeps the answers of a partition in
 * order, and a request that never reaches the broker is answered after all before it.
 *
 * Invariant: no more than the limits' bytes and requests are in flight, plus those that were already
 * read when reading was paused; while the client takes no answers, nothing is read either.
 */
export class ProduceStream {
  private readonly context: ApiContext;
  private readonly call: ProduceCall;
  private inflight = 0;
  private inflightBytes = 0;
  /** The client has not taken the answers written so far. */
  private isClogged = false;
  private isPaused = false;
  private hasEnded = false;
  private isGone = false;
  /** Refusals that wait for everything before them. */
  private refusals: ProduceResponse[] = [];

  constructor(context: ApiContext, call: ProduceCall) {
    this.context = context;
    this.call = call;
  }

  serve(): void {
    const { call } = this;
    call.on('data', (wire: ProduceRequest__Output) => this.take(wire));
    call.on('end', () => {
      this.hasEnded = true;
      this.maybeFinish();
    });
    for (const event of ['cancelled', 'error', 'close']) {
      call.on(event, () => {
        this.isGone = true;
      });
    }
  }

  private take(wire: ProduceRequest__Output): void {
    const { context } = this;
    const startedMs = context.clock.monotonicMs();
    let request: ProduceRequest;
    let correlationId = wire.correlationId;
    try {
      correlationId = integerIn(correlationId, 'correlation_id', 0);
      const { crc32c, clock } = context;
      request = produceRequestFrom(wire, { crc32c, nowMs: clock.nowMs() });
    } catch (thrown) {
      this.refuse(correlationId, thrown);
      return;
    }
    const bytes = request.batch.length;
    context.metrics.produceRequests.add(1);
    context.metrics.produceBytes.add(bytes);
    this.inflight += 1;
    this.inflightBytes += bytes;
    try {
      mustServe(context).produce.produce(request, (result) => {
        context.metrics.produceMs.observe(context.clock.monotonicMs() - startedMs);
        this.answered(correlationId, bytes, result);
      });
    } catch (thrown) {
      logBug(context, thrown);
      this.answered(correlationId, bytes, { error: BrokerError.from(thrown) });
    }
    this.regulate();
  }

  private answered(correlationId: number, bytes: number, result: ProduceResult): void {
    this.inflight -= 1;
    this.inflightBytes -= bytes;
    if (result.error !== undefined) this.context.metrics.produceFailures.add(1);
    this.write(produceResponseFrom(correlationId, result, this.context.self));
    this.regulate();
    this.maybeFinish();
  }

  /** The request never reaches the broker: its answer must not overtake those before it. */
  private refuse(correlationId: number, thrown: unknown): void {
    logBug(this.context, thrown);
    this.context.metrics.produceFailures.add(1);
    this.refusals.push(produceFailure(correlationId, BrokerError.from(thrown), this.context.self));
    this.regulate();
    this.maybeFinish();
  }

  private write(response: ProduceResponse): void {
    if (this.isGone) return;
    if (this.call.write(response) || this.isClogged) return;
    this.isClogged = true;
    this.call.once('drain', () => {
      this.isClogged = false;
      this.regulate();
    });
  }

  /** Pauses and resumes reading. */
  private regulate(): void {
    if (this.inflight === 0) this.flushRefusals();
    const share = this.isPaused ? RESUME_SHARE : 1;
    const mustPause =
      this.isClogged ||
      this.refusals.length > 0 ||
      this.inflight >= LIMITS.produceInflightPerStreamMax * share ||
      this.inflightBytes >= LIMITS.produceInflightBytesPerStreamMax * share;
    if (mustPause === this.isPaused || this.isGone) return;
    this.isPaused = mustPause;
    if (mustPause) this.call.pause();
    else this.call.resume();
  }

  private flushRefusals(): void {
    const refusals = this.refusals;
    if (refusals.length === 0) return;
    this.refusals = [];
    for (const refusal of refusals) this.write(refusal);
  }

  private maybeFinish(): void {
    if (this.hasEnded && this.inflight === 0 && !this.isGone) this.call.end();
  }
}
