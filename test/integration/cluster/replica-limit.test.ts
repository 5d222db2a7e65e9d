import { expect } from 'chai';
import { BrokerError, type Admin } from '../../../src/client/index.js';
import { LIMITS } from '../../../src/model/limits.js';
import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { eventually } from '../../support/eventually.js';

/** The least that a broker may be given. */
const REPLICAS = 16;

async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const { code, message } = BrokerError.from(error);
    return `${code}: ${message}`;
  }
  return 'taken';
}

describe('a cluster whose brokers have memory for 16 replicas each', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let admin: Admin;
  beforeEach(async () => {
    const replicasMemoryBytes = REPLICAS * LIMITS.replicaMemoryBytes;
    cluster = await startCluster({ brokers: 3, settings: { replicasMemoryBytes } });
    ({ admin } = cluster.client());
  });
  afterEach(() => cluster.close());

  const create = (topic: string, partitions: number, replicationFactor = 3): Promise<unknown> =>
    admin.createTopic({ topic, partitions, replicationFactor });

  it('creates what fits, says why it creates no more, and has room again after a deletion', async () => {
    await create('most', REPLICAS - 2);
    expect(await refusalOf(create('much', 3))).to.equal(
      'REPLICA_LIMIT: no memory for 9 more replicas: broker 1 holds 14 of 16, broker 2 holds ' +
        "14 of 16, broker 3 holds 14 of 16; each takes 512 KiB of the broker's replicasMemoryBytes",
    );
    expect(await refusalOf(admin.describeTopic('much'))).to.contain('UNKNOWN_TOPIC');
    expect(await refusalOf(admin.addPartitions({ topic: 'most', partitions: 17 }))).to.match(
      /^REPLICA_LIMIT: no memory for 9 more/,
    );
    await create('last', 2);
    expect(await refusalOf(create('one', 1, 1))).to.match(/^REPLICA_LIMIT: no memory for 1 more/);
    await admin.deleteTopic('most');
    await create('again', REPLICAS - 2);
    const producer = cluster.client().producer();
    const { offset } = await producer.send({ topic: 'again', partition: 13, value: 'x' });
    expect(offset).to.equal(0);
  });

  it('moves no replica to a broker that is full', async () => {
    await create('full', REPLICAS);
    await admin.deleteTopic('full');
    await create('few', 6, 2);
    const { partitions } = await admin.describeTopic('few');
    const heldBy = (id: number): number =>
      partitions.filter(({ replicas }) => replicas.some(({ brokerId }) => brokerId === id)).length;
    // How twelve replicas fall on three brokers is for placement to say; one holds the most.
    const [fullest, other] = [1, 2, 3].sort((a, b) => heldBy(b) - heldBy(a)) as [number, number];
    await create('rest', REPLICAS - heldBy(fullest), 3);
    const without = partitions.find(({ replicas }) =>
      replicas.every(({ brokerId }) => brokerId !== fullest),
    );
    expect(without).to.not.equal(undefined);
    const { partition = 0 } = without ?? {};
    const at = { topic: 'few', partition };
    expect(await refusalOf(admin.moveReplicas(at, [fullest, other]))).to.contain(
      `REPLICA_LIMIT: no memory for 1 more replicas: broker ${fullest} holds 16 of 16;`,
    );
    await admin.deleteTopic('rest');
    await admin.moveReplicas(at, [fullest, other]);
    await eventually('it is where there is room', async () => {
      const { partitions: now } = await admin.describeTopic('few');
      const replicas = now[partition]?.replicas ?? [];
      return replicas.some(({ brokerId, inSync }) => brokerId === fullest && inSync);
    });
  });
});
