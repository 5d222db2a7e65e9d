import { expect } from 'chai';

import { brokerId, METADATA_GROUP } from '../../../src/model/ids.js';
import { MemoryDisk } from '../../../src/storage/memory-broker-store.js';
import { TestBrokers } from './support/test-brokers.js';

const LONG = { deadlineMs: 20_000 };

describe('forming and joining a cluster', () => {
  let brokers: TestBrokers;
  const identityOf = (id: number) => brokers.disks.get(id)?.identity;

  beforeEach(() => {
    brokers = new TestBrokers();
  });
  afterEach(async () => {
    await brokers.stopAll();
  });

  it('waits until every founder is there, and runs no Raft group before', async () => {
    brokers.startAll([1, 2], [1, 2, 3]);
    await brokers.world.run(20_000);
    expect(identityOf(1)).to.equal(undefined);
    expect(brokers.disks.get(1)?.replicas.size).to.equal(0);
    expect(brokers.lives.get(1)?.broker.health().reason).to.contain('3 (peer.test:7503)');
    brokers.startAll([3], [1, 2, 3]);
    await brokers.untilReady();
    expect(new Set([1, 2, 3].map((id) => identityOf(id)?.clusterId)).size).to.equal(1);
  });

  /** The coordinator dies right after the first call of this kind that it made. */
  for (const method of ['formation.prepare', 'formation.confirm']) {
    it(`goes on after the coordinator died at its first ${method}`, async () => {
      brokers.startAll([1, 2, 3]);
      await brokers.world.until(() => brokers.peers.calls.some((c) => c.method === method));
      await brokers.world.run(1);
      brokers.kill(1);
      const noted = identityOf(1)?.clusterId;
      expect(noted).to.match(/^[0-9a-f]{32}$/);
      await brokers.world.run(3_000);
      brokers.startAll([1], [1, 2, 3]);
      await brokers.untilReady();
      expect([1, 2, 3].map((id) => identityOf(id)?.clusterId)).to.deep.equal([noted, noted, noted]);
    });
  }

  it('survives the death of any founder at any call of the formation', async () => {
    for (let stopAt = 1; stopAt <= 14; stopAt += 1) {
      const victim = (stopAt % 3) + 1;
      const run = new TestBrokers();
      run.startAll([1, 2, 3]);
      const formation = (): number =>
        run.peers.calls.filter((c) => c.method.startsWith('formation.')).length;
      await run.world.until(() => formation() >= stopAt || run.isReady(1));
      run.kill(victim);
      await run.world.run(1_500);
      run.startAll([victim], [1, 2, 3]);
      await run.untilReady([1, 2, 3]);
      const ids = [1, 2, 3].map((id) => run.disks.get(id)?.identity?.clusterId);
      expect(new Set(ids).size, `death of ${victim} at call ${stopAt}`).to.equal(1);
      await run.stopAll();
    }
  });

  it('refuses a founder that comes back with an empty directory', async () => {
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    for (const wiped of [1, 3]) {
      const kept = brokers.disks.get(wiped);
      brokers.kill(wiped);
      brokers.disks.set(wiped, new MemoryDisk());
      const life = brokers.start(wiped, { founders: [1, 2, 3] });
      await brokers.world.until(() => life.startError !== undefined);
      expect(life.startError?.code).to.equal('BROKER_ID_TAKEN');
      expect(life.startError?.message).to.contain('comes back under a new id');
      expect(life.broker.health().live).to.equal(false);
      brokers.kill(wiped);
      if (kept !== undefined) brokers.disks.set(wiped, kept);
      brokers.start(wiped, { founders: [1, 2, 3] });
      await brokers.untilReady();
    }
  });

  it('refuses founders of another cluster, and lists of founders that differ', async () => {
    brokers.startAll([1]);
    await brokers.untilReady();
    const stranger = brokers.start(2, { founders: [1, 2] });
    await brokers.world.until(() => stranger.startError !== undefined);
    expect(stranger.startError?.message).to.match(/already runs in cluster/);
    brokers.kill(2);

    const left = brokers.start(5, { founders: [5, 6] });
    const right = brokers.start(6, { founders: [5, 6, 7] });
    await brokers.world.until(() => left.startError !== undefined);
    expect(left.startError?.message).to.contain('founders differ');
    await brokers.world.until(() => right.startError !== undefined);
    brokers.kill(5);
    brokers.kill(6);
  });

  it("refuses another broker's data directory", async () => {
    brokers.startAll([1]);
    await brokers.untilReady();
    brokers.kill(1);
    const disk = brokers.disks.get(1);
    if (disk !== undefined) brokers.disks.set(4, disk);
    const life = brokers.start(4, { founders: [4] });
    await brokers.world.until(() => life.startError !== undefined);
    expect(life.startError?.message).to.contain('belongs to broker 1');
    brokers.kill(4);
  });

  it('lets a broker join through a seed, as a learner of the metadata group', async () => {
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    brokers.start(9, { seeds: [2] });
    await brokers.untilReady([9]);
    expect(identityOf(9)?.clusterId).to.equal(identityOf(1)?.clusterId);
    const described = await brokers.settled(brokers.admin(9).describeCluster(LONG));
    expect(described.metadataMembers.map((m) => [m.brokerId, m.role])).to.deep.include([
      9,
      'learner',
    ]);
    brokers.kill(9);
    brokers.start(9, { seeds: [2] });
    await brokers.untilReady([9]);
    expect(brokers.services(9).view.image().brokers.size).to.equal(4);
  });

  it('starts again as soon as one seed is of its cluster, whoever else is silent', async () => {
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    brokers.start(9, { seeds: [1] });
    await brokers.untilReady([9]);
    brokers.kill(9);
    brokers.isolate(2);
    brokers.start(9, { seeds: [2, 1] });
    await brokers.world.until(() => brokers.lives.get(9)?.broker.services() !== undefined, 100);
    brokers.heal(2);
  });

  it('keeps the identity of a broker that died while it joined', async () => {
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    brokers.peers.losesAnswer = ({ method }) => method === 'formation.join';
    brokers.start(9, { seeds: [3] });
    await brokers.world.until(() => brokers.services(1).view.image().brokers.has(brokerId(9)));
    brokers.kill(9);
    expect(identityOf(9)?.isFormed).to.equal(false);
    brokers.peers.losesAnswer = () => false;
    brokers.start(9, { seeds: [3] });
    await brokers.untilReady([9]);
    expect(identityOf(9)?.isFormed).to.equal(true);
  });

  it('refuses a second broker under a taken id', async () => {
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    brokers.start(9, { seeds: [1] });
    await brokers.untilReady([9]);
    brokers.kill(9);
    brokers.disks.set(9, new MemoryDisk());
    const life = brokers.start(9, { seeds: [1] });
    await brokers.world.until(() => life.startError !== undefined);
    expect(life.startError?.code).to.equal('BROKER_ID_TAKEN');
    brokers.kill(9);
  });

  it('lets an odd number of founders vote, and at most five', async () => {
    brokers.startAll([1, 2, 3, 4]);
    await brokers.untilReady();
    const described = await brokers.settled(brokers.admin(1).describeCluster(LONG));
    expect(described.metadataMembers.map((m) => m.role)).to.deep.equal([
      'voter',
      'voter',
      'voter',
      'learner',
    ]);
    expect(brokers.services(4).leaders.leaderOf(METADATA_GROUP)).to.not.equal(undefined);
  });
});
