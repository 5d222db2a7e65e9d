/** Those who read a database right now: whoever closes it waits for them. Owned by one store. */
export class Readers {
  private count = 0;
  private onGone: (() => void) | undefined;

  async run<T>(read: () => Promise<T>): Promise<T> {
    this.count += 1;
    try {
      return await read();
    } finally {
      this.count -= 1;
      if (this.count === 0) this.onGone?.();
    }
  }

  /** Resolves once nobody reads. One waits at a time. */
  async gone(): Promise<void> {
    if (this.count === 0) return;
    await new Promise<void>((resolve) => {
      this.onGone = resolve;
    });
    this.onGone = undefined;
  }
}
