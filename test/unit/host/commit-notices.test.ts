import { expect } from 'chai';

import { CommitNotices } from '../../../src/host/commit-notices.js';
import type { PeerMessage } from '../../../src/ports/transport.js';
import { FakeWorld } from './support/fake-world.js';
import { type TestBroker, TestCluster } from './support/test-cluster.js';

const NOTICE_MS = 5;

describe('notices of commits', () => {
  const world = new FakeWorld();
  const told: string[] = [];
  const notices = new CommitNotices<string>(world.timers, NOTICE_MS, (group) => told.push(group));

  beforeEach(() => told.splice(0));

  it('are given together, once for each group, after a moment', async () => {
    notices.owed('a');
    notices.owed('b');
    notices.owed('a');
    await world.run(NOTICE_MS - 1);
    expect(told).to.deep.equal([]);
    await world.run(1);
    expect(told).to.deep.equal(['a', 'b']);
    await world.run(10 * NOTICE_MS);
    expect(told).to.deep.equal(['a', 'b']);
  });

  it('wait no longer because more come', async () => {
    notices.owed('a');
    await world.run(NOTICE_MS - 1);
    notices.owed('b');
    await world.run(1);
    expect(told).to.deep.equal(['a', 'b']);
  });

  it('are not for groups that have ended, and end with the host', async () => {
    notices.owed('a');
    notices.owed('b');
    notices.forget('a');
    await world.run(NOTICE_MS);
    expect(told).to.deep.equal(['b']);
    notices.owed('c');
    notices.stop();
    await world.run(NOTICE_MS);
    expect(told).to.deep.equal(['b']);
  });
});

describe('followers', () => {
  /** Long before the next heartbeat. */
  async function afterHeartbeat(
    cluster: TestCluster,
    group: number,
  ): Promise<{ leader: TestBroker; heartbeats: () => number }> {
    const leader = await cluster.leader(group);
    await cluster.commit(leader, group, 'before');
    let count = 0;
    const deliver = cluster.network.deliver.bind(cluster.network);
    cluster.network.deliver = (from, to, messages: readonly PeerMessage[]) => {
      for (const { message } of messages) if (message.kind === 'heartbeatRequest') count += 1;
      deliver(from, to, messages);
    };
    await cluster.world.run(200);
    count = 0;
    await cluster.world.until(() => count > 0);
    await cluster.world.run(2);
    count = 0;
    return { leader, heartbeats: () => count };
  }
  const lastOf = (broker: TestBroker, group: number): string | undefined =>
    broker.owner(group).machine.commands.at(-1);

  it('hear of a commit within the time for it, and of many in one message', async () => {
    const cluster = new TestCluster(3, { commitNoticeMs: NOTICE_MS });
    await cluster.open(1);
    const { leader, heartbeats } = await afterHeartbeat(cluster, 1);
    for (const command of ['a', 'b', 'c']) await cluster.commit(leader, 1, command);
    await cluster.world.run(NOTICE_MS + 2);
    for (const broker of cluster.brokers) expect(lastOf(broker, 1)).to.equal('c');
    expect(heartbeats()).to.be.at.most(2 * cluster.followers(leader).length);
  });

  it('hear of commits from the entries that follow, without a message of their own', async () => {
    const cluster = new TestCluster(3, { commitNoticeMs: 80 });
    await cluster.open(1);
    const { leader, heartbeats } = await afterHeartbeat(cluster, 1);
    for (let i = 0; i < 6; i += 1) await cluster.commit(leader, 1, `${i}`);
    await cluster.world.run(2);
    expect(heartbeats()).to.equal(0);
    for (const broker of cluster.followers(leader)) expect(lastOf(broker, 1)).to.equal('4');
  });

  it('hear at once in groups that say so', async () => {
    const cluster = new TestCluster(3, { commitNoticeMs: 60 });
    for (const broker of cluster.brokers) {
      await broker.open(cluster.spec(1), { tellsCommitAtOnce: true });
    }
    const { leader, heartbeats } = await afterHeartbeat(cluster, 1);
    await cluster.commit(leader, 1, 'a');
    await cluster.world.run(2);
    for (const broker of cluster.brokers) expect(lastOf(broker, 1)).to.equal('a');
    expect(heartbeats()).to.equal(cluster.followers(leader).length);
  });
});
