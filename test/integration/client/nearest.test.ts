import { expect } from 'chai';
import type {
  ConsumedRecord,
  FetchEvent,
  MillraceClient,
  Producer,
} from '../../../src/client/index.js';
import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { eventually } from '../../support/eventually.js';

const TOPIC = 'logs';
const NEAREST = { readFrom: 'nearest', maxStalenessMs: 500 } as const;

describe('reading from the nearest replica of a real cluster', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let client: MillraceClient;
  let producer: Producer;
  let other: number;
  let lastServer: number | undefined;
  let sent = 0;
  const got: number[] = [];

  const brokerAt = (port: number): number =>
    [1, 2, 3].find((id) => cluster.ports(id).clientPort === port) ?? 0;
  const numberOf = ({ value }: ConsumedRecord): number =>
    Number(Buffer.from(value ?? []).toString());

  async function send(count: number): Promise<void> {
    const records = Array.from({ length: count }, () => ({ value: String(sent++) }));
    await producer.sendMany(TOPIC, records);
  }

  async function allRead(): Promise<void> {
    await eventually('all was read', () => got.length >= sent, 20_000);
    expect(got).to.deep.equal(Array.from({ length: sent }, (_, i) => i));
  }

  /**
   * A broker that follows, and stays a follower while all is well: leadership goes back to the first of
   * the replicas.
   */
  async function aFollower(): Promise<number> {
    const leader = await cluster.leaderOf(TOPIC);
    const { topics } = await client.admin.metadata({ topics: [TOPIC] });
    const replicas = topics[0]?.partitions[0]?.replicas ?? [];
    const found = replicas.slice(1).find((id) => id !== leader);
    if (found === undefined) throw new Error(`nobody follows broker ${leader}`);
    return found;
  }

  /**
   * Sends a record at a time, until one was served by this broker while another one led, or by whoever
   * leads: a replica that has just come, or has fallen behind for a moment, is read from a little later.
   */
  async function servedBy(broker: number | 'leader', isRead: () => Promise<void>): Promise<void> {
    await eventually(
      `it is read from ${broker}`,
      async () => {
        await send(1);
        await isRead();
        const leader = await cluster.leaderOf(TOPIC);
        return lastServer === (broker === 'leader' ? leader : broker) && leader !== broker;
      },
      30_000,
    );
  }

  before(async () => {
    cluster = await startCluster({ brokers: 3, racks: ['r1', 'r2', 'r3'] });
    await cluster.createTopic(TOPIC);
    client = cluster.client({
      hooks: {
        onFetch: ({ broker }: FetchEvent) => {
          lastServer = brokerAt(broker.port);
        },
      },
    });
    producer = client.producer();
    other = await aFollower();
  });

  after(async () => {
    await cluster.close();
  });

  it('reads from the follower in its rack, and through its loss from the leader', async () => {
    const consumer = client.consumer({ topic: TOPIC, rack: `r${other}`, ...NEAREST });
    const reading = (async () => {
      for await (const record of consumer) got.push(numberOf(record));
    })();
    await send(20);
    await allRead();
    await servedBy(other, allRead);

    // It hears nothing of its leader any more, but its clients reach it.
    const rest = [1, 2, 3].filter((id) => id !== other);
    cluster.split([other], rest);
    await send(20);
    await allRead();
    await servedBy('leader', allRead);

    cluster.heal();
    await servedBy(other, allRead);
    await send(20);
    await allRead();

    await cluster.kill(other);
    await send(20);
    await allRead();
    expect(lastServer).not.to.equal(other);
    await cluster.restart(other);
    await servedBy(other, allRead);

    const leader = await cluster.leaderOf(TOPIC);
    await cluster.kill(leader);
    await send(20);
    await allRead();
    await cluster.restart(leader);
    await cluster.ready();
    await consumer.close();
    await reading;
  });

  it('serves members of groups', async () => {
    lastServer = undefined;
    const follower = await aFollower();
    const member = client.groupConsumer({
      ...{ group: 'g', topics: [TOPIC], rack: `r${follower}`, ...NEAREST },
    });
    const taken: number[] = [];
    const reading = (async () => {
      for await (const record of member) taken.push(numberOf(record));
    })();
    await servedBy(follower, () => eventually('it has all', () => taken.length >= sent));
    expect(taken).to.deep.equal(Array.from({ length: sent }, (_, i) => i));
    await member.close();
    await reading;
  });
});
