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
const DEADLINE_MS = 30_000;

describe('docs/CLIENT.md', function () {
  this.timeout(120_000);
  const page = readFileSync(new URL('docs/CLIENT.md', ROOT), 'utf8');
  const programs = [...page.matchAll(/^```ts\n(.*?)^```\n\n```text\n(.*?)^```/gms)].map(
    ([, code = '', output = '']) => ({ code, output }),
  );
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

  it('has programs only, each with what it prints', () => {
    expect(programs.length).to.be.greaterThan(4);
    expect([...page.matchAll(/^```ts$/gm)]).to.have.length(programs.length);
  });

  it('has programs that compile as they stand', () => {
    const problems = problemsOf(programs.map(({ code }) => code));
    expect(problems.flat()).to.deep.equal([]);
  });

  for (const [i, { code, output }] of programs.entries()) {
    it(`program ${i + 1} prints what the page says`, async () => {
      const file = path.join(directory, `program-${i}.mts`);
      const client = new URL('src/client/index.ts', ROOT).href;
      const [bootstrap = ''] = cluster.bootstrap;
      await writeFile(
        file,
        code.replaceAll("'millrace/client'", `'${client}'`).replaceAll('127.0.0.1:7401', bootstrap),
      );
      const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', file], {
        cwd: fileURLToPath(ROOT),
        timeout: DEADLINE_MS,
      });
      expect(stdout).to.equal(output);
    });
  }
});
