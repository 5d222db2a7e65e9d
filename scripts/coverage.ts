/**
 * `npm run coverage`: runs the tests of the consensus core on a copy of it that counts which way each
 * of its branches goes, prints what no test reaches, and fails below the bar. The storm stays out:
 * what only chance reaches, nobody has thought of.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { scriptArguments } from './lib/script-arguments.js';
import { countBranches, countingPrelude, type Arm } from './lib/branches.js';
import { copySources, ROOT } from './lib/source-copy.js';

const TESTS = 'test/unit/raft';

/** Makes `folder` count in a copy of the sources. The arms, in the order of their numbers. */
async function instrument(folder: string, directory: string): Promise<Arm[]> {
  const arms: Arm[] = [];
  for (const name of (await readdir(path.join(ROOT, folder))).sort()) {
    if (!name.endsWith('.ts')) continue;
    const file = path.join(folder, name);
    const source = await readFile(path.join(ROOT, file), 'utf8');
    const counted = countBranches(file, source, arms.length);
    arms.push(...counted.arms);
    await writeFile(path.join(directory, file), counted.text);
  }
  return arms;
}

async function runTests(directory: string, arms: number): Promise<readonly number[]> {
  const output = path.join(directory, 'counts.json');
  const prelude = path.join(directory, 'prelude.mjs');
  await writeFile(prelude, countingPrelude(output, arms));
  const tests = (await readdir(path.join(directory, TESTS)))
    .filter((name) => name.endsWith('.test.ts') && name !== 'storm.test.ts')
    .map((name) => path.join(TESTS, name));
  const mocha = path.join(ROOT, 'node_modules/mocha/bin/mocha.js');
  const options = ['--no-config', '--extension', 'ts', '--timeout', '60000', '--reporter', 'dot'];
  const args = ['--import', 'tsx', '--import', prelude, mocha, ...options, ...tests];
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(process.execPath, args, { cwd: directory, stdio: [...stdio] });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the tests fail:\n${printed}`);
  return JSON.parse(await readFile(output, 'utf8')) as number[];
}

function report(arms: readonly Arm[], counts: readonly number[]): number {
  const files = [...new Set(arms.map(({ file }) => file))];
  const share = (among: readonly number[]): string => {
    const reached = among.filter((count) => count > 0).length;
    const percent = among.length === 0 ? 100 : (100 * reached) / among.length;
    return `${percent.toFixed(1).padStart(5)} %  ${reached}/${among.length}`;
  };
  for (const file of files) {
    const own = counts.filter((_, at) => arms[at]?.file === file);
    process.stdout.write(`${file.padEnd(32)} ${share(own)}\n`);
    for (const [at, { file: where, line, column, what }] of arms.entries()) {
      if (where !== file || (counts[at] ?? 0) > 0) continue;
      process.stdout.write(`    ${line}:${column}  never: ${what}\n`);
    }
  }
  process.stdout.write(`${'all branches'.padEnd(32)} ${share(counts)}\n`);
  return (100 * counts.filter((count) => count > 0).length) / counts.length;
}

async function main(): Promise<void> {
  const { values } = scriptArguments({
    options: {
      folder: { type: 'string', default: 'src/raft' },
      'percent-min': { type: 'string', default: '95' },
    },
  });
  const directory = await copySources('coverage');
  try {
    const arms = await instrument(values.folder, directory);
    const percent = report(arms, await runTests(directory, arms.length));
    process.exitCode = percent >= Number(values['percent-min']) ? 0 : 1;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

await main();
