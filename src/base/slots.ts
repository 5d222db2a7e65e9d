/**
 * Runs at most `size` jobs at a time, the others in the order they came. Bounds how many replicas
 * open, close, are compacted or send snapshots side by side.
 *
 * Invariant: a job that is done, well or badly, gives its place to the next.
 */
export class Slots {
  readonly #size: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(size: number) {
    this.#size = size;
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#size) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await job();
    } finally {
      // The place passes on without ever being free: nobody can slip in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
