import { expect } from 'chai';

import { expandedSize } from '../../../src/broker/topic-pattern-size.js';
import { TopicPatterns } from '../../../src/broker/topic-patterns.js';
import { compileRe2 } from '../../../src/main/re2-expressions.js';

describe('patterns of subscriptions', () => {
  const patterns = new TopicPatterns(compileRe2);

  it('match whole names', () => {
    const matches = patterns.matcher('orders[.-](eu|us)-\\d{1,4}');
    for (const name of ['orders.eu-1', 'orders-us-0042'])
      expect(matches(name), name).to.equal(true);
    for (const name of ['orders.eu-', 'my-orders.eu-1', 'orders.eu-12345']) {
      for (let again = 0; again < 2; again += 1) expect(matches(name), name).to.equal(false);
    }
  });

  it('match nothing when they are not valid', () => {
    for (let again = 0; again < 2; again += 1) {
      expect(patterns.problem('a(')).to.match(/RE2's syntax/);
      expect(patterns.matcher('a(')('a')).to.equal(false);
    }
  });

  it('are not compiled when they are too long, or written out would be', () => {
    expect(patterns.problem('a'.repeat(1_001))).to.match(/at most 1000 characters/);
    expect(patterns.problem('a'.repeat(1_000))).to.equal(undefined);
    const large = [
      '\\pL{1000}'.repeat(111),
      '(?:x?){1000}'.repeat(83),
      '((((a?b?c?d?){10}){10}){10})'.repeat(34),
      '[[:alpha:]]{1,}[^]a]{900}(?i)[\\]b]{900}',
    ];
    for (const pattern of large) {
      expect(patterns.problem(pattern), pattern).to.match(/more than 1500 steps/);
      expect(patterns.matcher(pattern)('a'), pattern).to.equal(false);
    }
    // Few steps as it is written, more as it is compiled.
    expect(patterns.problem('(?:a?b?){500}')).to.match(/more than 1500 steps/);
  });

  const SIZES: readonly (readonly [string, number])[] = [
    ['', 0],
    ['abc', 3],
    ['a|bc*', 3],
    ['a{3}', 3],
    ['a{2,5}b', 6],
    ['a{7,}', 7],
    ['a{,5}', 5],
    ['(ab){10}', 20],
    ['(?:a(b{3}){4}){2}', 26],
    ['(?i)(?P<x>ab){3}', 6],
    ['[a-z[:digit:]{9}]{4}', 4],
    ['[]a]{4}', 4],
    ['\\.{4}\\p{Greek}{3}\\x{10FFFF}{2}', 9],
    ['\\Qa{9}\\E', 8],
    ['((a', 1],
    ['a))', 1],
    ['{3}', 0],
  ];
  for (const [pattern, size] of SIZES) {
    it(`sees that ${pattern === '' ? 'nothing' : pattern} comes to ${size}`, () => {
      expect(expandedSize(pattern)).to.equal(size);
    });
  }

  it('keep no results of names beyond a bound, of all patterns together', () => {
    const names = Array.from({ length: 1_000 }, (_, i) => `t${i}`);
    const many = new TopicPatterns(compileRe2);
    for (let i = 0; i < 210; i += 1) {
      const matches = many.matcher(`t${i}`);
      const matched = names.filter((name) => matches(name));
      expect(matched).to.eql([`t${i}`]);
      expect(many.resultsKept).to.be.at.most(200_000);
    }
  });
});
