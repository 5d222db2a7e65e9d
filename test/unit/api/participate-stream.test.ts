import { EventEmitter } from 'node:events';

import { expect } from 'chai';

import type { ApiContext } from '../../../src/api/grpc/context.js';
import {
  ParticipateStream,
  type ParticipateCall,
} from '../../../src/api/grpc/participate-stream.js';
import type { Participation, ParticipationSink } from '../../../src/broker/group-types.js';

/** A call whose client takes nothing until it drains. */
class CloggedCall extends EventEmitter {
  readonly log: string[] = [];

  getPeer(): string {
    return '127.0.0.1:1';
  }

  write(): boolean {
    this.log.push('write');
    return false;
  }

  pause(): void {
    this.log.push('pause');
  }

  resume(): void {
    this.log.push('resume');
  }
}

describe('the stream of a member on the wire', () => {
  it('is told once that it drained, however much was sent meanwhile', () => {
    const call = new CloggedCall();
    const sinks: ParticipationSink[] = [];
    const nothing = (): void => undefined;
    const participation: Participation = {
      request: nothing,
      drained: () => void call.log.push('drained'),
      finished: nothing,
      closed: nothing,
    };
    const groups = {
      participate: (to: ParticipationSink): Participation => {
        sinks.push(to);
        return participation;
      },
    };
    const context = { services: () => ({ groups }) } as unknown as ApiContext;
    new ParticipateStream(context, call as unknown as ParticipateCall).serve();
    const response = {
      sequence: 0,
      memberId: 'm',
      memberEpoch: 1,
      assignment: undefined,
      heartbeatIntervalMs: 0,
    };
    for (let i = 0; i < 3; i += 1) expect(sinks[0]?.send(response)).to.equal(false);
    expect(call.listenerCount('drain')).to.equal(1);
    call.emit('drain');
    expect(call.log).to.eql(['write', 'pause', 'write', 'write', 'resume', 'drained']);
    expect(sinks[0]?.send(response)).to.equal(false);
    expect(call.listenerCount('drain')).to.equal(1);
  });
});
