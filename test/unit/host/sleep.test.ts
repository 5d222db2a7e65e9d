import { expect } from 'chai';

import { raftGroupId } from '../../../src/model/ids.js';
import type { PeerMessage } from '../../../src/ports/transport.js';
import { TestCluster, type TestBroker } from './support/test-cluster.js';

const GROUPS = Array.from({ length: 40 }, (_, at) => at + 1);
/** Idle for the ticks after which a group falls asleep, and a report of the metrics later. */
const ASLEEP_MS = 3_500;

const asleepAt = (broker: TestBroker): number => broker.metrics.get('raft_groups_asleep') ?? 0;

async function sleepingCluster(): Promise<TestCluster> {
  const cluster = new TestCluster(3);
  await cluster.open(...GROUPS);
  await cluster.world.run(ASLEEP_MS);
  expect(cluster.brokers.map(asleepAt)).to.deep.equal([40, 40, 40]);
  return cluster;
}

function ledBy(among: readonly TestBroker[]): number {
  const isLed = (id: number): boolean => among.some((b) => b.group(id).isLeaderReady());
  return GROUPS.filter(isLed).length;
}

/** Milliseconds until each of the groups has a leader among these that serves. */
async function untilLed(cluster: TestCluster, among: readonly TestBroker[]): Promise<number> {
  const from = cluster.world.clock.monotonicMs();
  await cluster.world.until(() => ledBy(among) === GROUPS.length);
  return cluster.world.clock.monotonicMs() - from;
}

/** Drops what `isLost` says on its way. */
function lose(
  cluster: TestCluster,
  isLost: (to: number, sent: PeerMessage) => boolean,
): () => void {
  const deliver = cluster.network.deliver.bind(cluster.network);
  cluster.network.deliver = (from, to, messages) => {
    deliver(
      from,
      to,
      messages.filter((sent) => !isLost(to, sent)),
    );
  };
  return () => {
    cluster.network.deliver = deliver;
  };
}

describe('groups in which nothing happens', () => {
  it('sleep: five pulses a second between two brokers are all that is said of them', async () => {
    const cluster = await sleepingCluster();
    cluster.network.calls.length = 0;
    await cluster.world.run(2_000);
    const { calls } = cluster.network;
    expect(calls.every(({ count }) => count === 1)).to.equal(true);
    expect(calls.length).to.be.within(6 * 9, 6 * 11);
  });

  it('wake one by one as something is proposed, and fall asleep again', async () => {
    const cluster = await sleepingCluster();
    const leader = await cluster.leader(7);
    const from = cluster.world.clock.monotonicMs();
    await cluster.commit(leader, 7, 'a');
    expect(cluster.world.clock.monotonicMs() - from).to.be.lessThan(20);
    await cluster.world.run(1_000);
    expect(cluster.brokers.map(asleepAt)).to.deep.equal([39, 39, 39]);
    await cluster.agree(7, 1);
    await cluster.world.run(ASLEEP_MS);
    expect(cluster.brokers.map(asleepAt)).to.deep.equal([40, 40, 40]);
  });

  it('answer linearizable reads, and confirm them with a quorum as ever', async () => {
    const cluster = await sleepingCluster();
    const leader = await cluster.leader(7);
    await cluster.finished(leader.group(7).readBarrier(1_000));
    await cluster.world.run(ASLEEP_MS);
    cluster.network.isolate(leader.id);
    const read = leader.group(7).readBarrier(5_000);
    const code = read.then(
      () => 'read',
      (error: unknown) => (error as { code?: string }).code,
    );
    await cluster.finished(code);
    expect(await code).to.equal('NOT_LEADER');
  });

  it('have other leaders within a second when a broker falls silent', async () => {
    const cluster = await sleepingCluster();
    const [silent, ...others] = cluster.brokers;
    cluster.network.isolate(silent!.id);
    expect(await untilLed(cluster, others)).to.be.lessThan(1_000);
    await cluster.world.run(2_000);
    expect(GROUPS.filter((id) => silent!.group(id).isLeaderReady())).to.deep.equal([]);
    cluster.network.heal(silent!.id);
    await cluster.world.run(2 * ASLEEP_MS);
    expect(cluster.brokers.map(asleepAt)).to.deep.equal([40, 40, 40]);
  });

  it('have other leaders at once when a process dies and its connections close', async () => {
    const cluster = await sleepingCluster();
    const [dead, ...others] = cluster.brokers;
    dead!.kill({ isNoticed: true });
    expect(await untilLed(cluster, others)).to.be.lessThan(150);
  });

  it('notice that a broker is not the one with which they fell asleep', async () => {
    const cluster = await sleepingCluster();
    const [dead, ...others] = cluster.brokers;
    const led = GROUPS.filter((id) => dead!.group(id).isLeaderReady());
    expect(led.length).to.be.greaterThan(0);
    dead!.kill({ isNoticed: false });
    // It comes back with none of its groups open yet.
    dead!.start();
    expect(await untilLed(cluster, others)).to.be.lessThan(1_000);
  });

  it('notice that a broker that lives leads one of them no more', async () => {
    const cluster = await sleepingCluster();
    const leader = await cluster.leader(7);
    const others = cluster.followers(leader);
    await cluster.finished(leader.host.close(raftGroupId(7)));
    leader.groups.delete(7);
    await cluster.leader(7, others);
    await cluster.world.run(ASLEEP_MS);
    expect(cluster.brokers.reduce((sum, b) => sum + asleepAt(b), 0)).to.equal(3 * 39);
  });

  it('agree on who sleeps though a good night is lost', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(...GROUPS);
    const lost = new Set<number>();
    lose(cluster, (to, { group, message }) => {
      const isLost = message.kind === 'quiesceRequest' && to === 2 && !lost.has(group ?? 0);
      if (isLost) lost.add(group ?? 0);
      return isLost;
    });
    await cluster.world.run(3 * ASLEEP_MS);
    expect(lost.size).to.be.greaterThan(10);
    expect(cluster.brokers.map(asleepAt)).to.deep.equal([40, 40, 40]);
  });

  it('are awake where a leader woke and its word was lost', async () => {
    const cluster = await sleepingCluster();
    const leader = await cluster.leader(7);
    const [deaf] = cluster.followers(leader);
    const heal = lose(
      cluster,
      (to, { message }) =>
        to === deaf!.id && message.from === leader.id && message.kind !== 'pulse',
    );
    await cluster.commit(leader, 7, 'a');
    await cluster.world.run(700);
    heal();
    await cluster.world.run(200);
    expect(deaf!.owner(7).machine.commands).to.deep.equal(['a']);
  });
});
