import type { Asleep } from '../raft/io.js';
import type { RaftNode } from '../raft/raft-node.js';

export interface IdlenessDeps {
  readonly node: Pick<RaftNode, 'step' | 'asleep'>;
  /** 0: never. */
  readonly quiesceAfterTicks: number;
  /** The group fell asleep, or woke, or both. */
  readonly changed: (asleep: Asleep | undefined) => void;
}

const QUIESCE = { kind: 'quiesce' } as const;

/**
 * Notices when one group has nothing to do, and has its leader fall asleep then. Owned by one life of a
 * replica.
 *
 * Invariant: what it last told of the group's sleep is `asleep`.
 */
export class Idleness {
  readonly #deps: IdlenessDeps;
  #asleep: Asleep | undefined;
  /** Ticks since the group last had something to do, or tried to fall asleep. */
  #ticks = 0;

  constructor(deps: IdlenessDeps) {
    this.#deps = deps;
  }

  get isAsleep(): boolean {
    return this.#asleep !== undefined;
  }

  /** Something happened. */
  end(): void {
    this.#ticks = 0;
  }

  /** Of a leader. True if it fell asleep, and there is something to be collected. */
  tick(): boolean {
    const { node, quiesceAfterTicks } = this.#deps;
    this.#ticks += 1;
    if (quiesceAfterTicks === 0 || this.#ticks < quiesceAfterTicks) return false;
    this.#ticks = 0;
    node.step(QUIESCE);
    return node.asleep !== undefined;
  }

  /** In the turn in which the messages leave that say so: peers hear of it before the next pulse. */
  notice(): void {
    const { asleep } = this.#deps.node;
    if (asleep === this.#asleep) return;
    this.#asleep = asleep;
    this.#ticks = 0;
    this.#deps.changed(asleep);
  }
}
