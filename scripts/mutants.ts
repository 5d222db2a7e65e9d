/**
 * `npm run mutants`: plants one known bug at a time into a copy of the sources and runs the simulator
 * on it until a seed fails. A mutant that survives says that the simulator is blind there.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MUTANTS, type Edit, type Mutant } from '../test/simulation/mutants/list.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COPIED = [
  'src',
  'scripts',
  'test/simulation',
  'test/checker',
  'package.json',
  'tsconfig.json',
];

interface Finding {
  readonly mutant: Mutant;
  /** Undefined: it survived. */
  readonly seed: number | undefined;
  readonly seeds: number;
  readonly seconds: number;
  readonly error: string;
}

interface SimReport {
  readonly seeds: number;
  readonly failures: readonly { readonly seed: number; readonly error: string }[];
}

async function plant(directory: string, edit: Edit): Promise<void> {
  const file = path.join(directory, edit.file);
  const source = await readFile(file, 'utf8');
  const count = source.split(edit.find).length - 1;
  if (count !== 1)
    throw new Error(`${edit.file}: expected once, found ${count} times: ${edit.find}`);
  await writeFile(
    file,
    source.replace(edit.find, () => edit.replace),
  );
}

/** The sources with the bug in them, in a directory of their own. */
async function mutate(mutant: Mutant): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), `millrace-${mutant.id}-`));
  for (const part of COPIED) {
    await cp(path.join(ROOT, part), path.join(directory, part), { recursive: true });
  }
  await symlink(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
  for (const edit of mutant.edits) await plant(directory, edit);
  return directory;
}

function simulate(directory: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/sim.ts', ...args], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

async function hunt(mutant: Mutant, args: readonly string[]): Promise<Finding> {
  const startedAt = performance.now();
  const directory = await mutate(mutant);
  try {
    const all = [...args, '--level', mutant.level, '--json', '--stop-on-failure'];
    const output = await simulate(directory, all);
    const report = JSON.parse(output) as SimReport;
    const first = [...report.failures].sort((a, b) => a.seed - b.seed)[0];
    return {
      mutant,
      seed: first?.seed,
      seeds: report.seeds,
      seconds: (performance.now() - startedAt) / 1_000,
      error: first?.error.split('\n')[0] ?? '',
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      seeds: { type: 'string', default: '1..10000' },
      seconds: { type: 'string', default: '300' },
      workers: { type: 'string', default: String(availableParallelism()) },
      json: { type: 'boolean', default: false },
    },
  });
  const wanted = values.only === '' ? undefined : values.only.split(',');
  const mutants = MUTANTS.filter(({ id }) => wanted?.includes(id) ?? true);
  const { seeds, seconds, workers } = values;
  const args = ['--seeds', seeds, '--seconds', seconds, '--workers', workers];
  const findings: Finding[] = [];
  for (const mutant of mutants) {
    const finding = await hunt(mutant, args);
    findings.push(finding);
    if (values.json) continue;
    const how =
      finding.seed === undefined
        ? `SURVIVED ${finding.seeds} seeds`
        : `caught by seed ${finding.seed}, ${finding.seeds} run`;
    const took = `${finding.seconds.toFixed(1)} s`;
    process.stdout.write(
      `${mutant.id.padEnd(4)} ${how.padEnd(34)} ${took.padStart(8)}  ${mutant.what}\n`,
    );
    if (finding.error !== '') process.stdout.write(`     ${finding.error.slice(0, 160)}\n`);
  }
  const survivors = findings.filter(({ seed }) => seed === undefined);
  if (values.json) {
    const rows = findings.map(({ mutant, ...rest }) => ({
      id: mutant.id,
      what: mutant.what,
      ...rest,
    }));
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  } else {
    process.stdout.write(
      `${findings.length - survivors.length} caught, ${survivors.length} survived\n`,
    );
  }
  process.exitCode = survivors.length === 0 ? 0 : 1;
}

await main();
