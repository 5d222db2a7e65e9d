import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { deferred, type Deferred } from '../../../src/base/deferred.js';
import {
  NO_TALLY,
  sumOf,
  type FromWorker,
  type Tally,
  type Task,
  type WorkerStart,
} from './protocol.js';

const PROGRAM = fileURLToPath(new URL('./worker.ts', import.meta.url));
/** A case that takes longer has hung; on a machine that is overloaded most of it may be waiting. */
const CASE_MS_MAX = 300_000;
/** A broker calls a log damaged that it died over twice while opening it. */
const DEATHS_MAX = 4;

type Start = Omit<WorkerStart, 'scratch'>;

/** How a process ended, and over which case. */
interface Death {
  readonly at: number | undefined;
  readonly text: string;
}

/**
 * Runs tasks in processes of their own, one task a process at a time. A process that dies over a case
 * is replaced, and the next one goes on in the directory that it left, as a broker does that is started
 * again.
 */
export async function runTasks(
  tasks: Iterable<Task>,
  options: {
    readonly start: Start;
    readonly scratch: string;
    readonly workers: number;
    readonly isOver: () => boolean;
    readonly finished: (task: Task, tally: Tally) => void;
  },
): Promise<void> {
  const waiting = tasks[Symbol.iterator]();
  const lanes = Array.from({ length: options.workers }, async (_, i) => {
    const lane = new Lane(options.start, path.join(options.scratch, `worker-${i}`));
    try {
      for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
        if (options.isOver()) return;
        options.finished(next.value, await lane.run(next.value));
      }
    } finally {
      await lane.end();
    }
  });
  await Promise.all(lanes);
}

/** One process after another, in one directory. */
class Lane {
  private readonly start: WorkerStart;
  private worker: Worker | undefined;

  constructor(start: Start, scratch: string) {
    mkdirSync(scratch, { recursive: true });
    this.start = { ...start, scratch };
  }

  async run(task: Task): Promise<Tally> {
    let tally = NO_TALLY;
    const waiting: Task[] = [task];
    for (let now = waiting.shift(); now !== undefined; now = waiting.shift()) {
      if (now.cases.length === 0) continue;
      this.worker ??= await Worker.fork(this.start);
      const ended = await this.worker.run(now);
      if ('cases' in ended) {
        tally = sumOf(tally, ended);
        continue;
      }
      this.worker = undefined;
      const { rest, seen } = this.afterDeath(now, ended);
      tally = sumOf(tally, seen);
      waiting.unshift(...rest);
    }
    return tally;
  }

  async end(): Promise<void> {
    await this.worker?.end();
  }

  /** What was done without having been told is done again; the case itself goes on where it was left. */
  private afterDeath(
    task: Task,
    { at, text }: Death,
  ): { readonly rest: readonly Task[]; readonly seen: Tally } {
    if (at === undefined) throw new Error(`a worker ended before it did anything: ${text}`);
    const place = task.cases.indexOf(at);
    const before = { ...task, cases: task.cases.slice(0, place) };
    const after = { ...task, cases: task.cases.slice(place + 1) };
    const deaths = task.deaths + 1;
    const isGivenUp = task.kind === 'repair' || deaths >= DEATHS_MAX;
    const outcome = task.kind === 'repair' ? 'unrepaired' : 'ended';
    const seen: Tally = {
      ...NO_TALLY,
      deaths: 1,
      ...(isGivenUp
        ? {
            ...(task.kind === 'repair' ? { unrepaired: 1 } : { cases: 1, outcomes: { ended: 1 } }),
            remarks: [{ case: at, outcome, text: `${text}, ${deaths} times` }],
          }
        : { remarks: [{ case: at, outcome: 'ended', text }] }),
    };
    if (!isGivenUp) return { rest: [before, { ...task, cases: [at], deaths }, after], seen };
    rmSync(path.join(this.start.scratch, String(at)), { recursive: true, force: true });
    return { rest: [before, after], seen };
  }
}

class Worker {
  private readonly child: ChildProcess;
  private readonly exited: Promise<string>;
  private readonly ready = deferred<undefined>();
  private done: Deferred<Tally> = deferred();
  private at: number | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isHung = false;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        clearTimeout(this.timer);
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        resolve(this.isHung ? `did not come back within ${CASE_MS_MAX} ms` : how);
      });
    });
    child.on('message', (message: FromWorker) => this.told(message));
  }

  static async fork(start: WorkerStart): Promise<Worker> {
    const child = fork(PROGRAM, { execArgv: ['--import', 'tsx'], stdio: 'inherit' });
    const worker = new Worker(child);
    child.send(start);
    const failure = await Promise.race([worker.ready.promise, worker.exited]);
    if (failure !== undefined) throw new Error(`a worker did not start: ${failure}`);
    return worker;
  }

  async run(task: Task): Promise<Tally | Death> {
    this.at = undefined;
    this.done = deferred();
    this.child.send(task);
    const ended = await Promise.race([this.done.promise, this.exited]);
    clearTimeout(this.timer);
    return typeof ended === 'string' ? { at: this.at, text: ended } : ended;
  }

  async end(): Promise<void> {
    if (this.child.connected) this.child.disconnect();
    await this.exited;
  }

  private told(message: FromWorker): void {
    if (message.kind === 'ready') this.ready.resolve(undefined);
    else if (message.kind === 'done') this.done.resolve(message.tally);
    else {
      this.at = message.case;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => {
        this.isHung = true;
        this.child.kill('SIGKILL');
      }, CASE_MS_MAX);
    }
  }
}
