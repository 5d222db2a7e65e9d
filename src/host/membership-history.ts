import { invariant } from '../base/assert.js';
import type { LogIndex } from '../model/ids.js';
import type { Membership } from '../model/membership.js';

interface Since {
  readonly index: LogIndex;
  readonly membership: Membership;
}

/**
 * The committed memberships of one group from its first index on, so that a snapshot at any applied
 * index can carry the membership as of there.
 *
 * Invariant: never empty; ascending by index; the first one was in force at the snapshot.
 */
export class MembershipHistory {
  #history: Since[];

  constructor(atSnapshot: Since, above: readonly Since[], applied: LogIndex) {
    this.#history = [atSnapshot, ...above.filter((m) => m.index <= applied)];
  }

  applied(index: LogIndex, membership: Membership): void {
    invariant(this.#latest().index < index, 'memberships are applied in order', { index });
    this.#history.push({ index, membership });
  }

  at(index: LogIndex): Membership {
    const found = this.#history.findLast((m) => m.index <= index);
    invariant(found !== undefined, 'the membership is known from the first index on', { index });
    return found.membership;
  }

  latest(): Membership {
    return this.#latest().membership;
  }

  /** The log's prefix up to and with `index` is gone. */
  truncated(index: LogIndex): void {
    const membership = this.at(index);
    this.#history = [{ index, membership }, ...this.#history.filter((m) => m.index > index)];
  }

  installed(index: LogIndex, membership: Membership): void {
    this.#history = [{ index, membership }];
  }

  #latest(): Since {
    const latest = this.#history[this.#history.length - 1];
    invariant(latest !== undefined, 'there is always a membership');
    return latest;
  }
}
