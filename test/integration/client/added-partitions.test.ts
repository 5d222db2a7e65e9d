import { expect } from 'chai';

import {
  MillraceClient,
  type ConsumedRecord,
  type GroupConsumer,
  type TopicPartition,
} from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';

const TOPIC = 'growing';
const BEFORE = 3;
const AFTER = 8;
const REFRESH_MS = 200;
const PACE_MS = 2;

interface Read {
  /** Offsets by partition, in the order in which they came. */
  readonly offsets: Map<number, number[]>;
  readonly values: Set<string>;
  readonly done: Promise<void>;
}

function read(source: AsyncIterable<ConsumedRecord>): Read {
  const offsets = new Map<number, number[]>();
  const values = new Set<string>();
  const run = async (): Promise<void> => {
    for await (const { partition, offset, value } of source) {
      const known = offsets.get(partition) ?? [];
      offsets.set(partition, [...known, offset]);
      values.add(Buffer.from(value ?? []).toString());
    }
  };
  return { offsets, values, done: run() };
}

const numbers = (held: readonly TopicPartition[]): number[] =>
  held.map(({ partition }) => partition).sort((a, b) => a - b);

describe('adding partitions under load', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  const clients: MillraceClient[] = [];

  function client(): MillraceClient {
    const one = new MillraceClient({
      bootstrap: cluster.bootstrap,
      metadataRefreshMs: REFRESH_MS,
    });
    clients.push(one);
    return one;
  }

  before(async () => {
    cluster = await startCluster(3);
  });

  after(async () => {
    await Promise.all(clients.map(async (each) => await each.close()));
    await cluster.stop();
  });

  it('loses and repeats nothing for a producer, a consumer and two kinds of group', async () => {
    const admin = client().admin;
    await admin.createTopic({ topic: TOPIC, partitions: BEFORE, replicationFactor: 3 });
    const sent = new Set<string>();
    const producedTo = new Set<number>();
    const producer = client().producer({ lingerMs: 1 });
    const load = { isOn: true };
    const sending = (async (): Promise<void> => {
      for (let i = 0; load.isOn; i += 1) {
        const value = `v${i}`;
        const { partition } = await producer.send({ topic: TOPIC, key: `k${i % 500}`, value });
        sent.add(value);
        producedTo.add(partition);
        await new Promise((resolve) => setTimeout(resolve, PACE_MS));
      }
    })();

    const revoked: number[] = [];
    const lost: number[] = [];
    const member = (options: {
      topics?: string[];
      pattern?: string;
      group: string;
    }): GroupConsumer =>
      client().groupConsumer({
        ...options,
        from: 'end',
        autoCommitIntervalMs: 200,
        onRevoked: (gone) => void revoked.push(...numbers(gone)),
        onLost: (gone) => void lost.push(...numbers(gone)),
      });
    const plain = read(client().consumer({ topic: TOPIC }));
    const listed = member({ group: 'listed', topics: [TOPIC] });
    const matching = member({ group: 'matching', pattern: 'grow.*' });
    const reads = { listed: read(listed), matching: read(matching) };
    await eventually('both groups read', () =>
      [reads.listed, reads.matching].every(({ offsets }) => offsets.size === BEFORE),
    );
    // A group that nobody is in stands at the beginning of what is added while it is away.
    await admin.commitOffsets('away', [{ topic: TOPIC, partition: 0, offset: 1 }]);

    const grown = await admin.addPartitions({ topic: TOPIC, partitions: AFTER });
    expect(grown.partitions).to.equal(AFTER);
    // Any broker may be asked: those that have not heard yet still tell of the partitions before.
    let described = await admin.describeTopic(TOPIC);
    await eventually('whoever is asked knows of all', async () => {
      described = await admin.describeTopic(TOPIC);
      return described.partitions.length === AFTER;
    });
    expect(described.partitions.map((p) => p.leader !== undefined && !p.error)).to.eql(
      Array.from({ length: AFTER }, () => true),
    );
    await eventually('the producer uses all', () => producedTo.size === AFTER);
    const all = Array.from({ length: AFTER }, (_, i) => i);
    for (const one of [listed, matching]) {
      await eventually('a group has all', () => numbers(one.assignment()).length === AFTER);
      expect(numbers(one.assignment())).to.eql(all);
    }
    const enough = sent.size + 500;
    await eventually('it goes on', () => sent.size > enough, 60_000);
    load.isOn = false;
    await sending;

    await eventually('the consumer has read all', () => plain.values.size === sent.size);
    const { partitions } = await admin.describeTopic(TOPIC);
    for (const { offsets } of [plain, reads.listed, reads.matching]) {
      await eventually('read to the ends', () =>
        partitions.every((p) => offsets.get(p.partition)?.at(-1) === p.highWatermark - 1),
      );
      for (const [partition, seen] of offsets) {
        // None twice, none left out; and the new partitions from their beginning.
        const first = seen[0] ?? -1;
        expect(seen, `partition ${partition}`).to.eql(seen.map((_, i) => first + i));
        if (partition >= BEFORE) expect(first).to.equal(0);
      }
    }
    expect(revoked, 'nobody had to let go of anything').to.eql([]);
    expect(lost).to.eql([]);

    await listed.commit();
    const { partitions: lag } = await admin.describeGroup('listed');
    expect(lag.map((p) => [p.partition, p.lagRecords])).to.eql(all.map((p) => [p, 0]));
    const away = await admin.fetchOffsets('away');
    expect(away.map((o) => [o.partition, o.offset])).to.eql([
      [0, 1],
      ...all.slice(BEFORE).map((p) => [p, 0]),
    ]);
  });

  it('refuses to take partitions away', async () => {
    const { admin } = client();
    const attempt = await admin
      .addPartitions({ topic: TOPIC, partitions: AFTER - 1 })
      .catch((thrown: unknown) => thrown);
    const refusal = BrokerError.from(attempt);
    expect(refusal.code).to.equal('INVALID_PARTITIONS');
    expect(refusal.message).to.contain(`has ${AFTER} partitions`);
    expect(await admin.addPartitions({ topic: TOPIC, partitions: AFTER })).to.include({
      partitions: AFTER,
    });
  });
});
