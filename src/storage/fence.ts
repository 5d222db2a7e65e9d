import { StoreDamagedError, StoreFencedError } from '../ports/log-store.js';
import type { ReplicaRecord } from './state-file.js';
import type { StoreContext } from './store-context.js';

/**
 * What keeps a store from going on after its first error (CORRECTNESS 9). Damage is noted in the state
 * file as well: the next opening looks at everything, not only at the tail.
 */
export class Fence {
  private readonly context: StoreContext;
  private readonly record: ReplicaRecord;
  private raisedBy: { readonly cause: unknown } | undefined;
  private noted: Promise<void> | undefined;

  constructor(context: StoreContext, record: ReplicaRecord) {
    this.context = context;
    this.record = record;
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
    if (cause instanceof StoreDamagedError) {
      // An error of the state file itself meets whoever writes to it next.
      this.noted = this.context.stateFile
        .update(this.record, { isSuspect: true })
        .catch(() => undefined);
    }
    return true;
  }

  /** Resolves once what was to be noted is. */
  async settled(): Promise<void> {
    await this.noted;
  }
}
