import { invariant } from '../base/assert.js';
import { deferred, type Deferred } from '../base/deferred.js';
import type { BrokerError } from '../model/errors.js';
import type { SnapshotMeta } from '../raft/io.js';

/** A snapshot that came from the leader. */
export interface IncomingSnapshot {
  readonly meta: SnapshotMeta;
  readonly state: Uint8Array;
}

/**
 * The snapshot a replica is offered or installs, at most one, until its sender has an answer: resolved
 * once it is installed or not wanted, rejected if it should be sent again.
 */
export class SnapshotIntake {
  #incoming: IncomingSnapshot | undefined;
  #done: Deferred<undefined> = deferred();
  #isStarted = false;

  get isBusy(): boolean {
    return this.#incoming !== undefined;
  }

  /** The core is to decide on it in the turn that follows. */
  offer(incoming: IncomingSnapshot): Promise<undefined> {
    this.#incoming = incoming;
    this.#done = deferred();
    this.#isStarted = false;
    return this.#done.promise;
  }

  /** The core wants it: it is being made durable. */
  start(wanted: SnapshotMeta): IncomingSnapshot {
    const incoming = this.#incoming;
    invariant(incoming?.meta.last.index === wanted.last.index, 'the snapshot is at hand');
    this.#isStarted = true;
    return incoming;
  }

  /** The core takes a snapshot at once or never. */
  dropUnlessStarted(): void {
    if (this.isBusy && !this.#isStarted) this.finish();
  }

  finish(): void {
    this.#incoming = undefined;
    this.#done.resolve(undefined);
  }

  fail(reason: BrokerError): void {
    if (!this.isBusy) return;
    this.#incoming = undefined;
    this.#done.reject(reason);
  }
}
