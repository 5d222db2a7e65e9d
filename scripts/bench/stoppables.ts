interface Stoppable {
  stop(): Promise<void>;
}

const NEVER = new Promise<never>(() => undefined);

/**
 * Whatever has processes or files: stopped when its use ends, or all at once when a run is interrupted.
 * From then on nothing is started, and no use ends: the process does, with no result of half a run.
 */
export class Stoppables {
  private readonly running = new Set<Promise<Stoppable>>();
  private isInterrupted = false;

  async using<S extends Stoppable, T>(
    start: () => Promise<S>,
    run: (system: S) => Promise<T>,
  ): Promise<T> {
    // Not even a turn lies between looking and starting: nothing is started that stopAll does not see.
    if (this.isInterrupted) await NEVER;
    const starting = start();
    this.running.add(starting);
    try {
      const system = await starting;
      try {
        return await run(system);
      } finally {
        await system.stop();
      }
    } finally {
      this.running.delete(starting);
      if (this.isInterrupted) await NEVER;
    }
  }

  /** What is still starting is stopped once it has started. */
  async stopAll(): Promise<void> {
    this.isInterrupted = true;
    await Promise.allSettled([...this.running].map(async (system) => (await system).stop()));
  }
}
