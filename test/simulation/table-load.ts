import type { Prng } from '../../src/base/prng.js';
import type { Consumer } from '../../src/client/consumer.js';
import type { Producer } from '../../src/client/producer.js';
import { BrokerError } from '../../src/model/errors.js';
import { simConsumer, sleep, StartWatch } from './consumer-load.js';
import { keyParts, simProducer, type LoadContext } from './load.js';
import type { TableOracle } from './table-oracle.js';
import { must } from './violation.js';
import type { Micros } from './world.js';

const KEYS = 8;

/** Writes values and tombstones of few keys, over and over. */
export class TableWriter {
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly producer: Producer;
  private written = 0;
  private inFlight = 0;
  private isOn = true;

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
    return this.inFlight;
  }

  private next(period: Micros): void {
    this.context.scheduler.schedule(1 + this.prng.int(2 * period), undefined, () => {
      if (!this.isOn) return;
      if (this.inFlight < 10) this.write();
      this.next(period);
    });
  }

  private write(): void {
    const { prng, context } = this;
    this.written += 1;
    this.inFlight += 1;
    const isTombstone = prng.chance(0.25);
    const record = {
      ...keyParts(prng.pick(context.keys)),
      key: `k${prng.int(KEYS)}`,
      value: isTombstone ? undefined : `v${this.written}`,
    };
    this.producer.send(record).then(
      () => (this.inFlight -= 1),
      (thrown: unknown) => {
        this.inFlight -= 1;
        const error = BrokerError.from(thrown);
        if (error.code === 'INTERNAL') context.scheduler.fail(error.cause ?? error);
      },
    );
  }
}

/** Reads a compacted partition from its beginning, again and again: over holes, and over nothing else. */
export class TableReader {
  /** What the present reading has come to. */
  table = new Map<string, string>();
  position = 0;
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly oracle: TableOracle;
  private readonly key: string;
  private isOn = true;
  private isLast = false;

  constructor(context: LoadContext, prng: Prng, key: string, oracle: TableOracle) {
    this.context = context;
    this.prng = prng;
    this.oracle = oracle;
    this.key = key;
    this.run().catch((error: unknown) => context.scheduler.fail(error));
  }

  /** The present reading ends, and another one goes to the end. */
  readOnce(): void {
    this.isLast = true;
    this.position = 0;
  }

  stop(): void {
    this.isOn = false;
  }

  private async run(): Promise<void> {
    while (this.isOn) await this.readFromBeginning();
  }

  private async readFromBeginning(): Promise<void> {
    const { context, prng, isLast } = this;
    this.table = new Map();
    this.position = 0;
    const { consumer, world } = simConsumer(context, prng.fork(), {
      partitions: [keyParts(this.key)],
      prefetchBytesMax: prng.pick([200, 4_000]),
      partitionBytesMax: prng.pick([1, 300]),
      from: 'beginning',
    });
    const until = isLast ? Infinity : context.scheduler.now + prng.int(4_000_000) * context.pace;
    const isOver = (): boolean =>
      !this.isOn || this.isLast !== isLast || context.scheduler.now > until;
    const ending = world.timers.every(100 * Math.min(context.pace, 5), () => {
      if (isOver()) void consumer.close();
    });
    const start = new StartWatch(context);
    try {
      await this.take(consumer, isOver);
    } catch (thrown) {
      if (!start.isInVain(consumer, thrown)) throw thrown;
    }
    ending();
    await consumer.close();
    if (this.isOn) await sleep(world, 50);
  }

  private async take(consumer: Consumer, isOver: () => boolean): Promise<void> {
    for await (const batch of consumer.batches()) {
      if (isOver()) break;
      this.oracle.holds(this.position, batch.nextOffset, batch.records, { key: this.key });
      must(batch.nextOffset > this.position, 'I29', 'a reader stands still', { key: this.key });
      this.position = batch.nextOffset;
      for (const { key, value } of batch.records) {
        const name = new TextDecoder().decode(key);
        if (value === undefined) this.table.delete(name);
        else this.table.set(name, new TextDecoder().decode(value));
      }
      this.context.scheduler.hash.add(this.position, batch.records.length);
    }
  }
}
