/**
 * `npm test`: everything a change must pass, in order, each step once. Ends with one line,
 * `N passed, N failed`, that counts the static checks and every test.
 */
import { spawn } from 'node:child_process';
import process from 'node:process';

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** The step runs mocha: its tests are counted, not the step. */
  readonly isMocha?: boolean;
}

const mocha = (name: string, ...globs: string[]): Step => ({
  name,
  command: ['mocha', ...globs],
  isMocha: true,
});

const STEPS: readonly Step[] = [
  { name: 'generated types are fresh', command: ['tsx', 'scripts/gen-proto.ts', '--check'] },
  { name: 'reference is complete', command: ['tsx', 'scripts/docs.ts', '--check'] },
  { name: 'build', command: ['tsx', 'scripts/build.ts'] },
  { name: 'pure build', command: ['tsc', '-p', 'tsconfig.pure.json'] },
  { name: 'types of tests and scripts', command: ['tsc', '-p', 'tsconfig.test.json'] },
  { name: 'lint', command: ['eslint', '.'] },
  { name: 'format', command: ['prettier', '--check', '.', '--log-level', 'warn'] },
  {
    name: 'import rules',
    command: ['depcruise', 'src', '--config', '.dependency-cruiser.cjs', '--output-type', 'err'],
  },
  mocha('house rules', 'test/*.test.ts'),
  mocha('unit, data-driven, golden', 'test/{unit,golden,checker}/**/*.test.ts'),
  mocha('conformance, damage', 'test/{conformance,damage}/**/*.test.ts'),
  mocha('simulation', 'test/simulation/**/*.test.ts'),
  mocha('integration', 'test/integration/**/*.test.ts'),
  // Safety only: how long writes stop is no matter for a machine that may be busy.
  {
    name: 'chaos smoke',
    command: [
      'tsx',
      'scripts/chaos/main.ts',
      ...['--random', '7', '--seconds', '60', '--records-per-second', '300'],
      ...['--limit-ms', '60000'],
    ],
  },
  {
    name: 'bench smoke',
    command: [
      'tsx',
      'scripts/bench/main.ts',
      'produce',
      '--seconds',
      '2',
      '--floor-share-min',
      '0.05',
    ],
  },
];

interface Outcome {
  readonly code: number;
  readonly output: string;
}

function run(command: readonly string[]): Promise<Outcome> {
  const [name = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(`node_modules/.bin/${name}`, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output += chunk.toString();
      process.stdout.write(chunk);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

function count(output: string, word: 'passing' | 'failing'): number {
  return Number(new RegExp(`^\\s+(\\d+) ${word}\\b`, 'm').exec(output)?.[1] ?? 0);
}

let passed = 0;
let failed = 0;
const timings: string[] = [];
for (const step of STEPS) {
  process.stdout.write(`\n== ${step.name}\n`);
  const startedAt = performance.now();
  const { code, output } = await run(step.command);
  timings.push(
    `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${step.name}`,
  );
  if (step.isMocha === true) {
    const failing = count(output, 'failing');
    passed += count(output, 'passing');
    failed += failing === 0 && code !== 0 ? 1 : failing;
  } else if (code === 0) passed += 1;
  else failed += 1;
}
process.stdout.write(`\n${timings.join('\n')}\n\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
