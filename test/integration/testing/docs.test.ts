import { expect } from 'chai';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runNode } from '../../support/run-child.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const RUN_MS_MAX = 120_000;

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as Manifest;
const guide = readFileSync(`${ROOT}docs/TESTING.md`, 'utf8');

/** The examples under a heading, as they stand. */
function examplesUnder(heading: string): string[] {
  const [, section = ''] = guide.split(`\n## ${heading}\n`);
  const [own = ''] = section.split('\n## ');
  return [...own.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code);
}

/** Where an entry point is compiled from. */
function sourceOf(compiled: string): string {
  return compiled.replace(/^\.\/dist\/(.*)\.js$/, './src/$1.ts');
}

/** A project that has this package among its dependencies: by its manifest, but not yet compiled. */
async function makeProject(directory: string): Promise<void> {
  const installed = path.join(directory, 'node_modules', 'millrace');
  await mkdir(installed, { recursive: true });
  const exports = Object.fromEntries(
    Object.entries(manifest.exports).flatMap(([name, target]) =>
      typeof target === 'string' ? [] : [[name, sourceOf(target.default)]],
    ),
  );
  const ours = JSON.stringify({ name: 'millrace', type: 'module', exports });
  await writeFile(path.join(installed, 'package.json'), ours);
  await symlink(`${ROOT}src`, path.join(installed, 'src'), 'dir');
  await writeFile(path.join(directory, 'package.json'), '{"type":"module"}');
}

function mocha(directory: string, file: string): ReturnType<typeof runNode> {
  const program = `${ROOT}node_modules/mocha/bin/mocha.js`;
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const args = ['--import', tsx, program, '--no-config', file, '--timeout', '60000'];
  return runNode(args, { cwd: directory, withinMs: RUN_MS_MAX });
}

/** As its users have it: its own transpiler, its own workers, no options of ours. */
async function vitest(directory: string): ReturnType<typeof runNode> {
  const modules = path.join(directory, 'node_modules');
  await symlink(`${ROOT}node_modules/vitest`, path.join(modules, 'vitest'), 'dir');
  const config = `export default { test: { testTimeout: 60_000, server: { deps: { inline: ['millrace'] } } } };`;
  await writeFile(path.join(directory, 'vitest.config.mjs'), config);
  const program = `${ROOT}node_modules/vitest/vitest.mjs`;
  return await runNode([program, 'run'], { cwd: directory, withinMs: RUN_MS_MAX });
}

describe('the guide to testing', function () {
  this.timeout(RUN_MS_MAX + 10_000);
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-guide-'));
    await makeProject(directory);
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it('has an example for mocha that passes as it stands, and ends by itself', async () => {
    const [example = '', ...more] = examplesUnder('With mocha');
    expect(more).to.deep.equal([]);
    expect(example).to.include("from 'millrace/testing'");
    await writeFile(path.join(directory, 'orders.test.ts'), example);
    const { code, output } = await mocha(directory, 'orders.test.ts');
    expect(output).to.match(/survive the death of the leader/);
    expect(output)
      .to.match(/\b1 passing\b/)
      .and.to.not.match(/failing/);
    expect(code).to.equal(0);
  });

  it('has an example for vitest that passes as it stands, and ends by itself', async () => {
    const [example = '', ...more] = examplesUnder('With vitest');
    expect(more).to.deep.equal([]);
    expect(example).to.include("from 'millrace/testing'");
    await writeFile(path.join(directory, 'orders.test.ts'), example);
    const { code, output } = await vitest(directory);
    expect(output).to.match(/Tests\s+.*1 passed/);
    expect(code).to.equal(0);
  });

  it('names entry points that the package has', () => {
    const names = [...guide.matchAll(/from '(millrace[^']*)'/g)].map(([, name = '']) => name);
    expect(names.length).to.be.greaterThan(1);
    for (const name of names) {
      const target = manifest.exports[name.replace(/^millrace/, '.')];
      expect(target, name).to.be.an('object');
      const source = typeof target === 'object' ? sourceOf(target.default) : '';
      expect(existsSync(path.join(ROOT, source)), source).to.equal(true);
    }
  });
});
