import { expect } from 'chai';

import { Prng } from '../../../src/base/prng.js';
import { crc32c } from '../../../src/base/crc32c.js';
import type { ProduceResult } from '../../../src/broker/types.js';
import { BATCH_HEADER_BYTES, readBatchHeader } from '../../../src/model/record-batch.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { linearizable, type ModelCall } from '../../checker/linearizable.js';
import { TOPIC } from './partition-fixture.js';
import { Trio, type TrioBroker } from './partition-trio.js';
import { recordsOf } from '../../support/records-of.js';

const KEYS = ['a', 'b', 'c'];
const ABSENT = -1;

/** What a client asked and was told; unknown outcomes are looked up in the log afterwards. */
interface Asked {
  readonly id: number;
  readonly key: string;
  /** Undefined: unconditionally. */
  readonly expected: number | undefined;
  readonly from: number;
  to: number;
  result: ProduceResult | undefined;
}

interface Kept {
  readonly id: number;
  readonly offset: number;
}

/**
 * Clients that compare and append by key while leaders come and go, each for a while believing in what it
 * heard last. Each key is a register that successes and plain writes move, and refusals read.
 */
class Run {
  readonly trio: Trio;
  readonly asked: Asked[] = [];
  private readonly prng: Prng;
  private readonly believed = new Map<string, number>();

  constructor(seed: number) {
    this.trio = new Trio(seed, { comparesByKey: true });
    this.prng = new Prng(seed + 1_000);
  }

  private produce(broker: TrioBroker, one: Asked): void {
    const builder = new RecordBatchBuilder();
    const text = (value: string): Uint8Array => new TextEncoder().encode(value);
    builder.append({ key: text(one.key), value: text(String(one.id)) }, 1_000);
    broker.floor.produce.produce(
      {
        ...{ topic: TOPIC, partition: 0, topicId: undefined, acks: 'quorum' as const },
        ...{ batch: builder.finish(NO_PRODUCER, crc32c), timeoutMs: 3_000, allowForward: false },
        expectedKeyOffset: one.expected,
      },
      (result) => {
        one.result = result;
        one.to = this.trio.scheduler.now;
        const known = result.error === undefined ? result.baseOffset : result.error.facts.keyOffset;
        if (known !== undefined) this.believed.set(one.key, known);
      },
    );
  }

  /** Somebody asks some broker that takes itself for the leader, or is one. */
  private ask(): void {
    const brokers = [...this.trio.brokers.values()];
    const broker = brokers[this.prng.int(brokers.length)];
    const key = KEYS[this.prng.int(KEYS.length)] ?? 'a';
    if (broker === undefined) return;
    const believed = this.believed.get(key) ?? ABSENT;
    const expected = this.prng.chance(0.1)
      ? undefined
      : this.prng.chance(0.2)
        ? Math.max(ABSENT, believed - 1)
        : believed;
    const from = this.trio.scheduler.now;
    const one = { id: this.asked.length, key, expected, from, to: Infinity, result: undefined };
    this.asked.push(one);
    this.produce(broker, one);
  }

