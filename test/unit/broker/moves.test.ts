import { expect } from 'chai';

import { brokerId, type BrokerId } from '../../../src/model/ids.js';
import { produce } from './support/produce.js';
import { TestBrokers } from './support/test-brokers.js';

const LONG = { deadlineMs: 20_000 };
const AT = { topic: 'logs', partition: 0 };
const ids = (...numbers: number[]): BrokerId[] => numbers.map(brokerId);

describe('moving replicas', () => {
  let brokers: TestBrokers;

  const partition = (id = 1) =>
    brokers.services(id).view.image().topicsByName.get('logs')?.partitions[0];
  const isSettled = (): boolean => partition()?.movingFrom.length === 0;
  const replicasOn = (id: number): number => (brokers.disks.get(id)?.replicas.size ?? 0) - 1;

  beforeEach(async () => {
    brokers = new TestBrokers();
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    await brokers.settled(
      brokers.admin(1).createTopic(
        {
          topic: 'logs',
          partitions: 1,
          replicationFactor: 3,
          config: new Map(),
          noWait: false,
          timeoutMs: undefined,
        },
        LONG,
      ),
    );
    for (const id of [4, 5]) brokers.start(id, { seeds: [1] });
    await brokers.untilReady();
  });
  afterEach(async () => {
    await brokers.stopAll();
  });

  it('moves one replica with its data, and deletes the one left over', async () => {
    const sent = await brokers.settled(produce(brokers, 1, AT, 10));
    expect(sent.error).to.equal(undefined);
    await brokers.settled(brokers.admin(2).moveReplicas({ ...AT, replicas: ids(1, 2, 4) }, LONG));
    await brokers.world.until(isSettled);
    await brokers.world.until(() => replicasOn(3) === 0 && replicasOn(4) === 1);
    const described = await brokers.settled(brokers.admin(3).describeTopic('logs', LONG));
    const facts = described.partitions[0]?.facts;
    if (facts === undefined || facts instanceof Error) throw facts ?? new Error('no facts');
    expect(facts.replicas.map((r) => [r.brokerId, r.role])).to.deep.equal([
      [1, 'voter'],
      [2, 'voter'],
      [4, 'voter'],
    ]);
    expect(facts.highWatermark).to.equal(10);
    await brokers.world.until(() => brokers.services(1).view.image().tombstones.size === 0);
  });

  it('moves all replicas elsewhere, whoever leads', async () => {
    await brokers.settled(produce(brokers, 1, AT, 5));
    await brokers.settled(brokers.admin(1).moveReplicas({ ...AT, replicas: ids(4, 5) }, LONG));
    await brokers.world.until(isSettled);
    await brokers.world.until(() => [1, 2, 3].every((id) => replicasOn(id) === 0));
    const sent = await brokers.settled(produce(brokers, 1, AT, 1));
    if (sent.error !== undefined) throw sent.error;
    expect(sent.baseOffset).to.equal(5);
  });

  it('comes back to a broker as an empty learner, never as the voter it was', async () => {
    await brokers.settled(produce(brokers, 1, AT, 5));
    await brokers.settled(brokers.admin(1).moveReplicas({ ...AT, replicas: ids(1, 2, 4) }, LONG));
    await brokers.world.until(isSettled);
    await brokers.world.until(() => brokers.services(1).view.image().tombstones.size === 0);
    await brokers.settled(brokers.admin(1).moveReplicas({ ...AT, replicas: ids(1, 2, 3) }, LONG));
    await brokers.world.until(isSettled);
    const stored = [...(brokers.disks.get(3)?.replicas.values() ?? [])].map((r) => r.spec);
    expect(stored.find((spec) => spec.topic === 'logs')?.bootstrap.voters).to.deep.equal([]);
    expect(partition()?.bootstrap).to.deep.equal([1, 2]);
  });

  it('goes on after its leader died in the middle', async () => {
    await brokers.settled(produce(brokers, 1, AT, 50));
    const groupId = partition()?.groupId ?? 0;
    const leader = brokers.services(1).leaders.leaderOf(groupId as never)?.leader ?? 0;
    const stays = [1, 2, 3].filter((id) => id !== leader);
    await brokers.settled(
      brokers.admin(4).moveReplicas({ ...AT, replicas: ids(...stays, 5) }, LONG),
    );
    brokers.kill(leader);
    const seer = stays[0] ?? 0;
    await brokers.world.until(() => partition(seer)?.movingFrom.length === 0, 60_000);
    const sent = await brokers.settled(produce(brokers, seer, AT, 1));
    if (sent.error !== undefined) throw sent.error;
    expect(sent.baseOffset).to.equal(50);
  });

  it('refuses brokers that are not there', async () => {
    const stranger = brokers.admin(1).moveReplicas({ ...AT, replicas: ids(1, 77) }, LONG);
    expect((await brokers.refused(stranger)).message).to.contain('broker 77 is not registered');
    const twice = brokers.admin(1).moveReplicas({ ...AT, replicas: ids(1, 1) }, LONG);
    expect((await brokers.refused(twice)).code).to.equal('INVALID_ARGUMENT');
    const none = brokers.admin(1).moveReplicas({ ...AT, replicas: [] }, LONG);
    expect((await brokers.refused(none)).code).to.equal('INVALID_REPLICATION_FACTOR');
  });
});
