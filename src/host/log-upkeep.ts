import { deferred } from '../base/deferred.js';
import { BrokerError } from '../model/errors.js';
import type { RewrittenPayload } from '../model/log-entry.js';
import type { LogStore, Snapshot } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { LogReader } from './log-reader.js';

export interface LogUpkeepDeps {
  readonly store: Pick<
    LogStore,
    'snapshot' | 'sizeBytes' | 'verifyAll' | 'rewrite' | 'saveNote' | 'note'
  >;
  readonly reader: Pick<LogReader, 'fencing'>;
  readonly log: Logger;
  /** Ends this life of the replica. */
  readonly failed: (error: unknown) => void;
}

/**
 * What is done with one replica's store beside Raft: looking at it as a whole, slowly, and rewriting
 * what its owner has compacted.
 */
export class LogUpkeep {
  readonly #deps: LogUpkeepDeps;
  readonly #abort = new AbortController();
  readonly #stopped = deferred<undefined>();

  constructor(deps: LogUpkeepDeps) {
    this.#deps = deps;
  }

  /** Ends a verification. Idempotent. */
  stop(): void {
    this.#abort.abort();
    this.#stopped.resolve(undefined);
  }

  snapshot(): Promise<Snapshot | undefined> {
    return this.#deps.reader.fencing(this.#deps.store.snapshot());
  }

  rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    return this.#deps.reader.fencing(this.#deps.store.rewrite(payloads));
  }

  saveNote(note: Uint8Array): Promise<void> {
    return this.#deps.reader.fencing(this.#deps.store.saveNote(note));
  }

  note(): Promise<Uint8Array | undefined> {
    return this.#deps.reader.fencing(this.#deps.store.note());
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

  /**
   * Reads everything once, slowly; damage ends this life. Resolves at the latest once it is stopped:
   * a store may never answer.
   */
  async verify(bytesPerSecondMax: number): Promise<void> {
    if (this.#abort.signal.aborted) return;
    await Promise.race([this.#verifyAll(bytesPerSecondMax), this.#stopped.promise]);
  }

  async #verifyAll(bytesPerSecondMax: number): Promise<void> {
    const { signal } = this.#abort;
    try {
      const entries = await this.#deps.store.verifyAll({ bytesPerSecondMax, signal });
      this.#deps.log.debug({ entries }, 'verified the log');
    } catch (error) {
      if (!signal.aborted) this.#deps.failed(error);
    }
  }
}
