import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import { crc32c } from '../../../src/base/crc32c.js';
import {
  MillraceClient,
  type ConsumedRecord,
  type GroupConsumer,
  type GroupConsumerOptions,
  type RunOptions,
  type WorkContext,
} from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { setup, upTo, type Setup } from './group-members.js';

const NOW = 1_700_000_000_000;

function put(s: Setup, p: number, keys: readonly (string | undefined)[]): void {
  const builder = new RecordBatchBuilder();
  for (const key of keys) {
    builder.append({ ...(key === undefined ? {} : { key: Buffer.from(key) }) }, NOW);
  }
  s.cluster.append(p, builder.finish(NO_PRODUCER, crc32c));
}

/** A member whose handler takes as long over a record as the test says. */
class Runner {
  readonly consumer: GroupConsumer;
  readonly begun: [partition: number, offset: number][] = [];
  readonly done: [partition: number, offset: number][] = [];
  readonly contexts: WorkContext[] = [];
  busiest = 0;
  workMs: (record: ConsumedRecord) => number = () => 10;
  failing: (record: ConsumedRecord) => Error | undefined = () => undefined;
  isOver = false;
  error: unknown;
  finished: Promise<void> = Promise.resolve();
  private busy = 0;
  private readonly s: Setup;

  constructor(s: Setup, options: Partial<GroupConsumerOptions> = {}) {
    this.s = s;
    const client = new MillraceClient({
      bootstrap: 'b:1,b:2,b:3',
      ...{ world: s.world, transport: s.cluster },
    });
    this.consumer = client.groupConsumer({
      ...{ group: 'g', topics: ['events'], autoCommitIntervalMs: 50 },
      ...options,
    });
  }

  run(options: RunOptions = { parallelism: 4 }): this {
    this.isOver = false;
    this.error = undefined;
    const handle = async (record: ConsumedRecord, context: WorkContext): Promise<void> =>
      await this.handle(record, context);
    this.finished = this.consumer.run(handle, options).then(
      () => void (this.isOver = true),
      (thrown: unknown) => void (this.error = thrown),
    );
    return this;
  }

  offsets(of: readonly (readonly [number, number])[], p = 0): number[] {
    return of.filter(([partition]) => partition === p).map(([, offset]) => offset);
  }

  private async handle(record: ConsumedRecord, context: WorkContext): Promise<void> {
    const at: [number, number] = [record.partition, record.offset];
    this.begun.push(at);
    this.contexts.push(context);
    this.busy += 1;
    this.busiest = Math.max(this.busiest, this.busy);
    const ms = this.workMs(record);
    await new Promise<void>((resolve) => this.s.world.timers.after(ms, resolve));
    this.busy -= 1;
    const error = this.failing(record);
    if (error !== undefined) throw error;
    this.done.push(at);
  }
}

const committed = (s: Setup, p = 0): number | undefined => s.cluster.committed.get(`g/${p}`);
const at0 = { topic: 'events', partition: 0 };

