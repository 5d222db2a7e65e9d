import { expect } from 'chai';

import { brokerId } from '../../../src/model/ids.js';
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
    const change = { voters: [brokerId(4)], learners: [] };
    await cluster.finished(
      leader
        .group(1)
        .changeMembership(change, 5_000)
        .catch(() => undefined),
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
    const back = { voters: [brokerId(4), returning.id].sort((a, b) => a - b), learners: [] };
    await cluster.finished(four.group(1).changeMembership(back, 10_000));
    await cluster.agree(1, 2, [four, returning]);
    await cluster.world.until(() => returning.group(1).status()?.needsRepair === false);
    // From here on its vote counts: with it broker 4 can be done without for once.
    await cluster.finished(four.group(1).transferLeadership(returning.id, 5_000));
    expect((await cluster.leader(1, [four, returning])).id).to.equal(returning.id);
  });
});
