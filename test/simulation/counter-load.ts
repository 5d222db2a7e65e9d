import type { Prng } from '../../src/base/prng.js';
import { BrokerError } from '../../src/model/errors.js';
import { linearizable, type ModelCall } from '../checker/linearizable.js';
import { Contender } from './contender.js';
import { keyParts, type LoadContext } from './load.js';
import { must, Violation } from './violation.js';
import type { Micros } from './world.js';

/**
 * What clients were told who compare and append to one partition, to which nobody else writes: its
 * log's end is a register that each success moves and each refusal reads.
 */
export class CounterHistory {
  /** Appends that were acknowledged, and those that were refused for their offset. */
  moved = 0;
  refused = 0;
  private readonly calls: ModelCall[] = [];

  /** `to` is infinite if nobody knows whether it was appended. */
  append(from: Micros, to: number, expected: number, count: number): void {
    if (Number.isFinite(to)) this.moved += 1;
    this.calls.push({
      ...{ from, to },
      step: (end) => (end === String(expected) ? String(expected + count) : undefined),
      text: `append ${count} at ${expected}${Number.isFinite(to) ? '' : ', or not'}`,
    });
  }

  refusal(from: Micros, to: Micros, expected: number, logEnd: number): void {
    this.refused += 1;
    must(logEnd !== expected, 'I27', 'an expectation that holds is refused', { expected });
    this.end(from, to, logEnd, `${expected} is refused for ${logEnd}`);
  }

  end(from: Micros, to: Micros, logEnd: number, text = `the log ends at ${logEnd}`): void {
    const step = (end: string): string | undefined => (end === String(logEnd) ? end : undefined);
    this.calls.push({ from, to, step, text });
  }

  /** Throws if what was told cannot have happened. */
  check(): void {
    const result = linearizable(this.calls, '0');
    if (result.kind === 'yes') return;
    const at = result.kind === 'no' ? result.at.text : 'could not be decided';
    throw new Violation('I27', 'compare and append is no register', { at });
  }
}

/** Appends where it thinks that the log ends, and learns from what it is told; now and then it errs. */
export class CounterClient extends Contender {
  private readonly history: CounterHistory;
  private believed = 0;

  constructor(context: LoadContext, prng: Prng, history: CounterHistory, period: Micros) {
    super(context, prng, period);
    this.history = history;
  }

  protected override async append(): Promise<void> {
    const { context, prng, history } = this;
    const { scheduler } = context;
    const key = prng.pick(context.keys);
    const slip = prng.chance(0.25) ? prng.pick([-1, 1, 2]) : 0;
    const expectedOffset = Math.max(0, this.believed + slip);
    const count = 1 + prng.int(3);
    const records = Array.from({ length: count }, (_, i) => ({ value: `${expectedOffset + i}` }));
    const from = scheduler.now;
    try {
      const append = { ...keyParts(key), expectedOffset, records };
      const { offset, nextOffset } = await this.producer.appendIf(append);
      must(offset === expectedOffset, 'I27', 'a batch stands where it was not expected', {
        offset,
        expectedOffset,
      });
      this.believed = nextOffset;
      history.append(from, scheduler.now, expectedOffset, count);
    } catch (thrown) {
      if (thrown instanceof Violation) {
        scheduler.fail(thrown);
        return;
      }
      const error = BrokerError.from(thrown);
      if (error.code === 'INTERNAL') scheduler.fail(error.cause ?? error);
      scheduler.say(() => `append at ${expectedOffset}: ${error.code} ${error.message}`);
      if (error.code === 'EXPECTATION_FAILED') {
        this.believed = error.facts.logEndOffset ?? 0;
        history.refusal(from, scheduler.now, expectedOffset, this.believed);
      } else if (error.outcome === 'unknown') {
        history.append(from, Number.POSITIVE_INFINITY, expectedOffset, count);
      }
    }
  }
}
