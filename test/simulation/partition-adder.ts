import type { Prng } from '../../src/base/prng.js';
import { BrokerError } from '../../src/model/errors.js';
import type { LoadContext } from './load.js';
import type { Micros } from './world.js';

/** More than this a run does not add. */
const ADDED_MAX = 2;

export interface GrowingTopic {
  readonly topic: string;
  /** Consumer groups with a history: what is new in the topic they read from its beginning. */
  readonly groups: readonly string[];
  /** "topic/partition" of all it has, as far as anyone was told. */
  count(): number;
  /** The topic has this partition now: it is to be used. */
  added(key: string): void;
}

/** Adds partitions to a topic that is in use, and asks again until it is told that they are there. */
export class PartitionAdder {
  added = 0;
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly growing: GrowingTopic;
  private announced = 0;
  private isOn = true;

  constructor(context: LoadContext, prng: Prng, growing: GrowingTopic, period: Micros) {
    this.context = context;
    this.prng = prng;
    this.growing = growing;
    this.announced = growing.count();
    this.next(period);
  }

  stop(): void {
    this.isOn = false;
  }

  private next(period: Micros): void {
    this.context.scheduler.schedule(1 + this.prng.int(2 * period), undefined, () => {
      if (!this.isOn || this.added >= ADDED_MAX) return;
      void this.add().then(() => this.next(period));
    });
  }

  private async add(): Promise<void> {
    const { context, growing, prng } = this;
    const { topic } = growing;
    const before = growing.count();
    const partitions = before + 1;
    if (this.announced < partitions) this.announce(`${topic}/${before}`);
    this.announced = Math.max(this.announced, partitions);
    const request = { topic, partitions, noWait: prng.chance(0.5), timeoutMs: undefined };
    try {
      const options = { deadlineMs: 4_000 };
      await context.net.call(1 + prng.int(context.brokers), 4_500, (s) =>
        s.admin.addPartitions(request, options),
      );
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      if (error.code === 'INTERNAL') context.scheduler.fail(error.cause ?? error);
      context.scheduler.say(() => `adding a partition: ${error.code} ${error.message}`);
      return;
    }
    if (!this.isOn) return;
    this.added += 1;
    context.scheduler.say(() => `${topic} has ${partitions} partitions`);
    growing.added(`${topic}/${before}`);
  }

  /** Groups that stand somewhere in the topic come to stand at 0 of what is new, whoever hears of it. */
  private announce(key: string): void {
    const { history } = this.context;
    for (const g of this.growing.groups) {
      const p = history.newProcess();
      history.invoke(p, { f: 'subscribe', g, v: [this.growing.topic], reset: 'begin' });
      history.complete(p, 'ok');
      history.invoke(p, { f: 'commit', g, offs: { [key]: 0 } });
      history.complete(p, 'info', { err: 'ADDED' });
    }
  }
}
