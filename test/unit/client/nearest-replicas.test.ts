import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import { crc32c } from '../../../src/base/crc32c.js';
import {
  MillraceClient,
  type Consumer,
  type ConsumerOptions,
  type FetchEvent,
} from '../../../src/client/index.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

const NEAREST = { topic: 'events', readFrom: 'nearest', rack: 'b' } as const;
const AT0 = { topic: 'events', partition: 0 };

/** Three brokers in racks a, b and b; broker 1 leads partition 0. */
class Bench {
  readonly world: VirtualWorld;
  readonly cluster: FakeCluster;
  readonly client: MillraceClient;
  /** By partition, who served it last. */
  readonly servedBy = new Map<number, number>();
  readonly fetched: FetchEvent[] = [];
  readonly retries: ErrorCode[] = [];
  private next = 0;

  constructor(options: { partitions?: number; seed?: number } = {}) {
    this.world = new VirtualWorld(options.seed);
    this.cluster = new FakeCluster(this.world, { partitions: options.partitions ?? 1 });
    this.cluster.racks = ['a', 'b', 'b'];
    this.cluster.onFollow = (_, p) => this.cluster.partition(p).end;
    this.client = new MillraceClient({
      bootstrap: 'b:1,b:2,b:3',
      ...{ world: this.world, transport: this.cluster },
      hooks: {
        onFetch: (event) => {
          this.servedBy.set(event.partition, event.broker.port);
          this.fetched.push(event);
        },
        onRetry: ({ error }) => {
          if (error !== undefined) this.retries.push(error.code);
        },
      },
    });
  }

  put(count = 1, p = 0): void {
    const builder = new RecordBatchBuilder();
    for (let i = 0; i < count; i += 1) builder.append({ value: Buffer.from(`${this.next++}`) }, 0);
    this.cluster.append(p, builder.finish(NO_PRODUCER, crc32c));
  }

