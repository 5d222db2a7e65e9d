import type { Cancel, Timers } from '../ports/world.js';

/**
 * Groups whose followers have committed entries and do not know it: they are told together, after a
 * moment, unless entries that follow have said so meanwhile. A message of its own for every commit, and
 * its answer, would be half of all messages of a group that takes one batch at a time.
 *
 * Invariant: one timer at most, and only while somebody is owed something.
 */
export class CommitNotices<Group> {
  readonly #timers: Timers;
  readonly #delayMs: number;
  readonly #tell: (group: Group) => void;
  readonly #owing = new Set<Group>();
  #cancel: Cancel | undefined;

  constructor(timers: Timers, delayMs: number, tell: (group: Group) => void) {
    this.#timers = timers;
    this.#delayMs = delayMs;
    this.#tell = tell;
  }

  owed(group: Group): void {
    this.#owing.add(group);
    this.#cancel ??= this.#timers.after(this.#delayMs, () => this.#tellAll());
  }

  forget(group: Group): void {
    this.#owing.delete(group);
  }

  stop(): void {
    this.#owing.clear();
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tellAll(): void {
    this.#cancel = undefined;
    const owing = [...this.#owing];
    this.#owing.clear();
    for (const group of owing) this.#tell(group);
  }
}
