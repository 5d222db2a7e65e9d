import type { LogIndex } from '../model/ids.js';
import type { HostTuning } from './host-options.js';

/**
 * Decides when a replica's next checkpoint is due. A checkpoint makes a restart quick; losing one
 * costs only time.
 *
 * Invariant: at most one is being saved.
 */
export class Checkpointer {
  readonly #tuning: Pick<HostTuning, 'checkpointBytes' | 'checkpointEntries'>;
  #savedIndex: LogIndex;
  #entries = 0;
  #bytes = 0;
  #saving: Promise<void> | undefined;

  constructor(
    savedIndex: LogIndex,
    tuning: Pick<HostTuning, 'checkpointBytes' | 'checkpointEntries'>,
  ) {
    this.#savedIndex = savedIndex;
    this.#tuning = tuning;
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

  isDue(): boolean {
    if (this.#saving !== undefined) return false;
    return (
      this.#entries >= this.#tuning.checkpointEntries || this.#bytes >= this.#tuning.checkpointBytes
    );
  }

  isAt(index: LogIndex): boolean {
    return this.#savedIndex === index;
  }

  async save(index: LogIndex, write: () => Promise<void>): Promise<void> {
    this.restored(index);
    this.#saving = write();
    try {
      await this.#saving;
    } finally {
      this.#saving = undefined;
    }
  }

  /** Waits for the save under way; its failure is its own caller's to handle. */
  async idle(): Promise<void> {
    await this.#saving?.catch(() => undefined);
  }
}
