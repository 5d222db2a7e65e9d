import { expect } from 'chai';

import { GROUP } from '../metadata/group-support.js';
import { CoordinatorBench, GROUP_RETENTION_MS } from './support/coordinator-bench.js';

const EVICTIONS = 'group_evictions_total';

describe("the group coordinator's sessions", () => {
  let bench: CoordinatorBench;

  beforeEach(() => {
    bench = new CoordinatorBench();
    bench.activate();
  });
  afterEach(() => bench.coordinator.stop());

  const isMember = (memberId: string): boolean =>
    bench.log.state.consumerGroups.get(GROUP)?.members.has(memberId) === true;

  it('go on after an eviction that failed, also for a member that was heard meanwhile', async () => {
    const m1 = await bench.join('m1');
    const m2 = await bench.join('m2');
    bench.outcome = 'held';
    await bench.world.run(10_500);
    await bench.heartbeat(m1);
    // Shares a place in the list of deadlines with whatever else falls due then.
    await bench.heartbeat(m2);
    await bench.letGo('failed');
    expect(bench.metrics.get(EVICTIONS) ?? 0).to.equal(0);
    bench.outcome = 'applied';
    await bench.world.run(8_000);
    expect([isMember('m1'), isMember('m2')]).to.eql([true, true]);
    await bench.world.run(5_000);
    expect([isMember('m1'), isMember('m2')]).to.eql([false, false]);
    expect(bench.metrics.get(EVICTIONS)).to.equal(2);
    expect(m1.error?.message).to.match(/silent/);
  });

  it('end the time for which a group is idle, and without them it expires', async () => {
    await bench.join('m1');
    bench.log.leave('m1');
    bench.published();
    const isThere = (): boolean => bench.log.state.consumerGroups.get(GROUP) !== undefined;
    await bench.world.run(GROUP_RETENTION_MS * 0.7);
    await bench.join('m2');
    bench.log.leave('m2');
    bench.published();
    await bench.world.run(GROUP_RETENTION_MS * 0.9);
    expect(isThere(), 'm2 was there since').to.equal(true);
    await bench.world.run(GROUP_RETENTION_MS * 0.3);
    expect(isThere()).to.equal(false);
    expect(bench.lines.map(({ text }) => text)).to.include(
      'consumer groups that were idle for too long are gone',
    );
  });

  it('count no time that another coordinator may have told of', async () => {
    await bench.join('m1');
    bench.log.leave('m1');
    bench.published();
    const { state } = bench.log;
    await bench.world.run(GROUP_RETENTION_MS / 2);
    const before = state.idleGroups.timeOf(GROUP);
    expect(before).to.be.within(GROUP_RETENTION_MS * 0.4, GROUP_RETENTION_MS / 2);
    bench.coordinator.deactivate();
    await bench.world.run(GROUP_RETENTION_MS);
    bench.activate();
    await bench.world.run(GROUP_RETENTION_MS / 10);
    const since = state.idleGroups.timeOf(GROUP) - before;
    expect(since).to.be.within(1, GROUP_RETENTION_MS / 10);
  });

  it('try an eviction again that failed', async () => {
    await bench.join('m1');
    bench.outcome = 'failed';
    await bench.world.run(10_600);
    expect(isMember('m1')).to.equal(true);
    bench.outcome = 'applied';
    await bench.world.run(1_500);
    expect(isMember('m1')).to.equal(false);
  });

  it('are not touched by an eviction of another life of the member', async () => {
    await bench.join('m1');
    bench.outcome = 'held';
    await bench.world.run(10_500);
    bench.log.leave('m1');
    bench.published();
    bench.outcome = 'applied';
    await bench.join('m1');
    await bench.letGo('failed');
    await bench.world.run(9_000);
    expect(isMember('m1')).to.equal(true);
    await bench.world.run(3_000);
    expect(isMember('m1')).to.equal(false);
  });

  // Seed 1083 of the simulator: one that crashed after such a join stayed for ever.
  for (const isConnected of [true, false]) {
    const how = isConnected ? '' : ', though its stream is over by then';
    it(`start anew for one that joins in the run of entries that evicts it${how}`, async () => {
      await bench.join('m1');
      bench.outcome = 'held';
      await bench.world.run(10_500);
      const again = await bench.join('m1');
      if (!isConnected) again.participation.closed();
      await bench.letGoTogether();
      bench.outcome = 'applied';
      expect(bench.metrics.get(EVICTIONS)).to.equal(1);
      expect(again.responses).to.have.length(isConnected ? 1 : 0);
      await bench.world.run(9_000);
      expect(isMember('m1')).to.equal(true);
      await bench.world.run(3_000);
      expect(isMember('m1')).to.equal(false);
      expect(bench.metrics.get(EVICTIONS)).to.equal(2);
    });
  }

  it('start anew for one whose eviction could not be followed before it is back', async () => {
    const evicted = await bench.join('m1');
    bench.outcome = 'held';
    await bench.world.run(10_500);
    const { consumerGroups } = bench.log.state;
    const get = consumerGroups.get.bind(consumerGroups);
    const published = bench.published.bind(bench);
    bench.published = () => {
      consumerGroups.get = () => {
        throw new Error('broken');
      };
      published();
      consumerGroups.get = get;
    };
    await bench.letGo('applied');
    bench.published = published;
    expect(bench.lines.filter(({ level }) => level === 'error')).to.have.length(1);
    expect(evicted.error?.message).to.match(/silent/);
    bench.outcome = 'applied';
    const again = await bench.join('m1');
    again.participation.closed();
    await bench.world.run(9_000);
    expect(isMember('m1')).to.equal(true);
    await bench.world.run(3_000);
    expect(isMember('m1')).to.equal(false);
  });

  it('are as short as the member asks when it joins again', async () => {
    await bench.join('m1', { sessionTimeoutMs: 60_000 });
    const { epoch: memberEpoch } = bench.log.member('m1');
    await bench.join('m1', { memberEpoch, sessionTimeoutMs: 2_000 });
    await bench.world.run(3_100);
    expect(isMember('m1')).to.equal(false);
  });

  it('believe what the present stream says that the member holds, not an earlier one', async () => {
    const first = await bench.join('m1');
    bench.outcome = 'held';
    await bench.heartbeat(first, { owned: [], rack: 'r1' });
    const { topicId, partition } = bench.log.member('m1').assigned[0]!;
    const owned = [{ topic: 'a', topicId, partitions: [partition] }];
    const { epoch: memberEpoch } = bench.log.member('m1');
    const second = await bench.join('m1', { memberEpoch, owned });
    expect(second.responses).to.have.length(1);
    await bench.letGo('applied');
    expect(bench.coordinator.sessionOf(GROUP, 'm1')?.owned).to.eql([{ topicId, partition }]);
  });

  it('begin for every group with a leadership, though one group cannot be followed', async () => {
    await bench.join('m1');
    await bench.join('m2', { group: 'others' });
    bench.coordinator.deactivate();
    const { consumerGroups } = bench.log.state;
    const get = consumerGroups.get.bind(consumerGroups);
    consumerGroups.get = (name) => {
      if (name === GROUP) throw new Error('broken');
      return get(name);
    };
    bench.activate();
    consumerGroups.get = get;
    expect(bench.coordinator.sessionOf('others', 'm2')).to.not.equal(undefined);
    expect(bench.lines.filter(({ level }) => level === 'error')).to.have.length(1);
    expect(bench.coordinator.sessionOf(GROUP, 'm1')).to.equal(undefined);
    await bench.world.run(600);
    // Followed late, it has a full session from then on.
    expect(bench.coordinator.sessionOf(GROUP, 'm1')).to.not.equal(undefined);
    await bench.world.run(11_000);
    expect([isMember('m1'), get('others')?.members.size]).to.eql([false, 0]);
  });

  it('do not begin once the coordinator has stopped', async () => {
    await bench.join('m1');
    bench.coordinator.stop();
    bench.activate();
    expect(bench.coordinator.sessionOf(GROUP, 'm1')).to.equal(undefined);
    await bench.world.run(11_000);
    expect(isMember('m1')).to.equal(true);
  });

  it('end with the leadership, though it ends while members are told of another one', async () => {
    await bench.join('m1');
    await bench.join('m2', { group: 'others' });
    bench.coordinator.deactivate();
    const { consumerGroups } = bench.log.state;
    const get = consumerGroups.get.bind(consumerGroups);
    consumerGroups.get = (name) => {
      bench.coordinator.deactivate();
      return get(name);
    };
    bench.activate();
    consumerGroups.get = get;
    expect(bench.coordinator.sessionOf('others', 'm2')).to.equal(undefined);
    const proposed = bench.proposed.length;
    await bench.world.run(11_000);
    expect(bench.proposed).to.have.length(proposed);
    expect(isMember('m1')).to.equal(true);
  });

  it('do not suffer from the stream of another member, which ends when it fails', async () => {
    const m1 = await bench.join('m1');
    m1.isBroken = true;
    // From the first one partitions are taken, which it is to hear of.
    const m2 = await bench.join('m2');
    await bench.world.run(1_000);
    expect([m1.isEnded, m1.error?.code]).to.eql([true, 'INTERNAL']);
    expect([m2.isEnded, m2.responses.length]).to.eql([false, 1]);
    expect(bench.lines.filter(({ level }) => level === 'error')).to.eql([]);
    // It comes back without what it was to release.
    const { epoch: memberEpoch, assigned } = bench.log.member('m1');
    const partitions = assigned.map(({ partition }) => partition);
    const owned = [{ topic: 'a', topicId: undefined, partitions }];
    await bench.join('m1', { memberEpoch, owned });
    expect(bench.log.member('m2').assigned).to.have.length(2);
    expect(m2.responses.at(-1)?.assignment?.partitions[0]?.partitions).to.have.length(2);
  });

  it('need a stream that joins: one that brings nothing is ended', async () => {
    const idle = bench.open();
    const m1 = await bench.join('m1', { sessionTimeoutMs: 60_000 });
    await bench.world.run(9_900);
    expect(idle.isEnded).to.equal(false);
    await bench.world.run(200);
    expect(idle.error?.code).to.equal('DEADLINE_EXCEEDED');
    await bench.world.run(20_000);
    expect(m1.isEnded).to.equal(false);
    expect(bench.metrics.get('group_members_connected')).to.equal(1);
  });

  it('are refused a pattern that is too long before it is looked at', async () => {
    const long = await bench.join('m1', {
      subscription: { topics: [], pattern: 'a('.repeat(600) },
    });
    expect(long.error?.code).to.equal('INVALID_SUBSCRIPTION');
    expect(long.error?.message).to.match(/at most 1000/);
  });
});

describe('a change of a group that no member asked for', () => {
  it('is done once it is applied, though the leadership ended in the same turn', async () => {
    const bench = new CoordinatorBench();
    bench.activate();
    const m1 = await bench.join('m1', { memberEpoch: 0 });
    m1.participation.request({ kind: 'leave', sequence: 2, isTemporary: false });
    await bench.world.settle();
    bench.outcome = 'held';
    const deletion = bench.coordinator.submit({ kind: 'deleteGroup', group: GROUP });
    await bench.world.settle();
    // A replica that follows again may learn of the new leader and of its own entry's commit at once.
    bench.coordinator.deactivate();
    await bench.letGo('applied');
    expect(bench.log.state.consumerGroups.get(GROUP)).to.equal(undefined);
    await deletion;
    bench.coordinator.stop();
  });
});
