import { BrokerError } from '../model/errors.js';
import type { ClusterView } from './cluster-view.js';
import type { ProducerIdentity } from './types.js';

/**
 * The producer's id and epoch, asked for once and shared by its partitions. A partition that needs
 * to start over asks for a later one than it has; the first to ask moves the epoch, the others take
 * what is there.
 */
export class ProducerIdentitySource {
  private readonly view: ClusterView;
  private readonly deadlineMs: number;
  private current: ProducerIdentity | undefined;
  private asking: Promise<ProducerIdentity> | undefined;

  constructor(view: ClusterView, deadlineMs: number) {
    this.view = view;
    this.deadlineMs = deadlineMs;
  }

  /** The identity in use, or one later than `after`. */
  async get(after?: ProducerIdentity): Promise<ProducerIdentity> {
    for (;;) {
      const current = this.current;
      if (current !== undefined && !isSame(current, after)) return current;
      this.asking ??= this.ask(current).finally(() => (this.asking = undefined));
      this.current = await this.asking;
    }
  }

  private async ask(before: ProducerIdentity | undefined): Promise<ProducerIdentity> {
    const options = { deadlineMs: this.deadlineMs, retryUnknown: true };
    const fresh = { producerId: undefined, producerEpoch: 0 };
    if (before === undefined) return await this.view.call('initProducer', fresh, options);
    try {
      return await this.view.call('initProducer', before, options);
    } catch (thrown) {
      // An earlier answer was lost, or the id expired: nothing of ours is bound to it any more.
      if (BrokerError.from(thrown).retriable) throw thrown;
      return await this.view.call('initProducer', fresh, options);
    }
  }
}

function isSame(a: ProducerIdentity, b: ProducerIdentity | undefined): boolean {
  return a.producerId === b?.producerId && a.producerEpoch === b.producerEpoch;
}
