/**
 * `npm run mutation -- [raft|partition|metadata ...] [--mutate FILE[:FROM-TO]] [--force]`: changes one
 * expression or statement of the sources at a time (Stryker) and runs the unit tests that reach it.
 * What no test notices is printed. Fails when fewer than 85 of 100 changes are noticed.
 *
 * File by file: results of each are kept in `.mutation` as soon as it is done, so that a run which was
 * cut off goes on, and only what changed since is run again; `--force` runs all. New test data does not
 * count as a change of the tests that read it.
 */
import { Stryker } from '@stryker-mutator/core';
import type { MutantResult } from '@stryker-mutator/api/core';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { scriptArguments } from '../lib/script-arguments.js';

const SCORE_MIN = 85;
const REPORTS = '.mutation';

/** Of the random cases of a test: a mutant that takes more than some thousands lives in a corner. */
const CASES_PERCENT = '2';

/** Left out: what chance finds is nobody's idea of what must hold, and takes seconds a mutant. */
const BY_CHANCE: ReadonlySet<string> = new Set(['test/unit/raft/storm.test.ts']);

const FOLDERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['raft', ['test/unit/raft']],
  ['partition', ['test/unit/partition', 'test/golden/disk/partition-codec.test.ts']],
  ['metadata', ['test/unit/metadata', 'test/golden/metadata']],
]);

async function sourcesIn(folder: string): Promise<string[]> {
  const names = await readdir(`src/${folder}`, { recursive: true });
  const sources = names.filter((name) => name.endsWith('.ts')).sort();
  return sources.map((name) => path.join('src', folder, name));
}

async function testsIn(places: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const place of places) {
    const names = place.endsWith('.ts') ? [''] : await readdir(place);
    const isTest = (name: string): boolean => path.join(place, name).endsWith('.test.ts');
    files.push(...names.filter(isTest).map((name) => path.join(place, name)));
  }
  return files.filter((file) => !BY_CHANCE.has(file)).sort();
}

interface Choice {
  /** A file, maybe with lines of it. */
  readonly mutate: string;
  readonly concurrency: number;
  readonly force: boolean;
}

function runStryker(folder: string, tests: string[], choice: Choice): Promise<MutantResult[]> {
  const { mutate, concurrency, force } = choice;
  const stryker = new Stryker({
    mutate: [mutate],
    testFiles: tests,
    testRunner: 'mocha-12',
    plugins: [path.join(import.meta.dirname, 'plugins.ts')],
    ignorers: ['texts'],
    testRunnerNodeArgs: ['--import=tsx'],
    checkerNodeArgs: ['--import=tsx'],
    coverageAnalysis: 'perTest',
    concurrency,
    // Of a machine that may be busy, as is the first run.
    timeoutMS: 30_000,
    dryRunTimeoutMinutes: 60,
    timeoutFactor: 3,
    incremental: true,
    incrementalFile: `${REPORTS}/${folder}.incremental.json`,
    force,
    inPlace: false,
    tempDirName: `${REPORTS}/sandbox`,
    // What the tests of these folders read, and nothing else, is copied.
    ignorePatterns: ['/*', '!/src', '!/test', '!/package.json', '!/tsconfig.json'],
    reporters: [process.stdout.isTTY ? 'progress' : 'progress-append-only', 'survivors', 'html'],
    htmlReporter: { fileName: `${REPORTS}/${folder}.html` },
    thresholds: { high: SCORE_MIN, low: SCORE_MIN, break: null },
    allowConsoleColors: process.stdout.isTTY,
    warnings: false,
  });
  return stryker.runMutationTest();
}

interface Tally {
  killed: number;
  timeout: number;
  survived: number;
  uncovered: number;
}

function count(results: readonly MutantResult[]): Tally {
  const tally: Tally = { killed: 0, timeout: 0, survived: 0, uncovered: 0 };
  for (const { status } of results) {
    if (status === 'Killed' || status === 'RuntimeError') tally.killed += 1;
    else if (status === 'Timeout') tally.timeout += 1;
    else if (status === 'Survived') tally.survived += 1;
    else if (status === 'NoCoverage') tally.uncovered += 1;
  }
  return tally;
}

function scoreOf({ killed, timeout, survived, uncovered }: Tally): number {
  const all = killed + timeout + survived + uncovered;
  return all === 0 ? 100 : (100 * (killed + timeout)) / all;
}

function row(name: string, results: readonly MutantResult[]): string {
  const tally = count(results);
  const numbers = [tally.killed, tally.timeout, tally.survived, tally.uncovered];
  const columns = numbers.map((number) => String(number).padStart(9)).join('');
  return `${name.padEnd(38)}${scoreOf(tally).toFixed(1).padStart(7)}${columns}\n`;
}

function report(folder: string, results: readonly MutantResult[]): void {
  const files = [...new Set(results.map(({ fileName }) => fileName))].sort();
  const head = `${''.padEnd(38)}  score   killed  timeout survived  no test\n`;
  process.stdout.write(`\n${head}`);
  for (const file of files) {
    const own = results.filter(({ fileName }) => fileName === file);
    process.stdout.write(row(path.relative('.', file), own));
  }
  process.stdout.write(row(`src/${folder}`, results));
}

async function main(): Promise<void> {
  const { values, positionals } = scriptArguments({
    allowPositionals: true,
    options: {
      mutate: { type: 'string', multiple: true, default: [] },
      concurrency: { type: 'string', default: '2' },
      force: { type: 'boolean', default: false },
    },
  });
  const folders = positionals.length === 0 ? [...FOLDERS.keys()] : positionals;
  const unknown = folders.find((folder) => !FOLDERS.has(folder));
  if (unknown !== undefined) {
    process.stderr.write(
      `there are no mutants of ${unknown}; of ${[...FOLDERS.keys()].join(', ')}\n`,
    );
    process.exitCode = 2;
    return;
  }
  await mkdir(REPORTS, { recursive: true });
  process.env['TEST_CASES_PERCENT'] = CASES_PERCENT;
  const { mutate, force } = values;
  for (const folder of folders) {
    const tests = await testsIn(FOLDERS.get(folder) ?? []);
    const concurrency = Number(values.concurrency);
    const results: MutantResult[] = [];
    for (const one of mutate.length > 0 ? mutate : await sourcesIn(folder)) {
      const found = await runStryker(folder, tests, { mutate: one, force, concurrency });
      const file = path.resolve(one.split(':', 1)[0] ?? one);
      const own = found.filter(({ fileName }) => path.resolve(fileName) === file);
      results.push(...own);
      if (own.length > 0) process.stdout.write(row(one, own));
    }
    report(folder, results);
    if (scoreOf(count(results)) < SCORE_MIN) process.exitCode = 1;
  }
}

await main();
