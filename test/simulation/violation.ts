/** An invariant of RELIABILITY.md §3 that did not hold, with what proves it. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly invariant: string;

  constructor(invariant: string, what: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(`${invariant}: ${what} ${JSON.stringify(facts)}`);
    this.invariant = invariant;
  }
}

/** Throws {@link Violation} unless it holds. */
export function must(
  holds: boolean,
  invariant: string,
  what: string,
  facts?: Readonly<Record<string, unknown>>,
): asserts holds {
  if (!holds) throw new Violation(invariant, what, facts);
}
