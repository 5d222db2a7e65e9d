import { compareStrings } from '../../base/collections.js';
import type { Assignor } from './assignor.js';
import { rangeAssignor } from './range.js';
import { rackAssignor, uniformAssignor } from './sticky.js';

/** Every assignor the brokers have. A new one is written to the contract of Assignor and named here. */
const ASSIGNORS: readonly Assignor[] = [uniformAssignor, rangeAssignor, rackAssignor];

const BY_NAME: ReadonlyMap<string, Assignor> = new Map(ASSIGNORS.map((one) => [one.name, one]));

/** Used where members name none. */
const DEFAULT_ASSIGNOR: Assignor = uniformAssignor;

export function isAssignor(name: string): boolean {
  return BY_NAME.has(name);
}

export function assignorNames(): readonly string[] {
  return [...BY_NAME.keys()];
}

/** The one most members name; of equals, the first by name; the default where none is named. */
export function chooseAssignor(wanted: Iterable<string>): Assignor {
  const votes = new Map<string, number>();
  for (const name of wanted) {
    if (BY_NAME.has(name)) votes.set(name, (votes.get(name) ?? 0) + 1);
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
  return (best === undefined ? undefined : BY_NAME.get(best)) ?? DEFAULT_ASSIGNOR;
}
