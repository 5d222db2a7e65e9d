import type { Prng } from '../../src/base/prng.js';
import { Consumer, type ConsumerOptions } from '../../src/client/consumer.js';
import { BrokerError, type ErrorCode } from '../../src/model/errors.js';
import { keyParts, rowOf, simClient, type LoadContext } from './load.js';
import { must, Violation } from './violation.js';
import type { SimProcess } from './world.js';

/** The production client's consumer, in a process of its own. */
export function simConsumer(context: LoadContext, prng: Prng, options: ConsumerOptions): Reading {
  const client = simClient(context, prng);
  return { consumer: new Consumer(options, client), world: client.world };
}

interface Reading {
  readonly consumer: Consumer;
  readonly world: SimProcess;
}

const MISSING: ReadonlySet<ErrorCode> = new Set(['UNKNOWN_TOPIC', 'UNKNOWN_PARTITION']);

/**
 * A consumer that starts among faults may find nobody to tell it where, for as long as it is patient:
 * its program starts it again. What has begun waits however long it takes, and once all is healed a
 * start is answered in time.
 */
export class StartWatch {
  private readonly context: LoadContext;
  private readonly isAmongFaults: boolean;

  constructor(context: LoadContext) {
    this.context = context;
    this.isAmongFaults = !context.net.hasHealed;
  }

  /** Whether it failed with this because nobody answered its start. */
  isInVain(consumer: Consumer, thrown: unknown): boolean {
    const { code, message, retriable } = BrokerError.from(thrown);
    if (!this.isAmongFaults || consumer.assignment().length > 0) return false;
    if (!retriable || MISSING.has(code)) return false;
    this.context.scheduler.say(() => `a consumer could not start: ${code} ${message}`);
    return true;
  }
}

export const sleep = (world: SimProcess, delayMs: number): Promise<void> =>
  new Promise((resolve) => world.timers.after(delayMs, resolve));

/** A program that reads every partition of the history from the beginning, by the production consumer. */
export class SimConsumer {
  polled = 0;
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly reading: Reading;
  private readonly p: number;
  private isOn = true;

  constructor(context: LoadContext, prng: Prng) {
    this.context = context;
    this.prng = prng;
    const { history, keys } = context;
    this.reading = simConsumer(context, prng, {
      partitions: keys.map(keyParts),
      prefetchBytesMax: prng.pick([300, 3_000, 100_000]),
      partitionBytesMax: prng.pick([1, 500, 10_000]),
      ...(prng.chance(0.4) ? { readFrom: 'nearest', rack: 'east', maxStalenessMs: 1_000 } : {}),
    });
    this.p = history.newProcess();
    history.invoke(this.p, { f: 'assign', v: [...keys], seek: 'begin' });
    history.complete(this.p, 'ok');
    void this.read();
  }

  stop(): void {
    this.isOn = false;
    void this.reading.consumer.close();
  }

  private async read(): Promise<void> {
    const { context, prng, p } = this;
    const { history, scheduler } = context;
    const { consumer, world } = this.reading;
    const start = new StartWatch(context);
    try {
      const batches = consumer.batches();
      while (this.isOn) {
        history.invoke(p, { f: 'poll' });
        const next = await batches.next();
        if (next.done === true) {
          history.complete(p, 'ok', { recs: {} });
          return;
        }
        const { topic, partition, records, leaderEpoch, highWatermark } = next.value;
        const rows = records.map(({ offset, value }) => [...rowOf(offset, value), leaderEpoch]);
        const key = `${topic}/${partition}`;
        this.polled += rows.length;
        scheduler.hash.add(rows.length, records[0]?.offset ?? 0);
        history.complete(p, 'ok', { recs: { [key]: rows as never }, hw: { [key]: highWatermark } });
        if (prng.chance(0.2)) await sleep(world, 1 + prng.int(100));
      }
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      const { code, message } = error;
      if (start.isInVain(consumer, thrown)) {
        history.complete(p, 'fail', { err: code });
        void this.read();
        return;
      }
      scheduler.fail(new Violation('I20', 'a consumer fails', { code, message }));
    }
  }
}

/**
 * A program that reads a partition whose records are being given up, at times too slowly: it is told
 * when what it wants is gone, and never led past a record in silence.
 */
export class TrimmedReader {
  read = 0;
  /** Times it was told that what it wants is gone. */
  toldGone = 0;
  position = 0;
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly reading: Reading;
  private readonly workMsMax: number;
  private isHurried = false;
  private isOn = true;

  constructor(context: LoadContext, prng: Prng, key: string) {
    this.context = context;
    this.prng = prng;
    this.workMsMax = prng.pick([1, 400, 4_000]);
    const prefetchBytesMax = prng.pick([100, 10_000]);
    const options = { partitions: [keyParts(key)], prefetchBytesMax, partitionBytesMax: 200 };
    this.reading = simConsumer(context, prng, { ...options, from: 'beginning' });
    this.run(key).catch((error: unknown) => context.scheduler.fail(error));
  }

  stop(): void {
    this.isOn = false;
    void this.reading.consumer.close();
  }

  /** From now on no record takes it long. */
  hurry(): void {
    this.isHurried = true;
  }

  private async run(key: string): Promise<void> {
    const { consumer, world } = this.reading;
    const at = keyParts(key);
    let isAnchored = false;
    while (this.isOn) {
      const start = new StartWatch(this.context);
      try {
        for await (const { offset } of consumer.records()) {
          const facts = { key, offset, position: this.position };
          must(!isAnchored || offset === this.position, 'I20', 'a record is skipped', facts);
          must(offset >= this.position, 'I20', 'a record comes twice', facts);
          isAnchored = true;
          this.position = offset + 1;
          this.read += 1;
          this.context.scheduler.hash.add(offset);
          if (!this.isHurried && this.prng.chance(0.1))
            await sleep(world, 1 + this.prng.int(this.workMsMax));
        }
      } catch (thrown) {
        if (thrown instanceof Violation) throw thrown;
        if (start.isInVain(consumer, thrown)) continue;
        isAnchored = !this.isGone(BrokerError.from(thrown));
        await this.seekBeginning(at);
      }
    }
  }

  /** True: what it wanted was given up, so that the next record is a later one. */
  private isGone(error: BrokerError): boolean {
    const { code, message, facts } = error;
    const { logStartOffset = -1 } = facts;
    const { position } = this;
    const isTold = code === 'OFFSET_OUT_OF_RANGE' && logStartOffset > position;
    must(isTold, 'I20', 'a reader is refused otherwise than for what is gone', {
      ...{ code, message, position, logStartOffset },
    });
    this.toldGone += 1;
    return true;
  }

  private async seekBeginning(at: { topic: string; partition: number }): Promise<void> {
    while (this.isOn) {
      try {
        await this.reading.consumer.seek(at, 'beginning');
        return;
      } catch (thrown) {
        const error = BrokerError.from(thrown);
        if (error.code === 'INTERNAL') throw error;
        await sleep(this.reading.world, 100);
      }
    }
  }
}
