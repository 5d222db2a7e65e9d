import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';

import { nameOf } from './plan.js';
import type { Tally, Task } from './protocol.js';

interface Line {
  readonly name: string;
  readonly row: string;
  readonly tally: Tally;
}

/** What is done already of a matrix, a line a task; in a file if it is to be gone on with. */
export class MatrixLedger {
  readonly seed: number;
  private readonly file: string | undefined;
  private readonly done = new Map<string, Line>();

  /** The seed of a file that exists counts: it says what its cases were. */
  constructor(file: string | undefined, seed: number) {
    this.file = file;
    const [head, ...lines] =
      file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    this.seed = head === undefined ? seed : (JSON.parse(head) as { seed: number }).seed;
    if (head === undefined && file !== undefined)
      writeFileSync(file, `${JSON.stringify({ seed })}\n`);
    for (const text of lines) {
      const line = JSON.parse(text) as Line;
      this.done.set(line.name, line);
    }
  }

  has(task: Task): boolean {
    return this.done.has(nameOf(task));
  }

  note(task: Task, tally: Tally): void {
    const line = { name: nameOf(task), row: task.row, tally };
    this.done.set(line.name, line);
    if (this.file !== undefined) appendFileSync(this.file, `${JSON.stringify(line)}\n`);
  }

  of(row: string): Tally[] {
    return [...this.done.values()].filter((line) => line.row === row).map(({ tally }) => tally);
  }
}
