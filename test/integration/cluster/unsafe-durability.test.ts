import { expect } from 'chai';
import { ScriptCluster } from '../../../scripts/lib/script-cluster.js';
import { MillraceClient } from '../../../src/client/index.js';
import { eventually } from '../../support/eventually.js';

const TOPIC = 'fast';
const RECORDS = 3_000;
const AT = { topic: TOPIC, partition: 0 };
/** So late that hardly anything is on a disk when the brokers die. */
const LATE = {
  durability: 'unsafe-quorum-memory',
  'unsafe.flush.ms': '10000',
  'unsafe.flush.bytes': '268435456',
};

/** Real processes, real files: what the operating system has been given is there after kill -9. */
describe('a topic that puts its syncs off', function () {
  this.timeout(120_000);
  let cluster: ScriptCluster;
  let client: MillraceClient;

  before(async () => {
    cluster = await ScriptCluster.start({ brokers: 3 });
    client = new MillraceClient({ bootstrap: cluster.bootstrap });
  });
  after(async () => {
    await client.close();
    await cluster.stop();
  });

  it('says what it risks, where it is created, described and altered', async () => {
    const created = await client.admin.createTopic({ topic: TOPIC, config: LATE });
    expect(created.risk).to.match(/^UNSAFE: .* up to the last 10000 ms .* may be lost/s);
    const { durabilityPromise } = await client.admin.describeTopic(TOPIC);
    expect(durabilityPromise).to.equal(created.risk);
    const altered = await client.admin.alterTopic({ topic: TOPIC, set: { 'retention.ms': '-1' } });
    expect(altered.risk).to.equal(created.risk);
    const safe = await client.admin.createTopic({ topic: 'safe' });
    expect(safe).to.not.have.property('risk');
  });

  it('keeps everything acknowledged when all brokers are killed at once', async () => {
    const acked = new Map<number, string>();
    const producer = client.producer({ lingerMs: 0 });
    const sends: Promise<unknown>[] = [];
    const killAt = RECORDS / 2;
    let isKilled = false;
    for (let n = 0; n < RECORDS; n += 1) {
      const value = `record ${n}`;
      sends.push(producer.send({ ...AT, value }).then(({ offset }) => acked.set(offset, value)));
      if (n % 50 === 0) await Promise.race(sends.slice(-1));
      if (acked.size < killAt || isKilled) continue;
      isKilled = true;
      await Promise.all([1, 2, 3].map((id) => cluster.broker(id).kill('SIGKILL')));
      for (const id of [1, 2, 3]) cluster.broker(id).start();
    }
    expect(isKilled).to.equal(true);
    await Promise.all(sends);
    await producer.close();
    expect(acked.size).to.equal(RECORDS);
    const seen = new Map<number, string>();
    const consumer = client.consumer({ ...AT, from: 'beginning', stopAtEnd: true });
    for await (const { offset, value } of consumer) {
      seen.set(offset, Buffer.from(value ?? []).toString());
    }
    expect([...seen.values()]).to.deep.equal([...new Set(seen.values())]);
    for (const [offset, value] of acked) expect(seen.get(offset)).to.equal(value);
  });

  it('goes over to fsync and back while it is written', async () => {
    const producer = client.producer();
    const before = await producer.send({ ...AT, value: 'before' });
    const altered = await client.admin.alterTopic({ topic: TOPIC, unset: ['durability'] });
    expect(altered).to.not.have.property('risk');
    // Any broker may be asked, also one that has not heard of it yet.
    await eventually('describing it says what it promises now', async () => {
      const { durabilityPromise } = await client.admin.describeTopic(TOPIC);
      return /on the disks of a majority/.test(durabilityPromise);
    });
    const after = await producer.send({ ...AT, value: 'after' });
    expect(after.offset).to.equal(before.offset + 1);
    await client.admin.alterTopic({ topic: TOPIC, set: { durability: 'unsafe-quorum-memory' } });
    const again = await producer.send({ ...AT, value: 'again' });
    expect(again.offset).to.equal(after.offset + 1);
    await producer.close();
  });
});
