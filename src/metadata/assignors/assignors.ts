import { compareStrings } from '../../base/collections.js';
import type { Assignor } from './assignor.js';
import { rangeAssignor } from './range.js';
import { rackAssignor, uniformAssignor } from './sticky.js';

const BUILT_IN: readonly Assignor[] = [uniformAssignor, rangeAssignor, rackAssignor];
const NAME = /^[a-z][a-z0-9._-]{0,48}$/;

/**
 * The assignors of a broker: its own and those it was given.
 *
 * Invariant: names are different, and the built-in ones keep theirs, so that a group which names none
 * of the others is assigned alike by every coordinator.
 */
export class Assignors {
  private readonly byName: ReadonlyMap<string, Assignor>;

  /** Throws RangeError, naming the assignor, on one that cannot be used. */
  constructor(given: readonly Assignor[] = []) {
    const byName = new Map(BUILT_IN.map((one) => [one.name, one]));
    for (const one of given) {
      const { name } = one;
      if (typeof name !== 'string' || !NAME.test(name)) {
        throw new RangeError(
          `assignor ${JSON.stringify(name)}: its name must match ${NAME.source}`,
        );
      }
      if (typeof one.assign !== 'function') {
        throw new RangeError(`assignor ${name}: it has no function assign`);
      }
      if (byName.has(name)) throw new RangeError(`assignor ${name}: there is one of that name`);
      byName.set(name, one);
    }
    this.byName = byName;
  }

  /** Used where members name none, and where one that was given fails. */
  get fallback(): Assignor {
    return uniformAssignor;
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  isBuiltIn({ name }: Assignor): boolean {
    return BUILT_IN.some((one) => one.name === name);
  }

  names(): readonly string[] {
    return [...this.byName.keys()];
  }

  /** The one most members name; of equals, the first by name; the fallback where none is known. */
  choose(wanted: Iterable<string>): Assignor {
    const votes = new Map<string, number>();
    for (const name of wanted) {
      if (this.byName.has(name)) votes.set(name, (votes.get(name) ?? 0) + 1);
    }
    let best: string | undefined;
    let most = 0;
    for (const name of [...votes.keys()].sort(compareStrings)) {
      const count = votes.get(name) ?? 0;
      if (count > most) {
        best = name;
        most = count;
      }
    }
    return (best === undefined ? undefined : this.byName.get(best)) ?? this.fallback;
  }
}

export const BUILT_IN_ASSIGNORS = new Assignors();
