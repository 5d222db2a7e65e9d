/**
 * `npm run mutants`: plants one known bug at a time into a copy of the sources and runs on it what has
 * to notice: the simulator until a seed fails, or the tests that are named until one does. A mutant
 * that survives says where we are blind.
 */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { scriptArguments } from './lib/script-arguments.js';
import { MUTANTS, type Mutant } from '../test/simulation/mutants/list.js';
import { planted } from './lib/plant.js';

interface Finding {
  readonly mutant: Mutant;
  /** The seed or the test that failed; undefined: it survived. */
  readonly caughtBy: string | undefined;
  readonly seeds: number;
  readonly seconds: number;
  readonly error: string;
}

const SCENARIOS: readonly string[] = [
  'test/unit/raft/data.test.ts',
  'test/unit/raft/known-bugs.test.ts',
];

interface TestReport {
  readonly failures: readonly {
    readonly fullTitle: string;
    readonly err: { readonly message?: string };
  }[];
}

interface SimReport {
  readonly seeds: number;
  readonly failures: readonly { readonly seed: number; readonly error: string }[];
}

function run(directory: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

type Catch = Pick<Finding, 'caughtBy' | 'seeds' | 'error'>;

async function bySimulator(
  directory: string,
  level: string,
  args: readonly string[],
): Promise<Catch> {
  const all = ['scripts/sim/main.ts', ...args, '--level', level, '--json', '--stop-on-failure'];
  const report = JSON.parse(await run(directory, all)) as SimReport;
  const first = [...report.failures].sort((a, b) => a.seed - b.seed)[0];
  return {
    caughtBy: first === undefined ? undefined : `seed ${first.seed}`,
    seeds: report.seeds,
    error: first?.error.split('\n')[0] ?? '',
  };
}

async function byTests(directory: string, files = SCENARIOS): Promise<Catch> {
  const mocha = 'node_modules/mocha/bin/mocha.js';
  const options = ['--no-config', '--extension', 'ts', '--timeout', '60000', '--bail'];
  const args = [...options, '--reporter', 'json', ...files];
  const { failures } = JSON.parse(await run(directory, [mocha, ...args])) as TestReport;
  const [first] = failures;
  const error = first?.err.message?.split('\n')[0] ?? '';
  return { caughtBy: first?.fullTitle, seeds: 0, error };
}

/** Scenarios that fail by themselves catch nothing. */
async function checkScenarios(): Promise<void> {
  const directory = await planted({ id: 'M0', edits: [] });
  try {
    const { caughtBy, error } = await byTests(directory);
    if (caughtBy !== undefined) throw new Error(`without any mutant: ${caughtBy}: ${error}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function hunt(mutant: Mutant, args: readonly string[]): Promise<Finding> {
  const startedAt = performance.now();
  const directory = await planted(mutant);
  try {
    const { level } = mutant;
    const caught =
      level === 'scenarios' || level === 'tests'
        ? await byTests(directory, mutant.tests)
        : await bySimulator(directory, level, args);
    return { mutant, ...caught, seconds: (performance.now() - startedAt) / 1_000 };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values } = scriptArguments({
    options: {
      only: { type: 'string', default: '' },
      seeds: { type: 'string', default: '1..10000' },
      seconds: { type: 'string', default: '300' },
      workers: { type: 'string', default: String(availableParallelism()) },
      json: { type: 'boolean', default: false },
    },
  });
  const wanted = values.only === '' ? undefined : values.only.split(',');
  const unknown = wanted?.find((id) => !MUTANTS.some((mutant) => mutant.id === id));
  if (unknown !== undefined) {
    process.stderr.write(`--only: there is no mutant ${unknown}\n`);
    process.exitCode = 2;
    return;
  }
  const mutants = MUTANTS.filter(({ id }) => wanted?.includes(id) ?? true);
  const { seeds, seconds, workers } = values;
  const args = ['--seeds', seeds, '--seconds', seconds, '--workers', workers];
  if (mutants.some(({ level }) => level === 'scenarios')) await checkScenarios();
  const findings: Finding[] = [];
  for (const mutant of mutants) {
    const finding = await hunt(mutant, args);
    findings.push(finding);
    if (values.json) continue;
    const { caughtBy, seeds: count } = finding;
    const ran = finding.seeds === 0 ? '' : `, ${count} run`;
    const how = caughtBy === undefined ? `SURVIVED${ran}` : `caught by ${caughtBy}${ran}`;
    const took = `${finding.seconds.toFixed(1)} s`;
    process.stdout.write(
      `${mutant.id.padEnd(4)} ${how.padEnd(34)} ${took.padStart(8)}  ${mutant.what}\n`,
    );
    if (finding.error !== '') process.stdout.write(`     ${finding.error.slice(0, 160)}\n`);
  }
  const survivors = findings.filter(({ caughtBy }) => caughtBy === undefined);
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
