interface Stoppable {
  stop(): Promise<void>;
}

/** Whatever has processes or files: stopped when its use ends, or all at once when a run is interrupted. */
export class Stoppables {
  private readonly running = new Set<Promise<Stoppable>>();

  async using<S extends Stoppable, T>(
    start: () => Promise<S>,
    run: (system: S) => Promise<T>,
  ): Promise<T> {
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
    }
  }

  /** What is still starting is stopped once it has started. */
  async stopAll(): Promise<void> {
    await Promise.allSettled([...this.running].map(async (system) => (await system).stop()));
  }
}
