import { invariant } from '../base/assert.js';
import type { Durability } from '../model/durability.js';
import { BrokerError } from '../model/errors.js';
import type { LogIndex } from '../model/ids.js';
import type { LogStore } from '../ports/log-store.js';
import type { SnapshotMeta } from '../raft/io.js';
import type { RaftNode } from '../raft/raft-node.js';
import type { Applier } from './applier.js';
import type { LogReader } from './log-reader.js';
import type { MembershipHistory } from './membership-history.js';

export interface PrefixMoverDeps {
  readonly life: { readonly isRunning: boolean };
  readonly node: Pick<RaftNode, 'status' | 'step'>;
  readonly store: Pick<LogStore, 'truncatePrefix'>;
  readonly reader: LogReader;
  readonly memberships: MembershipHistory;
  readonly applier: Pick<Applier, 'applied' | 'ownTermFrom'>;
  readonly durability: () => Durability['kind'];
  /** Lets the core do something, unless this life has ended; what that throws ends it. */
  readonly step: (run: () => void) => void;
}

/**
 * Moves the beginning of one replica's log: what was applied becomes a snapshot. Owned by one life of
 * the replica.
 *
 * Invariants: only what is applied and durable here is truncated; with relaxed durability, only while
 * an entry of the present term is durable here.
 */
export class PrefixMover {
  readonly #deps: PrefixMoverDeps;

  constructor(deps: PrefixMoverDeps) {
    this.#deps = deps;
  }

  async truncate(last: LogIndex, state: Uint8Array): Promise<void> {
    const { node, store, reader, memberships, applier } = this.#deps;
    if (last < reader.firstIndex) return;
    invariant(last <= applier.applied, 'only what is applied is truncated', { last });
    if (last > node.status().durable) {
      throw new BrokerError('THROTTLED', 'the entries are not durable here yet');
    }
    this.#assertMayBecomeSnapshot();
    const id = await reader.idAt(last);
    const membership = memberships.at(last);
    const meta = await reader.fencing(store.truncatePrefix(id, state, membership));
    this.#moved(meta);
  }

  /** The log begins behind this snapshot now. */
  #moved(snapshot: SnapshotMeta): void {
    const { life, node, reader, memberships, step } = this.#deps;
    if (!life.isRunning || snapshot.last.index < reader.firstIndex) return;
    step(() => {
      reader.prefixMoved(snapshot);
      memberships.truncated(snapshot.last.index);
      node.step({ kind: 'prefixMoved', snapshot });
    });
  }

  /**
   * A snapshot is never taken back, so that no recovery after a power cut may go on without what it
   * covers: this log must end in the present term, or another that lost the proof could seem longer.
   */
  #assertMayBecomeSnapshot(): void {
    if (this.#deps.durability() === 'fsync') return;
    const { term, durable } = this.#deps.node.status();
    const from = this.#deps.applier.ownTermFrom;
    if (from?.term === term && from.index <= durable) return;
    throw new BrokerError('THROTTLED', 'no entry of the present term is durable here yet');
  }
}
