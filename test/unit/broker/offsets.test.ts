import { expect } from 'chai';

import type { CommittedOffset } from '../../../src/broker/admin-types.js';
import { METADATA_GROUP } from '../../../src/model/ids.js';
import { produce } from './support/produce.js';
import { TestBrokers } from './support/test-brokers.js';

const LONG = { deadlineMs: 20_000 };
const GROUP = 'readers';

describe('committed offsets', () => {
  let brokers: TestBrokers;

  const commit = (
    via: number,
    partition: number,
    offset: number,
    topic = 'logs',
    group = GROUP,
  ): Promise<readonly CommittedOffset[]> =>
    brokers
      .admin(via)
      .commitOffsets({ group, offsets: [{ topic, partition, offset, metadata: 'm' }] }, LONG);
  const codeOf = async (answer: Promise<readonly CommittedOffset[]>): Promise<string | undefined> =>
    (await brokers.settled(answer))[0]?.error?.code;
  const committed = async (via: number, partition: number, topic = 'logs'): Promise<number> => {
    const request = { group: GROUP, partitions: [{ topic, partition }] };
    const rows = await brokers.settled(brokers.admin(via).fetchOffsets(request, LONG));
    return rows[0]?.offset ?? Number.NaN;
  };
  const createTopic = async (replicationFactor = 3): Promise<void> => {
    await brokers.settled(
      brokers.admin(1).createTopic(
        {
          topic: 'logs',
          partitions: 2,
          replicationFactor,
          config: new Map(),
          noWait: false,
          timeoutMs: undefined,
        },
        LONG,
      ),
    );
  };

  beforeEach(async () => {
    brokers = new TestBrokers();
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
  });
  afterEach(async () => {
    await brokers.stopAll();
  });

  it('come back from every broker, also after the metadata leader died', async () => {
    await createTopic();
    await brokers.settled(produce(brokers, 1, { topic: 'logs', partition: 1 }, 10));
    const [row] = await brokers.settled(commit(2, 1, 7));
    expect(row?.error).to.equal(undefined);
    expect(row?.commitTimeMs).to.be.greaterThan(0);
    for (const id of [1, 2, 3]) expect(await committed(id, 1)).to.equal(7);
    expect(await committed(1, 0)).to.equal(-1);
    const first = brokers.controllerSeenBy(1) ?? 0;
    brokers.kill(first);
    const other = [1, 2, 3].find((id) => id !== first) ?? 0;
    expect(await committed(other, 1)).to.equal(7);
    const all = await brokers.settled(
      brokers.admin(other).fetchOffsets({ group: GROUP, partitions: [] }, LONG),
    );
    expect(all.map((r) => [r.topic, r.partition, r.offset, r.metadata])).to.deep.equal([
      ['logs', 1, 7, 'm'],
    ]);
  });

  it('never lie beyond the high watermark, which is asked of the leader if need be', async () => {
    await createTopic(1);
    await brokers.settled(produce(brokers, 1, { topic: 'logs', partition: 0 }, 10));
    for (const via of [1, 2, 3]) {
      expect(await codeOf(commit(via, 0, 10))).to.equal(undefined);
      expect(await codeOf(commit(via, 0, 11))).to.equal('OFFSET_OUT_OF_RANGE');
      expect(await codeOf(commit(via, 1, 1))).to.equal('OFFSET_OUT_OF_RANGE');
    }
    expect(await committed(1, 0)).to.equal(10);
  });

  it('are refused, retriably, above what is known while the leader cannot be asked', async () => {
    await createTopic(1);
    const image = brokers.services(1).view.image();
    const home = image.topicsByName.get('logs')?.partitions.map((p) => p.replicas[0]) ?? [];
    const controller = brokers.controllerSeenBy(1);
    const partition = home.findIndex((id) => id !== controller);
    await brokers.settled(produce(brokers, 1, { topic: 'logs', partition }, 10));
    expect(await codeOf(commit(controller ?? 0, partition, 4))).to.equal(undefined);
    brokers.kill(home[partition] ?? 0);
    const via = [1, 2, 3].find((id) => id !== home[partition]) ?? 0;
    expect(await codeOf(commit(via, partition, 3))).to.equal(undefined);
    const [row] = await brokers.settled(commit(via, partition, 99));
    expect(row?.error?.retriable).to.equal(true);
  });

  it('answer each item of a request by itself', async () => {
    await createTopic();
    await brokers.settled(produce(brokers, 1, { topic: 'logs', partition: 0 }, 3));
    const offsets = [
      { topic: 'nope', partition: 0, offset: 0, metadata: '' },
      { topic: 'logs', partition: 9, offset: 0, metadata: '' },
      { topic: 'logs', partition: 0, offset: -5, metadata: '' },
      { topic: 'logs', partition: 0, offset: 2, metadata: 'x'.repeat(5_000) },
      { topic: 'logs', partition: 0, offset: 2, metadata: '' },
    ];
    const rows = await brokers.settled(
      brokers.admin(3).commitOffsets({ group: GROUP, offsets }, LONG),
    );
    expect(rows.map((row) => row.error?.code)).to.deep.equal([
      'UNKNOWN_TOPIC',
      'UNKNOWN_PARTITION',
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
      undefined,
    ]);
    expect(await codeOf(commit(1, 0, 1, 'logs', ''))).to.equal('INVALID_ARGUMENT');
  });

  it('of one turn share one entry of the metadata log', async () => {
    await createTopic();
    await brokers.settled(produce(brokers, 1, { topic: 'logs', partition: 0 }, 100));
    const controller = brokers.controllerSeenBy(1) ?? 0;
    await brokers.settled(commit(controller, 0, 1));
    const version = (): number => brokers.services(controller).view.image().version;
    const before = version();
    const all = Array.from({ length: 50 }, (_, i) =>
      commit(controller, 0, i, 'logs', `group-${i}`),
    );
    const rows = await brokers.settled(Promise.all(all));
    expect(rows.flat().every((row) => row.error === undefined)).to.equal(true);
    expect(version() - before).to.equal(1);
  });

  it('do not outlive their topic, even under the same name', async () => {
    await createTopic();
    await brokers.settled(produce(brokers, 1, { topic: 'logs', partition: 0 }, 3));
    await brokers.settled(commit(1, 0, 3));
    await brokers.settled(
      brokers.admin(2).deleteTopic({ topic: 'logs', timeoutMs: undefined }, LONG),
    );
    await createTopic();
    expect(await committed(3, 0)).to.equal(-1);
  });
});