  async load(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      for (let n = this.prng.int(4); n >= 0; n -= 1) this.ask();
      await this.trio.run(0.001 * (1 + this.prng.int(60)));
      if (this.prng.chance(0.02)) await this.disturb();
    }
    await this.trio.run(10);
  }

  private async disturb(): Promise<void> {
    const id = this.trio.leader();
    const broker = this.trio.brokers.get(id ?? 0);
    if (id === undefined || broker === undefined) return;
    if (this.prng.chance(0.5)) {
      broker.process.pause();
      await this.trio.run(1 + this.prng.int(3));
      broker.process.resume();
    } else {
      this.trio.kill(id);
      await this.trio.run(0.2);
      await this.trio.start(id);
    }
  }

  /** Every record of the log, by key. */
  async log(): Promise<Map<string, Kept[]>> {
    const broker = this.trio.brokers.get(this.trio.leader() ?? 0);
    if (broker === undefined) throw new Error('nobody leads');
    const found = new Map<string, Kept[]>();
    let at = 0;
    for (;;) {
      const answer = broker.floor.fetch.fetch({
        partitions: [
          {
            topic: TOPIC,
            partition: 0,
            topicId: undefined,
            offset: at,
            maxBytes: 1e6,
            leaderEpoch: 0,
          },
        ],
        ...{ minBytes: 1, maxBytes: 1e6, maxWaitMs: 0, linearizable: false, allowForward: false },
      });
      let part: Awaited<typeof answer>['partitions'][number] | undefined;
      answer.then(
        ({ partitions }) => (part = partitions[0]),
        (error: unknown) => this.trio.scheduler.fail(error),
      );
      await this.trio.run(5, () => part !== undefined);
      if (part === undefined || part.error !== undefined)
        throw part?.error ?? new Error('no answer');
      for (const batch of part.batches) {
        for (const record of recordsOf(
          readBatchHeader(batch),
          batch.subarray(BATCH_HEADER_BYTES),
        )) {
          const key = new TextDecoder().decode(record.key);
          const id = Number(new TextDecoder().decode(record.value));
          found.set(key, [...(found.get(key) ?? []), { id, offset: record.offset }]);
        }
      }
      at = part.nextOffset;
      if (at >= part.highWatermark) return found;
    }
  }

  /** Each record stands behind the one that it was told to stand behind. */
  checkChains(log: ReadonlyMap<string, readonly Kept[]>): void {
    for (const [key, records] of log) {
      let before = ABSENT;
      for (const { id, offset } of records) {
        const expected = this.asked[id]?.expected;
        if (expected !== undefined) expect(before, `${key} at ${offset}`).to.equal(expected);
        before = offset;
      }
    }
  }

  checkRegisters(log: ReadonlyMap<string, readonly Kept[]>): void {
    for (const key of KEYS) {
      const offsets = new Map((log.get(key) ?? []).map(({ id, offset }) => [id, offset]));
      const calls = this.asked
        .filter((one) => one.key === key)
        .flatMap((one) => callOf(one, offsets.get(one.id)));
      const verdict = linearizable(calls, String(ABSENT));
      expect(verdict.kind === 'no' ? verdict.at.text : verdict.kind, key).to.equal('yes');
    }
  }
}

function callOf({ id, expected, from, to, result }: Asked, kept: number | undefined): ModelCall[] {
  const error = result?.error;
  if (error?.code === 'EXPECTATION_FAILED') {
    const last = error.facts.keyOffset ?? NaN;
    expect(last, 'an expectation that holds is refused').not.to.equal(expected);
    const step = (state: string): string | undefined =>
      state === String(last) ? state : undefined;
    return [{ from, to, step, text: `${id}: ${expected} is refused for ${last}` }];
  }
  const isKnown = result !== undefined && error === undefined;
  if (error !== undefined && error.outcome === 'none')
    expect(kept, `${id} ${error.code}`).to.equal(undefined);
  if (isKnown) expect(kept, `${id} is there`).to.equal(result.baseOffset);
  if (kept === undefined) return [];
  const step = (state: string): string | undefined =>
    expected === undefined || state === String(expected) ? String(kept) : undefined;
  const text = `${id}: ${kept} behind ${expected ?? 'whatever'}`;
  return [{ from, to: isKnown ? to : Infinity, step, text }];
}

describe('compare and append by key on three replicas', function () {
  this.timeout(60_000);

  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`is a register for each key while leaders come and go (seed ${seed})`, async () => {
      const run = new Run(seed);
      for (const id of [1, 2, 3]) await run.trio.start(id);
      await run.trio.run(10, () => run.trio.leader() !== undefined);
      await run.load(250);
      await run.trio.run(20, () => run.trio.leader() !== undefined);
      const log = await run.log();
      run.checkChains(log);
      run.checkRegisters(log);
      const outcomes = run.asked.map(({ result }) => result?.error?.code ?? 'appended');
      expect(outcomes.filter((code) => code === 'appended').length).to.be.greaterThan(50);
      expect(outcomes.filter((code) => code === 'EXPECTATION_FAILED').length).to.be.greaterThan(10);
    });
  }
});
