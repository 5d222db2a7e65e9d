import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import type { InitProducerRequest, InitProducerResult } from './admin-types.js';
import type { ControllerLink } from './controller-link.js';

const EPOCH_MAX = 0x7fff;

/**
 * Hands out producer ids from blocks of the metadata group's counter. What is left of a block when
 * the broker stops is never used: ids are plenty.
 */
export class ProducerIds {
  readonly #link: ControllerLink;
  #next = 0;
  #end = 0;
  #refill: Promise<void> | undefined;

  constructor(link: ControllerLink) {
    this.#link = link;
  }

  /**
   * A new id, or the next epoch of one. The old epoch is fenced where it matters, in each partition,
   * by the first batch of the new one. An id whose epochs are used up is replaced.
   */
  async init(request: InitProducerRequest, deadlineMs: number): Promise<InitProducerResult> {
    const { producerId, producerEpoch } = request;
    if (producerId === undefined || producerId < 0) return this.#fresh(deadlineMs);
    if (!Number.isSafeInteger(producerEpoch) || producerEpoch < -1 || producerEpoch > EPOCH_MAX) {
      throw new BrokerError('INVALID_ARGUMENT', `producer epoch ${producerEpoch}`);
    }
    if (producerEpoch >= EPOCH_MAX - 1) return this.#fresh(deadlineMs);
    return { producerId, producerEpoch: producerEpoch + 1 };
  }

  async #fresh(deadlineMs: number): Promise<InitProducerResult> {
    while (this.#next >= this.#end) {
      this.#refill ??= this.#fetchBlock(deadlineMs).finally(() => {
        this.#refill = undefined;
      });
      await this.#refill;
    }
    const producerId = this.#next;
    this.#next += 1;
    return { producerId, producerEpoch: 0 };
  }

  async #fetchBlock(deadlineMs: number): Promise<void> {
    const block = await this.#link.call('allocateProducers', LIMITS.producerIdBlock, deadlineMs);
    this.#next = block.first;
    this.#end = block.first + block.count;
  }
}
