import { expect } from 'chai';
import { MillraceClient, type Producer } from '../../../src/client/index.js';
import type { ProducerOptions } from '../../../src/client/producer-options.js';
import { readBatchHeader } from '../../../src/model/record-batch.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

interface Setup {
  readonly world: VirtualWorld;
  readonly cluster: FakeCluster;
  readonly producer: Producer;
  /** Gives a record without waiting for it. */
  send(partition: number): void;
  /** Records of each batch that was sent, with its partition. */
  sent(): [partition: number, records: number][];
}

/** A producer that knows its topic and has its id; each answer then takes so long. */
async function setup(answerMs: number, options: ProducerOptions = {}): Promise<Setup> {
  const world = new VirtualWorld();
  world.earlyMs = 0;
  const cluster = new FakeCluster(world, { partitions: 8 });
  const client = new MillraceClient({ bootstrap: 'b:1,b:2,b:3', world, transport: cluster });
  const producer = client.producer({ lingerMs: 0, ...options });
  for (let partition = 0; partition < 8; partition += 1) {
    await world.until(producer.send({ topic: 'events', partition, value: 'first' }));
  }
  cluster.produced.length = 0;
  cluster.fate = () => ({ kind: 'serve', delayMs: answerMs });
  return {
    ...{ world, cluster, producer },
    send: (partition) => void producer.send({ topic: 'events', partition, value: 'v' }),
    sent: () =>
      cluster.produced.map(({ partition, batch }) => [
        partition,
        readBatchHeader(batch).recordsCount,
      ]),
  };
}

describe('batches that are due while others are on their way', () => {
  it('leave at once as long as those are few', async () => {
    const s = await setup(100);
    for (const partition of [0, 1, 2]) s.send(partition);
    await s.world.advance(1);
    expect(s.sent()).to.deep.equal([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
  });

  it('wait until one of them has ended, and gather meanwhile', async () => {
    const s = await setup(1);
    for (const partition of [0, 1, 2, 3]) s.send(partition);
    await s.world.advance(1);
    s.send(3);
    await s.world.advance(1);
    s.send(3);
    expect(s.sent()).to.have.length(3);
    await s.world.until(s.producer.flush());
    expect(s.sent().slice(3)).to.deep.equal([[3, 3]]);
  });

  it('go in the order in which they were due, one for each that has ended', async () => {
    const s = await setup(1);
    for (const partition of [0, 1, 2, 5, 4, 3, 7, 6]) s.send(partition);
    for (let i = 0; i < 40 && s.sent().length < 8; i += 1) await s.world.advance(0.5);
    expect(s.sent().map(([partition]) => partition)).to.deep.equal([0, 1, 2, 5, 4, 3, 7, 6]);
  });

  it('wait 5 ms at most: those on their way may be held up elsewhere', async () => {
    const s = await setup(1_000);
    for (const partition of [0, 1, 2, 3]) s.send(partition);
    await s.world.advance(4);
    expect(s.sent()).to.have.length(3);
    await s.world.advance(2);
    expect(s.sent().slice(3)).to.deep.equal([[3, 1]]);
  });

  it('do not wait once they are full, or somebody flushes', async () => {
    const s = await setup(1_000, { batchBytes: 400 });
    for (const partition of [0, 1, 2, 3]) s.send(partition);
    await s.world.advance(1);
    for (let i = 0; i < 40; i += 1) s.send(4);
    expect(s.sent().filter(([partition]) => partition === 4)).to.have.length(1);
    void s.producer.flush();
    await s.world.advance(1);
    expect(s.sent().filter(([partition]) => partition === 3)).to.deep.equal([[3, 1]]);
    expect(s.sent().filter(([partition]) => partition === 4)).to.have.length(2);
  });

  it('end like any other where the producer is closed while they wait', async () => {
    const s = await setup(1_000);
    for (const partition of [0, 1, 2, 3]) s.send(partition);
    await s.world.advance(1);
    await s.world.until(s.producer.close());
    expect(s.sent()).to.have.length(4);
    expect(s.cluster.partition(3).values()).to.deep.equal(['first', 'v']);
  });
});
