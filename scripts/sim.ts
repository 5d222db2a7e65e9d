/**
 * `npm run sim -- --seeds 1..1000`: runs seeds of the simulator, several at a time, each in a process
 * of its own, and reports. `--seed N --verbose` replays one and prints everything that happens.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MEMBER_FAULTS } from '../test/simulation/group-load.js';
import { runSeed, type Level, type RunResult } from '../test/simulation/run.js';
import { shrink } from '../test/simulation/shrink.js';
import { timelinePage, timelineText } from '../test/simulation/timeline.js';
import { FAULT_KINDS, isAmbient } from '../test/simulation/swarm.js';
import type { Job, JobResult } from '../test/simulation/worker.js';

const USAGE = `npm run sim -- [--seeds A..B | --seed N] [options]
  --seeds A..B        run these seeds (default 1..100)
  --seed N            run one seed here
  --verbose           with --seed: print everything that happens
  --timeline FILE     with --seed: write who led, what was committed and which faults struck when, as
                      text to FILE and as a page to FILE.html
  --shrink            with --seed: leave out faults for as long as the seed still fails the same way
  --without NAMES     with --seed: leave out these faults, or kinds of faults (a,b,c)
  --twice             run every seed twice and compare their hashes
  --level raft|broker only this level (default: as the seed draws)
  --workers N         processes side by side (default: one per core)
  --seconds N         start no more seeds after this time
  --stop-on-failure   start no more seeds after the first failure
  --json              print one JSON document instead of text
`;

/** Of one seed, before what is left of its faults counts as the least. */
const SHRINK_RUNS_MAX = 120;

interface Settings {
  readonly first: number;
  readonly last: number;
  readonly level: Level | undefined;
  readonly twice: boolean;
  readonly workers: number;
  readonly seconds: number;
  readonly stopOnFailure: boolean;
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

function levelOf(text: string | undefined): Level | undefined {
  if (text === undefined || text === 'raft' || text === 'broker') return text;
  return fail(`--level must be raft or broker, not ${text}`);
}

/** The command that replays a seed. */
function replay(seed: number, level: Level | undefined): string {
  const suffix = level === undefined ? '' : ` --level ${level}`;
  return `npm run sim -- --seed ${seed} --verbose${suffix}`;
}

interface Single {
  readonly level: Level | undefined;
  readonly isVerbose: boolean;
  readonly timeline: string | undefined;
  readonly without: ReadonlySet<string>;
}

async function runOne(seed: number, single: Single): Promise<void> {
  const { level, isVerbose, timeline, without } = single;
  process.stdout.write(`seed ${seed}\n`);
  const narrator = isVerbose ? (line: string) => void process.stdout.write(`${line}\n`) : undefined;
  const hasChronicle = timeline !== undefined;
  const result = await runSeed(seed, { level, narrator, without, hasChronicle });
  if (timeline !== undefined) await writeTimeline(timeline, result);
  const { error } = result;
  process.stdout.write(`${JSON.stringify(withoutLists(result))}\n`);
  if (error === undefined) return;
  process.stdout.write(`FAILED ${error}\nreplay: ${replay(seed, level)}\n`);
  process.exitCode = 1;
}

function withoutLists(result: RunResult): object {
  const { strikes, kinds, notes } = result;
  const counts = { strikes: strikes.length, kinds: kinds.length, notes: notes.length };
  return { ...result, error: undefined, ...counts };
}

async function writeTimeline(file: string, { seed, level, notes }: RunResult): Promise<void> {
  const title = `seed ${seed}, ${level} level`;
  await writeFile(file, timelineText(title, notes));
  await writeFile(`${file}.html`, timelinePage(title, notes));
}

async function shrinkOne(seed: number, { level, timeline }: Single): Promise<void> {
  const report = (text: string): void => void process.stdout.write(`${text}\n`);
  const shrunk = await shrink(seed, { level, runsMax: SHRINK_RUNS_MAX, report });
  if (shrunk === undefined) {
    report(`seed ${seed} does not fail`);
    return;
  }
  const { result, without, runs } = shrunk;
  report(`\n${result.error ?? ''}\n\nfaults that are left, after ${runs} runs:`);
  for (const { name, atMs, what } of result.strikes) {
    report(`${String(atMs).padStart(9)} ms  ${name.padEnd(5)} ${what}`);
  }
  report(`for the whole run: ${result.kinds.filter(isAmbient).join(' ') || 'nothing'}`);
  const names = without.size === 0 ? '' : ` --without ${[...without].join(',')}`;
  report(`replay: ${replay(seed, level)}${names}`);
  if (timeline !== undefined) {
    await writeTimeline(timeline, await runSeed(seed, { level, without, hasChronicle: true }));
  }
  process.exitCode = 1;
}

/** Hands seeds to worker processes and collects what they found. */
class Sweep {
  readonly results: JobResult[] = [];
  readonly startedAt = performance.now();
  private readonly settings: Settings;
  private readonly report: (result: JobResult) => void;
  private next: number;
  private hasFailed = false;

