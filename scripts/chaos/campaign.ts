import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { type ChaosOptions, needsAsOptions } from './options.js';
import type { Outcome } from './outcome.js';
import { reportOf, tableOf } from './report.js';
import type { Scenario } from './scenario.js';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

/**
 * Runs scenario after scenario, each in a process of its own, whatever became of the one before; every
 * outcome is a line of the file of outcomes at once, so that a campaign that was cut off can go on.
 */
export async function campaign(
  scenarios: readonly Scenario[],
  options: ChaosOptions,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  const outcomes = options.skipDone
    ? doneBefore(options).filter(({ id }) => scenarios.some((scenario) => scenario.id === id))
    : [];
  const done = new Set(outcomes.map(({ id }) => id));
  const isInterrupted = (): boolean => signal.aborted;
  for (const scenario of scenarios) {
    if (done.has(scenario.id)) continue;
    if (isInterrupted()) break;
    say(`\n== ${scenario.id} ${scenario.title}`);
    const outcome = await inOwnProcess(scenario, options, signal);
    if (outcome === undefined) {
      if (!isInterrupted()) say('FAIL: the process of the run ended without an outcome');
      continue;
    }
    outcomes.push(outcome);
    for (const line of reportOf(outcome)) say(line);
    book(outcome, options);
  }
  say('');
  for (const line of tableOf(outcomes)) say(line);
  return outcomes;
}

/** A line of the file of outcomes, if there is one. */
export function book(outcome: Outcome, { outcomes }: ChaosOptions): void {
  if (outcomes !== undefined) appendFileSync(outcomes, `${JSON.stringify(outcome)}\n`);
}

/** What passed, for long enough, in a campaign before this one; the last time if it did so twice. */
function doneBefore({ outcomes, seconds }: ChaosOptions): Outcome[] {
  if (outcomes === undefined || !existsSync(outcomes)) return [];
  const passed = readFileSync(outcomes, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Outcome)
    .filter(({ status, faultSeconds }) => status === 'PASS' && faultSeconds >= seconds * 0.99);
  return [...new Map(passed.map((outcome) => [outcome.id, outcome])).values()];
}

async function inOwnProcess(
  scenario: Scenario,
  options: ChaosOptions,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  const { seconds, slack, limitMs, seed, shareLimitMs, faultsMax, acksMin } = options;
  const limit = limitMs === undefined ? [] : ['--limit-ms', String(limitMs)];
  const faults = Number.isFinite(faultsMax) ? ['--faults', String(faultsMax)] : [];
  const args = [
    ...['--import', 'tsx', MAIN, '--scenario', scenario.id, '--json'],
    ...['--seconds', String(seconds), '--slack', String(slack), '--seed', String(seed)],
    ...['--acks-min', String(acksMin), ...needsAsOptions(options.needs)],
    ...['--share-limit-ms', String(shareLimitMs), ...limit, ...faults],
    ...(options.keep ? ['--keep'] : []),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const interrupt = (): void => void child.kill('SIGINT');
  signal.addEventListener('abort', interrupt);
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await new Promise<void>((resolve) => child.once('close', () => resolve()));
  signal.removeEventListener('abort', interrupt);
  const line = output.trim().split('\n').at(-1) ?? '';
  return line.startsWith('{') ? (JSON.parse(line) as Outcome) : undefined;
}
