import type { Prng } from '../../src/base/prng.js';
import { BrokerError } from '../../src/model/errors.js';
import { Contender } from './contender.js';
import { ABSENT, valueOf, type KeyedOracle, type KeyedWrite } from './keyed-oracle.js';
import { keyParts, type LoadContext } from './load.js';
import { Violation } from './violation.js';
import type { Micros } from './world.js';

const KEYS = 3;

/** What clients of one topic share: every write has a number of its own. */
export interface KeyedWorld {
  readonly oracle: KeyedOracle;
  nextId: number;
}

/**
 * Appends where it thinks that the last record of a key is, and learns from what it is told; now and
 * then it errs, and now and then it writes without asking where the last one is.
 */
export class KeyedClient extends Contender {
  private readonly world: KeyedWorld;
  private readonly believed = new Map<string, number>();

  constructor(context: LoadContext, prng: Prng, world: KeyedWorld, period: Micros) {
    super(context, prng, period);
    this.world = world;
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

  protected override async append(): Promise<void> {
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
