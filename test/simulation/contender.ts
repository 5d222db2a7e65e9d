import type { Prng } from '../../src/base/prng.js';
import type { Producer } from '../../src/client/producer.js';
import { simProducer, type LoadContext } from './load.js';
import { ms, type Micros } from './world.js';

/** How far apart those who meet may come. */
const MEETING = ms(5);

/** A program that appends where it thinks that something ends, one append after the other. */
export abstract class Contender {
  protected readonly context: LoadContext;
  protected readonly prng: Prng;
  protected readonly producer: Producer;
  private isOn = true;
  private isBusy = false;

  constructor(context: LoadContext, prng: Prng, period: Micros) {
    this.context = context;
    this.prng = prng;
    this.producer = simProducer(context, prng);
    this.next(period);
  }

  stop(): void {
    this.isOn = false;
  }

  get pending(): number {
    return this.isBusy ? 1 : 0;
  }

  /** Never rejects. */
  protected abstract append(): Promise<void>;

  /** Every other time it meets the others: who comes while an append is under way contests it. */
  private wait(period: Micros): Micros {
    const { prng } = this;
    const wait = 1 + prng.int(2 * period);
    if (prng.chance(0.5)) return wait;
    const { now } = this.context.scheduler;
    return Math.ceil((now + wait) / period) * period - now + prng.int(MEETING);
  }

  private next(period: Micros): void {
    this.context.scheduler.schedule(this.wait(period), undefined, () => {
      if (!this.isOn) return;
      this.isBusy = true;
      void this.append().then(() => {
        this.isBusy = false;
        this.next(period);
      });
    });
  }
}
