import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { startCluster, type TestCluster } from '../../support/cluster.js';
import { problemsOf } from '../../support/compile.js';

const ROOT = new URL('../../../', import.meta.url);
const DEADLINE_MS = 60_000;
/** In this order: later pages read what earlier ones have written. */
const PAGES = ['CLIENT', 'TOPICS', 'PRODUCING', 'CONSUMING', 'GROUPS', 'DURABILITY', 'ERRORS'].map(
  (name) => {
    const text = readFileSync(new URL(`docs/${name}.md`, ROOT), 'utf8');
    const programs = [...text.matchAll(/^```ts\n(.*?)^```\n\n```text\n(.*?)^```/gms)].map(
      ([, code = '', output = '']) => ({ code, output }),
    );
    return { name, text, programs };
  },
);

describe('the pages for users', function () {
  this.timeout(180_000);
  let cluster: TestCluster;
  let directory: string;

  before(async () => {
    cluster = await startCluster(1);
    directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-docs-'));
  });

  after(async () => {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('have programs that compile as they stand', () => {
    const all = PAGES.flatMap(({ programs }) => programs);
    const problems = problemsOf(all.map(({ code }) => code));
    expect(problems.flat()).to.deep.equal([]);
  });

  for (const { name, text, programs } of PAGES) {
    it(`docs/${name}.md has programs only, each with what it prints`, () => {
      expect(programs.length).to.be.greaterThan(0);
      expect([...text.matchAll(/^```ts$/gm)]).to.have.length(programs.length);
    });

    for (const [i, { code, output }] of programs.entries()) {
      it(`program ${i + 1} of docs/${name}.md prints what the page says`, async () => {
        const file = path.join(directory, `${name}-${i}.mts`);
        const client = new URL('src/client/index.ts', ROOT).href;
        const [bootstrap = ''] = cluster.bootstrap;
        const there = code
          .replaceAll("'millrace/client'", `'${client}'`)
          .replaceAll('127.0.0.1:7401', bootstrap);
        await writeFile(file, there);
        const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', file], {
          cwd: fileURLToPath(ROOT),
          timeout: DEADLINE_MS,
        });
        expect(stdout).to.equal(output);
      });
    }
  }
});
