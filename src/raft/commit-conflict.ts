import { InvariantError } from '../base/assert.js';

/**
 * The leader's log contradicts what is committed here. In a group that always syncs that is a bug. In one
 * that does not, a recovery after a power cut may have gone on without these entries: whoever still
 * has them follows, and gives its own log up.
 */
export class CommitConflictError extends InvariantError {}

export function mustAgree(
  holds: boolean,
  message: string,
  facts: Readonly<Record<string, unknown>>,
): asserts holds {
  if (!holds) throw new CommitConflictError(message, facts);
}
