/**
 * Real brokers whose files are harmed after a SIGKILL under load, or whose disk is full. Exits with 0
 * if every harm was found out or had no effect, no wrong byte was seen, and nothing acknowledged was
 * lost; with 1 if not, with 2 on bad usage.
 */
import { randomInt } from 'node:crypto';
import process from 'node:process';

import { scriptArguments } from '../lib/script-arguments.js';
import { Prng } from '../../src/base/prng.js';
import { DISK_FULL, fullDiskRound } from './full-disk.js';
import { HARMS } from './harms.js';
import { damageRound, type RoundResult, type Tainted } from './round.js';
import { DamageStage } from './stage.js';
import { rowOf, tableOf, type CaseRow } from './table.js';

const NAMES = [...Object.keys(HARMS), DISK_FULL];
const { values: args } = scriptArguments({
  options: {
    case: { type: 'string', multiple: true },
    rounds: { type: 'string', default: '3' },
    seed: { type: 'string' },
    'records-per-second': { type: 'string', default: '1000' },
    'value-bytes': { type: 'string', default: '1000' },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const cases = args.case ?? NAMES;
const unknown = cases.find((name) => !NAMES.includes(name));
const rounds = Number(args.rounds);
const seed = args.seed === undefined ? randomInt(2 ** 32) : Number(args.seed);
if (unknown !== undefined || !(rounds > 0) || !Number.isInteger(seed)) {
  process.stderr.write(
    unknown === undefined
      ? '--rounds must be a positive number and --seed a whole one\n'
      : `unknown --case ${unknown}; there are ${NAMES.join(', ')}\n`,
  );
  process.exit(2);
}
const load = {
  recordsPerSecond: Number(args['records-per-second']),
  valueBytes: Number(args['value-bytes']),
};
const say = (text: string): void => {
  if (!args.json) process.stdout.write(`${text}\n`);
};

async function runCase(name: string): Promise<CaseRow> {
  const prng = new Prng(seed ^ (NAMES.indexOf(name) + 1));
  const harm = HARMS[name];
  const results: RoundResult[] = [];
  const row = (skipped?: string): CaseRow => rowOf(name, results, skipped);
  if (harm === undefined) {
    for (let i = 0; i < rounds; i += 1) {
      const result = await fullDiskRound({
        ...load,
        seed: prng.u32(),
        isKilled: i % 2 === 1,
        keep: args.keep,
        say,
      });
      if (typeof result === 'string') return row(result);
      results.push(told(name, i, result));
    }
    return row();
  }
  const stage = await DamageStage.start({ ...load, seed: prng.u32() });
  const tainted: Tainted = new Set();
  let isKept = true;
  try {
    for (let i = 0; i < rounds; i += 1) {
      results.push(told(name, i, await damageRound(stage, harm, prng, tainted)));
    }
    isKept = args.keep || results.some((result) => result.problems.length > 0);
    return row();
  } finally {
    await stage.stop({ keep: isKept });
    if (isKept) process.stderr.write(`logs and data: ${stage.cluster.dir}\n`);
  }
}

function told(name: string, round: number, result: RoundResult): RoundResult {
  const found = result.isDetected ? 'detected' : 'without effect';
  const rebuilt = result.rebuiltMs === undefined ? '' : `, rebuilt in ${result.rebuiltMs} ms`;
  say(`${name} ${round + 1}: ${result.what}: ${found}${rebuilt}`);
  for (const problem of result.problems) say(`    WRONG: ${problem}`);
  return result;
}

say(`seed ${seed}`);
const rows: CaseRow[] = [];
for (const name of cases) rows.push(await runCase(name));
const isPassed = rows.every((row) => row.problems === 0 && row.wrong === 0 && row.lost === 0);
if (args.json) process.stdout.write(`${JSON.stringify({ seed, isPassed, cases: rows })}\n`);
else say(tableOf(rows));
process.exitCode = isPassed ? 0 : 1;
