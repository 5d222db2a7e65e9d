import { expect } from 'chai';

import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import { TestCluster, type TestBroker } from './support/test-cluster.js';

const GROUPS = [1, 2, 3, 4, 5, 6];
const ELECTION_MS = 50 * DEFAULT_RAFT_CONFIG.electionTicks;
/** Half an election timeout, and the tick that finds it over. */
const STEP_DOWN_MS = ELECTION_MS / 2 + 100;
const ASLEEP_MS = 3_500;

const ledBy = (broker: TestBroker): number[] =>
  GROUPS.filter((id) => broker.group(id).status()?.role === 'leader');
const asleepAt = (broker: TestBroker): number => broker.metrics.get('raft_groups_asleep') ?? 0;
const leaderships = (cluster: TestCluster): unknown[] =>
  cluster.brokers.map((b) => [ledBy(b), GROUPS.map((id) => b.group(id).status()?.term)]);

/** The broker that leads most of the groups. */
async function opened(quiesceAfterTicks: number): Promise<[TestCluster, TestBroker]> {
  const cluster = new TestCluster(3, quiesceAfterTicks === 0 ? { quiesceAfterTicks } : {});
  await cluster.open(...GROUPS);
  await cluster.world.run(ASLEEP_MS);
  const [first] = [...cluster.brokers].sort((a, b) => ledBy(b).length - ledBy(a).length);
  expect(ledBy(first!).length).to.be.greaterThan(1);
  return [cluster, first!];
}

describe('a broker that stood still for longer than an election timeout', () => {
  it('leads on only if a quorum answers anew, within half of one', async () => {
    const [cluster, stalled] = await opened(0);
    const led = ledBy(stalled).length;
    const { network, world } = cluster;
    network.isolate(stalled.id);
    world.freeze(ELECTION_MS + 100);
    await world.run(ELECTION_MS / 2 - 100);
    expect(ledBy(stalled), 'has the time to ask').to.have.length(led);
    await world.run(STEP_DOWN_MS - (ELECTION_MS / 2 - 100));
    expect(ledBy(stalled)).to.deep.equal([]);
  });

  it('asks at once, and leads on where it is answered', async () => {
    const [cluster, stalled] = await opened(0);
    const before = leaderships(cluster);
    const { network, world } = cluster;
    network.calls.length = 0;
    world.freeze(ELECTION_MS + 100);
    await world.run(0);
    expect(network.calls.filter(({ from }) => from === stalled.id)).to.have.length(2);
    await world.run(3 * ELECTION_MS);
    expect(leaderships(cluster)).to.deep.equal(before);
  });

  it('is not asked to by a shorter one', async () => {
    const [cluster, stalled] = await opened(0);
    for (const broker of cluster.brokers) broker.steps = [];
    cluster.world.freeze(ELECTION_MS - 100);
    await cluster.world.run(STEP_DOWN_MS);
    expect(stalled.metrics.get('raft_ticks_late_total')).to.equal(1);
    for (const { steps } of cluster.brokers) expect(steps).not.to.include('stalled');
  });

  it('wakes what it leads, and leads none of it on in silence', async () => {
    const [cluster, stalled] = await opened(20);
    expect(cluster.brokers.map(asleepAt)).to.deep.equal([6, 6, 6]);
    cluster.network.isolate(stalled.id);
    cluster.world.freeze(ELECTION_MS + 100);
    await cluster.world.run(STEP_DOWN_MS);
    expect(ledBy(stalled)).to.deep.equal([]);
  });

  it('wakes nobody for long where all stood still', async () => {
    const [cluster] = await opened(20);
    const before = leaderships(cluster);
    cluster.world.freeze(ELECTION_MS + 100);
    await cluster.world.run(ASLEEP_MS);
    expect(leaderships(cluster)).to.deep.equal(before);
    expect(cluster.brokers.map(asleepAt)).to.deep.equal([6, 6, 6]);
  });
});
