/** Runs one piece of background work after another, for a whole broker. */
export type Lane = (work: () => Promise<void>) => Promise<void>;

/** Whether what is under way is of no account any more. Asked anew after every await. */
export type IsOver = () => boolean;

/**
 * Background work of one replica, one piece at a time. What a life of the replica left hanging may never
 * be answered, and must not keep the next life from its own.
 *
 * Invariant: of the pieces that have begun, at most one is not over.
 */
export class ReplicaJob {
  readonly #lane: Lane;
  #isRunning = false;
  #life = 0;
  #isStopped = false;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  /** Of this life of the replica. */
  watch(): IsOver {
    const life = this.#life;
    return () => this.#isStopped || this.#life !== life;
  }

  /** Another piece may begin. */
  get isFree(): boolean {
    return !this.#isRunning && !this.#isStopped;
  }

  /** `failed` hears of what went wrong, unless the replica's life has ended meanwhile. */
  run(work: (isOver: IsOver) => Promise<void>, failed: (error: unknown) => void): void {
    this.#isRunning = true;
    const life = this.#life;
    const isOver = this.watch();
    void this.#lane(() => work(isOver))
      .catch((error: unknown) => {
        if (!isOver()) failed(error);
      })
      .finally(() => {
        if (this.#life === life) this.#isRunning = false;
      });
  }

  /** Whatever it was asked in this life may never be answered. */
  lifeEnded(): void {
    this.#life += 1;
    this.#isRunning = false;
  }

  stop(): void {
    this.#isStopped = true;
  }
}
