import { SingleBar } from 'cli-progress';
import { grouped, type Io } from './io.js';

/** What is quicker than this needs no line. */
const SHOW_AFTER_MS = 500;
const ASK_EVERY_MS = 250;

export interface ProgressOptions {
  /** Undefined: nobody knows how much there is. */
  readonly total: number | undefined;
  /** What is counted. */
  readonly unit: string;
  readonly quiet?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/**
 * A line on the terminal for work that takes long, gone when the work is done. Only for people: nothing is
 * written unless stderr is a terminal, nor with --json or --quiet, nor for what takes less than half a
 * second.
 */
export class Progress {
  private readonly bar: SingleBar | undefined;
  private readonly total: number | undefined;
  private readonly sinceMs = performance.now();
  private isShown = false;
  private isOver = false;

  constructor(io: Io, { total, unit, quiet, json }: ProgressOptions) {
    this.total = total;
    if (io.stderr.isTTY !== true || quiet === true || json === true) return;
    const counts = `{done} ${total === undefined ? '' : `of ${grouped(total)} `}${unit}`;
    this.bar = new SingleBar({
      format: total === undefined ? counts : `{bar} {percentage}%  ${counts}`,
      stream: io.stderr,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 30,
    });
  }

  /** Is anybody looking? What is asked only for the line need not be asked otherwise. */
  get isWanted(): boolean {
    return this.bar !== undefined && !this.isOver;
  }

  at(done: number): void {
    if (!this.isWanted || this.bar === undefined) return;
    const payload = { done: grouped(done) };
    if (this.isShown) {
      this.bar.update(done, payload);
    } else if (performance.now() - this.sinceMs >= SHOW_AFTER_MS) {
      this.isShown = true;
      this.bar.start(this.total ?? Infinity, done, payload);
    }
  }

  /** Takes the line away. */
  stop(): void {
    if (this.isShown) this.bar?.stop();
    this.isOver = true;
  }

  /** Runs the work; the line goes whatever comes of it. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      this.stop();
    }
  }

  /** As `during`, with the work asked from time to time how far it is; what fails there is no matter. */
  async watching<T>(work: () => Promise<T>, ask: () => Promise<number>): Promise<T> {
    if (!this.isWanted) return await work();
    let isAsking = false;
    const poll = setInterval(() => {
      if (isAsking) return;
      isAsking = true;
      const ended = (): void => {
        isAsking = false;
      };
      ask().then((done) => {
        this.at(done);
        ended();
      }, ended);
    }, ASK_EVERY_MS);
    try {
      return await this.during(work);
    } finally {
      clearInterval(poll);
    }
  }
}
