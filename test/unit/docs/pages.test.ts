import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { effectiveTopicConfig } from '../../../src/metadata/topic-config.js';
import { ERRORS } from '../../../src/model/errors.js';
import { problemsOf } from '../../support/compile.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const read = (file: string): string => readFileSync(`${ROOT}${file}`, 'utf8');

/** The cells of each row of all tables, without their heads. */
function rowsOf(text: string): string[][] {
  return [...text.matchAll(/^\| (.*) \|$/gm)].map(([, row = '']) => row.split(' | '));
}

describe('docs/ERRORS.md', () => {
  const rows = rowsOf(read('docs/ERRORS.md')).filter(([code = '']) => /^[A-Z_]+$/.test(code));

  it('lists every error code as the table has it', () => {
    const listed = rows.map(([code, retriable, outcome]) => [
      code,
      { retriable: retriable === 'yes', outcome },
    ]);
    const actual = Object.entries(ERRORS).map(([code, { retriable, outcome }]) => [
      code,
      { retriable, outcome },
    ]);
    expect(listed).to.deep.equal(actual);
  });

  it('says of each what it means and what to do', () => {
    const silent = rows.filter(
      ([, , , meaning, toDo, ...more]) => meaning === '' || toDo === undefined || more.length > 0,
    );
    expect(silent).to.deep.equal([]);
  });
});

describe('docs/TOPICS.md', () => {
  it('lists every setting of a topic with its default', () => {
    const keys = rowsOf(read('docs/TOPICS.md')).flatMap(([key = '', fallback = '']) => {
      const [, name] = /^`([a-z.]+)`$/.exec(key) ?? [];
      return name === undefined ? [] : [[name, fallback]];
    });
    expect(keys).to.deep.equal([...effectiveTopicConfig(new Map())]);
  });
});

describe('the pages', () => {
  const pages = ['README.md', ...readdirSync(`${ROOT}docs`).map((name) => `docs/${name}`)].filter(
    (name) => name.endsWith('.md'),
  );
  const anchorsOf = (text: string): string[] =>
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );

  for (const page of pages) {
    it(`link to what there is: ${page}`, () => {
      const broken = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
        const [file = '', anchor] = link.split('#');
        // The reference is generated.
        if (/^https?:/.test(link) || /(^|\/)api\//.test(file)) return [];
        const target = file === '' ? page : path.join(path.dirname(page), file);
        if (!existsSync(`${ROOT}${target}`)) return [link];
        if (anchor === undefined || anchorsOf(read(target)).includes(anchor)) return [];
        return [link];
      });
      expect(broken).to.deep.equal([]);
    });
  }
});

describe('the README', () => {
  const examples = [...read('README.md').matchAll(/^```ts\n(.*?)^```/gms)].map(
    ([, code = '']) => code,
  );

  it('has TypeScript examples that compile as they stand', function () {
    this.timeout(120_000);
    expect(examples.length).to.be.greaterThan(1);
    const problems = problemsOf(examples).flatMap((found, i) =>
      found.map((text) => `example ${i + 1}: ${text}`),
    );
    expect(problems).to.deep.equal([]);
  });
});