  constructor(settings: Settings, report: (result: JobResult) => void) {
    this.settings = settings;
    this.report = report;
    this.next = settings.first;
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.startedAt) / 1_000;
  }

  async run(): Promise<void> {
    const lanes = Array.from({ length: this.settings.workers }, () => this.lane());
    await Promise.all(lanes);
  }

  private take(): number | undefined {
    const { last, seconds, stopOnFailure } = this.settings;
    if (this.next > last || (this.hasFailed && stopOnFailure)) return undefined;
    if (this.elapsedSeconds >= seconds) return undefined;
    return this.next++;
  }

  private async lane(): Promise<void> {
    let worker: ChildProcess | undefined;
    for (let seed = this.take(); seed !== undefined; seed = this.take()) {
      worker ??= this.spawn();
      let result = await this.ask(worker, seed);
      // Whoever ended the worker from outside said nothing about the seed: once more, in a new one.
      if (worker.signalCode !== null) {
        worker = this.spawn();
        result = await this.ask(worker, seed);
      }
      if (worker.exitCode !== null || !worker.connected) worker = undefined;
      this.results.push(result);
      this.hasFailed ||= !result.ok || result.differs;
      this.report(result);
    }
    worker?.disconnect();
  }

  private spawn(): ChildProcess {
    return fork(fileURLToPath(new URL('../test/simulation/worker.ts', import.meta.url)));
  }

  private ask(worker: ChildProcess, seed: number): Promise<JobResult> {
    const { level, twice } = this.settings;
    return new Promise((resolve) => {
      const done = (result: JobResult): void => {
        worker.removeListener('message', done);
        worker.removeListener('exit', died);
        resolve(result);
      };
      const died = (code: number | null, signal: string | null): void =>
        done(deadResult(seed, level, `the process that ran it ended: ${signal ?? String(code)}`));
      worker.on('message', done);
      worker.on('exit', died);
      worker.send({ seed, level, twice } satisfies Job);
    });
  }
}

function deadResult(seed: number, level: Level | undefined, error: string): JobResult {
  return {
    seed,
    level: level ?? 'raft',
    ok: false,
    differs: false,
    hash: '',
    error,
    failure: error,
    ...{ strikes: [], kinds: [], notes: [] },
    events: 0,
    simulatedMs: 0,
    wallMs: 0,
    leaderChanges: 0,
    requests: 0,
    acked: 0,
    committed: 0,
    faults: {},
  };
}

