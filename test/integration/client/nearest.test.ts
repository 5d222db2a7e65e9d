import { expect } from 'chai';
import type { ConsumedRecord, FetchEvent, MillraceClient } from '../../../src/client/index.js';
import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { eventually } from '../../support/eventually.js';

const TOPIC = 'logs';
const NEAREST = { readFrom: 'nearest', maxStalenessMs: 500 } as const;

describe('reading from the nearest replica of a real cluster', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let client: MillraceClient;
  let leader: number;
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
    await client.producer().sendMany(TOPIC, records);
  }

  async function allRead(): Promise<void> {
    await eventually('all was read', () => got.length >= sent, 20_000);
    expect(got).to.deep.equal(Array.from({ length: sent }, (_, i) => i));
  }

  before(async () => {
    cluster = await startCluster({ brokers: 3, racks: ['r1', 'r2', 'r3'] });
    await cluster.createTopic(TOPIC);
    leader = await cluster.leaderOf(TOPIC);
    other = (leader % 3) + 1;
    client = cluster.client({
      hooks: {
        onFetch: ({ broker }: FetchEvent) => {
          lastServer = brokerAt(broker.port);
        },
      },
    });
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
    expect(lastServer).to.equal(other);

    // It hears nothing of its leader any more, but its clients reach it.
    const rest = [1, 2, 3].filter((id) => id !== other);
    cluster.split([other], rest);
    await send(20);
    await allRead();
    expect(lastServer).to.equal(leader);

    cluster.heal();
    await eventually('it is read from again', () => lastServer === other, 20_000);
    await send(20);
    await allRead();

    await cluster.kill(other);
    await send(20);
    await allRead();
    expect(lastServer).not.to.equal(other);
    await cluster.restart(other);
    await eventually('it is read from again', () => lastServer === other, 30_000);

    await cluster.kill(leader);
    await send(20);
    await allRead();
    await cluster.restart(leader);
    await consumer.close();
    await reading;
  });

  it('serves members of groups', async () => {
    lastServer = undefined;
    const follower = (await cluster.leaderOf(TOPIC)) === other ? leader : other;
    const member = client.groupConsumer({
      ...{ group: 'g', topics: [TOPIC], rack: `r${follower}`, ...NEAREST },
    });
    let count = 0;
    for await (const record of member) {
      expect(numberOf(record)).to.equal(count);
      count += 1;
      if (count === sent) break;
    }
    expect(lastServer).to.equal(follower);
    await member.close();
  });
});
