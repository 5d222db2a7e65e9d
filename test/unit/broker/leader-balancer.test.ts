import { expect } from 'chai';
import { brokerId, type BrokerId } from '../../../src/model/ids.js';
import { produce } from './support/produce.js';
import { TestBrokers } from './support/test-brokers.js';

const LONG = { deadlineMs: 20_000 };
const PARTITIONS = 6;
const MIN = 1_000_000;
const BALANCE_MS = 1_000;

describe('leaderships', () => {
  let brokers: TestBrokers;

  /** Leader and term of every partition, as broker `by` knows them. */
  const known = (by: number): [BrokerId | undefined, number | undefined][] => {
    const { view, leaders } = brokers.services(by);
    return (view.image().topicsByName.get('logs')?.partitions ?? []).map(({ groupId }) => {
      const at = leaders.leaderOf(groupId);
      return [at?.leader, at?.term];
    });
  };
  const preferred = (): (BrokerId | undefined)[] =>
    (brokers.services(1).view.image().topicsByName.get('logs')?.partitions ?? []).map(
      ({ replicas }) => replicas[0],
    );
  const ledBy = (id: number, by: number): number =>
    known(by).filter(([leader]) => leader === brokerId(id)).length;
  const areSpread = (): boolean =>
    known(1).every(([leader], partition) => leader === preferred()[partition]);
  const terms = (by: number): (number | undefined)[] => known(by).map(([, term]) => term);
  const createTopic = async (partitions = PARTITIONS): Promise<void> => {
    await brokers.settled(
      brokers.admin(1).createTopic(
        {
          topic: 'logs',
          partitions,
          replicationFactor: 3,
          config: new Map(),
          noWait: false,
          timeoutMs: undefined,
        },
        LONG,
      ),
    );
  };

  beforeEach(async () => {
    brokers = new TestBrokers({ leaderBalanceMs: BALANCE_MS, diskFreeMinBytes: MIN });
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
  });
  afterEach(async () => {
    await brokers.stopAll();
  });

  it('go back to the preferred leaders after a failover', async () => {
    await createTopic();
    await brokers.world.until(areSpread);
    expect(ledBy(2, 1)).to.equal(PARTITIONS / 3);
    brokers.kill(2);
    await brokers.world.until(() => ledBy(2, 1) === 0);
    brokers.start(2, { founders: [1, 2, 3] });
    await brokers.world.until(areSpread, 60_000);
  });

  it('go back in one round, however many they are', async () => {
    await createTopic(60);
    await brokers.world.until(areSpread);
    brokers.kill(2);
    await brokers.world.until(() => ledBy(2, 1) === 0);
    brokers.start(2, { founders: [1, 2, 3] });
    await brokers.world.until(() => ledBy(2, 1) > 0, 60_000);
    await brokers.world.run(BALANCE_MS);
    expect(areSpread()).to.equal(true);
  });

  it('stay away from a broker with little room until it has room again', async () => {
    await createTopic();
    await brokers.world.until(areSpread);
    brokers.freeBytes.set(2, MIN - 1);
    await brokers.world.until(() => ledBy(2, 1) === 0);
    await brokers.world.run(2 * BALANCE_MS);
    const before = terms(1);
    await brokers.world.run(40_000);
    expect(terms(1), 'nothing moved to and fro').to.deep.equal(before);
    const at = { topic: 'logs', partition: preferred().indexOf(brokerId(2)) };
    expect((await brokers.settled(produce(brokers, 1, at, 1))).error).to.equal(undefined);
    const wanted = brokers
      .admin(1)
      .transferLeadership({ partition: at, toBroker: brokerId(2) }, LONG);
    const refusal = await brokers.refused(wanted);
    expect(refusal.code).to.equal('TRANSFER_FAILED');
    expect(refusal.message).to.contain('little room');

    brokers.freeBytes.delete(2);
    await brokers.world.until(areSpread, 60_000);
  });

  it('of a new topic begin elsewhere, too', async () => {
    brokers.freeBytes.set(2, 0);
    await brokers.world.until(() => !brokers.services(3).leaders.mayLead(brokerId(2)));
    await brokers.world.until(() => !brokers.services(1).leaders.mayLead(brokerId(2)));
    await createTopic();
    await brokers.world.run(500);
    expect(ledBy(2, 1)).to.equal(0);
  });

  it('stay where they are when nobody has room', async () => {
    await createTopic();
    await brokers.world.until(areSpread);
    for (const id of [1, 2, 3]) brokers.freeBytes.set(id, 0);
    await brokers.world.run(5_000);
    const before = terms(1);
    await brokers.world.run(40_000);
    expect(terms(1)).to.deep.equal(before);
  });
});
