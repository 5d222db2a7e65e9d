import { deferred } from '../base/deferred.js';
import type { Slots } from '../base/slots.js';
import { BrokerError } from '../model/errors.js';
import type { RewrittenPayload } from '../model/log-entry.js';
import type { LogStore, Snapshot } from '../ports/log-store.js';
import type { Counter, Logger } from '../ports/telemetry.js';
import type { Cancel, Timers } from '../ports/world.js';
import type { LogReader } from './log-reader.js';

export interface LogUpkeepDeps {
  readonly store: Pick<
    LogStore,
    'snapshot' | 'sizeBytes' | 'verifyAll' | 'rewrite' | 'saveNote' | 'note'
  >;
  readonly reader: Pick<LogReader, 'fencing'>;
  readonly log: Logger;
  readonly verifications: Counter;
  /** Ends this life of the replica. */
  readonly failed: (error: unknown) => void;
}

/** When a log is read as a whole. */
export interface ScrubPlan {
  readonly timers: Timers;
  /** Few replicas are read at a time. */
  readonly slots: Slots;
  readonly bytesPerSecondMax: number;
  /** 0: at once. */
  readonly firstInMs: number;
  /** From the end of one reading to the next. */
  readonly everyMs: number;
}

/**
 * What is done with one replica's store beside Raft: looking at it as a whole, slowly, and rewriting
 * what its owner has compacted.
 */
export class LogUpkeep {
  readonly #deps: LogUpkeepDeps;
  readonly #abort = new AbortController();
  readonly #stopped = deferred<undefined>();
  #cancelScrub: Cancel | undefined;

  constructor(deps: LogUpkeepDeps) {
    this.#deps = deps;
  }

  /** Ends a verification, and all that would follow. Idempotent. */
  stop(): void {
    this.#cancelScrub?.();
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

  /**
   * Reads everything again and again until it is stopped: what rots on a disk is found while the other
   * replicas are still whole.
   */
  scrub(plan: ScrubPlan): void {
    if (this.#abort.signal.aborted) return;
    const { timers, slots, firstInMs, everyMs, bytesPerSecondMax } = plan;
    const run = (): void => {
      slots
        .run(() => this.verify(bytesPerSecondMax))
        .then(() => this.scrub({ ...plan, firstInMs: everyMs }))
        .catch((error: unknown) => this.#deps.failed(error));
    };
    if (firstInMs === 0) run();
    else this.#cancelScrub = timers.after(firstInMs, run);
  }

  async #verifyAll(bytesPerSecondMax: number): Promise<void> {
    const { signal } = this.#abort;
    try {
      const entries = await this.#deps.store.verifyAll({ bytesPerSecondMax, signal });
      this.#deps.verifications.add(1);
      this.#deps.log.debug({ entries }, 'verified the log');
    } catch (error) {
      if (!signal.aborted) this.#deps.failed(error);
    }
  }
}