describe('a member that runs a handler', () => {
  it('processes one record after the other unless told otherwise', async () => {
    const s = setup(1);
    put(s, 0, ['a', 'b', 'c', 'd']);
    const a = new Runner(s).run({});
    await s.world.advance(500);
    expect(a.offsets(a.done)).to.deep.equal(upTo(4));
    expect(a.busiest).to.equal(1);
    expect(committed(s)).to.equal(4);
    await s.world.until(a.consumer.close());
    await s.world.until(a.finished);
    expect(a.isOver).to.equal(true);
  });

  it('processes different keys side by side, and never commits past what is not done', async () => {
    const s = setup(1);
    put(s, 0, ['slow', 'b', 'c', 'b', 'd', 'slow']);
    const a = new Runner(s);
    a.workMs = ({ key }) => (String(Buffer.from(key ?? [])) === 'slow' ? 2_000 : 10);
    a.run();
    await s.world.advance(1_000);
    expect(a.offsets(a.done)).to.deep.equal([1, 2, 4, 3]);
    expect(committed(s), 'nothing was done from the start on').to.equal(undefined);
    expect(a.consumer.position(at0)).to.equal(6);
    await s.world.advance(1_500);
    expect(a.offsets(a.begun).at(-1)).to.equal(5);
    expect(committed(s)).to.equal(5);
    await s.world.advance(2_000);
    expect(committed(s)).to.equal(6);
    await s.world.until(a.consumer.close());
  });

  it('goes on with other partitions, and later with the rest of one that was held up', async () => {
    const s = setup(2);
    for (let i = 0; i < 30; i += 1) {
      put(s, 0, i === 0 ? ['slow', 'x'] : ['x', `k${i}`]);
      put(s, 1, ['a', 'b']);
    }
    const a = new Runner(s);
    a.workMs = ({ key }) => (String(Buffer.from(key ?? [])) === 'slow' ? 3_000 : 1);
    a.run({ parallelism: 2, windowMax: 10 });
    await s.world.advance(2_000);
    expect(a.offsets(a.done, 0), 'the window is full').to.have.length(9);
    expect(a.offsets(a.done, 1)).to.have.length(60);
    expect([committed(s, 0), committed(s, 1)]).to.deep.equal([undefined, 60]);
    await s.world.advance(3_000);
    expect(a.offsets(a.done, 0).sort((x, y) => x - y)).to.deep.equal(upTo(60));
    expect(committed(s, 0)).to.equal(60);
    await s.world.until(a.consumer.close());
  });

  it('stops at a failure, and whoever reads next gets that record and all after it', async () => {
    const s = setup(1);
    put(s, 0, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    const a = new Runner(s);
    a.workMs = ({ offset }) => (offset === 0 ? 200 : 10);
    a.failing = ({ offset }) => (offset === 2 ? new Error('no') : undefined);
    a.run({ parallelism: 3 });
    await s.world.advance(100);
    expect(a.error, 'what is running is waited for').to.equal(undefined);
    await s.world.advance(200);
    expect(String(a.error)).to.equal('Error: no');
    expect(a.offsets(a.done)).to.include(0);
    expect(Math.max(...a.offsets(a.begun))).to.be.below(5);
    expect(a.consumer.position(at0)).to.equal(2);
    await s.world.advance(200);
    expect(committed(s)).to.equal(2);
    a.failing = () => undefined;
    a.begun.length = 0;
    a.run({ parallelism: 3 });
    await s.world.advance(200);
    expect(a.offsets(a.begun)).to.deep.equal([2, 3, 4, 5, 6, 7]);
    expect(committed(s)).to.equal(8);
    await s.world.until(a.consumer.close());
  });

  it('ends by its signal: begins nothing more, waits for what is running, and keeps its place', async () => {
    const s = setup(1);
    put(s, 0, ['a', 'b', 'c', 'd']);
    const a = new Runner(s);
    a.workMs = () => 300;
    const controller = new AbortController();
    a.run({ parallelism: 2, signal: controller.signal });
    await s.world.advance(100);
    controller.abort();
    await s.world.advance(100);
    expect(a.isOver).to.equal(false);
    await s.world.until(a.finished);
    expect(a.isOver).to.equal(true);
    expect(a.offsets(a.done)).to.deep.equal([0, 1]);
    expect(a.consumer.position(at0)).to.equal(2);
    await s.world.until(a.consumer.close());
    expect(committed(s)).to.equal(2);
  });

  it('does what it can when it is closed, and commits that', async () => {
    const s = setup(1);
    put(s, 0, ['a', 'b', 'c', 'd']);
    const a = new Runner(s, { autoCommitIntervalMs: 60_000 });
    a.workMs = ({ offset }) => (offset === 1 ? 9_000 : 300);
    a.run({ parallelism: 2 });
    await s.world.advance(100);
    await s.world.until(a.consumer.close());
    await s.world.until(a.finished);
    expect(a.isOver).to.equal(true);
    expect(a.offsets(a.done).sort()).to.deep.equal([0, 1]);
    expect(committed(s)).to.equal(2);
  });

  it('finishes everything up to the ends, if told to', async () => {
    const s = setup(3);
    for (const p of upTo(3)) put(s, p, ['a', 'b', 'a', undefined, undefined]);
    const a = new Runner(s, { stopAtEnd: true }).run({ parallelism: 3 });
    await s.world.until(a.finished);
    expect(a.isOver).to.equal(true);
    for (const p of upTo(3)) expect(a.offsets(a.done, p).sort()).to.deep.equal(upTo(5));
    await s.world.until(a.consumer.close());
    expect(upTo(3).map((p) => committed(s, p))).to.deep.equal([5, 5, 5]);
  });

  it('gives up its partitions when a handler is not done within the processing timeout', async () => {
    const s = setup(1);
    put(s, 0, ['a', 'b', 'c']);
    const a = new Runner(s, { processingTimeoutMs: 1_000 });
    a.workMs = ({ offset }) => (offset === 1 ? 60_000 : 10);
    a.run({ parallelism: 3 });
    await s.world.advance(3_000);
    expect(BrokerError.from(a.error).code).to.equal('PROCESSING_TIMEOUT');
    expect(committed(s)).to.equal(1);
    expect(a.contexts[1]?.signal.aborted).to.equal(true);
    a.workMs = () => 10;
    a.begun.length = 0;
    a.run();
    await s.world.advance(3_000);
    expect(a.offsets(a.begun)).to.deep.equal([1, 2]);
    await s.world.until(a.consumer.close());
  });

  it('is not timed out by waiting for records, nor by many short ones', async () => {
    const s = setup(1);
    const a = new Runner(s, { processingTimeoutMs: 1_000 });
    a.workMs = () => 700;
    a.run({ parallelism: 1 });
    await s.world.advance(5_000);
    put(s, 0, ['a', 'b', 'c', 'd', 'e', 'f']);
    await s.world.advance(6_000);
    expect(a.error).to.equal(undefined);
    expect(a.offsets(a.done)).to.deep.equal(upTo(6));
    await s.world.until(a.consumer.close());
  });

  it('gives a revoked partition up once its running records are done, and begins no more', async () => {
    const s = setup(2);
    for (const p of upTo(2)) put(s, p, ['a', 'b', 'c', 'd', 'e', 'f']);
    const a = new Runner(s, { autoCommitIntervalMs: 60_000 });
    a.workMs = () => 1_000;
    a.run({ parallelism: 4 });
    await s.world.advance(300);
    const b = new Runner(s, { autoCommitIntervalMs: 60_000 }).run({ parallelism: 4 });
    await s.world.advance(20_000);
    for (const p of upTo(2)) {
      const all = [...a.offsets(a.done, p), ...b.offsets(b.done, p)];
      expect(all.sort(), `each once: what was running was committed (${p})`).to.deep.equal(upTo(6));
    }
    expect(b.done.length).to.be.above(0);
    await s.world.until(a.consumer.close());
    await s.world.until(b.consumer.close());
    expect(upTo(2).map((p) => committed(s, p))).to.deep.equal([6, 6]);
  });

  it('heeds seek, pause and an explicit commit', async () => {
    const s = setup(1);
    put(s, 0, ['a', 'b', 'c', 'd', 'e', 'f']);
    const a = new Runner(s);
    a.workMs = () => 100;
    a.run({ parallelism: 2 });
    await s.world.advance(50);
    a.consumer.pause();
    await s.world.advance(1_000);
    expect(a.offsets(a.done)).to.deep.equal([0, 1]);
    a.consumer.resume();
    await s.world.advance(50);
    expect(a.offsets(a.begun)).to.deep.equal(upTo(4));
    await s.world.until(a.consumer.commit());
    expect(committed(s), 'not what is not done').to.equal(2);
    await s.world.until(a.consumer.seek(at0, { offset: 5 }));
    await s.world.advance(500);
    expect(a.offsets(a.begun)).to.deep.equal([0, 1, 2, 3, 5]);
    expect(committed(s)).to.equal(6);
    await s.world.until(a.consumer.close());
  });

  it('does again what was sought while a commit beyond it was under way', async () => {
    const s = setup(1);
    put(s, 0, ['a', 'b', 'c', 'd', 'e', 'f']);
    const a = new Runner(s, { autoCommitIntervalMs: 60_000 });
    a.run({ parallelism: 1 });
    await s.world.advance(500);
    let isDown = true;
    s.cluster.onCall = (method) =>
      method === 'commitOffsets' && isDown ? new BrokerError('LEADER_UNKNOWN', 'wait') : undefined;
    const commit = a.consumer.commit();
    await s.world.advance(50);
    a.begun.length = 0;
    a.workMs = () => 5_000;
    await s.world.until(a.consumer.seek(at0, { offset: 1 }));
    await s.world.advance(100);
    isDown = false;
    await s.world.until(commit);
    expect(committed(s)).to.equal(6);
    await s.world.until(a.consumer.commit());
    expect(committed(s), 'the application went back').to.equal(1);
    a.failing = () => new Error('no');
    await s.world.until(a.finished);
    expect(a.consumer.position(at0)).to.equal(1);
    await s.world.until(a.consumer.close());
  });

  it('takes no nonsense', async () => {
    const s = setup(1);
    const { consumer } = new Runner(s);
    const codeOf = async (options: RunOptions): Promise<string> =>
      await consumer
        .run(() => undefined, options)
        .then(
          () => 'none',
          (thrown: unknown) => BrokerError.from(thrown).message,
        );
    expect(await codeOf({ parallelism: 0 })).to.match(/parallelism/);
    expect(await codeOf({ parallelism: 1.5 })).to.match(/parallelism/);
    expect(await codeOf({ parallelism: 5, windowMax: 4 })).to.match(/windowMax/);
    const controller = new AbortController();
    const first = consumer.run(() => undefined, { signal: controller.signal });
    expect(await codeOf({})).to.match(/under way/);
    controller.abort();
    await s.world.until(first);
    await s.world.until(consumer.close());
  });
});

describe('members that run handlers, come and go', () => {
  const keys = ['a', 'b', 'c', 'd', undefined];

  for (let seed = 0; seed < 12; seed += 1) {
    it(`skip nothing, keep the order of keys, and commit nothing that is not done (seed ${seed})`, async () => {
      const s = setup(3);
      const prng = new Prng(seed + 1);
      const all: Runner[] = [];
      const live = new Set<Runner>();
      const keyOf = new Map<string, string | undefined>();
      const ends = [0, 0, 0];
      let commitsSeen = 0;
      const join = (): void => {
        const runner = new Runner(s, { sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 4_000 });
        runner.workMs = () => prng.int(80);
        runner.failing = () => (prng.chance(0.01) ? new Error('now and then') : undefined);
        all.push(runner);
        live.add(runner);
        runner.run({ parallelism: 3, windowMax: 20 });
      };
      const doneOf = (p: number): Set<number> => new Set(all.flatMap((r) => r.offsets(r.done, p)));
      const check = (): void => {
        for (const { partition, offset } of s.cluster.commits.slice(commitsSeen)) {
          const done = doneOf(partition);
          for (const o of upTo(offset)) expect(done.has(o), `${partition}: ${o}`).to.equal(true);
        }
        commitsSeen = s.cluster.commits.length;
      };
      join();
      for (let step = 0; step < 50; step += 1) {
        const roll = prng.int(10);
        if (roll === 0 && live.size < 4) join();
        if (roll === 1 && live.size > 1) {
          const [first] = live;
          if (first !== undefined) {
            live.delete(first);
            void first.consumer.close().catch(() => undefined);
          }
        }
        for (const p of upTo(3)) {
          const batch = upTo(1 + prng.int(4)).map(() => keys[prng.int(keys.length)]);
          for (const [i, key] of batch.entries()) keyOf.set(`${p} ${(ends[p] ?? 0) + i}`, key);
          ends[p] = (ends[p] ?? 0) + batch.length;
          put(s, p, batch);
        }
        await s.world.advance(prng.int(200));
        for (const runner of live) if (runner.error !== undefined) runner.run({ parallelism: 3 });
        check();
      }
      for (const runner of live) runner.failing = () => undefined;
      for (let i = 0; i < 4; i += 1) {
        for (const runner of live) if (runner.error !== undefined) runner.run({ parallelism: 3 });
        await s.world.advance(15_000);
      }
      check();
      for (const p of upTo(3)) {
        expect(doneOf(p).size, 'everything was processed').to.equal(ends[p]);
        expect(committed(s, p)).to.equal(ends[p]);
      }
      for (const runner of all) {
        expect(runner.busiest).to.be.at.most(6);
        for (const p of upTo(3)) {
          for (const key of ['a', 'b', 'c', 'd']) {
            const first = new Map<number, number>();
            for (const [i, [at, offset]] of runner.begun.entries()) {
              if (at === p && keyOf.get(`${p} ${offset}`) === key) {
                if (!first.has(offset)) first.set(offset, i);
              }
            }
            // First attempts come in order; what comes again starts from something that was not done.
            const offsets = [...first.keys()];
            expect(offsets, `${p} ${key}`).to.deep.equal([...offsets].sort((x, y) => x - y));
          }
        }
        await s.world.until(runner.consumer.close().catch(() => undefined));
      }
    });
  }
});
