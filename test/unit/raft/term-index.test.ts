import { expect } from 'chai';
import fc from 'fast-check';
import { InvariantError } from '../../../src/base/assert.js';
import { logIndex, term } from '../../../src/model/ids.js';
import { TermIndex } from '../../../src/raft/term-index.js';
import { casesOf } from '../../support/cases.js';
import { id } from '../../support/raft-messages.js';

/** Entries 1, 2, … of these terms. */
function indexOf(terms: readonly number[]): TermIndex {
  const index = new TermIndex(id('0/0'), [], id('0/0'));
  for (const [at, t] of terms.entries()) index.append({ term: term(t), index: logIndex(at + 1) });
  return index;
}

function termsOf(index: TermIndex, from: number, to: number): (number | undefined)[] {
  const all: (number | undefined)[] = [];
  for (let at = from; at <= to; at++) all.push(index.termAt(logIndex(at)));
  return all;
}

describe('term index', () => {
  const terms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];

  it('knows the term of every entry, and of nothing else', () => {
    expect(termsOf(indexOf(terms), 0, 11)).deep.equal([0, ...terms, undefined]);
    expect(indexOf(terms).list().length).equal(4);
  });

  it('starts from runs, and refuses runs that contradict the ends', () => {
    const runs = [
      { term: term(1), first: logIndex(4) },
      { term: term(1), first: logIndex(5) },
      { term: term(3), first: logIndex(6) },
    ];
    const index = new TermIndex(id('1/3'), runs, id('3/7'));
    expect(termsOf(index, 2, 8)).deep.equal([undefined, 1, 1, 1, 3, 3, undefined]);
    expect(() => new TermIndex(id('1/2'), runs, id('3/7'))).throw(InvariantError);
    expect(() => new TermIndex(id('1/3'), runs, id('2/7'))).throw(InvariantError);
  });

  it('refuses gaps and falling terms', () => {
    expect(() => {
      indexOf([1, 2]).append(id('2/4'));
    }).throw(InvariantError);
    expect(() => {
      indexOf([1, 2]).append(id('1/3'));
    }).throw(InvariantError);
  });

  it('truncates, and moves its base without forgetting what follows', () => {
    const index = indexOf(terms);
    index.truncateAfter(logIndex(5));
    expect(index.last).deep.equal(id('4/5'));
    index.append(id('7/6'));
    index.moveBase(id('1/2'));
    expect(termsOf(index, 1, 7)).deep.equal([undefined, 1, 1, 4, 4, 7, undefined]);
    index.moveBase(id('7/6'));
    expect(index.last).deep.equal(id('7/6'));
    index.append(id('7/7'));
    expect(termsOf(index, 5, 8)).deep.equal([undefined, 7, 7, undefined]);
    expect(() => {
      index.moveBase(id('6/7'));
    }).throw(InvariantError);
  });

  const hints: [string, string][] = [
    ['9/99', '6/10'],
    ['6/9', '6/9'],
    ['5/9', '5/7'],
    ['3/9', '1/3'],
    ['4/4', '4/4'],
    ['0/7', '0/0'],
  ];
  for (const [asked, found] of hints) {
    it(`finds ${found} as the last entry that may agree with ${asked}`, () => {
      const { term: t, index } = id(asked);
      expect(indexOf(terms).lastAtMost(index, t)).deep.equal(id(found));
    });
  }

  it('answers like a plain list of terms', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('append', 'cut', 'base'), fc.nat(30)), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (list) => {
        const index = indexOf([]);
        let plain = [0];
        let base = 0;
        for (const [what, n] of list) {
          const last = plain.length - 1;
          if (what === 'append') {
            plain.push((plain[last] ?? 0) + (n % 3 === 0 ? 1 : 0) || 1);
            index.append({ term: term(plain.at(-1)!), index: logIndex(last + 1) });
          } else if (what === 'cut') {
            const at = Math.max(base, last - n);
            plain = plain.slice(0, at + 1);
            index.truncateAfter(logIndex(at));
          } else {
            base = Math.min(last, base + n);
            index.moveBase({ term: term(plain[base]!), index: logIndex(base) });
          }
          for (let at = 0; at <= plain.length; at++) {
            expect(index.termAt(logIndex(at))).equal(at < base ? undefined : plain[at]);
          }
          const bound = term(n % 8);
          const hint = index.lastAtMost(logIndex(plain.length + 3), bound);
          let expected = plain.length - 1;
          while (expected > base && plain[expected]! > bound) expected--;
          expect(hint.index).equal(expected);
        }
      }),
      { numRuns: casesOf(300) },
    );
  });
});
