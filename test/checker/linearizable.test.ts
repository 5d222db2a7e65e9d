import { expect } from 'chai';

import { Prng } from '../../src/base/prng.js';
import { linearizable, type ModelCall } from './linearizable.js';

/** A register: writes always can, reads only of what is there. */
function call(from: number, to: number, text: string): ModelCall {
  const [f, value = ''] = text.split(' ');
  const read = (state: string): string | undefined => (state === value ? state : undefined);
  return { from, to, text, effect: text, step: f === 'read' ? read : () => value };
}

/** By trying every order of every choice of calls without an answer. */
function naive(calls: readonly ModelCall[], state: string): boolean {
  if (calls.every(({ to }) => to === Number.POSITIVE_INFINITY)) return true;
  const firstEnd = Math.min(...calls.map(({ to }) => to));
  return calls.some((one, at) => {
    if (one.from > firstEnd) return false;
    const next = one.step(state);
    return next !== undefined && naive(calls.toSpliced(at, 1), next);
  });
}

describe('the search for an order of calls', () => {
  it('finds one exactly where trying all of them does', () => {
    const prng = new Prng(7);
    const found = { yes: 0, no: 0 };
    for (let round = 0; round < 2_000; round += 1) {
      const calls = Array.from({ length: 1 + prng.int(6) }, () => {
        const from = prng.int(10);
        const to = prng.chance(0.4) ? Number.POSITIVE_INFINITY : from + prng.int(6);
        return call(from, to, `${prng.chance(0.5) ? 'read' : 'write'} ${prng.int(3)}`);
      });
      const { kind } = linearizable(calls, '0');
      expect(kind, calls.map(({ from, to, text }) => `${from}-${to} ${text}`).join('; ')).to.equal(
        naive(calls, '0') ? 'yes' : 'no',
      );
      if (kind !== 'undecided') found[kind] += 1;
    }
    expect(Math.min(found.yes, found.no)).to.be.greaterThan(200);
  });

  it('decides what very many calls without an answer may have done', () => {
    const lost = Array.from({ length: 60 }, (_, i) =>
      call(i, Number.POSITIVE_INFINITY, `write ${i % 4}`),
    );
    const reads = Array.from({ length: 30 }, (_, i) =>
      call(100 + 2 * i, 101 + 2 * i, `read ${i % 4}`),
    );
    expect(linearizable([...lost, ...reads], '0').kind).to.equal('yes');
    const wrong = call(200, 201, 'read 4');
    expect(linearizable([...lost, ...reads, wrong], '0')).to.deep.equal({ kind: 'no', at: wrong });
  });
});