describe('the metadata log', () => {
  it('is cut when it has grown, and brings newcomers up by snapshot', async () => {
    const brokers = new TestBrokers({ metadataLogEntriesMax: 50 });
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    for (let i = 0; i < 60; i += 1) {
      await brokers.settled(
        brokers.admin((i % 3) + 1).createTopic(
          {
            topic: `t${i}`,
            partitions: 1,
            replicationFactor: 1,
            config: new Map(),
            noWait: true,
            timeoutMs: undefined,
          },
          LONG,
        ),
      );
    }
    const isCut = (id: number): boolean => {
      const replica = brokers.disks.get(id)?.replicas.get(METADATA_GROUP);
      return (replica?.snapshot?.meta.last.index ?? 0) > 0;
    };
    await brokers.world.until(() => [1, 2, 3].every(isCut));
    brokers.start(7, { seeds: [3] });
    await brokers.untilReady([7]);
    expect(brokers.network.snapshotsSent).to.be.greaterThan(0);
    expect(brokers.services(7).view.image().topicsById.size).to.equal(60);
    for (const id of [1, 2, 3]) brokers.kill(id);
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    for (const id of [1, 2, 3, 7]) {
      expect(brokers.services(id).view.image().topicsById.size).to.equal(60);
    }
    await brokers.stopAll();
  });
});

describe('leader balance', () => {
  it('goes back to the preferred leaders once everyone is back', async () => {
    const brokers = new TestBrokers({ leaderBalanceMs: 1_000 });
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    await brokers.settled(
      brokers.admin(1).createTopic(
        {
          topic: 'logs',
          partitions: 9,
          replicationFactor: 3,
          config: new Map(),
          noWait: false,
          timeoutMs: undefined,
        },
        LONG,
      ),
    );
    const isBalanced = (): boolean => {
      const { view, leaders } = brokers.services(1);
      const partitions = view.image().topicsByName.get('logs')?.partitions ?? [];
      return partitions.every((p) => leaders.leaderOf(p.groupId)?.leader === p.replicas[0]);
    };
    await brokers.world.until(isBalanced);
    brokers.kill(2);
    await brokers.world.run(3_000);
    expect(isBalanced()).to.equal(false);
    brokers.start(2, { founders: [1, 2, 3] });
    await brokers.untilReady();
    await brokers.world.until(isBalanced);
    await brokers.stopAll();
  });
});
