import { expect } from 'chai';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { tasksOf } from '../../scripts/damage/matrix/plan.js';
import { runTasks } from '../../scripts/damage/matrix/pool.js';
import { NO_TALLY, sumOf, type Tally, type Task } from '../../scripts/damage/matrix/protocol.js';
import { rowsOf, type Row } from '../../scripts/damage/matrix/rows.js';
import { sourceIn, type Source } from '../../scripts/damage/matrix/source.js';
import { Stand } from '../../scripts/damage/matrix/stand.js';
import { diskFullRow, syncErrorRow } from '../../scripts/damage/matrix/writes.js';

const SEED = 11;
const CASES_PER_ROW = 6;
const WORKERS = 2;
const POINTS = 6;

/** A slice of `npm run damage -- --matrix`, of every row something. */
describe('the damage matrix', function () {
  this.timeout(600_000);
  let scratch: string;
  let source: Source;
  let rows: readonly Row[];

  before(async () => {
    scratch = mkdtempSync(path.join(os.tmpdir(), 'millrace-matrix-'));
    const made = { seed: SEED, say: () => undefined };
    source = await sourceIn(path.join(scratch, 'source'), made);
    rows = rowsOf(source, new Stand(source, source.victim), SEED);
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  async function tallyOf(tasks: readonly Task[]): Promise<Map<string, Tally>> {
    const tallies = new Map<string, Tally>();
    await runTasks(tasks, {
      start: { source, seed: SEED },
      scratch,
      workers: WORKERS,
      isOver: () => false,
      finished: (task, tally) => {
        tallies.set(task.row, sumOf(tallies.get(task.row) ?? NO_TALLY, tally));
      },
    });
    return tallies;
  }

  it('has no harm that passes as sound, never heals, or lets a damaged replica vote', async () => {
    const tasks = rows.flatMap((row) =>
      tasksOf([row], { seed: SEED, everyNth: Math.max(1, Math.floor(row.cases / CASES_PER_ROW)) }),
    );
    const tallies = await tallyOf(tasks);
    for (const { name } of rows) {
      const { outcomes, votes, remarks, cases } = tallies.get(name) ?? NO_TALLY;
      const shown = JSON.stringify(remarks);
      expect(cases, name).to.be.at.least(CASES_PER_ROW);
      expect(votes, shown).to.equal(0);
      expect(outcomes, shown).to.not.have.any.keys('silent', 'stuck', 'ended');
      const detected = (outcomes.opening ?? 0) + (outcomes.reading ?? 0);
      expect(detected, name).to.be.greaterThan(0);
    }
  });

  it('is undone by the peers, byte for byte', async () => {
    const chosen = rows.filter(({ name }) => name === 'wal-bit' || name === 'ldb-bit');
    const tasks = chosen.map((row): Task => ({
      kind: 'repair',
      row: row.name,
      cases: [row.cases - 1_000],
      deaths: 0,
    }));
    for (const { repaired, unrepaired, remarks } of (await tallyOf(tasks)).values()) {
      expect({ repaired, unrepaired }, JSON.stringify(remarks)).to.deep.equal({
        repaired: 1,
        unrepaired: 0,
      });
    }
  });

  it('has no error of a disk after which something is acknowledged that is not there', async () => {
    const options = {
      points: POINTS,
      seed: SEED,
      scratch,
      isOver: () => false,
      say: () => undefined,
    };
    const found = [
      await diskFullRow({ ...options, writeMinutes: 0.01 }),
      await syncErrorRow(options),
    ];
    for (const { skipped, tally, ackedAfterError } of found) {
      if (skipped !== undefined) continue;
      expect(tally.cases).to.be.greaterThan(POINTS / 2);
      expect(tally.outcomes, JSON.stringify(tally.remarks)).to.deep.equal({ intact: tally.cases });
      expect(ackedAfterError).to.equal(0);
    }
  });
});
