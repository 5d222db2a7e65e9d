import { expect } from 'chai';
import { deferred, type Deferred } from '../../../src/base/deferred.js';
import { Prng } from '../../../src/base/prng.js';
import { KeyedWork, type WorkContext } from '../../../src/client/keyed-work.js';

interface TestRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | undefined;
}

interface Running {
  readonly record: TestRecord;
  readonly context: WorkContext;
  readonly end: Deferred<undefined>;
}

const P = [{ partition: 0 }, { partition: 1 }] as const;
type Part = (typeof P)[number];

/** Work whose handlers end when the test says so. */
class Bench {
  readonly running: Running[] = [];
  readonly begun: TestRecord[] = [];
  readonly done = new Set<TestRecord>();
  readonly paused = new Set<Part>();
  nowMs = 0;
  readonly work: KeyedWork<Part, TestRecord>;
  private readonly next = [0, 0];

  constructor(options: { parallelism?: number; windowMax?: number } = {}) {
    this.work = new KeyedWork<Part, TestRecord>({
      parallelism: options.parallelism ?? 3,
      windowMax: options.windowMax ?? 100,
      clock: { monotonicMs: () => this.nowMs },
      isPaused: (partition) => this.paused.has(partition),
      changed: () => undefined,
      handle: async (record, context) => {
        const end = deferred<undefined>();
        this.begun.push(record);
        this.running.push({ record, context, end });
        await end.promise;
        this.done.add(record);
      },
    });
  }

  add(key: string | undefined, at: Part = P[0]): TestRecord {
    const offset = this.next[at.partition] ?? 0;
    this.next[at.partition] = offset + 1;
    const record: TestRecord = { ...{ partition: at.partition, offset, key } };
    this.work.add(at, record, key === undefined ? undefined : Buffer.from(key));
    return record;
  }

  async end(index: number, error?: Error): Promise<void> {
    const [one] = this.running.splice(index, 1);
    if (error === undefined) one?.end.resolve(undefined);
    else one?.end.reject(error);
    await settle();
  }

  get offsets(): number[] {
    return this.running.map(({ record }) => record.offset);
  }
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};

