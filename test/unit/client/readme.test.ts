import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { ERRORS } from '../../../src/model/errors.js';
import { problemsOf } from '../../support/compile.js';

describe("the client's README", () => {
  it('lists every error code as the table has it', () => {
    const readme = readFileSync(new URL('../../../src/client/README.md', import.meta.url), 'utf8');
    const listed = [...readme.matchAll(/^\| ([A-Z_]+)\s*\| (\w+)\s*\| (\w+)\s*\|/gm)].map(
      ([, code = '', retriable, outcome]) => [code, { retriable: retriable === 'yes', outcome }],
    );
    const actual = Object.entries(ERRORS).map(([code, { retriable, outcome }]) => [
      code,
      { retriable, outcome },
    ]);
    expect(listed).to.deep.equal(actual);
  });
});

describe('the README', () => {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const readme = readFileSync(`${root}README.md`, 'utf8');
  const examples = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code);

  it('has TypeScript examples that compile as they stand', function () {
    this.timeout(120_000);
    expect(examples.length).to.be.greaterThan(1);
    const problems = problemsOf(examples).flatMap((found, i) =>
      found.map((text) => `example ${i + 1}: ${text}`),
    );
    expect(problems).to.deep.equal([]);
  });
});