function summarize(sweep: Sweep, settings: Settings): Record<string, unknown> {
  const { results, elapsedSeconds } = sweep;
  const sum = (of: (result: JobResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const share = (holds: (result: JobResult) => boolean): number =>
    Number((results.filter(holds).length / Math.max(1, results.length)).toFixed(3));
  const runs = settings.twice ? 2 : 1;
  const bad = results.filter((result) => !result.ok || result.differs);
  return {
    seeds: results.length,
    runsPerSeed: runs,
    failed: results.filter((result) => !result.ok).length,
    differing: results.filter((result) => result.differs).length,
    seconds: Number(elapsedSeconds.toFixed(1)),
    seedsPerSecond: Number(((runs * results.length) / elapsedSeconds).toFixed(2)),
    simulatedSecondsPerSecond: Number(
      ((runs * sum((r) => r.simulatedMs)) / 1_000 / elapsedSeconds).toFixed(1),
    ),
    simulatedSeconds: Math.round(sum((r) => r.simulatedMs) / 1_000),
    events: sum((r) => r.events),
    leaderChanges: sum((r) => r.leaderChanges),
    requests: sum((r) => r.requests),
    acked: sum((r) => r.acked),
    committedEntries: sum((r) => r.committed),
    levels: { raft: share((r) => r.level === 'raft'), broker: share((r) => r.level === 'broker') },
    seedsWithFault: Object.fromEntries(
      [...FAULT_KINDS, ...MEMBER_FAULTS].map((kind) => [
        kind,
        share((r) => (r.faults[kind] ?? 0) > 0),
      ]),
    ),
    failures: bad.map(({ seed, error, differs }) => ({
      seed,
      error: error ?? (differs ? 'two runs of this seed differ' : ''),
      replay: replay(seed, settings.level),
    })),
  };
}

async function runMany(settings: Settings): Promise<void> {
  const { first, last, isJson } = settings;
  const say = (text: string): void => {
    if (!isJson) process.stdout.write(text);
  };
  const total = last - first + 1;
  say(`seeds ${first}..${last}, ${settings.workers} at a time\n`);
  const hasTerminal = process.stderr.isTTY;
  const sweep = new Sweep(settings, (result) => {
    if (hasTerminal) process.stderr.write('\r\u001b[K');
    if (!result.ok || result.differs) {
      const why = result.error ?? 'two runs of this seed differ';
      say(`seed ${result.seed} FAILED: ${why}\n  ${replay(result.seed, settings.level)}\n`);
    }
    if (!hasTerminal) return;
    const count = sweep.results.length;
    const bad = sweep.results.filter((r) => !r.ok || r.differs).length;
    const rate = (count / sweep.elapsedSeconds).toFixed(1);
    process.stderr.write(`${count} of ${total} seeds, ${rate} a second, ${bad} failed`);
  });
  await sweep.run();
  if (hasTerminal) process.stderr.write('\r\u001b[K');
  const summary = summarize(sweep, settings);
  if (isJson) process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
  else for (const [name, value] of Object.entries(summary)) say(`${name}: ${show(value)}\n`);
  const isClean = summary['failed'] === 0 && summary['differing'] === 0;
  process.exitCode = isClean ? 0 : 1;
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
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
  const level = levelOf(values.level);
  if (values.seed !== undefined) {
    const seed = natural(values.seed, '--seed');
    const without = new Set(values.without.split(',').filter((name) => name !== ''));
    const single = { level, isVerbose: values.verbose, timeline: values.timeline, without };
    await (values.shrink ? shrinkOne(seed, single) : runOne(seed, single));
    return;
  }
  const range = /^(\d+)\.\.(\d+)$/.exec(values.seeds);
  if (range === null) fail(`--seeds must be A..B, not ${values.seeds}`);
  await runMany({
    first: Number(range[1]),
    last: Number(range[2]),
    level,
    twice: values.twice,
    workers: Math.max(1, natural(values.workers, '--workers')),
    seconds: natural(values.seconds, '--seconds'),
    stopOnFailure: values['stop-on-failure'],
    isJson: values.json,
  });
}

await main().catch((error: unknown) =>
  fail(error instanceof Error ? error.message : String(error)),
);
