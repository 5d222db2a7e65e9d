/** A call on a model: when it was in flight and what it does to the model's state. */
export interface ModelCall {
  readonly from: number;
  /** Infinity while its outcome is unknown: it may take effect at any time after `from`, or never. */
  readonly to: number;
  /** The state after it, or undefined if it could not have answered as it did in this state. */
  readonly step: (state: string) => string | undefined;
  readonly text: string;
  /**
   * Calls of unknown outcome that name the same effect do the same in every state: which of them took effect
   * makes no difference, only how many did.
   */
  readonly effect?: string | undefined;
}

export type Linearizability =
  { readonly kind: 'yes' | 'undecided' } | { readonly kind: 'no'; readonly at: ModelCall };

/** More possible pasts than this at one moment: the question is given up. */
const CONFIGURATIONS_MAX = 20_000;

interface Configuration {
  readonly state: string;
  /** Calls in flight that have already taken effect and will be answered, ascending. */
  readonly done: readonly number[];
  /** Calls of unknown outcome that have taken effect, ascending. */
  readonly spent: readonly number[];
}

/**
 * Whether calls could each have taken effect at one moment between call and answer (Herlihy and
 * Wing), by keeping the set of all possible presents and, at every answer, only those in which the
 * call has taken effect (Lowe's just-in-time linearization).
 */
export function linearizable(calls: readonly ModelCall[], initial: string): Linearizability {
  const order: { readonly at: number; readonly isEnd: boolean; readonly call: number }[] = [];
  for (const [index, call] of calls.entries()) {
    order.push({ at: call.from, isEnd: false, call: index });
    if (isAnswered(call)) order.push({ at: call.to, isEnd: true, call: index });
  }
  // Equal times are concurrent: what begins at a moment begins before what ends there.
  order.sort((a, b) => a.at - b.at || Number(a.isEnd) - Number(b.isEnd) || a.call - b.call);
  const pending = new Set<number>();
  let present: readonly Configuration[] = [{ state: initial, done: [], spent: [] }];
  for (const { isEnd, call } of order) {
    if (!isEnd) {
      pending.add(call);
      continue;
    }
    const next = new Frontier();
    for (const one of present) {
      const isWhole = explore(calls, pending, one, call, next);
      if (!isWhole || next.size > CONFIGURATIONS_MAX) return { kind: 'undecided' };
    }
    const at = calls[call];
    if (next.size === 0 && at !== undefined) return { kind: 'no', at };
    pending.delete(call);
    present = next.all();
  }
  return { kind: 'yes' };
}

/** Adds every future of `start` in which `goal` has just or already taken effect. False: gave up. */
function explore(
  calls: readonly ModelCall[],
  pending: ReadonlySet<number>,
  start: Configuration,
  goal: number,
  into: Frontier,
): boolean {
  const visited = new Frontier();
  visited.add(start);
  const queue = [start];
  // The array grows while it is walked: those in which less has taken effect come first.
  for (const here of queue) {
    if (here.done.includes(goal)) {
      into.add({ ...here, done: here.done.filter((call) => call !== goal) });
      continue;
    }
    if (queue.length > CONFIGURATIONS_MAX) return false;
    for (const next of successors(calls, pending, here)) {
      if (visited.add(next)) queue.push(next);
    }
  }
  return true;
}

/** In each of which one more call has taken effect. */
function* successors(
  calls: readonly ModelCall[],
  pending: ReadonlySet<number>,
  here: Configuration,
): Generator<Configuration, void> {
  const tried = new Set<string>();
  for (const index of pending) {
    const call = calls[index];
    if (call === undefined || here.done.includes(index) || here.spent.includes(index)) continue;
    if (!isAnswered(call) && call.effect !== undefined) {
      // All of them are in flight for good: the first that is left stands for the others.
      if (tried.has(call.effect)) continue;
      tried.add(call.effect);
    }
    const state = call.step(here.state);
    if (state === undefined) continue;
    if (isAnswered(call)) yield { ...here, state, done: ascending([...here.done, index]) };
    else yield { ...here, state, spent: ascending([...here.spent, index]) };
  }
}

/**
 * Possible presents, without those in which more calls of unknown outcome are spent than in another that is
 * otherwise alike: what can follow them can follow that one, too.
 */
class Frontier {
  private readonly alike = new Map<string, Configuration[]>();
  size = 0;

  /** False: there is one with no more spent already. */
  add(one: Configuration): boolean {
    const name = `${one.done.join(',')}|${one.state}`;
    const others = this.alike.get(name) ?? [];
    if (others.some((other) => isWithin(other.spent, one.spent))) return false;
    const kept = others.filter((other) => !isWithin(one.spent, other.spent));
    this.alike.set(name, [...kept, one]);
    this.size += 1 + kept.length - others.length;
    return true;
  }

  all(): readonly Configuration[] {
    return [...this.alike.values()].flat();
  }
}

function isAnswered(call: ModelCall): boolean {
  return Number.isFinite(call.to);
}

function isWithin(few: readonly number[], many: readonly number[]): boolean {
  return few.length <= many.length && few.every((call) => many.includes(call));
}

function ascending(calls: number[]): readonly number[] {
  return calls.sort((a, b) => a - b);
}
