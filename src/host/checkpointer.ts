import type { LogIndex } from '../model/ids.js';
import type { LogStore } from '../ports/log-store.js';
import type { StateMachine } from '../ports/state-machine.js';
import type { Counter } from '../ports/telemetry.js';
import type { HostTuning } from './host-options.js';

export interface CheckpointerDeps {
  readonly store: Pick<LogStore, 'saveCheckpoint'>;
  readonly machine: Pick<StateMachine, 'encode'>;
  readonly saved: Counter;
  readonly tuning: Pick<HostTuning, 'checkpointBytes' | 'checkpointEntries'>;
}

/**
 * Saves a replica's checkpoints. A checkpoint makes a restart quick; losing one costs only time.
 *
 * Invariants: at most one is being saved; none stands above what is durable here, as it would outlive
 * the entries it stands on.
 */
export class Checkpointer {
  readonly #deps: CheckpointerDeps;
  #savedIndex: LogIndex;
  #entries = 0;
  #bytes = 0;
  #saving: Promise<void> | undefined;

  constructor(savedIndex: LogIndex, deps: CheckpointerDeps) {
    this.#savedIndex = savedIndex;
    this.#deps = deps;
  }

  applied(entries: number, bytes: number): void {
    this.#entries += entries;
    this.#bytes += bytes;
  }

  /** The state was replaced by a snapshot, which is as good as a checkpoint. */
  restored(index: LogIndex): void {
    this.#savedIndex = index;
    this.#entries = 0;
    this.#bytes = 0;
  }

  /** The machine's state, which stands at `applied`, if it is time. Rejects as the store does. */
  async saveWhenDue(applied: LogIndex, durable: LogIndex): Promise<void> {
    const { checkpointBytes, checkpointEntries } = this.#deps.tuning;
    const isDue = this.#entries >= checkpointEntries || this.#bytes >= checkpointBytes;
    if (isDue && this.#saving === undefined && durable >= applied) await this.#save(applied);
  }

  /** The same at the end, whether or not it is time. */
  async saveLast(applied: LogIndex, durable: LogIndex): Promise<void> {
    if (this.#savedIndex !== applied && durable >= applied) await this.#save(applied);
  }

  /** Waits for the save under way; its failure is its own caller's to handle. */
  async idle(): Promise<void> {
    await this.#saving?.catch(() => undefined);
  }

  async #save(index: LogIndex): Promise<void> {
    const { machine, store, saved } = this.#deps;
    const state = machine.encode();
    this.restored(index);
    this.#saving = store.saveCheckpoint({ index, state });
    try {
      await this.#saving;
      saved.add(1);
    } finally {
      this.#saving = undefined;
    }
  }
}
