import type { Prng } from '../../src/base/prng.js';
import type { Producer } from '../../src/client/producer.js';
import { BrokerError } from '../../src/model/errors.js';
import { ABSENT, valueOf, type KeyedOracle, type KeyedWrite } from './keyed-oracle.js';
import { keyParts, simProducer, type LoadContext } from './load.js';
import { Violation } from './violation.js';
import { ms, type Micros } from './world.js';

const KEYS = 3;
/** How far apart those who meet may come. */
const MEETING = ms(5);

/** What clients of one topic share: every write has a number of its own. */
export interface KeyedWorld {
  readonly oracle: KeyedOracle;
  nextId: number;
}

/**
 * Appends where it thinks that the last record of a key is, and learns from what it is told; now and
 * then it errs, and now and then it writes without asking where the last one is.
 */
export class KeyedClient {
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly world: KeyedWorld;
  private readonly producer: Producer;
  private readonly believed = new Map<string, number>();
  private isOn = true;
  private isBusy = false;

  constructor(context: LoadContext, prng: Prng, world: KeyedWorld, period: Micros) {
    this.context = context;
    this.prng = prng;
    this.world = world;
    this.producer = simProducer(context, prng);
    this.next(period);
  }

  stop(): void {
    this.isOn = false;
  }

  get pending(): number {
    return this.isBusy ? 1 : 0;
  }

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
      void this.write().then(() => {
        this.isBusy = false;
        this.next(period);
      });
    });
  }

  private draw(): KeyedWrite {
    const { prng, world, context } = this;
    const key = `k${prng.int(KEYS)}`;
    const slip = prng.chance(0.2) ? prng.pick([-1, 1, 2]) : 0;
    const isPlain = prng.chance(0.15);
    const last = Math.max(ABSENT, (this.believed.get(key) ?? ABSENT) + slip);
    world.nextId += 1;
    return {
      ...{ id: world.nextId, key, from: context.scheduler.now },
      expected: isPlain ? undefined : last,
      count: isPlain ? 1 : 1 + prng.int(2),
    };
  }

  private async write(): Promise<void> {
    const { oracle } = this.world;
    const { scheduler } = this.context;
    const write = this.draw();
    const { key, expected, count } = write;
    try {
      const offset = await this.send(write);
      this.believed.set(key, offset + count - 1);
      scheduler.hash.add(write.id, offset);
      oracle.told(write, { kind: 'ok', to: scheduler.now, offset });
    } catch (thrown) {
      this.failed(write, thrown);
      scheduler.say(() => `${key} after ${String(expected)}: ${String(thrown)}`);
    }
  }

  private async send({ id, key, expected, count }: KeyedWrite): Promise<number> {
    const where = keyParts(this.prng.pick(this.context.keys));
    if (expected === undefined) {
      const { offset } = await this.producer.send({ ...where, key, value: valueOf(id, 0) });
      return offset;
    }
    const records = Array.from({ length: count }, (_, at) => ({ value: valueOf(id, at) }));
    const append = { ...where, key, expectedKeyOffset: expected, records };
    const { offset } = await this.producer.appendIf(append);
    return offset;
  }

  private failed(write: KeyedWrite, thrown: unknown): void {
    const { scheduler } = this.context;
    const { oracle } = this.world;
    const error = BrokerError.from(thrown);
    const { code, outcome, facts } = error;
    if (code === 'INTERNAL') scheduler.fail(error.cause ?? error);
    try {
      if (outcome !== 'none') oracle.told(write, { kind: 'unknown' });
      else {
        const last = code === 'EXPECTATION_FAILED' ? (facts.keyOffset ?? ABSENT) : undefined;
        if (last !== undefined) this.believed.set(write.key, last);
        oracle.told(write, { kind: 'refused', to: scheduler.now, last });
      }
    } catch (broken) {
      scheduler.fail(broken instanceof Violation ? broken : error);
    }
  }
}
