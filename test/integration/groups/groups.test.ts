import { expect } from 'chai';

import { MillraceClient } from '../../../src/client/index.js';
import type { JoinGroup } from '../../../src/rpc/gen/millrace/broker/v1/JoinGroup.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import type { RawGroupMember } from '../../support/raw-group-member.js';
import { RawGroupMembers } from '../../support/raw-group-members.js';

const PARTITIONS = 12;
const SESSION_MS = 1_500;

describe('consumer groups on real brokers', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let client: MillraceClient;
  const members = new RawGroupMembers({
    subscription: { topics: ['jobs'] },
    sessionTimeoutMs: SESSION_MS,
    rebalanceTimeoutMs: 10_000,
  });

  before(async () => {
    cluster = await startCluster(3);
    client = new MillraceClient({ bootstrap: cluster.bootstrap });
    await client.admin.createTopic({ topic: 'jobs', partitions: PARTITIONS, replicationFactor: 3 });
  });

  after(async () => {
    await client.close();
    await cluster.stop();
  });

  function member(group: string, memberId: string, more: JoinGroup = {}): RawGroupMember {
    return members.start(cluster.bootstrap, { group, memberId, ...more });
  }

  it('share a topic, and take over from a member that dies without a word', async () => {
    const { controllerTerm: firstTerm } = await client.admin.describeCluster();
    const m1 = member('share', 'm1');
    await eventually('m1 has all', () => m1.held.length === PARTITIONS);
    const m2 = member('share', 'm2');
    await eventually('both have half', () => m1.held.length === 6 && m2.held.length === 6);
    expect(m1.held.filter((one) => m2.held.includes(one))).to.eql([]);
    m1.kill();
    await eventually('m2 has all', () => m2.held.length === PARTITIONS);
    // Times of sessions are whole milliseconds.
    expect(performance.now() - m1.heardFromMs).to.be.at.least(SESSION_MS - 1);
    expect(m1.heardFromMs).to.be.greaterThan(0);
    expect(m2.lost).to.eql([]);
    const { controllerTerm: lastTerm } = await client.admin.describeCluster();
    const asked = cluster.brokers.length * (1 + lastTerm - firstTerm);
    expect(m2.joins, 'streams to ask for the coordinator').to.be.at.most(asked);
  });

  it('lose nothing and move nothing when the coordinator goes', async () => {
    const m1 = member('failover', 'm1');
    const m2 = member('failover', 'm2');
    await eventually('both have half', () => m1.held.length === 6 && m2.held.length === 6);
    const before = [m1.held, m2.held];
    const taken = [m1.taken.length, m2.taken.length];
    const joins = [m1.joins, m2.joins];
    const { controller } = await client.admin.describeCluster();
    await cluster.brokers[(controller ?? 0) - 1]?.stop();
    await eventually('both are back', () => m1.joins > joins[0]! && m2.joins > joins[1]!);
    await eventually('another broker coordinates', async () => {
      const now = (await client.admin.describeCluster()).controller;
      return now !== undefined && now !== controller;
    });
    // Longer than a session: a member that had not come back would be evicted.
    const until = performance.now() + SESSION_MS * 1.5;
    await eventually('a session goes by', () => performance.now() > until);
    expect([m1.held, m2.held]).to.eql(before);
    expect([m1.taken.length, m2.taken.length]).to.eql(taken);
    expect([...m1.lost, ...m2.lost, ...m1.ended, ...m2.ended]).to.eql([]);
  });
});
