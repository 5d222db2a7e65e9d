import { expect } from 'chai';
import { MillraceClient, type Compression, type Consumer } from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';

const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();

async function valuesOf(consumer: Consumer): Promise<string[]> {
  const got: string[] = [];
  for await (const record of consumer) got.push(text(record.value) ?? '-');
  return got;
}

describe('the client against a real cluster', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let client: MillraceClient;

  before(async () => {
    cluster = await startCluster(3);
    client = new MillraceClient({ bootstrap: cluster.bootstrap });
  });

  after(async () => {
    await client.close();
    await cluster.stop();
  });

  it('gives back keys, values, headers and times', async () => {
    await client.admin.createTopic({ topic: 'fields', replicationFactor: 3 });
    const producer = client.producer();
    const sent = [
      { key: 'k', value: 'v', headers: { a: 'b', ü: '' }, timestampMs: 1_700_000_000_000 },
      { value: Uint8Array.of(0xff, 0, 0x0a), timestampMs: 1_700_000_000_005 },
      { key: '', value: undefined, timestampMs: 1_699_999_999_999 },
    ];
    for (const [i, record] of sent.entries()) {
      const { offset, partition } = await producer.send({ topic: 'fields', ...record });
      expect([partition, offset]).to.deep.equal([0, i]);
    }
    const consumer = client.consumer({ topic: 'fields', stopAtEnd: true });
    const got = [];
    for await (const r of consumer) got.push(r);
    expect(
      got.map((r) => [
        text(r.key),
        r.value && Buffer.from(r.value).toString('hex'),
        r.headers.map((h) => [h.key, text(h.value)]),
        r.timestampMs,
      ]),
    ).to.deep.equal([
      [
        'k',
        '76',
        [
          ['a', 'b'],
          ['ü', ''],
        ],
        1_700_000_000_000,
      ],
      [undefined, 'ff000a', [], 1_700_000_000_005],
      ['', undefined, [], 1_699_999_999_999],
    ]);
    const [highest] = await client.admin.listOffsets([
      { topic: 'fields', partition: 0, at: 'maxTimestamp' },
    ]);
    expect(highest).to.include({ offset: 1, timestampMs: 1_700_000_000_005, error: undefined });
    const late = { from: { timestampMs: 1_700_000_000_003 }, stopAtEnd: true };
    expect(await valuesOf(client.consumer({ topic: 'fields', ...late }))).to.have.length(2);
  });

  const codecs: Compression[] = ['none', 'gzip', 'snappy', 'lz4'];
  for (const compression of codecs) {
    it(`reads what it wrote with ${compression}`, async () => {
      const topic = `codec-${compression}`;
      await client.admin.createTopic({ topic, partitions: 3 });
      const producer = client.producer({ compression, batchBytes: 20_000 });
      const values = Array.from({ length: 3_000 }, (_, i) => `record ${i} of many alike`);
      const records = values.map((value, i) => ({ value, partition: i % 3 }));
      const summary = await producer.sendMany(topic, records);
      expect([...summary.partitions.values()]).to.deep.equal(
        Array.from({ length: 3 }, () => ({ first: 0, last: 999 })),
      );
      for (const p of [0, 1, 2]) {
        const consumer = client.consumer({ topic, partitions: [p], stopAtEnd: true });
        expect(await valuesOf(consumer)).to.deep.equal(values.filter((_, i) => i % 3 === p));
      }
    });
  }

  it('keeps order and loses nothing while leaderships move', async () => {
    const topic = 'moving';
    await client.admin.createTopic({ topic, replicationFactor: 3 });
    const producer = client.producer({ batchBytes: 2_000, lingerMs: 1 });
    const consumer = client.consumer({ topic });
    const values = Array.from({ length: 6_000 }, (_, i) => `value ${i}`);
    const reading = (async () => {
      const got: string[] = [];
      for await (const r of consumer) {
        got.push(text(r.value) ?? '-');
        if (got.length === values.length) break;
      }
      return got;
    })();
    const moving = (async () => {
      const terms = new Set<number>();
      for (let i = 0; i < 3; i += 1) {
        const { leaderEpoch } = await client.admin.transferLeadership({ topic, partition: 0 });
        terms.add(leaderEpoch);
      }
      return terms.size;
    })();
    const acks = [];
    for (const [i, value] of values.entries()) {
      acks.push(producer.send({ topic, partition: 0, value }));
      if (i % 500 === 0) await acks.at(-1);
    }
    const offsets = (await Promise.all(acks)).map((a) => a.offset);
    expect(await moving).to.equal(3);
    expect(offsets).to.deep.equal([...values.keys()]);
    expect(await reading).to.deep.equal(values);
    await consumer.close();
  });

  it('commits offsets and goes on from them', async () => {
    const topic = 'groups';
    await client.admin.createTopic({ topic, partitions: 2 });
    const records = Array.from({ length: 10 }, (_, i) => ({ value: `${i}`, partition: i % 2 }));
    await client.producer().sendMany(topic, records);
    const first = client.consumer({ topic, group: 'readers' });
    let left = 6;
    for await (const record of first) {
      expect(record.topic).to.equal(topic);
      left -= 1;
      if (left === 0) break;
    }
    await first.commit();
    await first.close();
    const second = client.consumer({ topic, group: 'readers', stopAtEnd: true });
    expect(await valuesOf(second)).to.have.length(4);
    const committed = await client.admin.fetchOffsets('readers');
    expect(committed.reduce((sum, c) => sum + (c.offset ?? 0), 0)).to.equal(6);
  });

  it('tells errors by their codes', async () => {
    const codeOf = async (call: Promise<unknown>): Promise<unknown> =>
      await call.then(
        () => 'no error',
        (thrown: unknown) => (thrown as BrokerError).code,
      );
    const { admin } = client;
    await admin.createTopic({ topic: 'taken' });
    expect(await codeOf(admin.createTopic({ topic: 'taken' }))).to.equal('TOPIC_EXISTS');
    expect(await codeOf(admin.createTopic({ topic: 'a/b' }))).to.equal('INVALID_TOPIC_NAME');
    expect(await codeOf(admin.describeTopic('nowhere'))).to.equal('UNKNOWN_TOPIC');
    expect(await codeOf(admin.createTopic({ topic: 'x', replicationFactor: 7 }))).to.equal(
      'INVALID_REPLICATION_FACTOR',
    );
    const producer = client.producer();
    expect(await codeOf(producer.send({ topic: 'nowhere', value: 'x' }))).to.equal('UNKNOWN_TOPIC');
    const beyond = client.consumer({ topic: 'taken', from: { offset: 5 } });
    expect(await codeOf(valuesOf(beyond))).to.equal('OFFSET_OUT_OF_RANGE');
    await admin.alterTopic({ topic: 'taken', set: { 'max.batch.bytes': '2048' } });
    const large = { topic: 'taken', value: 'x'.repeat(4_000) };
    // The broker that leads the partition hears of it a moment later, and takes what is sent until then.
    let code: unknown = 'no error';
    await eventually('large records are refused', async () => {
      code = await codeOf(client.producer().send(large));
      return code !== 'no error';
    });
    expect(code).to.equal('BATCH_TOO_LARGE');
  });

  it('ends what belongs to a topic that is deleted', async () => {
    const topic = 'shortlived';
    await client.admin.createTopic({ topic });
    await client.producer().send({ topic, value: 'x' });
    const consumer = client.consumer({ topic });
    const reading = valuesOf(consumer).catch((thrown: unknown) => thrown);
    while (consumer.assignment().length === 0) await client.admin.metadata();
    await client.admin.deleteTopic(topic);
    expect(await reading)
      .to.be.instanceOf(BrokerError)
      .with.property('code', 'UNKNOWN_TOPIC');
  });
});
