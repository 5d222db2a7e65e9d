/** Group names with the time that they have been idle for, in ms. */
export type FrozenIdleTimes = ReadonlyMap<string, number>;

/**
 * How long consumer groups without members have been idle: nothing was committed and nobody joined.
 * Part of the metadata state. The time is what metadata leaders lived through and told in the log, never
 * a wall clock: a clock that is set to next year must not make every group expire.
 *
 * Invariant: a group that is not in it was active since groups were last aged, or does not exist.
 */
export class IdleGroups {
  private times: ReadonlyMap<string, number> = new Map();
  /** Names that were active since `times` was made, which is shared with frozen views. */
  private readonly active = new Set<string>();

  sawActivity(group: string): void {
    this.active.add(group);
  }

  timeOf(group: string): number {
    return this.active.has(group) ? 0 : (this.times.get(group) ?? 0);
  }

  /** All groups that have no members, a while later; returns those that have been idle for too long. */
  age(
    groups: Iterable<string>,
    { elapsedMs, limitMs }: { readonly elapsedMs: number; readonly limitMs: number },
  ): string[] {
    const times = new Map<string, number>();
    const expired: string[] = [];
    for (const group of groups) {
      const timeMs = this.timeOf(group) + elapsedMs;
      if (timeMs >= limitMs) expired.push(group);
      else times.set(group, timeMs);
    }
    this.times = times;
    this.active.clear();
    return expired;
  }

  freeze(): FrozenIdleTimes {
    if (this.active.size > 0) {
      this.times = new Map([...this.times].filter(([group]) => !this.active.has(group)));
      this.active.clear();
    }
    return this.times;
  }

  restore(times: FrozenIdleTimes): void {
    this.times = times;
    this.active.clear();
  }
}