  /** Reads on in the background. */
  read(options: Partial<ConsumerOptions> = {}): string[] {
    const got: string[] = [];
    const consumer = this.client.consumer({ ...NEAREST, ...options });
    const run = async (): Promise<void> => {
      for await (const { value } of consumer) got.push(Buffer.from(value ?? []).toString());
    };
    run().catch((error: unknown) => got.push(String(error)));
    return got;
  }
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

/** A reader of ten records, in two batches, that no replica is near. */
async function readingFromTheLeader(): Promise<{ bench: Bench; consumer: Consumer }> {
  const bench = new Bench();
  bench.put(4);
  bench.put(6);
  const consumer = bench.client.consumer({ ...NEAREST, rack: 'elsewhere' });
  await bench.world.until(consumer.start());
  await bench.world.until(consumer.records().next());
  return { bench, consumer };
}

describe('reading from the nearest replica', () => {
  it('reads in its own rack, and from the leader without the option', async () => {
    const bench = new Bench();
    bench.put(3);
    const near = bench.read();
    await bench.world.advance(3_000);
    expect(near).to.deep.equal(numbers(3));
    expect(bench.servedBy.get(0)).to.be.oneOf([2, 3]);
    expect(bench.cluster.fetches.at(-1)).to.include({ allowFollower: true, maxStalenessMs: 5_000 });
    const far = bench.read({ readFrom: 'leader', rack: undefined });
    await bench.world.advance(10);
    expect(far).to.deep.equal(numbers(3));
    expect(bench.servedBy.get(0)).to.equal(1);
    expect(bench.cluster.fetches.at(-1)).not.to.have.property('allowFollower');
    await bench.client.close();
  });

  it('reads from leaders where no replica is near', async () => {
    const bench = new Bench();
    bench.put();
    expect(await run(bench, bench.read({ rack: 'elsewhere' }))).to.deep.equal(['0']);
    expect(bench.servedBy.get(0)).to.equal(1);
    await bench.client.close();
  });

  it('spreads partitions over the replicas of the rack', async () => {
    const bench = new Bench({ partitions: 40 });
    bench.read();
    await bench.world.advance(3_000);
    const counts = [1, 2, 3].map((b) => [...bench.servedBy.values()].filter((s) => s === b).length);
    expect(counts[0], 'leaders elsewhere').to.equal(0);
    expect(Math.min(counts[1] ?? 0, counts[2] ?? 0)).to.be.at.least(8);
    await bench.client.close();
  });

  it('says what is wrong with its options', () => {
    const { client } = new Bench();
    expect(() => client.consumer({ ...NEAREST, rack: undefined })).to.throw('needs a rack');
    expect(() => client.consumer({ ...NEAREST, maxStalenessMs: 10 })).to.throw('maxStalenessMs');
  });

  for (const code of [
    'STALE_REPLICA',
    'OFFSET_OUT_OF_RANGE',
    'UNKNOWN_TOPIC',
    'DATA_DAMAGED',
  ] as const)
    it(`goes to the leader after ${code}, and comes back later`, async () => {
      const bench = new Bench();
      bench.put();
      let isRefusing = true;
      bench.cluster.onFollow = (_, p) =>
        isRefusing ? new BrokerError(code, code) : bench.cluster.partition(p).end;
      const got = bench.read();
      await bench.world.advance(1_000);
      expect(got).to.deep.equal(['0']);
      expect(bench.servedBy.get(0)).to.equal(1);
      expect(bench.retries).to.deep.equal([code]);
      isRefusing = false;
      await bench.world.advance(5_000);
      bench.put();
      await bench.world.advance(100);
      expect(got).to.deep.equal(['0', '1']);
      expect(bench.servedBy.get(0)).to.be.oneOf([2, 3]);
      await bench.client.close();
    });

  it('leaves a replica that has to be asked again and again alone for longer and longer', async () => {
    const bench = new Bench();
    bench.cluster.onFollow = () => new BrokerError('STALE_REPLICA', 'behind');
    bench.read();
    await bench.world.advance(600_000);
    expect(bench.retries.length).to.be.within(8, 25);
    await bench.client.close();
  });

  it('leaves a replica that says nothing of a partition', async () => {
    const bench = new Bench();
    bench.put(2);
    let behind = 0;
    bench.cluster.onFollow = (_, p) => bench.cluster.partition(p).end - behind;
    const got = bench.read();
    await bench.world.advance(2_000);
    expect(got).to.have.length(2);
    behind = 1;
    bench.put();
    // It has lost what it had: what is asked of it lies beyond its end.
    behind = 3;
    await bench.world.advance(5_000);
    expect(got).to.deep.equal(numbers(3));
    expect(bench.servedBy.get(0)).to.equal(1);
    await bench.client.close();
  });

  it('gives up in time when neither a replica nor the leader says anything', async () => {
    const bench = new Bench({ partitions: 2 });
    bench.put(2);
    bench.cluster.onFollow = (_, p) => (p === 0 ? 1 : 0);
    const { world, cluster } = bench;
    const got = bench.read({ partitions: [0], from: { offset: 2 }, unavailableTimeoutMs: 7_000 });
    cluster.partition().leader = 0;
    cluster.down.add(0);
    await world.advance(6_500);
    expect(got).to.deep.equal([]);
    expect(bench.retries.filter((code) => code === 'STALE_REPLICA')).to.have.length(1);
    await world.advance(1_000);
    expect(got).to.have.length(1);
    expect(got[0]).to.match(/could not be read for 7000 ms/);
    await bench.client.close();
  });

  it('waits for a replica that it comes back to as long as for any other', async () => {
    const bench = new Bench();
    const { world, cluster, retries } = bench;
    bench.put(2);
    let has: number | BrokerError = 2;
    cluster.onFollow = (broker, p) =>
      broker === 1 ? cluster.notLeader(cluster.partition(p)) : has;
    const got = bench.read();
    await world.advance(1_000);
    has = new BrokerError('STALE_REPLICA', 'behind');
    cluster.partition().leader = 0;
    cluster.down.add(0);
    // Refused, and then without a leader, for longer than any replica is waited for.
    await world.advance(6_000);
    has = 1;
    while ([...cluster.openFetches].every(({ broker }) => broker === 1)) await world.advance(50);
    retries.length = 0;
    await world.advance(2_000);
    has = 3;
    bench.put();
    await world.advance(100);
    expect(got).to.deep.equal(numbers(3));
    expect(retries).not.to.include('STALE_REPLICA');
    await bench.client.close();
  });

  it('reads on elsewhere when the replica dies, without gaps or repeats', async () => {
    const bench = new Bench({ partitions: 4 });
    for (let p = 0; p < 4; p += 1) bench.put(2, p);
    const got = bench.read();
    await bench.world.advance(1_000);
    const victim = bench.servedBy.get(0) ?? 0;
    bench.cluster.kill(victim);
    for (let p = 0; p < 4; p += 1) bench.put(2, p);
    await bench.world.advance(2_000);
    expect(new Set(got)).to.have.length(16);
    expect(got).to.have.length(16);
    // The other replica of the rack takes over what is not on its way back from the leader.
    bench.cluster.fenced.add(victim);
    await bench.world.advance(10_000);
    bench.put(1);
    await bench.world.advance(1_000);
    expect(got).to.have.length(17);
    expect(bench.servedBy.get(0)).to.equal(victim === 2 ? 3 : 2);
    await bench.client.close();
  });

  it('comes back to the only replica of its rack soon after its broker is back', async () => {
    const bench = new Bench();
    const { cluster, world } = bench;
    cluster.racks = ['a', 'b', 'c'];
    bench.put();
    const got = bench.read();
    await world.advance(1_000);
    expect(bench.servedBy.get(0)).to.equal(2);
    cluster.onFollow = () => new BrokerError('STALE_REPLICA', 'hears nothing of its leader');
    cluster.fenced.add(2);
    bench.put();
    await world.advance(5_000);
    expect(bench.servedBy.get(0)).to.equal(1);
    cluster.fenced.delete(2);
    cluster.onFollow = (_, p) => cluster.partition(p).end;
    await world.advance(10_000);
    bench.put();
    await world.advance(1_000);
    expect(got).to.deep.equal(numbers(3));
    expect(bench.servedBy.get(0)).to.equal(2);
    await bench.client.close();
  });

  it('follows replicas that move', async () => {
    const bench = new Bench();
    bench.put();
    const got = bench.read();
    await bench.world.advance(1_000);
    const before = bench.servedBy.get(0) ?? 0;
    const after = before === 2 ? 3 : 2;
    bench.cluster.replicas = [1, after];
    bench.cluster.onFollow = (broker, p) =>
      broker === after
        ? bench.cluster.partition(p).end
        : bench.cluster.notLeader(bench.cluster.partition(p));
    bench.put();
    await bench.world.advance(5_000);
    bench.put();
    await bench.world.advance(1_000);
    expect(got).to.deep.equal(numbers(3));
    expect(bench.servedBy.get(0)).to.equal(after);
    await bench.client.close();
  });

  it('never shows an end that goes back', async () => {
    const bench = new Bench();
    bench.put(4);
    bench.put(6);
    bench.cluster.onFollow = () => 4;
    const consumer = bench.client.consumer(NEAREST);
    await bench.world.until(consumer.start());
    const reading = consumer.records().next();
    await bench.world.until(reading);
    expect(consumer.highWatermark(AT0)).to.equal(4);
    bench.cluster.onFollow = () => new BrokerError('STALE_REPLICA', 'behind');
    await bench.world.advance(1_500);
    bench.cluster.onFollow = () => 10;
    bench.cluster.kill(bench.servedBy.get(0) ?? 0);
    await bench.world.advance(1_000);
    const marks = bench.fetched.map(({ highWatermark }) => highWatermark);
    expect(marks).to.deep.equal([...marks].sort((a, b) => a - b));
    expect(consumer.highWatermark(AT0)).to.equal(10);
    await bench.client.close();
  });

  it('shows no earlier end of a leader that was deposed without its reader having heard', async () => {
    const { bench, consumer } = await readingFromTheLeader();
    expect(consumer.highWatermark(AT0)).to.equal(10);
    bench.fetched.length = 0;
    bench.cluster.onFollow = () => 10;
    bench.cluster.followerMark = 7;
    bench.cluster.moveLeader(0, 2);
    await bench.world.advance(3_500);
    expect(bench.fetched.map(({ broker }) => broker.port)).to.include(1);
    expect(bench.fetched.map(({ highWatermark }) => highWatermark)).to.not.include(7);
    expect(consumer.highWatermark(AT0)).to.equal(10);
    await bench.client.close();
  });

  it('believes a leader of a later epoch that the end is earlier', async () => {
    const { bench, consumer } = await readingFromTheLeader();
    bench.cluster.onFollow = () => bench.cluster.notLeader(bench.cluster.partition());
    bench.cluster.partition().batches.pop();
    await bench.world.until(consumer.seek(AT0, { offset: 4 }));
    bench.cluster.moveLeader(0, 2);
    await bench.world.advance(3_500);
    expect(consumer.highWatermark(AT0)).to.equal(4);
    await bench.client.close();
  });

  it('works for members of groups', async () => {
    const bench = new Bench({ partitions: 3 });
    for (let p = 0; p < 3; p += 1) bench.put(2, p);
    const member = bench.client.groupConsumer({
      ...{ group: 'g', topics: ['events'], readFrom: 'nearest', rack: 'b' },
    });
    const got: string[] = [];
    const run = async (): Promise<void> => {
      for await (const { value } of member) got.push(Buffer.from(value ?? []).toString());
    };
    const done = run();
    await bench.world.advance(5_000);
    expect(got.sort()).to.deep.equal(numbers(6));
    expect([...bench.servedBy.values()].every((b) => b !== 1)).to.equal(true);
    await bench.world.until(member.close());
    await bench.world.until(done);
    await bench.client.close();
  });

  it('gives every record once and in order, whatever happens to the replicas', async () => {
    for (let seed = 1; seed <= 25; seed += 1) {
      const bench = new Bench({ seed });
      const prng = new Prng(seed);
      const lag = [0, 0, 0, 0];
      const refusing = new Set<number>();
      bench.cluster.onFollow = (broker, p) =>
        refusing.has(broker)
          ? new BrokerError('STALE_REPLICA', 'behind')
          : Math.max(0, bench.cluster.partition(p).end - (lag[broker] ?? 0));
      const got = bench.read();
      let count = 0;
      for (let step = 0; step < 60; step += 1) {
        const broker = 1 + (prng.u32() % 3);
        switch (prng.u32() % 7) {
          case 0:
            if (bench.cluster.down.size === 0) bench.cluster.kill(broker);
            break;
          case 1:
            bench.cluster.down.clear();
            break;
          case 2:
            lag[broker] = prng.u32() % 4;
            break;
          case 3:
            if (!refusing.delete(broker)) refusing.add(broker);
            break;
          case 4:
            if (!bench.cluster.down.has(broker)) bench.cluster.moveLeader(0, broker);
            break;
          default: {
            const size = 1 + (prng.u32() % 3);
            bench.put(size);
            count += size;
          }
        }
        await bench.world.advance(prng.u32() % 3_000);
        expect(got, `seed ${seed}`).to.deep.equal(numbers(got.length));
      }
      bench.cluster.down.clear();
      lag.fill(0);
      refusing.clear();
      if (bench.cluster.down.has(bench.cluster.partition().leader)) bench.cluster.moveLeader(0);
      await bench.world.advance(120_000);
      expect(got, `seed ${seed}`).to.deep.equal(numbers(count));
      await bench.client.close();
    }
  });
});

async function run(bench: Bench, got: string[]): Promise<string[]> {
  await bench.world.advance(3_000);
  return got;
}
