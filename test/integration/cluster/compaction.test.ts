import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import type { MillraceClient } from '../../../src/client/index.js';
import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { eventually } from '../../support/eventually.js';

const text = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? '' : Buffer.from(bytes).toString();

const CONFIG = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0',
  'delete.retention.ms': '400',
};

type Table = Map<string, string>;

/** What readers make of a record: an absent value deletes. */
function note(table: Table, key: string, value: Uint8Array | undefined): void {
  if (value === undefined) table.delete(key);
  else table.set(key, text(value));
}

const sorted = (table: Table): string[] => [...table].map(([k, v]) => `${k}=${v}`).sort();

describe('a compacted topic', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let client: MillraceClient;
  const prng = new Prng(7);

  beforeEach(async () => {
    cluster = await startCluster({ brokers: 3 });
    client = cluster.client();
    await cluster.createTopic('table', { replicationFactor: 3, config: CONFIG });
  });
  afterEach(() => cluster.close());

  /** Updates of a few keys, some of them deletions; the last ones of some keys are. */
  async function update(table: Table, count: number, bytes = 20): Promise<void> {
    const producer = client.producer({
      compression: prng.u32() % 2 === 0 ? 'gzip' : 'none',
      batchBytes: 4_000,
    });
    const sends: Promise<unknown>[] = [];
    for (let i = 0; i < count; i += 1) {
      const key = `key ${prng.u32() % 40}`;
      const isDeletion = prng.u32() % 5 === 0;
      const value = isDeletion ? undefined : `${i} ${'x'.repeat(prng.u32() % bytes)}`;
      note(table, key, value === undefined ? undefined : Buffer.from(value));
      sends.push(producer.send({ topic: 'table', partition: 0, key, value }));
    }
    await Promise.all(sends);
    await producer.close();
  }

  async function readAll(): Promise<string[]> {
    const consumer = client.consumer({ topic: 'table', stopAtEnd: true });
    const got: string[] = [];
    let last = -1;
    for await (const { offset, key, value } of consumer) {
      expect(offset).to.be.greaterThan(last);
      last = offset;
      got.push(`${text(key)}=${value === undefined ? 'deleted' : text(value)}`);
    }
    return got.sort();
  }

  async function lead(broker: number): Promise<void> {
    await eventually(
      `broker ${broker} leads`,
      async () => {
        if ((await cluster.leaderOf('table')) === broker) return true;
        const at = { topic: 'table', partition: 0 };
        await client.admin.transferLeadership(at, broker).catch(() => undefined);
        return false;
      },
      30_000,
    );
  }

  /** Nothing but the last value of each key is left, on every broker. */
  async function isCompacted(table: Table): Promise<void> {
    for (const broker of cluster.brokerIds) {
      await lead(broker);
      let got: string[] = [];
      const want = sorted(table);
      await eventually(
        `broker ${broker} has compacted: ${want.length} keys`,
        async () => {
          got = await readAll();
          return got.length === want.length;
        },
        40_000,
      ).catch((error: unknown) => {
        expect(got, String(error)).to.deep.equal(want);
      });
      expect(got).to.deep.equal(want);
    }
  }

  /** What the broker serves has been compacted; for as long as it takes, it is made to lead. */
  async function isShortOn(broker: number): Promise<void> {
    await eventually(
      `broker ${broker} has compacted`,
      async () => {
        await lead(broker);
        const isShort = (await readAll()).length < 45;
        // A leadership that went back meanwhile: somebody else was read.
        return isShort && (await cluster.leaderOf('table')) === broker;
      },
      30_000,
    );
  }

  it('shows readers the last value of each key, while it is compacted under their hands', async () => {
    // What tombstones stand for is promised to readers that are less behind than this.
    const config = { topic: 'table', set: { 'delete.retention.ms': '600000' } };
    await client.admin.alterTopic(config);
    const table: Table = new Map();
    const readers = Array.from({ length: 3 }, () => ({
      table: new Map<string, string>(),
      consumer: client.consumer({ topic: 'table' }),
      next: 0,
    }));
    const reading = readers.map(async (reader) => {
      for await (const { key, value, offset } of reader.consumer) {
        note(reader.table, text(key), value);
        reader.next = offset + 1;
      }
    });
    for (let round = 0; round < 8; round += 1) {
      await update(table, 400);
      // What they have read by then differs; what they come to must not.
      await eventually('the readers have something', () => readers.every(({ next }) => next > 0));
    }
    const at = { topic: 'table', partition: 0 };
    const haveReadAll = async (): Promise<void> => {
      const [end] = await client.admin.listOffsets([{ ...at, at: 'latest' }]);
      await eventually('the readers are at the end', () =>
        readers.every(({ consumer }) => consumer.position(at) === end?.offset),
      );
      for (const reader of readers) expect(sorted(reader.table)).to.deep.equal(sorted(table));
    };
    await haveReadAll();
    // They are there while the tombstones go, too.
    await client.admin.alterTopic({ ...config, set: CONFIG });
    await isCompacted(table);
    await update(table, 400);
    await haveReadAll();
    for (const { consumer } of readers) await consumer.close();
    await Promise.all(reading);
    await isCompacted(table);
  });

  it('is sent in rewritten form to a follower that was down, which ends up the same', async () => {
    const table: Table = new Map();
    await update(table, 200);
    await lead(1);
    await cluster.kill(3);
    await update(table, 2_000, 4_000);
    for (const broker of [1, 2]) await isShortOn(broker);
    // Recent entries live in memory as they were written: a restart leaves what is on disk.
    await cluster.restart(1);
    await cluster.restart(2);
    await cluster.leaderOf('table');
    await cluster.restart(3);
    await cluster.ready();
    await isCompacted(table);
    const metrics = await fetch(`http://127.0.0.1:${cluster.ports(3).httpPort}/metrics`);
    const [, received] = /peer_received_bytes_total\S* (\d+)/.exec(await metrics.text()) ?? [];
    expect(Number(received)).to.be.within(1, 2_000_000);
    await update(table, 100);
    await isCompacted(table);
    await eventually('its leader says that all of it is compacted', async () => {
      const [partition] = (await client.admin.describeTopic('table')).partitions;
      return (
        partition?.compactedTo !== undefined && partition.compactedTo === partition.highWatermark
      );
    });
  });

  it('loses nothing by changes of leader amid compactions', async () => {
    const table: Table = new Map();
    for (let round = 0; round < 5; round += 1) {
      await update(table, 500);
      const leader = await cluster.leaderOf('table');
      if (round % 2 === 0) {
        await cluster.kill(leader);
        await update(table, 200);
        await cluster.restart(leader);
        await cluster.ready();
      } else {
        await client.admin.transferLeadership({ topic: 'table', partition: 0 });
      }
    }
    await isCompacted(table);
  });

  it('takes no record without a key, and says so', async () => {
    const producer = client.producer({ compression: 'gzip' });
    const error: unknown = await producer
      .send({ topic: 'table', value: 'v' })
      .catch((e: unknown) => e);
    expect(error).to.have.property('code', 'INVALID_BATCH');
    expect(error)
      .to.have.property('message')
      .that.matches(/has no key.*cleanup\.policy/);
  });

  it('with compact,delete gives up its beginning as well', async () => {
    const config = { ...CONFIG, 'cleanup.policy': 'compact,delete', 'retention.records': '100' };
    await client.admin.alterTopic({ topic: 'table', set: config });
    const table: Table = new Map();
    await update(table, 1_000);
    await eventually(
      'the log begins later',
      async () => {
        const [start] = await client.admin.listOffsets([
          { topic: 'table', partition: 0, at: 'earliest' },
        ]);
        return start?.offset === 900;
      },
      20_000,
    );
    await eventually('few records are left', async () => (await readAll()).length <= 40, 20_000);
    const left = (await readAll()).filter((one) => !one.endsWith('=deleted'));
    expect(left).to.have.length.greaterThan(0);
    expect(sorted(table)).to.include.members(left);
  });
});
