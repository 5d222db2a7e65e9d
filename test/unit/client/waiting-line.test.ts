import { expect } from 'chai';
import { WaitingLine } from '../../../src/client/waiting-line.js';
import { BrokerError } from '../../../src/model/errors.js';

describe('a line of records that wait', () => {
  let waitingBytes: number;
  let taken: string[];
  let refused: string[];
  let line: WaitingLine;
  const nothing = { waitingBytes: 0, isEmpty: true };

  beforeEach(() => {
    waitingBytes = 0;
    taken = [];
    refused = [];
    line = new WaitingLine((bytes) => {
      waitingBytes += bytes;
    });
  });

  const push = (name: string, admit: () => boolean): (() => boolean) =>
    line.push({
      bytes: 1,
      sinceMs: 0,
      admit,
      refused: { reject: () => refused.push(name) },
      taken: () => taken.push(name),
    });

  it('takes each once, in order, when taking one asks for more to be taken', () => {
    const entered: string[] = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      push(name, () => {
        if (entered.length < 3) line.admit();
        entered.push(name);
        return true;
      });
    }
    line.admit();
    expect(entered).to.deep.equal(['a', 'b', 'c', 'd']);
    expect(taken).to.deep.equal(entered);
    expect({ waitingBytes, isEmpty: line.isEmpty }).to.deep.equal(nothing);
  });

  it('looks again when room came while there was none', () => {
    let room = 0;
    push('a', () => {
      if (room > 0) return true;
      // What is closed to make room ends at once.
      room += 1;
      line.admit();
      return false;
    });
    line.admit();
    expect(taken).to.deep.equal(['a']);
  });

  it('loses nobody when others withdraw while one is taken, which then is not withdrawn', () => {
    const withdrawals: (() => boolean)[] = [];
    const given: boolean[] = [];
    withdrawals.push(
      push('a', () => {
        for (const withdraw of withdrawals) given.push(withdraw());
        return true;
      }),
    );
    for (const name of ['b', 'c']) withdrawals.push(push(name, () => true));
    push('d', () => taken.length > 5);
    push('e', () => true);
    line.admit();
    expect({ taken, given }).to.deep.equal({ taken: ['a'], given: [false, true, true] });
    expect(waitingBytes).to.equal(2);
    line.refuse(() => new BrokerError('SHUTTING_DOWN', 'closed'));
    expect(refused).to.deep.equal(['d', 'e']);
    expect({ waitingBytes, isEmpty: line.isEmpty }).to.deep.equal(nothing);
  });
});
