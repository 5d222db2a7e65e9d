/** A call on a model: when it was in flight and what it does to the model's state. */
export interface ModelCall {
  readonly from: number;
  /** Infinity while its outcome is unknown: it may take effect at any time after `from`, or never. */
  readonly to: number;
  /** The state after it, or undefined if it could not have answered as it did in this state. */
  readonly step: (state: string) => string | undefined;
  readonly text: string;
}

export type Linearizability =
  { readonly kind: 'yes' | 'undecided' } | { readonly kind: 'no'; readonly at: ModelCall };

/** More possible pasts than this at one moment: the question is given up. */
const CONFIGURATIONS_MAX = 20_000;

interface Configuration {
  readonly state: string;
  /** Calls in flight that have already taken effect, ascending, joined by commas. */
  readonly done: readonly number[];
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
    if (Number.isFinite(call.to)) order.push({ at: call.to, isEnd: true, call: index });
  }
  // Equal times are concurrent: what begins at a moment begins before what ends there.
  order.sort((a, b) => a.at - b.at || Number(a.isEnd) - Number(b.isEnd) || a.call - b.call);
  const pending = new Set<number>();
  let present: Configuration[] = [{ state: initial, done: [] }];
  for (const { isEnd, call } of order) {
    if (!isEnd) {
      pending.add(call);
      continue;
    }
    const next = new Map<string, Configuration>();
    for (const one of present) {
      explore(calls, pending, one, call, next);
      if (next.size > CONFIGURATIONS_MAX) return { kind: 'undecided' };
    }
    const at = calls[call];
    if (next.size === 0 && at !== undefined) return { kind: 'no', at };
    pending.delete(call);
    present = [...next.values()];
  }
  return { kind: 'yes' };
}

/** Adds every future of `start` in which `goal` has just or already taken effect. */
function explore(
  calls: readonly ModelCall[],
  pending: ReadonlySet<number>,
  start: Configuration,
  goal: number,
  into: Map<string, Configuration>,
): void {
  const visited = new Set<string>();
  const stack = [start];
  for (;;) {
    const here = stack.pop();
    if (here === undefined) return;
    const name = nameOf(here);
    if (visited.has(name)) continue;
    visited.add(name);
    if (here.done.includes(goal)) {
      const rest = { state: here.state, done: here.done.filter((call) => call !== goal) };
      into.set(nameOf(rest), rest);
      continue;
    }
    if (visited.size > CONFIGURATIONS_MAX) return;
    for (const call of pending) {
      if (here.done.includes(call)) continue;
      const state = calls[call]?.step(here.state);
      if (state === undefined) continue;
      stack.push({ state, done: [...here.done, call].sort((a, b) => a - b) });
    }
  }
}

function nameOf(configuration: Configuration): string {
  return `${configuration.done.join(',')}|${configuration.state}`;
}