describe('keyed work', () => {
  it('processes equal keys in order, different keys side by side, no more than so many', async () => {
    const bench = new Bench();
    for (const key of ['a', 'a', 'b', 'b', 'c', 'd']) bench.add(key);
    expect(bench.offsets).to.deep.equal([0, 2, 4]);
    await bench.end(1);
    expect(bench.offsets, 'lanes take turns').to.deep.equal([0, 4, 5]);
    await bench.end(0);
    expect(bench.offsets).to.deep.equal([4, 5, 3]);
  });

  it('takes keys that are empty for keys, and those that are absent for none', () => {
    const bench = new Bench({ parallelism: 10 });
    for (const key of ['', '', undefined, undefined]) bench.add(key);
    expect(bench.offsets).to.deep.equal([0, 2, 3]);
  });

  it('spreads records without a key over as many lanes as there are handlers', async () => {
    const bench = new Bench({ parallelism: 2 });
    for (let i = 0; i < 6; i += 1) bench.add(undefined);
    expect(bench.offsets).to.deep.equal([0, 1]);
    await bench.end(1);
    expect(bench.offsets, 'its own lane goes on').to.deep.equal([0, 3]);
  });

  it('moves what may be committed to the first record that is not done', async () => {
    const bench = new Bench();
    for (const key of ['a', 'b', 'c', 'd']) bench.add(key);
    expect(bench.work.lowestOpen(P[0])).to.equal(0);
    await bench.end(1);
    expect(bench.work.lowestOpen(P[0])).to.equal(0);
    await bench.end(0);
    expect(bench.work.lowestOpen(P[0])).to.equal(2);
    bench.work.settled(P[0], 3);
    expect(bench.work.lowestOpen(P[0]), 'somebody has committed that').to.equal(3);
    await bench.end(0);
    await bench.end(0);
    expect(bench.work.lowestOpen(P[0])).to.equal(undefined);
    expect(bench.work.isIdle).to.equal(true);
  });

  it('lets a partition rest whose slow record holds everything up, and goes on with others', async () => {
    const bench = new Bench({ parallelism: 3, windowMax: 8 });
    bench.add('slow');
    for (let i = 1; i < 8; i += 1) {
      expect(bench.work.admission(P[0])).to.equal('take');
      bench.add(`k${i}`);
      await bench.end(1);
    }
    expect(bench.work.admission(P[0])).to.equal('rest');
    expect(bench.work.hasRoom(P[0])).to.equal(false);
    expect(bench.work.admission(P[1])).to.equal('take');
    await bench.end(0);
    expect(bench.work.hasRoom(P[0])).to.equal(true);
    expect(bench.work.admission(P[0])).to.equal('take');
  });

  it('lets a partition rest whose one key holds everything up, and waits while all are busy', async () => {
    const bench = new Bench({ parallelism: 2, windowMax: 10_000 });
    while (bench.work.admission(P[0]) === 'take') bench.add('hot');
    expect(bench.begun).to.have.length(1);
    expect(bench.work.admission(P[0])).to.equal('rest');
    expect(bench.work.admission(P[1])).to.equal('take');
    bench.add('other', P[1]);
    expect(bench.work.admission(P[0])).to.equal('wait');
    expect(bench.work.admission(P[1])).to.equal('wait');
    await bench.end(0);
    expect(bench.work.admission(P[0])).to.equal('take');
  });

  it('begins nothing of a paused partition, of a stopped one, nor while it is held', async () => {
    const bench = new Bench({ parallelism: 2 });
    bench.paused.add(P[0]);
    bench.add('a');
    bench.add('b', P[1]);
    expect(bench.running).to.have.length(1);
    bench.work.hold(true);
    bench.paused.clear();
    bench.work.look();
    expect(bench.running).to.have.length(1);
    bench.work.hold(false);
    expect(bench.running).to.have.length(2);
    bench.add('c');
    bench.add('d');
    bench.work.stop(P[0]);
    await bench.end(0);
    await bench.end(0);
    expect(bench.running).to.have.length(0);
    expect(bench.work.isIdle).to.equal(true);
    expect(bench.work.lowestOpen(P[0]), 'taken in and not done').to.equal(1);
  });

  it('waits for nothing of a partition that is gone, and tells its handlers', async () => {
    const bench = new Bench({ parallelism: 1 });
    bench.add('a');
    expect(bench.work.isBusy([P[0]])).to.equal(true);
    bench.work.forget(P[0]);
    expect(bench.running[0]?.context.signal.aborted).to.equal(true);
    expect([bench.work.isRunning, bench.work.isIdle]).to.deep.equal([false, true]);
    bench.add('b', P[1]);
    expect(bench.running, 'it still takes the place of another').to.have.length(1);
    expect(bench.work.busySinceMs, 'and is waited for no longer than any').to.equal(0);
    await bench.end(0, new Error('of no interest'));
    expect(bench.work.failure).to.equal(undefined);
    expect(bench.offsets).to.deep.equal([0]);
  });

  it('begins nothing after a failure, and knows the first', async () => {
    const bench = new Bench({ parallelism: 2 });
    for (const key of ['a', 'b', 'c']) bench.add(key);
    await bench.end(0, new Error('first'));
    expect(bench.offsets).to.deep.equal([1]);
    await bench.end(0, new Error('second'));
    expect(String(bench.work.failure?.error)).to.equal('Error: first');
    expect(bench.work.lowestOpen(P[0])).to.equal(0);
    expect(bench.work.isRunning).to.equal(false);
  });

  it('keeps its promises in any interleaving', async () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const prng = new Prng(seed);
      const parallelism = 1 + prng.int(5);
      const windowMax = parallelism + prng.int(20);
      const bench = new Bench({ parallelism, windowMax });
      const added: [TestRecord[], TestRecord[]] = [[], []];
      const keys = 1 + prng.int(6);
      const check = (): void => {
        expect(bench.running.length, `seed ${seed}`).to.be.at.most(parallelism);
        for (const at of P) {
          const all = added[at.partition];
          const first = all.find((record) => !bench.done.has(record));
          expect(bench.work.lowestOpen(at), `seed ${seed}`).to.equal(first?.offset);
          const span = first === undefined ? 0 : all.length - first.offset;
          expect(span, `seed ${seed}`).to.be.at.most(windowMax);
        }
        const lanes = bench.running
          .filter(({ record }) => record.key !== undefined)
          .map(({ record }) => `${record.partition} ${record.key}`);
        expect(new Set(lanes).size, `seed ${seed}`).to.equal(lanes.length);
      };
      for (let step = 0; step < 150; step += 1) {
        const at = P[prng.int(2) as 0 | 1];
        if (prng.chance(0.6) && bench.work.admission(at) === 'take') {
          const key = prng.chance(0.2) ? undefined : `k${prng.int(keys)}`;
          added[at.partition].push(bench.add(key, at));
        } else if (bench.running.length > 0) {
          await bench.end(prng.int(bench.running.length));
        }
        check();
      }
      while (bench.running.length > 0) {
        await bench.end(prng.int(bench.running.length));
        check();
      }
      expect(bench.work.isIdle, `seed ${seed}`).to.equal(true);
      const order = new Map<string, number>();
      for (const { partition, key, offset } of bench.begun) {
        if (key === undefined) continue;
        const lane = `${partition} ${key}`;
        expect(order.get(lane) ?? -1, `seed ${seed}`).to.be.below(offset);
        order.set(lane, offset);
      }
      expect(new Set(bench.begun).size).to.equal(bench.begun.length);
      expect(bench.begun.length, 'each was begun once').to.equal(added[0].length + added[1].length);
    }
  });
});
