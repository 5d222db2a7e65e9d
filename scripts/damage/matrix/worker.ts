import { rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import type { Crc32c } from '../../../src/base/crc32c.js';
import { fastCrc32c } from '../../../src/main/native-crc32c.js';
import { judge, type Verdict } from './judge.js';
import { NO_TELEMETRY } from './life.js';
import {
  NO_TALLY,
  sumOf,
  type FromWorker,
  type Tally,
  type Task,
  type WorkerStart,
} from './protocol.js';
import { repair } from './repair.js';
import { rowsOf, type Row } from './rows.js';
import { Stand } from './stand.js';
import { readTruth, type Truth } from './truth.js';

/*
 * One process of the damage matrix: LevelDB runs in it, so that a file that ends the process ends this
 * one. The directory of the case that is under way stays behind then, and tells which it was.
 */

/** What tells one finding from another; the rest is where. */
const WHERE = /\/\S+|\d+/g;

class Worker {
  private readonly start: WorkerStart;
  private readonly stand: Stand;
  private readonly rows: readonly Row[];
  private readonly truth: Truth;
  private readonly crc32c: Crc32c;

  constructor(start: WorkerStart, stand: Stand, truth: Truth, crc32c: Crc32c) {
    this.start = start;
    this.stand = stand;
    this.truth = truth;
    this.crc32c = crc32c;
    this.rows = rowsOf(start.source, stand, start.seed);
  }

  static async make(start: WorkerStart): Promise<Worker> {
    const { source, scratch } = start;
    const crc32c = await fastCrc32c(NO_TELEMETRY.log);
    const stand = new Stand(source, source.victim);
    const truth = await readTruth(stand, { group: source.group, scratch, crc32c });
    return new Worker(start, stand, truth, crc32c);
  }

  async run(task: Task): Promise<Tally> {
    const row = this.rows.find(({ name }) => name === task.row);
    if (row === undefined) throw new Error(`there is no row ${task.row}`);
    let tally = NO_TALLY;
    for (const at of task.cases) {
      tell({ kind: 'case', case: at });
      const began = performance.now();
      const one =
        task.kind === 'open' ? await this.open(row, at, task) : await this.repair(row, at);
      tally = sumOf(tally, { ...one, ms: performance.now() - began });
    }
    return tally;
  }

  private async open(row: Row, at: number, task: Task): Promise<Tally> {
    const directory = path.join(this.start.scratch, String(at));
    const harm = row.harm(at);
    if (task.deaths === 0) this.stand.layOut(directory, harm);
    const judged = await judge(directory, this.truth, this.crc32c);
    // A log over which a process died must be found damaged.
    const isStuck = task.deaths > 0 && judged.outcome === 'intact';
    const verdict: Verdict = isStuck ? { ...judged, outcome: 'stuck' } : judged;
    rmSync(directory, { recursive: true });
    const text = `${harm.what}: ${verdict.detail} ${verdict.votes.join(', ')}`;
    const isRemarkable = isOdd(verdict) || task.deaths > 0;
    return {
      ...NO_TALLY,
      cases: 1,
      outcomes: { [verdict.outcome]: 1 },
      votes: verdict.votes.length,
      remarks: isRemarkable ? [{ case: at, outcome: verdict.outcome, text }] : [],
      reasons: verdict.detail === '' ? {} : { [verdict.detail.replaceAll(WHERE, '#')]: 1 },
    };
  }

  /** Only what is found out is repaired. */
  private async repair(row: Row, at: number): Promise<Tally> {
    const directory = path.join(this.start.scratch, String(at));
    const harm = row.harm(at);
    const { source } = this.start;
    this.stand.layOut(directory, harm);
    const { outcome } = await judge(directory, this.truth, this.crc32c);
    rmSync(directory, { recursive: true });
    if (outcome !== 'opening' && outcome !== 'reading') return NO_TALLY;
    const problem = await repair(directory, harm, {
      source,
      truth: this.truth,
      crc32c: this.crc32c,
    });
    rmSync(directory, { recursive: true });
    return problem === undefined
      ? { ...NO_TALLY, repaired: 1 }
      : {
          ...NO_TALLY,
          unrepaired: 1,
          remarks: [{ case: at, outcome: 'unrepaired', text: `${harm.what}: ${problem}` }],
        };
  }
}

/** Beyond what every run shows. */
function isOdd({ outcome, votes }: Verdict): boolean {
  return outcome === 'silent' || outcome === 'stuck' || outcome === 'refused' || votes.length > 0;
}

function tell(message: FromWorker): void {
  process.send?.(message);
}

let worker: Promise<Worker> | undefined;
process.on('message', (message: WorkerStart | Task) => {
  if ('source' in message) {
    worker = Worker.make(message);
    void worker.then(() => tell({ kind: 'ready' }));
  } else {
    void worker?.then((ready) => ready.run(message)).then((tally) => tell({ kind: 'done', tally }));
  }
});
process.on('disconnect', () => process.exit(0));
