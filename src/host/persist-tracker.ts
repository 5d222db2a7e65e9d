import { invariant } from '../base/assert.js';
import { deferred, type Deferred } from '../base/deferred.js';
import { entryBytes } from '../model/log-entry.js';
import type { Persist } from '../raft/io.js';

/**
 * The writes of one replica that its store has not finished yet.
 *
 * Invariant: they finish in the order of their tickets.
 */
export class PersistTracker {
  readonly #writes: { readonly ticket: number; readonly bytes: number }[] = [];
  #bytes = 0;
  #startedMs = 0;
  #idle: Deferred<undefined> | undefined;

  get count(): number {
    return this.#writes.length;
  }

  /** Bytes of entries that wait for the disk. They stay in memory until they are durable. */
  get bytes(): number {
    return this.#bytes;
  }

  /** For how long the disk has finished nothing that it was given. */
  stalledMs(nowMs: number): number {
    return this.#writes.length === 0 ? 0 : nowMs - this.#startedMs;
  }

  started(write: Persist, nowMs: number): void {
    let bytes = 0;
    for (const entry of write.append?.entries ?? []) bytes += entryBytes(entry);
    if (this.#writes.length === 0) this.#startedMs = nowMs;
    this.#writes.push({ ticket: write.ticket, bytes });
    this.#bytes += bytes;
  }

  finished(ticket: number, nowMs: number): void {
    const first = this.#writes.shift();
    invariant(first?.ticket === ticket, 'persists finish in order', {
      ticket,
      expected: first?.ticket,
    });
    this.#bytes -= first.bytes;
    this.#startedMs = nowMs;
    if (this.#writes.length === 0) this.#idle?.resolve(undefined);
  }

  /** Resolves once nothing waits, or at the end. */
  async idle(): Promise<void> {
    if (this.#writes.length === 0) return;
    this.#idle = deferred<undefined>();
    await this.#idle.promise;
  }

  /** Nobody waits for this replica's disk any more. */
  end(): void {
    this.#idle?.resolve(undefined);
  }
}
