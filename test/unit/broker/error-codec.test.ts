import { expect } from 'chai';
import { ByteReader, ByteWriter } from '../../../src/base/bytes.js';
import { errorCodec } from '../../../src/broker/error-codec.js';
import { BrokerError } from '../../../src/model/errors.js';

function roundTrip(error: BrokerError): BrokerError {
  const w = new ByteWriter(64);
  errorCodec.write(w, error);
  const r = new ByteReader(w.finish());
  const back = errorCodec.read(r);
  r.end();
  return back;
}

describe('errors between brokers', () => {
  const cases: readonly { readonly name: string; readonly error: BrokerError }[] = [
    { name: 'no facts', error: new BrokerError('UNKNOWN_TOPIC', 'no such topic') },
    {
      name: 'the leader',
      error: new BrokerError('NOT_LEADER', 'ask it', {
        leader: { brokerId: 2, host: 'h', port: 7402, term: 9 },
      }),
    },
    {
      name: 'what can be read, also from 0 on',
      error: new BrokerError('OFFSET_OUT_OF_RANGE', 'beyond', {
        logStartOffset: 0,
        highWatermark: 2 ** 40,
      }),
    },
    {
      name: 'the expected sequence',
      error: new BrokerError('OUT_OF_ORDER_SEQUENCE', 'a gap', { expectedSequence: 0 }),
    },
    {
      name: 'where the log ends',
      error: new BrokerError('EXPECTATION_FAILED', 'it ends at 0', { logEndOffset: 0 }),
    },
    {
      name: 'an outcome known better than the code tells',
      error: new BrokerError('DEADLINE_EXCEEDED', 'never sent', { outcome: 'none' }),
    },
    {
      name: 'an unknown outcome',
      error: new BrokerError('NOT_LEADER', 'deposed meanwhile', { outcome: 'unknown' }),
    },
    { name: 'a wait', error: new BrokerError('THROTTLED', 'later', { retryAfterMs: 250 }) },
  ];
  for (const { name, error } of cases) {
    it(`carry ${name}`, () => {
      const back = roundTrip(error);
      expect(back.code).to.equal(error.code);
      expect(back.message).to.equal(error.message);
      expect(back.facts).to.deep.equal(error.facts);
      expect(back.outcome).to.equal(error.outcome);
    });
  }

  it('leave out facts without a name', () => {
    const back = roundTrip(new BrokerError('THROTTLED', 'later', { queue: 'produce' }));
    expect(back.facts).to.deep.equal({});
  });

  it('travel with a wait in fractions rounded up, and without one that is no number', () => {
    const wait = (retryAfterMs: number): unknown =>
      roundTrip(new BrokerError('THROTTLED', 'later', { retryAfterMs })).facts.retryAfterMs;
    expect(wait(1.2)).to.equal(2);
    expect(wait(Infinity)).to.equal(undefined);
  });

  it("say of a newer broker's code what it says of the outcome", () => {
    const w = new ByteWriter(64);
    errorCodec.write(w, new BrokerError('THROTTLED', 'later', { outcome: 'none' }));
    const bytes = w.finish();
    // The code's first letter.
    bytes[1] = 'X'.charCodeAt(0);
    const back = errorCodec.read(new ByteReader(bytes));
    expect(back.code).to.equal('INTERNAL');
    expect(back.outcome).to.equal('none');
    expect(back.message).to.equal('XHROTTLED: later');
  });
});
