import { StoreFencedError } from '../ports/log-store.js';
import { isCorruption, isDiskError } from './damage.js';
import type { ReplicaFacts } from './record-codec.js';
import type { ReplicaRecord } from './state-file.js';
import type { StoreContext } from './store-context.js';

/**
 * What keeps a store from going on after its first error (CORRECTNESS 9). Damage is noted in the state
 * file as well: the next opening looks at everything, not only at the tail. A log that passed such a
 * look and still gives wrong bytes is given up: an index of a table that lost its order hides entries
 * from who asks for them, and shows them to who reads all.
 */
export class Fence {
  private readonly context: StoreContext;
  private readonly record: ReplicaRecord;
  private readonly wasVerifiedWhole: boolean;
  private raisedBy: { readonly cause: unknown } | undefined;
  private noted: Promise<void> | undefined;

  constructor(context: StoreContext, record: ReplicaRecord, wasVerifiedWhole: boolean) {
    this.context = context;
    this.record = record;
    this.wasVerifiedWhole = wasVerifiedWhole;
  }

  get isUp(): boolean {
    return this.raisedBy !== undefined;
  }

  /** What whoever comes now is told. */
  get refusal(): StoreFencedError | undefined {
    if (this.raisedBy === undefined) return undefined;
    return new StoreFencedError('an earlier error closed this store', this.raisedBy);
  }

  /** False if it was up before: the first error counts. */
  raise(cause: unknown): boolean {
    if (this.raisedBy !== undefined) return false;
    this.raisedBy = { cause };
    const { groupId } = this.record.facts.spec;
    this.context.log?.error({ raftGroup: groupId, error: String(cause) }, 'store fenced');
    const change = this.lessonOf(cause);
    if (change !== undefined) {
      // An error of the state file itself meets whoever writes to it next.
      this.noted = this.context.stateFile.update(this.record, change).catch(() => undefined);
    }
    return true;
  }

  private lessonOf(cause: unknown): Partial<ReplicaFacts> | undefined {
    if (isCorruption(cause))
      return this.wasVerifiedWhole ? { isGivenUp: true } : { isSuspect: true };
    return isDiskError(cause) ? { isSuspect: true } : undefined;
  }

  /** Resolves once what was to be noted is. */
  async settled(): Promise<void> {
    await this.noted;
  }
}
