import { expect } from 'chai';

import { NO_MEMBERS } from '../../../src/model/membership.js';
import { TestCluster, type TestBroker } from './support/test-cluster.js';

describe('a replica on a broker that had one of the same group before', () => {
  it('helps nobody to a leadership who knows only the one before', async () => {
    const cluster = new TestCluster(4);
    const spec = cluster.spec(1, [1, 2, 3]);
    const late = { ...spec, bootstrap: NO_MEMBERS };
    const four = cluster.brokers[3] as TestBroker;
    const founders = cluster.brokers.slice(0, 3);
    for (const broker of founders) await broker.open(spec);
    await four.open(late);
    const leader = await cluster.leader(1, founders);
    const [lagging, returning] = founders.filter((b) => b !== leader) as [TestBroker, TestBroker];
    await cluster.commit(leader, 1, 'a');
    await cluster.agree(1, 1, founders);

    // The group goes to broker 4 alone, and the lagging member never hears of it.
    cluster.network.isolate(lagging.id);
    await cluster.learn(leader, 1, [four.id]);
    await cluster.finished(
      leader.group(1).changeMembership({ voters: [four.id], learners: [] }, 5_000),
    );
    await cluster.leader(1, [four]);
    await cluster.commit(four, 1, 'b');
    for (const broker of [leader, returning]) {
      await cluster.finished(broker.host.delete(spec.groupId));
      broker.groups.delete(1);
    }

    await returning.open(late);
    cluster.network.isolate(four.id);
    cluster.network.heal(lagging.id);
    for (let second = 0; second < 20; second += 1) {
      await cluster.world.run(1_000);
      expect(lagging.group(1).status()?.role, `second ${second}`).to.not.equal('leader');
    }

    cluster.network.heal(four.id);
    await cluster.learn(four, 1, [returning.id]);
    const voters = [four.id, returning.id].sort((a, b) => a - b);
    await cluster.finished(four.group(1).changeMembership({ voters, learners: [] }, 10_000));
    await cluster.agree(1, 2, [four, returning]);
    expect(returning.group(1).status()?.needsRepair).to.equal(false);
    // From here on its vote counts: with it broker 4 can be done without for once.
    await cluster.finished(four.group(1).transferLeadership(returning.id, 5_000));
    expect((await cluster.leader(1, [four, returning])).id).to.equal(returning.id);
  });
});
