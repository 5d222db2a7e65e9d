import { BrokerError } from '../model/errors.js';
import type { LogStore, Snapshot } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { LogReader } from './log-reader.js';

export interface LogUpkeepDeps {
  readonly store: LogStore;
  readonly reader: LogReader;
  readonly log: Logger;
  /** Ends this life of the replica. */
  readonly failed: (error: unknown) => void;
}

/** What is done with one replica's store beside Raft: looking at it as a whole, slowly. */
export class LogUpkeep {
  readonly #deps: LogUpkeepDeps;
  readonly #stopped = new AbortController();

  constructor(deps: LogUpkeepDeps) {
    this.#deps = deps;
  }

  /** Ends a verification. Idempotent. */
  stop(): void {
    this.#stopped.abort();
  }

  snapshot(): Promise<Snapshot | undefined> {
    return this.#deps.reader.fencing(this.#deps.store.snapshot());
  }

  /** For people: what it meets on the way concerns who asks, not the replica. */
  async sizeBytes(): Promise<number> {
    try {
      return await this.#deps.store.sizeBytes();
    } catch (error) {
      const message = "the replica's files cannot be looked at";
      throw new BrokerError('REPLICA_FENCED', message, {}, { cause: error });
    }
  }

  /** Reads everything once, slowly; damage ends this life. */
  async verify(bytesPerSecondMax: number): Promise<void> {
    const { signal } = this.#stopped;
    try {
      const entries = await this.#deps.store.verifyAll({ bytesPerSecondMax, signal });
      this.#deps.log.debug({ entries }, 'verified the log');
    } catch (error) {
      if (!signal.aborted) this.#deps.failed(error);
    }
  }
}
