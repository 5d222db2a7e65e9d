import { accessSync, constants, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { SingleBar } from 'cli-progress';

import { scriptArguments } from '../../lib/script-arguments.js';
import { MatrixLedger } from './ledger.js';
import { tasksOf } from './plan.js';
import { runTasks } from './pool.js';
import { NO_TALLY, sumOf, type Tally, type Task } from './protocol.js';
import { FILE_ROWS, rowsOf, type Row } from './rows.js';
import { sourceIn, type Source } from './source.js';
import { Stand } from './stand.js';
import { isSound, matrixTable, type MatrixRow } from './table.js';
import { diskFullRow, syncErrorRow } from './writes.js';

const SHARED_MEMORY = '/dev/shm';
/** Not every case can be repaired: some harms have no effect. */
const CANDIDATES_PER_REPAIR = 8;
const REMARKS_SHOWN = 20;

const { values: args } = scriptArguments({
  options: {
    matrix: { type: 'boolean' },
    row: { type: 'string', multiple: true },
    sample: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    ledger: { type: 'string' },
    repairs: { type: 'string', default: '5' },
    'full-points': { type: 'string', default: '500' },
    'sync-points': { type: 'string', default: '100' },
    'write-minutes': { type: 'string', default: '10' },
    workers: { type: 'string', default: String(os.cpus().length * 2) },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const say = (text: string): void => {
  if (!args.json) process.stdout.write(`${text}\n`);
};

const OVER_AT = performance.now() + Number(args.minutes ?? Infinity) * 60_000;

/** The rows of files at rest, in processes. */
class Matrix {
  private readonly ledger: MatrixLedger;
  private readonly source: Source;
  private readonly scratch: string;
  private readonly rows: readonly Row[];

  constructor(ledger: MatrixLedger, source: Source, scratch: string) {
    this.ledger = ledger;
    this.source = source;
    this.scratch = scratch;
    const stand = new Stand(source, source.victim);
    this.rows = rowsOf(source, stand, ledger.seed).filter(({ name }) => isWanted(name));
  }

  async run(): Promise<MatrixRow[]> {
    // First what is few: a run that is ended early has seen some of it.
    for (const row of this.rows) await this.repairSome(row);
    await this.openAll();
    return this.rows.map((row) => ({
      row: row.name,
      of: row.cases,
      tally: this.tallyOf(row.name),
      ackedAfterError: 0,
      skipped: undefined,
    }));
  }

  private async openAll(): Promise<void> {
    const options = { seed: this.ledger.seed, everyNth: Number(args.sample) };
    const all = tasksOf(this.rows, options);
    const tasks = all.filter((task) => !this.ledger.has(task));
    const total = all.reduce((sum, { cases }) => sum + cases.length, 0);
    const left = tasks.reduce((sum, { cases }) => sum + cases.length, 0);
    const bar = new SingleBar({ format: '{bar} {value} of {total} cases, {eta_formatted} left' });
    if (!args.json && process.stdout.isTTY) bar.start(total, total - left);
    await this.runTasks(
      tasks,
      (task) => bar.increment(task.cases.length),
      () => false,
    );
    bar.stop();
  }

  private async repairSome(row: Row): Promise<void> {
    const wanted = Number(args.repairs);
    const count = Math.min(row.cases, wanted * CANDIDATES_PER_REPAIR);
    const candidates = Array.from({ length: count }, (_, i): Task => {
      const at = Math.floor(((i + 0.5) * row.cases) / count);
      return { kind: 'repair', row: row.name, cases: [at], deaths: 0 };
    });
    const isEnough = (): boolean => {
      const { repaired, unrepaired } = this.tallyOf(row.name);
      return repaired + unrepaired >= wanted;
    };
    const tasks = candidates.filter((task) => !this.ledger.has(task));
    await this.runTasks(tasks, () => undefined, isEnough);
  }

  private async runTasks(
    tasks: readonly Task[],
    finished: (task: Task) => void,
    isEnough: () => boolean,
  ): Promise<void> {
    await runTasks(tasks, {
      start: { source: this.source, seed: this.ledger.seed },
      scratch: this.scratch,
      workers: Number(args.workers),
      isOver: () => isEnough() || isOver(),
      finished: (task, tally) => {
        this.ledger.note(task, tally);
        finished(task);
      },
    });
  }

  private tallyOf(row: string): Tally {
    return this.ledger.of(row).reduce(sumOf, NO_TALLY);
  }
}

function isOver(): boolean {
  return performance.now() > OVER_AT;
}

function isWanted(row: string): boolean {
  return args.row?.includes(row) ?? true;
}

function isUsable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function main(): Promise<MatrixRow[]> {
  const ledger = new MatrixLedger(
    args.ledger,
    args.seed === undefined ? randomInt(2 ** 31) : Number(args.seed),
  );
  say(`seed ${ledger.seed}`);
  const memory = isUsable(SHARED_MEMORY) ? SHARED_MEMORY : os.tmpdir();
  const scratch = mkdtempSync(path.join(memory, 'millrace-matrix-'));
  try {
    const files = FILE_ROWS.some(isWanted) ? await filesAtRest(ledger, scratch) : [];
    return [...files, ...(await failingDisks(ledger.seed, scratch))];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function filesAtRest(ledger: MatrixLedger, scratch: string): Promise<MatrixRow[]> {
  const kept = args.ledger === undefined ? undefined : `${args.ledger}.source`;
  const made = await sourceIn(kept ?? path.join(scratch, 'source'), { seed: ledger.seed, say });
  // Links need one file system.
  const source = { ...made, directory: path.join(scratch, 'source') };
  if (kept !== undefined) cpSync(kept, source.directory, { recursive: true });
  return await new Matrix(ledger, source, scratch).run();
}

async function failingDisks(seed: number, scratch: string): Promise<MatrixRow[]> {
  const options = { seed, scratch, isOver, say };
  const rows: MatrixRow[] = [];
  if (isWanted('disk-full')) {
    const writeMinutes = Number(args['write-minutes']);
    const points = Number(args['full-points']);
    rows.push(await diskFullRow({ ...options, points, writeMinutes }));
  }
  if (isWanted('sync-error')) {
    rows.push(await syncErrorRow({ ...options, points: Number(args['sync-points']) }));
  }
  return rows;
}

const rows = await main();
const isPassed = rows.every(isSound);
if (args.json) process.stdout.write(`${JSON.stringify({ isPassed, rows })}\n`);
else {
  for (const { row, tally } of rows) {
    for (const { outcome, case: at, text } of tally.remarks.slice(0, REMARKS_SHOWN)) {
      say(`${row} ${at}, ${outcome}: ${text}`);
    }
  }
  say(matrixTable(rows));
}
process.exitCode = isPassed ? 0 : 1;
