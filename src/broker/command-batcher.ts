import { invariant } from '../base/assert.js';
import type { Rejection } from '../metadata/command.js';
import { BrokerError } from '../model/errors.js';
import type { LogIndex } from '../model/ids.js';
import type { Timers } from '../ports/world.js';

export interface BatchApplied {
  readonly index: LogIndex;
  readonly timeMs: number;
  /** One for each item, in order. */
  readonly refused: readonly (Rejection | undefined)[];
}

export interface CommandBatcherOptions<T> {
  readonly timers: Timers;
  /** What the items are, for people. */
  readonly what: string;
  readonly itemsPerCommandMax: number;
  readonly itemsWaitingMax: number;
  /** Roughly. */
  bytesOf(item: T): number;
  /** Resolves once they are applied. */
  propose(items: readonly T[]): Promise<BatchApplied>;
}

interface Waiting<T> {
  readonly items: readonly T[];
  readonly bytes: number;
  readonly resolve: (applied: BatchApplied) => void;
  readonly reject: (error: unknown) => void;
}

const COMMAND_BYTES_AIM = 1024 * 1024;

/**
 * Gathers what is to be done to the metadata within one turn into as few commands as limits allow.
 *
 * Invariants: items of one call stay together and in order; calls are proposed in the order they came;
 * every call is settled once.
 */
export class CommandBatcher<T> {
  readonly #options: CommandBatcherOptions<T>;
  #waiting: Waiting<T>[] = [];
  #itemsWaiting = 0;

  constructor(options: CommandBatcherOptions<T>) {
    this.#options = options;
  }

  submit(items: readonly T[]): Promise<BatchApplied> {
    const { timers, what, itemsPerCommandMax, itemsWaitingMax } = this.#options;
    invariant(items.length <= itemsPerCommandMax, 'a call fits a command');
    if (this.#itemsWaiting + items.length > itemsWaitingMax) {
      return Promise.reject(new BrokerError('THROTTLED', `too many ${what} wait`));
    }
    const bytes = items.reduce((sum, item) => sum + this.#options.bytesOf(item), 0);
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) timers.defer(() => this.#flush());
      this.#waiting.push({ items, bytes, resolve, reject });
      this.#itemsWaiting += items.length;
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#itemsWaiting = 0;
    let batch: Waiting<T>[] = [];
    let items = 0;
    let bytes = 0;
    for (const one of waiting) {
      const isFull =
        items + one.items.length > this.#options.itemsPerCommandMax ||
        bytes + one.bytes > COMMAND_BYTES_AIM;
      if (isFull && batch.length > 0) {
        void this.#send(batch);
        batch = [];
        items = 0;
        bytes = 0;
      }
      batch.push(one);
      items += one.items.length;
      bytes += one.bytes;
    }
    if (batch.length > 0) void this.#send(batch);
  }

  async #send(batch: readonly Waiting<T>[]): Promise<void> {
    const items = batch.flatMap((one) => one.items);
    try {
      const { index, timeMs, refused } = await this.#options.propose(items);
      invariant(refused.length === items.length, 'every item has its outcome');
      let at = 0;
      for (const one of batch) {
        const next = at + one.items.length;
        one.resolve({ index, timeMs, refused: refused.slice(at, next) });
        at = next;
      }
    } catch (error) {
      for (const one of batch) one.reject(error);
    }
  }
}
