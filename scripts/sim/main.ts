/**
 * `npm run sim -- --seeds 1..1000`: runs seeds of the simulator, several at a time, in processes of
 * their own, and reports. `--seed N --verbose` replays one and prints everything that happens.
 */
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Level } from '../../test/simulation/run.js';
import { compareRows, Ledger, type LedgerRow } from './ledger.js';
import { runOne, shrinkOne } from './single.js';
import { print, replay, summarize, whyFailed } from './summary.js';
import { Sweep, type SweepSettings } from './sweep.js';

const USAGE = `npm run sim -- [--seeds A..B | --seed N | --report FILE] [options]
  --seeds A..B        run these seeds (default 1..100)
  --seed N            run one seed here
  --verbose           with --seed: print everything that happens
  --timeline FILE     with --seed: write who led, what was committed and which faults struck when, as
                      text to FILE and as a page to FILE.html
  --shrink            with --seed: leave out faults for as long as the seed still fails the same way
  --without NAMES     with --seed: leave out these faults, or kinds of faults (a,b,c)
  --twice             run every seed twice and compare their hashes
  --ledger FILE       keep each seed's result in FILE, and leave out what it has from the same sources
  --compare FILE      fail if a seed went another way in that ledger
  --report FILE       run nothing: sum up a ledger
  --level raft|broker only this level (default: as the seed draws)
  --workers N         processes side by side (default: one per core)
  --seconds N         start no more seeds after this time
  --stop-on-failure   start no more seeds after the first failure
  --json              print one JSON document instead of text
`;

/** Without a terminal, a line this often says how far a sweep is. */
const PROGRESS_SECONDS = 60;

interface Reporting {
  readonly ledger: string | undefined;
  readonly compare: string | undefined;
  readonly isJson: boolean;
}

function fail(problem: string): never {
  process.stderr.write(`${problem}\n\n${USAGE}`);
  process.exit(2);
}

function natural(text: string, what: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) fail(`${what} must be a whole number, not ${text}`);
  return value;
}

function levelAsked(text: string | undefined): Level | undefined {
  if (text === undefined || text === 'raft' || text === 'broker') return text;
  return fail(`--level must be raft or broker, not ${text}`);
}

/** How far a sweep is, and how long the rest will take, in one line that replaces itself. */
class Progress {
  private readonly total: number;
  private readonly hasTerminal = process.stderr.isTTY;
  private saidAt = 0;

  constructor(total: number) {
    this.total = total;
  }

  clear(): void {
    if (this.hasTerminal) process.stderr.write('\r\u001b[K');
  }

  show({ rows, ran, elapsedSeconds }: Sweep): void {
    if (!this.hasTerminal && elapsedSeconds < this.saidAt + PROGRESS_SECONDS) return;
    this.saidAt = elapsedSeconds;
    const bad = rows.filter((row) => !row.ok || row.differs).length;
    const rate = ran / elapsedSeconds;
    const leftMinutes = Math.ceil((this.total - rows.length) / rate / 60);
    const left = leftMinutes > 90 ? `${(leftMinutes / 60).toFixed(1)} h` : `${leftMinutes} min`;
    const text = `${rows.length} of ${this.total} seeds, ${rate.toFixed(rate < 1 ? 2 : 1)} a second, ${bad} failed, ${left} left`;
    process.stderr.write(this.hasTerminal ? `\r\u001b[K${text}` : `${text}\n`);
  }
}

async function runMany(settings: SweepSettings, reporting: Reporting): Promise<void> {
  const { first, last, level, twice } = settings;
  const { isJson } = reporting;
  const say = (text: string): void => {
    if (!isJson) process.stdout.write(text);
  };
  say(`seeds ${first}..${last}, ${settings.workers} at a time\n`);
  const progress = new Progress(last - first + 1);
  const ledger = reporting.ledger === undefined ? undefined : new Ledger(reporting.ledger);
  const sweep = await Sweep.open(settings, ledger, (row) => {
    if (!row.ok || row.differs) {
      progress.clear();
      say(`seed ${row.seed} FAILED: ${whyFailed(row)}\n  ${replay(row.seed, level)}\n`);
    }
    progress.show(sweep);
  });
  await sweep.run();
  progress.clear();
  const runs = twice ? 2 : 1;
  const summary = summarize(sweep.rows, { runs, level, seconds: sweep.elapsedSeconds });
  finish(summary, sweep.rows, reporting);
}

function finish(
  summary: Record<string, unknown>,
  rows: readonly LedgerRow[],
  { compare, isJson }: Reporting,
): void {
  const compared = compare === undefined ? undefined : compareRows(rows, new Ledger(compare));
  print(compared === undefined ? summary : { ...summary, compared }, isJson);
  const isEqual =
    compared === undefined || (compared.compared > 0 && compared.differing.length === 0);
  const isClean = rows.length > 0 && summary['failed'] === 0 && summary['differing'] === 0;
  process.exitCode = isClean && isEqual ? 0 : 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1..100' },
      seed: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      timeline: { type: 'string' },
      shrink: { type: 'boolean', default: false },
      without: { type: 'string', default: '' },
      twice: { type: 'boolean', default: false },
      ledger: { type: 'string' },
      compare: { type: 'string' },
      report: { type: 'string' },
      level: { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      seconds: { type: 'string', default: '86400' },
      'stop-on-failure': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const level = levelAsked(values.level);
  const { ledger, compare, report, json: isJson } = values;
  if (report !== undefined) {
    const rows = new Ledger(report).all();
    finish(summarize(rows, { runs: 1, level }), rows, { ledger, compare, isJson });
    return;
  }
  if (values.seed !== undefined) {
    const seed = natural(values.seed, '--seed');
    const without = new Set(values.without.split(',').filter((name) => name !== ''));
    const single = { level, isVerbose: values.verbose, timeline: values.timeline, without };
    await (values.shrink ? shrinkOne(seed, single) : runOne(seed, single));
    return;
  }
  const range = /^(\d+)\.\.(\d+)$/.exec(values.seeds);
  if (range === null) fail(`--seeds must be A..B, not ${values.seeds}`);
  const settings = {
    first: Number(range[1]),
    last: Number(range[2]),
    level,
    twice: values.twice,
    workers: Math.max(1, natural(values.workers, '--workers')),
    seconds: natural(values.seconds, '--seconds'),
    stopOnFailure: values['stop-on-failure'],
  };
  await runMany(settings, { ledger, compare, isJson });
}

await main().catch((error: unknown) =>
  fail(error instanceof Error ? error.message : String(error)),
);
