import { expect } from 'chai';

import { MillraceClient } from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';

const TOPIC = 'accounts';
const KEYS = ['a', 'b', 'c', 'd'];
const EACH = 40;

describe('appends by key on real brokers', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  const clients: MillraceClient[] = [];

  function client(): MillraceClient {
    const one = new MillraceClient({ bootstrap: cluster.bootstrap });
    clients.push(one);
    return one;
  }

  before(async () => {
    cluster = await startCluster(3);
    await client().admin.createTopic({
      ...{ topic: TOPIC, partitions: 2, replicationFactor: 3 },
      config: { 'compare.by.key': 'true' },
    });
  });

  after(async () => {
    await Promise.all(clients.map(async (each) => await each.close()));
    await cluster.stop();
  });

  /** Adds one to the count that is the key's value, again and again, whoever else does. */
  async function count(times: number): Promise<number> {
    const producer = client().producer();
    const known = new Map<string, number>();
    let refusals = 0;
    for (let i = 0; i < times; i += 1) {
      const key = KEYS[i % KEYS.length] ?? 'a';
      for (;;) {
        const expectedKeyOffset = known.get(key) ?? -1;
        try {
          const records = [{ value: String(expectedKeyOffset) }];
          const { nextOffset } = await producer.appendIf({
            ...{ topic: TOPIC, key, expectedKeyOffset, records },
          });
          known.set(key, nextOffset - 1);
          break;
        } catch (thrown) {
          const error = BrokerError.from(thrown);
          if (error.code !== 'EXPECTATION_FAILED') throw error;
          refusals += 1;
          known.set(key, error.facts.keyOffset ?? -1);
        }
      }
    }
    return refusals;
  }

  it('form one chain for each key, whoever leads and whoever else appends', async () => {
    const { admin } = client();
    const counting = Promise.all([count(EACH), count(EACH), count(EACH)]);
    for (let i = 0; i < 4; i += 1) {
      for (const partition of [0, 1]) {
        await admin.transferLeadership({ topic: TOPIC, partition }).catch(() => undefined);
      }
    }
    const refusals = await counting;
    expect(refusals.reduce((a, b) => a + b)).to.be.greaterThan(0);
    const last = new Map<string, number>();
    let records = 0;
    const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
    for await (const { key, value, offset } of client().consumer({
      topic: TOPIC,
      stopAtEnd: true,
    })) {
      const name = text(key);
      expect(Number(text(value)), `${name} at ${offset}`).to.equal(last.get(name) ?? -1);
      last.set(name, offset);
      records += 1;
    }
    expect(records).to.equal(3 * EACH);
  });

  it('need a topic that compares by key', async () => {
    await client().admin.createTopic({ topic: 'plain' });
    const append = { topic: 'plain', key: 'a', expectedKeyOffset: -1, records: [{ value: 'v' }] };
    const refusal = await client()
      .producer()
      .appendIf(append)
      .catch((thrown: unknown) => thrown);
    expect(BrokerError.from(refusal).code).to.equal('INVALID_ARGUMENT');
    expect(BrokerError.from(refusal).message).to.contain('compare.by.key');
  });
});
