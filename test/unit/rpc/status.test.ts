import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { BrokerError, ERRORS, type ErrorCode } from '../../../src/model/errors.js';
import {
  errorFromStatus,
  errorFromWire,
  ERROR_TRAILER,
  statusOf,
} from '../../../src/rpc/status.js';

const READ = { isWrite: false };

function roundTrip(error: BrokerError): BrokerError {
  const { code, details, metadata } = statusOf(error);
  return errorFromStatus({ code, details, metadata }, READ);
}

describe('rpc/status', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    it(`carries ${code} with the status of the table`, () => {
      expect(statusOf(new BrokerError(code, 'why')).code).to.equal(ERRORS[code].grpc);
      const back = roundTrip(new BrokerError(code, 'why'));
      expect([back.code, back.message]).to.deep.equal([code, 'why']);
    });
  }

  it('carries the leader hint of NOT_LEADER', () => {
    const leader = { brokerId: 2, host: 'b.example', port: 7402, term: 9 };
    const back = roundTrip(new BrokerError('NOT_LEADER', 'not me', { leader, retryAfterMs: 20 }));
    expect(back.facts).to.deep.equal({ leader, retryAfterMs: 20 });
  });

  it('carries the facts a code promises and no others', () => {
    const facts = { logStartOffset: 3, highWatermark: 70, secret: 'x' };
    expect(roundTrip(new BrokerError('OFFSET_OUT_OF_RANGE', 'm', facts)).facts).to.deep.equal({
      logStartOffset: 3,
      highWatermark: 70,
    });
    const sequence = new BrokerError('OUT_OF_ORDER_SEQUENCE', 'm', { expectedSequence: 0 });
    expect(roundTrip(sequence).facts).to.deep.equal({ expectedSequence: 0 });
    const end = new BrokerError('EXPECTATION_FAILED', 'm', { logEndOffset: 0 });
    expect(roundTrip(end).facts).to.deep.equal({ logEndOffset: 0 });
  });

  it('carries what the broker knows of the outcome, where the table would say otherwise', () => {
    const never = new BrokerError('DEADLINE_EXCEEDED', 'm', { outcome: 'none' });
    expect(roundTrip(never).outcome).to.equal('none');
    expect(roundTrip(new BrokerError('DEADLINE_EXCEEDED', 'm')).outcome).to.equal('unknown');
    const maybe = new BrokerError('THROTTLED', 'm', { outcome: 'unknown' });
    expect(roundTrip(maybe).outcome).to.equal('unknown');
  });

  it('turns anything thrown into INTERNAL', () => {
    expect(roundTrip(BrokerError.from(new TypeError('x is not y'))).code).to.equal('INTERNAL');
  });

  it('bounds the message, so that trailers stay small', () => {
    const { metadata, details } = statusOf(new BrokerError('INTERNAL', 'x'.repeat(100_000)));
    expect(details.length).to.be.lessThan(3_000);
    expect((metadata.get(ERROR_TRAILER)[0] as Buffer).length).to.be.lessThan(3_000);
  });

  for (const [code, read, write] of [
    [status.UNAVAILABLE, 'BROKER_UNAVAILABLE', 'UNKNOWN_OUTCOME'],
    [status.CANCELLED, 'BROKER_UNAVAILABLE', 'UNKNOWN_OUTCOME'],
    [status.INTERNAL, 'BROKER_UNAVAILABLE', 'UNKNOWN_OUTCOME'],
    [status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED'],
    [status.UNIMPLEMENTED, 'UNSUPPORTED', 'UNSUPPORTED'],
    [status.PERMISSION_DENIED, 'INTERNAL', 'INTERNAL'],
  ] as const) {
    it(`reads ${status[code]} without a trailer as ${read}, for a write ${write}`, () => {
      const failure = { code, details: 'd', metadata: new Metadata() };
      expect(errorFromStatus(failure, { isWrite: false }).code).to.equal(read);
      expect(errorFromStatus(failure, { isWrite: true }).code).to.equal(write);
    });
  }

  it('survives a trailer that is not an error', () => {
    const metadata = new Metadata();
    metadata.set(ERROR_TRAILER, Buffer.from([0xff, 0xff, 0xff, 0xff]));
    const failure = { code: status.UNAVAILABLE, details: '', metadata };
    expect(errorFromStatus(failure, READ).code).to.equal('BROKER_UNAVAILABLE');
  });

  it('keeps unknown outcomes unknown when a newer broker sends a code this one lacks', () => {
    const wire = {
      code: 'FROM_THE_FUTURE',
      message: 'm',
      retriable: false,
      outcomeUnknown: true,
      leader: null,
      retryAfterMs: 0,
      expectedSequence: 0,
      logStartOffset: 0,
      highWatermark: 0,
      logEndOffset: 0,
    };
    expect(errorFromWire(wire).code).to.equal('UNKNOWN_OUTCOME');
    expect(errorFromWire({ ...wire, outcomeUnknown: false }).code).to.equal('INTERNAL');
  });
});
