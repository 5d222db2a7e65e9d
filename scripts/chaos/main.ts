/**
 * `npm run chaos -- --scenario D01..D36[,..] | --all | --random SEED | --list  [--minutes N | --seconds N]`
 *
 * Real broker processes, real clients, faults; then heal, drain, and judge the recorded history. README.md
 * beside this file says what there is. Exits with 0 on PASS, 1 on FAIL, 3 on INVALID (a run too thin to
 * judge), 2 on bad usage, 130 if it was interrupted.
 */
import process from 'node:process';

import { book, campaign } from './campaign.js';
import { type ChaosOptions, chaosOptions } from './options.js';
import { reportOf } from './report.js';
import { runScenario } from './run.js';
import type { Scenario } from './scenario.js';
import { randomScenario } from './scenarios/random.js';
import { findScenario, NUMBERED, SCENARIOS } from './scenarios/registry.js';

const EXIT_CODES = { PASS: 0, INVALID: 3, FAIL: 1 } as const;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => interrupted.abort());
}
// The campaign that this run is of is gone.
process.on('disconnect', () => interrupted.abort());

async function main(options: ChaosOptions): Promise<number> {
  const say: Say = (text) => {
    (options.json ? process.stderr : process.stdout).write(`${text}\n`);
  };
  if (options.mode === 'list') {
    for (const { id, alias, title } of SCENARIOS) {
      process.stdout.write(`${id}  ${title}${alias === undefined ? '' : ` (${alias})`}\n`);
    }
    return 0;
  }
  if (options.mode === 'all') return await several(NUMBERED, options, say);
  const named = options.scenario.split(',').map((name) => ({ name, scenario: findScenario(name) }));
  const scenarios: Scenario[] = [];
  for (const { name, scenario } of options.mode === 'random' ? [] : named) {
    if (scenario === undefined) return unknownScenario(name);
    scenarios.push(scenario);
  }
  if (options.mode === 'several') return await several(scenarios, options, say);
  return await one(scenarios[0] ?? randomScenario(options.seed), options, say);
}

type Say = (text: string) => void;

function unknownScenario(name: string): number {
  const names = SCENARIOS.flatMap(({ id, alias }) => [id, ...(alias === undefined ? [] : [alias])]);
  process.stderr.write(`unknown --scenario ${name}; there are ${names.join(', ')}\n`);
  return EXIT_USAGE;
}

async function several(
  scenarios: readonly Scenario[],
  options: ChaosOptions,
  say: Say,
): Promise<number> {
  const outcomes = await campaign(scenarios, options, say, interrupted.signal);
  if (options.json) process.stdout.write(`${JSON.stringify(outcomes)}\n`);
  const statuses = outcomes.map(({ status }) => status);
  if (outcomes.length < scenarios.length || statuses.includes('FAIL')) return EXIT_CODES.FAIL;
  return statuses.includes('INVALID') ? EXIT_CODES.INVALID : 0;
}

async function one(scenario: Scenario, options: ChaosOptions, say: Say): Promise<number> {
  const outcome = await runScenario(scenario, { ...options, say, signal: interrupted.signal });
  book(outcome, options);
  if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  else for (const line of reportOf(outcome)) say(line);
  return EXIT_CODES[outcome.status];
}

function parsed(): ChaosOptions | undefined {
  try {
    return chaosOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return undefined;
  }
}

const options = parsed();
const code =
  options === undefined
    ? EXIT_USAGE
    : await main(options).catch((error: unknown) => {
        if (interrupted.signal.aborted) return EXIT_INTERRUPTED;
        throw error;
      });
// What was written must leave first; whoever still holds a connection open must not keep it from ending.
process.stdout.write('', () => process.exit(code));
