import { expect } from 'chai';
import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { eventually } from '../../support/eventually.js';

const MACHINES = ['a', 'b', 'c'];
const PARTITIONS = 12;

/** Ids are given machine by machine in turn, as docs/PERFORMANCE.md has it. */
const machineOf = (brokerId: number): string | undefined => MACHINES[(brokerId - 1) % 3];

describe('two brokers on each of three machines', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster({ brokers: 6, racks: MACHINES });
    await cluster.createTopic('t', { partitions: PARTITIONS, replicationFactor: 3 });
  });
  after(() => cluster.close());

  it('keep the replicas of a partition on three machines, and all six have some', async () => {
    const { partitions } = await cluster.client().admin.describeTopic('t');
    for (const { replicas } of partitions) {
      const machines = new Set(replicas.map(({ brokerId }) => machineOf(brokerId)));
      expect([...machines].sort()).to.deep.equal(MACHINES);
    }
    const holders = partitions.flatMap(({ replicas }) => replicas.map(({ brokerId }) => brokerId));
    expect(new Set(holders).size).to.equal(6);
  });

  it('take and give all records while a machine is away, and create topics on the other two', async () => {
    const client = cluster.client();
    const producer = client.producer();
    const sendAll = async (value: string): Promise<void> => {
      const all = Array.from({ length: PARTITIONS }, (_, partition) => partition);
      await Promise.all(all.map((partition) => producer.send({ topic: 't', partition, value })));
    };
    await sendAll('before');
    await Promise.all([cluster.kill(1), cluster.kill(4)]);
    await sendAll('after');
    // Until their sessions have expired, replicas may be placed on them.
    await eventually(
      'both brokers are known to be away',
      async () => {
        const { brokers } = await client.admin.describeCluster();
        return brokers.every(({ id, isFenced }) => isFenced === (machineOf(id) === 'a'));
      },
      30_000,
    );
    await cluster.createTopic('later', { partitions: 2, replicationFactor: 2 });
    const counts = new Map<number, number>();
    for await (const { partition } of client.consumer({ topic: 't', stopAtEnd: true })) {
      counts.set(partition, (counts.get(partition) ?? 0) + 1);
    }
    expect([...counts.values()]).to.deep.equal(Array(PARTITIONS).fill(2));
  });
});
