import { expect } from 'chai';
import { crc32c } from '@node-rs/crc32';
import type { FetchedPartition, ProduceResult } from '../../../src/broker/types.js';
import { splitBatches } from '../../../src/model/record.js';
import { producedBatch } from '../partition/log-fixture.js';
import { TOPIC } from './partition-fixture.js';
import { Trio } from './partition-trio.js';

const STALENESS_MS = 1_500;
/** An answer may have been on its way. */
const WAY_MS = 50;

/** What was acknowledged, and when: by then it was committed. */
interface Acked {
  readonly atMs: number;
  readonly end: number;
}

/** Produces a record now and then, to whoever leads. */
async function produce(trio: Trio, acked: Acked[], isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const id = trio.leader();
    const broker = id === undefined ? undefined : trio.brokers.get(id);
    const result = await new Promise<ProduceResult | undefined>((resolve) => {
      void trio.client.timers.after(1_000, () => resolve(undefined));
      const request = {
        ...{ topic: TOPIC, partition: 0, topicId: undefined, acks: 'quorum' as const },
        ...{ batch: producedBatch({ records: 1 }), timeoutMs: 800, allowForward: false },
      };
      broker?.floor.produce.produce(request, resolve);
    });
    if (result?.error === undefined && result !== undefined) {
      acked.push({ atMs: trio.client.clock.monotonicMs(), end: result.baseOffset + 1 });
    }
    await trio.sleep(30);
  }
}

/** Goes from replica to replica, as a reader of the nearest one never would. */
class Wanderer {
  at = 0;
  served = 0;
  stale = 0;
  private epoch = 0;
  private readonly trio: Trio;
  private readonly acked: readonly Acked[];

  constructor(trio: Trio, acked: readonly Acked[]) {
    this.trio = trio;
    this.acked = acked;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const id = 1 + this.trio.prng.int(3);
      const isFollower = this.trio.leader() !== id;
      const got = await this.fetch(id);
      if (got === undefined) continue;
      if (got.error === undefined) this.take(got, isFollower);
      else if (got.error.code === 'OFFSET_OUT_OF_RANGE') this.trio.scheduler.fail(got.error);
      else if (got.error.code === 'STALE_REPLICA') this.stale += 1;
      await this.trio.sleep(15);
    }
  }

  private take(got: FetchedPartition, isFollower: boolean): void {
    if (isFollower) this.served += 1;
    const nowMs = this.trio.client.clock.monotonicMs();
    const due = this.acked.findLast(({ atMs }) => atMs < nowMs - STALENESS_MS - WAY_MS);
    expect(got.highWatermark, 'no further behind than allowed').to.be.at.least(due?.end ?? 0);
    expect(got.highWatermark, 'not behind the reader').to.be.at.least(this.at);
    this.epoch = Math.max(this.epoch, got.leaderEpoch);
    for (const bytes of got.batches) {
      for (const { header } of splitBatches(bytes, crc32c)) {
        expect(header.baseOffset, 'offsets are dense').to.equal(this.at);
        this.at = header.baseOffset + header.recordsCount;
      }
    }
  }

  private fetch(id: number): Promise<FetchedPartition | undefined> {
    const broker = this.trio.brokers.get(id);
    if (broker === undefined) return this.trio.sleep(10).then(() => undefined);
    const at = { offset: this.at, maxBytes: 200, leaderEpoch: this.epoch };
    return new Promise((resolve) => {
      void this.trio.client.timers.after(1_000, () => resolve(undefined));
      broker.floor.fetch
        .fetch({
          partitions: [{ topic: TOPIC, partition: 0, topicId: undefined, ...at }],
          ...{ minBytes: 1, maxBytes: 1_000, maxWaitMs: 200, linearizable: false },
          ...{ allowForward: false, maxStalenessMs: STALENESS_MS },
        })
        .then(
          ({ partitions }) => (broker.process.isAlive ? resolve(partitions[0]) : undefined),
          (error: unknown) => this.trio.scheduler.fail(error),
        );
    });
  }
}

describe('reading from whichever of three replicas', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`goes no further back than it may, while replicas die and lose touch (seed ${seed})`, async function () {
      this.timeout(30_000);
      const trio = new Trio(seed);
      for (const id of [1, 2, 3]) await trio.start(id);
      await trio.run(10, () => trio.leader() !== undefined);
      const acked: Acked[] = [];
      const readers = [1, 2, 3].map(() => new Wanderer(trio, acked));
      let isProducing = true;
      let isReading = true;
      const failed = (error: unknown): void => trio.scheduler.fail(error);
      void produce(trio, acked, () => !isProducing).catch(failed);
      for (const reader of readers) void reader.run(() => !isReading).catch(failed);
      for (let round = 0; round < 6; round += 1) {
        await trio.run(1 + trio.prng.float());
        const victim = 1 + trio.prng.int(3);
        if (trio.prng.chance(0.5)) {
          trio.kill(victim);
          await trio.run(0.5 + 2 * trio.prng.float());
          await trio.start(victim);
        } else {
          for (const id of [1, 2, 3]) {
            if (id === victim) continue;
            trio.network.cut(id, victim);
            trio.network.cut(victim, id);
          }
          await trio.run(1 + 4 * trio.prng.float());
          trio.network.mend();
        }
      }
      await trio.run(5);
      isProducing = false;
      const end = acked.at(-1)?.end ?? 0;
      expect(end).to.be.above(100);
      const isRead = (): boolean => readers.every(({ at }) => at >= end);
      expect(await trio.run(20, isRead), 'everything is read').to.equal(true);
      isReading = false;
      await trio.run(2);
      const sum = (of: (reader: Wanderer) => number): number =>
        readers.reduce((total, reader) => total + of(reader), 0);
      expect(
        sum(({ served }) => served),
        'followers served',
      ).to.be.above(50);
      expect(
        sum(({ stale }) => stale),
        'and said when they could not',
      ).to.be.above(0);
    });
  }
});
