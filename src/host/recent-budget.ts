/** What holds recent entries in memory: a replica's core. */
export interface RecentHolder {
  recentBytes(): number;
  trimRecent(bytesMax: number): void;
}

/**
 * One budget for the recent entries of all groups. Above it, one group after another gives up half of
 * its entries, those that were quiet longest first, until there is room again; if that is not enough,
 * they give up the rest in the same order.
 *
 * Entries that are not yet applied or durable cannot be given up; the core's limit on its uncommitted
 * tail bounds those.
 */
export class RecentBudget {
  readonly #bytesMax: number;
  /** In the order of last use, oldest first. */
  readonly #holders = new Map<RecentHolder, number>();
  #total = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get totalBytes(): number {
    return this.#total;
  }

  used(holder: RecentHolder): void {
    this.forget(holder);
    const bytes = holder.recentBytes();
    this.#holders.set(holder, bytes);
    this.#total += bytes;
  }

  forget(holder: RecentHolder): void {
    const bytes = this.#holders.get(holder);
    if (bytes === undefined) return;
    this.#holders.delete(holder);
    this.#total -= bytes;
  }

  enforce(): void {
    if (this.#total <= this.#bytesMax) return;
    // Leaves some room, so that the next entry does not start this again.
    const goal = this.#bytesMax * 0.9;
    for (const keep of [0.5, 0]) {
      for (const [holder, bytes] of this.#holders) {
        if (this.#total <= goal) return;
        if (bytes === 0) continue;
        holder.trimRecent(Math.floor(bytes * keep));
        const left = holder.recentBytes();
        // Setting an existing key keeps its place in the order.
        this.#holders.set(holder, left);
        this.#total -= bytes - left;
      }
    }
  }
}
