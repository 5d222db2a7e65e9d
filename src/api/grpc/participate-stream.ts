import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { ParticipateResponse, Participation } from '../../broker/group-types.js';
import type { BrokerError } from '../../model/errors.js';
import type { ParticipateRequest__Output } from '../../rpc/gen/millrace/broker/v1/ParticipateRequest.js';
import type { ParticipateResponse as WireResponse } from '../../rpc/gen/millrace/broker/v1/ParticipateResponse.js';
import { statusOf } from '../../rpc/status.js';
import { mustServe, type ApiContext } from './context.js';
import { participateFrom, participateToWire } from './convert-groups.js';
import { logBug } from './unary.js';

export type ParticipateCall = ServerDuplexStream<ParticipateRequest__Output, WireResponse>;

/**
 * One member's stream on the wire. While the member takes no responses, none of its requests are read.
 *
 * Invariant: the call is ended once, with a status that carries the whole error.
 */
export class ParticipateStream {
  private readonly context: ApiContext;
  private readonly call: ParticipateCall;
  private participation: Participation | undefined;
  private isOver = false;
  private isClogged = false;

  constructor(context: ApiContext, call: ParticipateCall) {
    this.context = context;
    this.call = call;
  }

  serve(): void {
    const { call, context } = this;
    try {
      const host = hostOf(call.getPeer());
      this.participation = mustServe(context).groups.participate(
        {
          send: (response) => this.send(response),
          end: (error) => this.end(error),
        },
        host,
      );
    } catch (thrown) {
      this.fail(thrown);
      return;
    }
    call.on('data', (wire: ParticipateRequest__Output) => this.take(wire));
    call.on('end', () => this.participation?.finished());
    for (const event of ['cancelled', 'error', 'close']) {
      call.on(event, () => {
        this.isOver = true;
        this.participation?.closed();
      });
    }
  }

  private take(wire: ParticipateRequest__Output): void {
    if (this.isOver) return;
    try {
      this.participation?.request(participateFrom(wire));
    } catch (thrown) {
      this.fail(thrown);
      this.participation?.closed();
    }
  }

  private send(response: ParticipateResponse): boolean {
    if (this.isOver) return true;
    if (this.call.write(participateToWire(response))) return true;
    // Several responses may go out before the first drains.
    if (this.isClogged) return false;
    this.isClogged = true;
    this.call.pause();
    this.call.once('drain', () => {
      this.isClogged = false;
      this.call.resume();
      this.participation?.drained();
    });
    return false;
  }

  private end(error: BrokerError | undefined): void {
    if (error !== undefined) this.fail(error);
    else if (!this.isOver) {
      this.isOver = true;
      this.call.end();
    }
  }

  private fail(thrown: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    logBug(this.context, thrown);
    this.call.emit('error', statusOf(thrown));
  }
}

/** `1.2.3.4:567` and `[::1]:567` without the port. */
function hostOf(peer: string): string {
  const colon = peer.lastIndexOf(':');
  return (colon < 0 ? peer : peer.slice(0, colon)).replace(/^\[(.*)\]$/, '$1');
}
