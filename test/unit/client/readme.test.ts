import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { ERRORS } from '../../../src/model/errors.js';

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
