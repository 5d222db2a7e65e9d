import type { LogIndex, Term } from '../model/ids.js';
import { entryBytes, type EntryId, type IndexRange, type LogEntry } from '../model/log-entry.js';
import { decodeMembership } from '../model/membership.js';
import type { LogStore } from '../ports/log-store.js';
import type { RaftNode } from '../raft/raft-node.js';
import { Checkpointer } from './checkpointer.js';
import { CommittedEntries } from './committed-entries.js';
import type { HostMetrics } from './host-metrics.js';
import type { HostTuning } from './host-options.js';
import type { MembershipHistory } from './membership-history.js';
import type { Proposals } from './proposals.js';
import type { RaftGroupOwner } from './raft-group.js';
import type { IncomingSnapshot } from './snapshot-intake.js';
import type { Waiters } from './waiters.js';

/** The life of a replica in which entries are applied. */
export interface ApplyingLife {
  readonly isRunning: boolean;
  readonly isLeader: boolean;
  readonly term: Term;
  /** The machine stands where the log is: no snapshot is on its way into it. */
  readonly maySaveState: boolean;
}

export interface ApplierDeps {
  readonly life: ApplyingLife;
  readonly node: RaftNode;
  readonly store: LogStore;
  readonly owner: Pick<RaftGroupOwner, 'machine' | 'applied' | 'leaderReady'>;
  /** The machine stands here. */
  readonly applied: LogIndex;
  readonly memberships: MembershipHistory;
  readonly proposals: Proposals;
  readonly waiters: Waiters;
  readonly metrics: HostMetrics;
  readonly tuning: HostTuning;
  /** There is something to apply that had to be read. */
  readonly arrived: () => void;
  /** Ends this life of the replica. */
  readonly failed: (error: unknown) => void;
}

/**
 * Applies what is committed to one replica's state machine, tells everybody who waits for it, and saves
 * the machine's state now and then. Owned by one life of the replica.
 *
 * Invariants: every committed entry is applied once, in order; after the end of that life none is.
 */
export class Applier {
  readonly #deps: ApplierDeps;
  readonly #entries: CommittedEntries;
  readonly #checkpointer: Checkpointer;
  /** The first entry that was applied of the last term of which one was, while that term lasted. */
  #ownTermFrom: EntryId | undefined;

  constructor(deps: ApplierDeps) {
    this.#deps = deps;
    const { node, store, owner, applied, metrics, tuning, arrived, failed } = deps;
    const readBytesMax = tuning.applyReadBytesMax;
    this.#entries = new CommittedEntries({ node, store, applied, readBytesMax, arrived, failed });
    const saved = metrics.checkpointsSaved;
    this.#checkpointer = new Checkpointer(applied, {
      store,
      machine: owner.machine,
      saved,
      tuning,
    });
  }

  get applied(): LogIndex {
    return this.#entries.applied;
  }
  /** First index not known to be committed. */
  get next(): LogIndex {
    return this.#entries.next;
  }
  get lag(): number {
    return this.next - 1 - this.applied;
  }
  get hasWork(): boolean {
    return this.#deps.life.isRunning && this.#entries.isAvailable;
  }
  get ownTermFrom(): EntryId | undefined {
    return this.#ownTermFrom;
  }

  committed(range: IndexRange): void {
    this.#entries.committed(range);
  }

  /** Applies at least one entry if one is at hand. Returns the bytes applied. */
  applySome(bytesMax: number): number {
    if (!this.hasWork) return 0;
    const entries = this.#entries.take(bytesMax);
    if (entries === undefined) return 0;
    const { life, node, metrics } = this.#deps;
    let bytes = 0;
    for (const entry of entries) {
      this.#applyOne(entry);
      bytes += entryBytes(entry);
      // Whoever heard of it may have closed this replica.
      if (!life.isRunning) return bytes;
    }
    node.step({ kind: 'applied', index: this.applied });
    metrics.entriesApplied.add(entries.length);
    this.#checkpointer.applied(entries.length, bytes);
    this.tellApplied();
    this.saveStateWhenDue();
    return bytes;
  }

  #applyOne(entry: LogEntry): void {
    const { life, owner, memberships, waiters, proposals } = this.#deps;
    this.#entries.advance(entry);
    const result = owner.machine.apply(entry);
    const isFirstOfTerm = entry.term === life.term && this.#ownTermFrom?.term !== entry.term;
    if (isFirstOfTerm) this.#ownTermFrom = { term: entry.term, index: entry.index };
    if (entry.kind === 'membership') {
      const membership = decodeMembership(entry.payload);
      memberships.applied(entry.index, membership);
      waiters.membershipApplied(entry.index, membership);
    }
    if (isFirstOfTerm && life.isLeader) owner.leaderReady(entry.term);
    proposals.applied(entry, result);
  }

  /** Whoever waits for what the machine has seen hears how far it is. */
  tellApplied(): void {
    const { owner, waiters } = this.#deps;
    owner.applied(this.applied);
    waiters.applied(this.applied);
  }

  // A snapshot in place of entries.

  /** It is being made durable: nothing is applied meanwhile. */
  installing({ meta }: IncomingSnapshot): void {
    this.#entries.installing(meta.last.index);
  }

  /** Before the core hears that the snapshot is durable: what it does next builds on that state. */
  restore({ meta, state }: IncomingSnapshot): void {
    const { owner, memberships, proposals, waiters } = this.#deps;
    const { index } = meta.last;
    owner.machine.restore(state, index);
    this.#entries.installed(index);
    memberships.installed(index, meta.membership);
    this.#checkpointer.restored(index);
    // Those it covers were committed, but what they returned is lost with the entries.
    proposals.failAll();
    waiters.membershipApplied(index, meta.membership);
  }

  // Checkpoints.

  saveStateWhenDue(): void {
    const { life, node, failed } = this.#deps;
    if (!life.isRunning || !life.maySaveState) return;
    this.#checkpointer.saveWhenDue(this.applied, node.status().durable).catch(failed);
  }

  /** At the end, whether or not it is time. Rejects as the store does. */
  saveLastState(): Promise<void> {
    return this.#checkpointer.saveLast(this.applied, this.#deps.node.status().durable);
  }

  /** Waits for the save under way. */
  idle(): Promise<void> {
    return this.#checkpointer.idle();
  }
}
