import { Prng } from '../../../src/base/prng.js';
import type { Task } from './protocol.js';
import type { Row } from './rows.js';

const CASES_PER_TASK = 64;

/**
 * All cases of all rows, or every so many-th, in tasks. A task's cases are spread over its row, and the
 * rows' tasks over the run, so that a run that was ended early has seen something of everything.
 */
export function tasksOf(
  rows: readonly Row[],
  options: { readonly seed: number; readonly everyNth: number },
): Task[] {
  const placed: { readonly task: Task; readonly at: number }[] = [];
  for (const [i, row] of rows.entries()) {
    const tasks = spread(row, options.everyNth);
    shuffle(tasks, new Prng(options.seed + i));
    for (const [k, task] of tasks.entries()) placed.push({ task, at: (k + 0.5) / tasks.length });
  }
  return placed.sort((a, b) => a.at - b.at).map(({ task }) => task);
}

/** Names a task in a ledger: its first case says which others are in it. */
export function nameOf(task: Task): string {
  return `${task.kind} ${task.row} ${task.cases.length} from ${task.cases[0]}`;
}

function spread(row: Row, everyNth: number): Task[] {
  const chosen = Array.from({ length: Math.ceil(row.cases / everyNth) }, (_, i) => i * everyNth);
  const stride = Math.ceil(chosen.length / CASES_PER_TASK);
  return Array.from({ length: stride }, (_, start) => ({
    kind: 'open' as const,
    row: row.name,
    cases: chosen.filter((_case, i) => i % stride === start),
    deaths: 0,
  }));
}

function shuffle(tasks: Task[], prng: Prng): void {
  for (let i = tasks.length - 1; i > 0; i -= 1) {
    const j = prng.int(i + 1);
    const [a, b] = [tasks[i], tasks[j]];
    if (a === undefined || b === undefined) continue;
    tasks[i] = b;
    tasks[j] = a;
  }
}
