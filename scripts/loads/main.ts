/**
 * `npm run loads -- NAME [--short] [--SIZE N ...] [--keep] [--json]`, or without a name: what there is.
 *
 * Loads that show what three broker processes bear, and that they keep their word meanwhile. Ends with
 * one line, PASS, FAIL or INVALID (a run too thin to judge), and exits with 0, 1 or 3; 2 on bad usage.
 * Runs what is in dist: `npm run build` first.
 */
import process from 'node:process';

import { sizesOf } from './load.js';
import { LOADS } from './loads.js';
import { runLoad } from './run.js';

const EXIT_CODES = { PASS: 0, FAIL: 1, INVALID: 3 } as const;
const FLAGS = ['short', 'keep', 'json'] as const;

interface Asked {
  readonly name: string;
  readonly flags: ReadonlySet<string>;
  readonly sizes: Readonly<Record<string, number>>;
}

/** `--size N` or `--size=N`: which sizes there are is the load's matter. */
function parse(args: readonly string[]): Asked {
  const flags = new Set<string>();
  const sizes: Record<string, number> = {};
  const names: string[] = [];
  const rest = args.flatMap((arg) => {
    const [, option = '', value = ''] = /^(--[^=]+)=(.*)$/.exec(arg) ?? [];
    return option === '' ? [arg] : [option, value];
  });
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const option = arg.replace(/^--/, '');
    if (!arg.startsWith('--')) names.push(arg);
    else if ((FLAGS as readonly string[]).includes(option)) flags.add(option);
    else sizes[option] = Number(rest.shift() ?? Number.NaN);
  }
  return { name: names.join(' '), flags, sizes };
}

function usage(problem: string): never {
  const lines = Object.entries(LOADS).map(([name, { about, sizes }]) => {
    const options = Object.entries(sizes).map(([size, value]) => `--${size} ${value}`);
    return `  ${name.padEnd(16)}${about}\n${' '.repeat(18)}${options.join(' ')}`;
  });
  process.stderr.write(
    `${problem}\nusage: npm run loads -- NAME [--short] [--keep] [--json] [sizes]\n${lines.join('\n')}\n`,
  );
  process.exit(2);
}

const { name, flags, sizes: given } = parse(process.argv.slice(2));
const load = Object.hasOwn(LOADS, name) ? LOADS[name] : undefined;
if (load === undefined) usage(name === '' ? 'which load?' : `unknown load ${name}`);
let sizes: Readonly<Record<string, number>>;
try {
  sizes = sizesOf(load, flags.has('short'), given);
} catch (error) {
  usage((error as Error).message);
}
const isJson = flags.has('json');
const say = (text: string): void => {
  if (!isJson) process.stdout.write(`${text}\n`);
};
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
process.once('SIGTERM', () => interrupted.abort());

const told = Object.entries(sizes).map(([size, value]) => `${size} ${value}`);
say(`${name}: ${told.join(', ')}`);
const { findings, seconds, kept } = await runLoad(load, sizes, {
  say,
  keep: flags.has('keep'),
  signal: interrupted.signal,
});
const { verdict, figures, problems, doubts } = findings;
if (isJson) {
  process.stdout.write(
    `${JSON.stringify({ load: name, sizes, seconds, verdict, problems, doubts, figures })}\n`,
  );
}
if (kept !== undefined) process.stderr.write(`logs and data: ${kept}\n`);
say(`${verdict} ${name} in ${seconds.toFixed(0)} s`);
// What a run that failed or was interrupted left under way waits for nobody.
process.exit(EXIT_CODES[verdict]);
