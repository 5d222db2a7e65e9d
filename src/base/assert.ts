/** A broken invariant: a bug of ours. Whoever catches it stops the replica; it is never retried. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(`${message} ${JSON.stringify(facts)}`);
    this.facts = facts;
  }
}

/** Throws {@link InvariantError} unless `condition` holds. One condition a call, stated positively. */
export function invariant(
  condition: boolean,
  message: string,
  facts?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (!condition) throw new InvariantError(message, facts);
}

/** Ends an exhaustive switch: the compiler proves it is never reached. */
export function unreachable(value: never): never {
  throw new InvariantError('unreachable case', { value });
}

/** Checks a number that crossed a boundary (disk, wire) before it is branded. */
export function assertSafeInteger(value: number, name: string): number {
  invariant(Number.isSafeInteger(value), 'not a safe integer', { name, value });
  return value;
}
