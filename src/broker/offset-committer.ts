import { invariant } from '../base/assert.js';
import { METADATA_LIMITS } from '../metadata/limits.js';
import type { OffsetCommitItem, Rejection } from '../metadata/command.js';
import { BrokerError } from '../model/errors.js';
import type { LogIndex } from '../model/ids.js';
import type { Timers } from '../ports/world.js';
import type { AppliedCommand } from './propose.js';

export interface CommitsApplied {
  readonly index: LogIndex;
  readonly timeMs: number;
  /** One for each item, in order. */
  readonly refused: readonly (Rejection | undefined)[];
}

interface Waiting {
  readonly items: readonly OffsetCommitItem[];
  readonly resolve: (applied: CommitsApplied) => void;
  readonly reject: (error: unknown) => void;
}

const ITEMS_WAITING_MAX = 200_000;
const COMMAND_BYTES_AIM = 1024 * 1024;

/**
 * Gathers what consumer groups commit within one turn into as few commands as their limits allow.
 *
 * Invariants: a request's items stay together and in order; requests are proposed in the order they
 * came; every request is settled once.
 */
export class OffsetCommitter {
  readonly #timers: Timers;
  readonly #propose: (items: readonly OffsetCommitItem[]) => Promise<AppliedCommand>;
  #waiting: Waiting[] = [];
  #itemsWaiting = 0;

  constructor(
    timers: Timers,
    propose: (items: readonly OffsetCommitItem[]) => Promise<AppliedCommand>,
  ) {
    this.#timers = timers;
    this.#propose = propose;
  }

  commit(items: readonly OffsetCommitItem[]): Promise<CommitsApplied> {
    invariant(items.length <= METADATA_LIMITS.commitsPerCommandMax, 'a request fits a command');
    if (this.#itemsWaiting + items.length > ITEMS_WAITING_MAX) {
      return Promise.reject(new BrokerError('THROTTLED', 'too many offset commits wait'));
    }
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) this.#timers.defer(() => this.#flush());
      this.#waiting.push({ items, resolve, reject });
      this.#itemsWaiting += items.length;
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#itemsWaiting = 0;
    let batch: Waiting[] = [];
    let items = 0;
    let bytes = 0;
    for (const one of waiting) {
      const size = one.items.reduce((sum, item) => sum + item.metadata.length * 2 + 48, 0);
      const isFull =
        items + one.items.length > METADATA_LIMITS.commitsPerCommandMax ||
        bytes + size > COMMAND_BYTES_AIM;
      if (isFull && batch.length > 0) {
        this.#send(batch);
        batch = [];
        items = 0;
        bytes = 0;
      }
      batch.push(one);
      items += one.items.length;
      bytes += size;
    }
    if (batch.length > 0) this.#send(batch);
  }

  #send(batch: readonly Waiting[]): void {
    this.#propose(batch.flatMap((one) => one.items)).then(
      ({ result, index, timeMs }) => {
        invariant(result.kind === 'offsetsCommitted', 'a commit command commits offsets');
        let at = 0;
        for (const one of batch) {
          const refused = result.refused.slice(at, at + one.items.length);
          at += one.items.length;
          one.resolve({ index, timeMs, refused });
        }
      },
      (error: unknown) => {
        for (const one of batch) one.reject(error);
      },
    );
  }
}
