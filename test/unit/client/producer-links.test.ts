import { expect } from 'chai';
import { PartitionQueue, ProducerBatch } from '../../../src/client/accumulator.js';
import type { ProduceCall, ProduceHandlers } from '../../../src/client/connection.js';
import { BrokerLink } from '../../../src/client/producer-links.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

const INFLIGHT_MAX = 2_048;

function queueOf(partition: number): PartitionQueue {
  return new PartitionQueue({
    topic: 'events',
    partition,
    topicId: 'a'.repeat(32),
    isIdempotent: false,
    window: 5,
  });
}

function callOf(correlationId: number): ProduceCall {
  return {
    correlationId,
    topic: 'events',
    partition: 0,
    topicId: '',
    acks: 'quorum',
    batch: new Uint8Array(10),
    timeoutMs: 1_000,
  };
}

describe('the link to a broker', () => {
  /** A link with as many attempts on it as it takes, and a queue that waits for room. */
  async function full(): Promise<{
    world: VirtualWorld;
    link: BrokerLink;
    batches: ProducerBatch[];
    woken: number[];
    answer: ProduceHandlers['answer'];
  }> {
    const world = new VirtualWorld();
    const cluster = new FakeCluster(world);
    const woken: number[] = [];
    let handlers: ProduceHandlers | undefined;
    cluster.openProduce = (_to, given) => {
      handlers = given;
      world.timers.defer(() => given.ready());
      return { send: () => true, close: () => undefined };
    };
    const link = new BrokerLink({ host: 'b', port: 1 }, cluster, world, {
      answer: () => undefined,
      lost: () => undefined,
      ready: (queue) => woken.push(queue.partition),
      unavailable: () => undefined,
    });
    const sender = queueOf(0);
    expect(link.admits(sender, 10)).to.equal(false);
    await world.advance(1);
    const batches = Array.from({ length: INFLIGHT_MAX }, () => new ProducerBatch(0, 100));
    for (const [id, batch] of batches.entries()) {
      expect(link.admits(sender, 10)).to.equal(true);
      link.send(callOf(id), { queue: sender, batch, sentMs: 0 });
    }
    expect(link.admits(queueOf(7), 10)).to.equal(false);
    woken.length = 0;
    return { world, link, batches, woken, answer: (a) => handlers?.answer(a) };
  }

  it('wakes those that wait for room when an attempt is abandoned', async () => {
    const { world, link, batches, woken } = await full();
    expect(link.abandon(batches[5] as ProducerBatch)).to.equal(true);
    await world.advance(1);
    expect(woken).to.deep.equal([7]);
  });

  it('wakes them at an answer that nobody waits for any more', async () => {
    const { world, woken, answer } = await full();
    answer({
      correlationId: 99_999,
      error: undefined,
      baseOffset: 0,
      appendTimeMs: 0,
      leaderEpoch: 1,
      brokerId: 1,
      isDuplicate: false,
    });
    await world.advance(1);
    expect(woken).to.deep.equal([7]);
  });
});
