import { expect } from 'chai';

import { DEFAULT_HOST_TUNING } from '../../../src/host/host-options.js';
import { brokerId, logIndex, raftGroupId } from '../../../src/model/ids.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import { membershipOf, NO_MEMBERS } from '../../../src/model/membership.js';
import type { TestBroker } from './support/test-cluster.js';
import { TestCluster } from './support/test-cluster.js';

const codeOf = async (promise: Promise<unknown>): Promise<string> =>
  await promise.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );

describe('three brokers with their Raft groups', () => {
  it('elect a leader, replicate, and tell proposers what was applied', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    const { outcome, answer } = leader.propose(1, 'a');
    expect(answer.accepted).to.equal(true);
    await cluster.world.until(() => outcome.end !== undefined);
    expect(outcome.heard).to.deep.equal(['persisted', 'committed']);
    expect(outcome.result).to.equal(`result ${answer.accepted ? answer.id.index : 0}`);
    await cluster.commit(leader, 1, 'b', 'c');
    await cluster.agree(1, 3);
    expect(leader.owner(1).machine.commands).to.deep.equal(['a', 'b', 'c']);
    expect(leader.owner(1).ready).to.have.length(1);
    const [follower] = cluster.followers(leader);
    expect(follower!.propose(1, 'x').answer).to.deep.equal({
      accepted: false,
      reason: 'notLeader',
      leader: leader.id,
    });
    const led = leader.log.filter((l) => l.text === 'became leader');
    expect(led).to.have.length(1);
    expect(led[0]!.fields['raftGroup']).to.equal(1);
  });

  it('send what many groups have to say to one peer in one call a turn', async () => {
    const cluster = new TestCluster(3, { quiesceAfterTicks: 0 });
    const ids = Array.from({ length: 40 }, (_, at) => at + 1);
    await cluster.open(...ids);
    await cluster.world.run(500);
    cluster.network.calls.length = 0;
    await cluster.world.run(1_000);
    const messages = cluster.network.calls.reduce((sum, call) => sum + call.count, 0);
    // 80 follower links, ten heartbeats and ten answers a second each; six directed pairs of brokers.
    expect(messages).to.be.within(1_500, 1_700);
    expect(cluster.network.calls.length).to.be.lessThan(300);
  });

  it('give a new group its preferred leader at once', async () => {
    const cluster = new TestCluster(3);
    const before = cluster.world.clock.monotonicMs();
    const preferredLeader = brokerId(3);
    for (const broker of cluster.brokers) await broker.open(cluster.spec(1), { preferredLeader });
    const leader = await cluster.leader(1);
    expect(leader.id).to.equal(3);
    expect(cluster.world.clock.monotonicMs() - before).to.be.lessThan(150);
  });

  it('elect the preferred leader though its replica opened before the others had theirs', async () => {
    const cluster = new TestCluster(3);
    const [first, second, third] = cluster.brokers;
    const preferredLeader = brokerId(1);
    await first!.open(cluster.spec(1), { preferredLeader });
    // Its request has arrived everywhere before anybody can answer.
    await cluster.world.run(30);
    expect(first!.group(1).status()!.role).to.equal('preCandidate');
    await second!.open(cluster.spec(1), { preferredLeader });
    await third!.open(cluster.spec(1), { preferredLeader });
    const before = cluster.world.clock.monotonicMs();
    const leader = await cluster.leader(1);
    expect(leader.id).to.equal(1);
    // Less than a tick: nothing had to be asked again.
    expect(cluster.world.clock.monotonicMs() - before).to.be.lessThan(50);
    expect(leader.group(1).status()!.term).to.equal(1);
  });

  it('have leaders again soon after all of them were killed, spread over them', async () => {
    const cluster = new TestCluster(3);
    const ids = Array.from({ length: 12 }, (_, at) => at + 1);
    await cluster.open(...ids);
    for (const id of ids) await cluster.commit(await cluster.leader(id), id, `${id}`);
    for (const broker of cluster.brokers) broker.kill({ isNoticed: true });
    for (const broker of cluster.brokers) broker.start();
    const before = cluster.world.clock.monotonicMs();
    const opening = cluster.brokers.flatMap((b) => ids.map((id) => b.open(cluster.spec(id))));
    await cluster.finished(Promise.all(opening));
    const led = new Map<number, number>();
    for (const id of ids) {
      const leader = await cluster.leader(id);
      led.set(leader.id, (led.get(leader.id) ?? 0) + 1);
    }
    expect(cluster.world.clock.monotonicMs() - before).to.be.lessThan(500);
    expect([...led.values()]).to.deep.equal([4, 4, 4]);
  });

  it('let the first in rank go ahead of who asked before it was open', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    await cluster.commit(await cluster.leader(1), 1, 'a');
    await cluster.agree(1, 1);
    for (const broker of cluster.brokers) broker.kill({ isNoticed: true });
    // In group 1, broker 3 comes first.
    const [early, , first] = cluster.brokers;
    early!.start();
    await early!.open(cluster.spec(1));
    first!.start();
    await cluster.world.until(() => early!.group(1).status()!.role === 'preCandidate');
    await cluster.world.run(300);
    const before = cluster.world.clock.monotonicMs();
    await first!.open(cluster.spec(1));
    const leader = await cluster.leader(1, [early!, first!]);
    expect(leader.id).to.equal(3);
    expect(cluster.world.clock.monotonicMs() - before).to.be.lessThan(100);
    await cluster.commit(leader, 1, 'b');
  });

  it('leave a living leader alone when another one comes back', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    const term = leader.group(1).status()!.term;
    const [back] = cluster.followers(leader);
    back!.kill({ isNoticed: true });
    await cluster.world.run(500);
    back!.start();
    await back!.open(cluster.spec(1), { preferredLeader: back!.id });
    await cluster.world.run(3_000);
    expect(leader.group(1).isLeaderReady()).to.equal(true);
    expect(leader.group(1).status()!.term).to.equal(term);
    expect(back!.group(1).status()!.leader).to.equal(leader.id);
  });

  it('fail over at once when the streams of a dead leader close, and lose nothing', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    await cluster.commit(leader, 1, 'a', 'b');
    leader.kill({ isNoticed: true });
    const before = cluster.world.clock.monotonicMs();
    const rest = cluster.followers(leader);
    const next = await cluster.leader(1, rest);
    expect(cluster.world.clock.monotonicMs() - before).to.be.lessThan(500);
    await cluster.commit(next, 1, 'c');
    await cluster.agree(1, 3, rest);
    leader.start();
    await leader.open(cluster.spec(1));
    await cluster.agree(1, 3);
    expect(leader.disk(1).hardState.needsRepair).to.equal(false);
  });

  it('fail what an isolated leader proposed, and commit what its successor did', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const old = await cluster.leader(1);
    await cluster.commit(old, 1, 'a');
    cluster.network.isolate(old.id);
    const lost = old.propose(1, 'lost').outcome;
    const next = await cluster.leader(1, cluster.followers(old));
    await cluster.commit(next, 1, 'b');
    await cluster.world.until(() => lost.end !== undefined);
    expect(lost.heard).to.deep.equal(['persisted', 'failed']);
    expect(old.group(1).isLeaderReady()).to.equal(false);
    cluster.network.heal(old.id);
    await cluster.agree(1, 2);
    expect(old.owner(1).machine.commands).to.deep.equal(['a', 'b']);
  });

  it('confirm reads on the leader only, and end them in time', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    const [follower] = cluster.followers(leader);
    const good = codeOf(leader.group(1).readBarrier(1_000));
    await cluster.finished(good);
    expect(await good).to.equal('done');
    const refused = codeOf(follower!.group(1).readBarrier(1_000));
    await cluster.finished(refused);
    expect(await refused).to.equal('NOT_LEADER');
    cluster.network.isolate(leader.id);
    const late = codeOf(leader.group(1).readBarrier(300));
    await cluster.finished(late);
    expect(await late).to.equal('DEADLINE_EXCEEDED');
  });

  it('hand leaderships over when asked to, all of them before a stop', async () => {
    const cluster = new TestCluster(3);
    const ids = [1, 2, 3, 4, 5, 6];
    await cluster.open(...ids);
    const leader = await cluster.leader(1);
    const [to] = cluster.followers(leader);
    await cluster.finished(leader.group(1).transferLeadership(to!.id, 2_000));
    expect((await cluster.leader(1)).id).to.equal(to!.id);
    const moved = to!.host.transferAllLeaderships(5_000, { elseAnyone: true });
    await cluster.finished(moved);
    await moved;
    const stillLed = ids.filter((id) => to!.group(id).status()?.role === 'leader');
    expect(stillLed).to.deep.equal([]);
    const bad = codeOf(to!.group(1).transferLeadership(leader.id, 500));
    expect(await bad).to.equal('NOT_LEADER');
  });

  it('change members through a joint configuration, and refuse what makes no sense', async () => {
    const cluster = new TestCluster(4);
    const [one, two, three, four] = cluster.brokers as [
      TestBroker,
      TestBroker,
      TestBroker,
      TestBroker,
    ];
    const spec = cluster.spec(1, [1, 2, 3]);
    for (const broker of [one, two, three]) await broker.open(spec);
    await four.open({ ...spec, bootstrap: NO_MEMBERS });
    const leader = await cluster.leader(1);
    await cluster.commit(leader, 1, 'a');
    const leaving = cluster.brokers.find((b) => b !== leader && b !== four)!;
    const voters = cluster.brokers.filter((b) => b !== leaving).map((b) => b.id);
    const early = codeOf(leader.group(1).changeMembership({ voters, learners: [] }, 5_000));
    await cluster.finished(early);
    expect(await early, 'it has to be filled first').to.equal('THROTTLED');
    await cluster.learn(leader, 1, [four.id]);
    const changed = codeOf(leader.group(1).changeMembership({ voters, learners: [] }, 5_000));
    await cluster.finished(changed);
    expect(await changed).to.equal('done');
    expect(leader.group(1).status()!.membership).to.deep.equal(membershipOf(voters));
    const members = cluster.brokers.filter((b) => b !== leaving);
    await cluster.agree(1, 1, members);
    await leader.group(1).changeMembership({ voters, learners: [] }, 1_000);
    const none = codeOf(leader.group(1).changeMembership({ voters: [], learners: [] }, 1_000));
    expect(await none).to.equal('INVALID_ARGUMENT');
    const follower = members.find((b) => b !== leader)!;
    const refused = codeOf(follower.group(1).changeMembership({ voters, learners: [] }, 1_000));
    expect(await refused).to.equal('NOT_LEADER');
  });

  it('answer messages for unknown groups with nothing but one line in the log', async () => {
    const cluster = new TestCluster(2);
    const [one] = cluster.brokers as [TestBroker, TestBroker];
    const message = {
      kind: 'timeoutNow',
      from: brokerId(2),
      to: brokerId(1),
      term: 1,
      incarnation: 1,
    } as never;
    cluster.network.calls.length = 0;
    for (let i = 0; i < 50; i++) {
      cluster.network.deliver(brokerId(2), brokerId(1), [{ group: raftGroupId(9), message }]);
    }
    await cluster.world.run(200);
    const lines = one.log.filter((l) => /unknown group/.test(l.text));
    expect(lines).to.have.length(1);
    expect(one.metrics.get('raft_messages_unclaimed_total')).to.equal(50);
    expect(cluster.network.calls).to.deep.equal([]);
  });

  it('count a late tick after what has arrived, and once for all that were missed', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    const [follower] = cluster.followers(leader);
    await cluster.world.run(300);
    const { term } = leader.group(1).status()!;
    const message = {
      kind: 'heartbeatRequest',
      from: leader.id,
      to: follower!.id,
      term,
      incarnation: leader.disk(1).incarnation,
      commit: logIndex(0),
      readRound: 0,
      repairTarget: undefined,
    } as const;
    cluster.network.isolate(follower!.id);
    await cluster.world.run(20);
    follower!.steps = [];
    // The process stands still; the tick is due first, and what came meanwhile is read after it.
    cluster.world.freeze(3_000);
    cluster.world.timers.after(0, () =>
      cluster.world.timers.defer(() =>
        cluster.network.deliver(leader.id, follower!.id, [{ group: raftGroupId(1), message }]),
      ),
    );
    await cluster.world.run(1);
    expect(follower!.steps.slice(0, 2)).to.deep.equal(['message', 'tick']);
    expect(follower!.steps.filter((kind) => kind === 'tick')).to.have.length(1);
  });

  it('keep their leaders when all of them stand still', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    await cluster.world.run(300);
    const term = leader.group(1).status()!.term;
    for (let i = 0; i < 5; i++) {
      cluster.world.freeze(5_000);
      await cluster.world.run(200);
    }
    expect(leader.group(1).status()!.term).to.equal(term);
    expect((await cluster.leader(1)).id).to.equal(leader.id);
    expect(leader.metrics.get('raft_ticks_late_total')).to.be.greaterThan(0);
  });

  it('hear once a turn that messages to a peer were dropped', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1, 2);
    const leader = await cluster.leader(1);
    const [gone] = cluster.followers(leader);
    await cluster.world.run(200);
    cluster.network.isolate(gone!.id);
    cluster.network.calls.length = 0;
    leader.steps = [];
    for (let i = 0; i < 20; i++) leader.propose(1, `${i}`);
    await cluster.world.settle();
    expect(cluster.network.calls.filter((call) => call.to === gone!.id)).to.have.length(1);
    expect(leader.steps).to.deep.equal(['peerUnreachable']);
  });

  it('report what they do', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1, 2);
    const leader = await cluster.leader(1);
    await cluster.commit(leader, 1, 'a');
    await cluster.world.run(1_500);
    const sum = (name: string): number =>
      cluster.brokers.reduce((total, b) => total + (b.metrics.get(name) ?? 0), 0);
    expect(sum('raft_groups')).to.equal(6);
    expect(sum('raft_leaders')).to.equal(2);
    expect(sum('raft_replicas_fenced')).to.equal(0);
    expect(sum('raft_proposals_pending')).to.equal(0);
    expect(sum('raft_elections_won_total')).to.equal(2);
    expect(sum('raft_entries_applied_total')).to.equal(9);
  });
});

describe('the life of a replica', () => {
  it('goes on from its checkpoint after a clean stop, without applying anything twice', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    await cluster.commit(leader, 1, 'a', 'b');
    const [follower] = cluster.followers(leader);
    await cluster.agree(1, 2);
    await cluster.finished(follower!.host.stop());
    expect(follower!.disk(1).checkpoint!.index).to.equal(3);
    expect(follower!.disk(1).isOpen).to.equal(false);
    await cluster.commit(leader, 1, 'c');
    follower!.start();
    await follower!.open(cluster.spec(1));
    expect(follower!.owner(1).machine.restores).to.deep.equal([3]);
    await cluster.agree(1, 3);
  });

  it('applies anew what came after its last checkpoint when it was killed', async () => {
    const cluster = new TestCluster(3, { checkpointEntries: 10 });
    await cluster.open(1);
    const leader = await cluster.leader(1);
    for (let i = 0; i < 25; i++) await cluster.commit(leader, 1, `${i}`);
    await cluster.agree(1, 25);
    const [follower] = cluster.followers(leader);
    const saved = follower!.disk(1).checkpoint!.index;
    expect(saved).to.be.within(10, 25);
    follower!.kill({ isNoticed: true });
    await cluster.commit(leader, 1, 'after');
    follower!.start();
    await follower!.open(cluster.spec(1));
    expect(follower!.owner(1).machine.restores).to.deep.equal([saved]);
    await cluster.agree(1, 26);
  });

  it('brings a lagging follower up by a snapshot, and then by entries', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    const [lagging] = cluster.followers(leader);
    cluster.network.isolate(lagging!.id);
    for (let i = 0; i < 30; i++) await cluster.commit(leader, 1, `${i}`);
    const { applied } = leader.group(1).status()!;
    await cluster.finished(
      leader.group(1).truncatePrefix(applied, leader.owner(1).machine.encode()),
    );
    expect(leader.group(1).firstIndex()).to.equal(applied + 1);
    const base = leader.group(1).baseState();
    await cluster.finished(base);
    expect((await base)!.index).to.equal(applied);
    await cluster.commit(leader, 1, 'after');
    cluster.network.heal(lagging!.id);
    await cluster.agree(1, 31);
    expect(lagging!.owner(1).machine.restores).to.deep.equal([0, applied]);
    expect(lagging!.disk(1).snapshot!.meta.last.index).to.equal(applied);
    expect(lagging!.metrics.get('raft_snapshots_installed_total')).to.equal(1);
  });

  it('tries a failed snapshot again after a pause, not in a loop', async () => {
    const cluster = new TestCluster(3, { snapshotRetryMs: 400 });
    await cluster.open(1);
    const leader = await cluster.leader(1);
    const [lagging] = cluster.followers(leader);
    cluster.network.isolate(lagging!.id);
    for (let i = 0; i < 5; i++) await cluster.commit(leader, 1, `${i}`);
    const { applied } = leader.group(1).status()!;
    await cluster.finished(
      leader.group(1).truncatePrefix(applied, leader.owner(1).machine.encode()),
    );
    cluster.network.snapshotError = new Error('no room');
    cluster.network.heal(lagging!.id);
    await cluster.world.run(2_000);
    expect(cluster.network.snapshotsSent).to.be.within(2, 6);
    cluster.network.snapshotError = undefined;
    await cluster.agree(1, 5);
  });

  it('catches up from the disk of the leader what is no longer in memory', async () => {
    const cluster = new TestCluster(3, { recentEntriesBytesMax: 200 });
    await cluster.open(1);
    const leader = await cluster.leader(1);
    const [lagging] = cluster.followers(leader);
    cluster.network.isolate(lagging!.id);
    for (let i = 0; i < 40; i++) await cluster.commit(leader, 1, `${i}`);
    await cluster.world.run(200);
    const range = { first: logIndex(2), next: logIndex(4) };
    expect(leader.group(1).recent(range, 1_000)).to.equal(undefined);
    const read = leader.group(1).read(range, 1_000);
    await cluster.finished(read);
    expect((await read).map((e) => e.index)).to.deep.equal([2, 3]);
    cluster.network.heal(lagging!.id);
    await cluster.agree(1, 40);
  });

  it('applies from disk after a restart, in turns', async () => {
    const cluster = new TestCluster(3, { applyTurnBytesMax: 150, applyReadBytesMax: 150 });
    await cluster.open(1);
    const leader = await cluster.leader(1);
    for (let i = 0; i < 30; i++) await cluster.commit(leader, 1, `${i}`);
    await cluster.agree(1, 30);
    for (const broker of cluster.brokers) broker.kill({ isNoticed: false });
    for (const broker of cluster.brokers) {
      broker.start();
      await broker.open(cluster.spec(1));
    }
    await cluster.agree(1, 30);
    await cluster.commit(await cluster.leader(1), 1, 'after');
    await cluster.agree(1, 31);
  });

  it('ends by an error of its disk, and begins again on the same log', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1, 2);
    const leader = await cluster.leader(1);
    await cluster.commit(leader, 1, 'a');
    leader.disk(1).error = new Error('EIO');
    const lost = leader.propose(1, 'b').outcome;
    await cluster.world.until(() => leader.owner(1).fencings.length > 0);
    expect(lost.end).to.equal('failed');
    expect(leader.group(1).status()).to.equal(undefined);
    expect(leader.propose(1, 'c').answer).to.deep.include({ reason: 'unavailable' });
    expect(await codeOf(leader.group(1).readBarrier(100))).to.equal('BROKER_UNAVAILABLE');
    expect(leader.group(2).status()).to.not.equal(undefined);
    const rest = cluster.followers(leader);
    const next = await cluster.leader(1, rest);
    await cluster.commit(next, 1, 'd');
    leader.disk(1).error = undefined;
    await cluster.world.until(() => leader.group(1).status() !== undefined);
    const count = next.owner(1).machine.commands.length;
    await cluster.agree(1, count);
    expect(leader.stopped).to.deep.equal([]);
  });

  it('waits longer after every failed opening', async () => {
    const cluster = new TestCluster(1, { reopenDelayMinMs: 100, reopenDelayMaxMs: 1_000 });
    const [broker] = cluster.brokers as [TestBroker];
    await broker.open(cluster.spec(1));
    await cluster.leader(1);
    broker.disk(1).openError = new Error('locked');
    broker.disk(1).error = new Error('EIO');
    broker.propose(1, 'x');
    await cluster.world.run(8_000);
    const retries = broker.log.filter((l) => l.text === 'fenced the replica');
    const delays = retries.map((l) => l.fields['retryMs'] as number);
    expect(delays.length).to.be.within(8, 20);
    expect(Math.max(...delays)).to.be.within(500, 1_000);
    expect(delays[0]).to.be.within(50, 100);
    expect(broker.owner(1).fencings).to.have.length(1);
    broker.disk(1).openError = undefined;
    broker.disk(1).error = undefined;
    await cluster.leader(1);
  });

  it('comes back empty and in need of repair when it was damaged, and is rebuilt', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    for (let i = 0; i < 5; i++) await cluster.commit(leader, 1, `${i}`);
    await cluster.agree(1, 5);
    const [victim] = cluster.followers(leader);
    victim!.kill({ isNoticed: true });
    victim!.start();
    victim!.disk(1).isDamaged = true;
    await victim!.open(cluster.spec(1));
    expect(victim!.group(1).status()!.needsRepair).to.equal(true);
    expect(victim!.log.some((l) => l.level === 'warn' && /damaged/.test(l.text))).to.equal(true);
    await cluster.agree(1, 5);
    await cluster.world.until(() => victim!.group(1).status()?.needsRepair === false);
    expect(victim!.disk(1).hardState.needsRepair).to.equal(false);
  });

  it('is verified in the background after it was opened, and fenced on damage', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    await cluster.commit(leader, 1, 'a', 'b');
    await cluster.agree(1, 2);
    const [victim] = cluster.followers(leader);
    victim!.kill({ isNoticed: true });
    victim!.start();
    const opened = victim!.open(cluster.spec(1));
    await cluster.finished(opened);
    expect(victim!.group(1).status()!.needsRepair).to.equal(false);
    await cluster.world.until(() => victim!.disk(1).verified === 1);
    victim!.kill({ isNoticed: true });
    victim!.start();
    victim!.disk(1).error = undefined;
    const again = victim!.open(cluster.spec(1));
    await again;
    victim!.disk(1).isDamaged = true;
    await cluster.world.until(() => victim!.owner(1).fencings.length > 0);
    await cluster.world.until(() => victim!.group(1).status()?.needsRepair === true);
    await cluster.agree(1, 2);
    await cluster.world.until(() => victim!.group(1).status()?.needsRepair === false);
  });

  it('is read again and again while it runs, and rebuilt when its disk rots', async () => {
    const cluster = new TestCluster(3, { scrubEveryMs: 2_400 });
    await cluster.open(1);
    const leader = await cluster.leader(1);
    await cluster.commit(leader, 1, 'a', 'b');
    await cluster.agree(1, 2);
    const [victim] = cluster.followers(leader);
    await cluster.world.until(() => victim!.disk(1).verified === 3);
    expect(victim!.metrics.get('raft_log_verifications_total')).to.be.at.least(2);
    expect(victim!.owner(1).fencings).to.deep.equal([]);
    victim!.disk(1).isDamaged = true;
    await cluster.world.until(() => victim!.owner(1).fencings.length > 0);
    await cluster.world.until(() => victim!.group(1).status()?.needsRepair === true);
    await cluster.agree(1, 2);
    await cluster.world.until(() => victim!.group(1).status()?.needsRepair === false);
    await cluster.finished(victim!.host.stop());
    const { verified } = victim!.disk(1);
    await cluster.world.run(30_000);
    expect(victim!.disk(1).verified).to.equal(verified);
  });

  it('reads every log within a week', () => {
    const { scrubEveryMs } = DEFAULT_HOST_TUNING;
    expect(scrubEveryMs + scrubEveryMs / 12).to.be.lessThan(7 * 24 * 3_600_000);
  });

  it('stops for good on a bug of ours, and harms no other', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(1, 2);
    const leader = await cluster.leader(1);
    const [victim] = cluster.followers(leader);
    victim!.owner(1).machine.apply = () => {
      throw new Error('a bug');
    };
    await cluster.commit(leader, 1, 'a');
    await cluster.world.until(() => victim!.stopped.length > 0);
    await cluster.world.run(30_000);
    expect(victim!.metrics.get('raft_replicas_stopped_total')).to.equal(1);
    expect(victim!.group(1).status()).to.equal(undefined);
    expect(victim!.owner(1).fencings).to.have.length(1);
    expect(victim!.disk(1).isOpen).to.equal(false);
    await cluster.commit(await cluster.leader(2), 2, 'b');
    await cluster.agree(2, 1);
  });

  it('stalls no other while its disk hangs, and costs its leadership at most', async () => {
    const cluster = new TestCluster(3, { closeTimeoutMs: 1_000 });
    await cluster.open(1, 2, 3);
    const leader = await cluster.leader(1);
    leader.disk(1).isStuck = true;
    const stuck = leader.propose(1, 'stuck').outcome;
    for (const id of [2, 3]) await cluster.commit(await cluster.leader(id), id, 'a', 'b');
    for (const id of [2, 3]) await cluster.agree(id, 2);
    // The others' disks make a quorum without it.
    await cluster.world.until(() => stuck.end !== undefined);
    expect(stuck.heard).to.deep.equal(['committed']);
    expect(leader.disk(1).checkpoint).to.equal(undefined);
    const stopped = leader.host.stop();
    await cluster.finished(stopped);
    expect(leader.log.some((l) => /left behind/.test(l.text))).to.equal(true);
    expect([2, 3].map((id) => leader.disk(id).isOpen)).to.deep.equal([false, false]);
  });

  it('hands its leadership over when its disk hangs for long', async () => {
    const cluster = new TestCluster(3, { diskStallMs: 1_000 });
    await cluster.open(1);
    const leader = await cluster.leader(1);
    leader.disk(1).isStuck = true;
    await cluster.commit(leader, 1, 'a');
    const next = await cluster.leader(1, cluster.followers(leader));
    await cluster.commit(next, 1, 'b');
    expect(leader.log.some((l) => l.text === 'the disk hangs')).to.equal(true);
    leader.disk(1).unstick();
    await cluster.agree(1, 2);
  });

  it('hands it to nobody who may not lead, if another can', async () => {
    for (const at of [0, 1]) {
      const cluster = new TestCluster(3, { diskStallMs: 1_000 });
      await cluster.open(1);
      const leader = await cluster.leader(1);
      const reluctant = cluster.followers(leader)[at];
      cluster.mayLead = (id) => id !== reluctant!.id;
      leader.disk(1).isStuck = true;
      await cluster.commit(leader, 1, 'a');
      const next = await cluster.leader(1, cluster.followers(leader));
      expect(next.id).not.to.equal(reluctant!.id);
      expect(reluctant!.owner(1).ready).to.deep.equal([]);
    }
  });

  it('refuses proposals rather than hold without bound what waits for its disk', async () => {
    const config = { ...DEFAULT_RAFT_CONFIG, uncommittedBytesMax: 2_000 };
    const cluster = new TestCluster(3, { diskStallMs: 1e9 }, 1, config);
    await cluster.open(1);
    const leader = await cluster.leader(1);
    leader.disk(1).isStuck = true;
    let accepted = 0;
    for (let i = 0; i < 200 && leader.propose(1, `${i}`).answer.accepted; i++) {
      accepted += 1;
      await cluster.world.run(10);
    }
    expect(accepted).to.be.within(30, 60);
    expect(leader.propose(1, 'x').answer).to.deep.include({ reason: 'tailFull' });
    leader.disk(1).unstick();
    await cluster.world.run(100);
    await cluster.commit(leader, 1, 'y');
  });

  it('saves no checkpoint above what its own disk holds', async () => {
    const cluster = new TestCluster(3, { checkpointEntries: 5 });
    await cluster.open(1);
    const leader = await cluster.leader(1);
    leader.disk(1).isStuck = true;
    for (let i = 0; i < 12; i++) await cluster.commit(leader, 1, `${i}`);
    expect(leader.disk(1).checkpoint).to.equal(undefined);
    leader.disk(1).unstick();
    await cluster.world.until(() => leader.disk(1).checkpoint !== undefined);
    expect(leader.disk(1).checkpoint!.index).to.be.at.most(leader.disk(1).last.index);
    expect(leader.owner(1).fencings).to.deep.equal([]);
  });

  it('closes and deletes as often as it is asked to, and can be opened again', async () => {
    const cluster = new TestCluster(1);
    const [broker] = cluster.brokers as [TestBroker];
    const id = raftGroupId(1);
    await broker.open(cluster.spec(1));
    await cluster.commit(await cluster.leader(1), 1, 'a');
    await cluster.finished(Promise.all([broker.host.close(id), broker.host.close(id)]));
    expect(broker.disk(1).isOpen).to.equal(false);
    expect(broker.propose(1, 'x').answer).to.deep.include({ reason: 'unavailable' });
    await broker.open(cluster.spec(1));
    await cluster.leader(1);
    expect(broker.owner(1).machine.commands).to.deep.equal(['a']);
    const pending = broker.propose(1, 'b').outcome;
    await cluster.finished(Promise.all([broker.host.delete(id), broker.host.delete(id)]));
    expect(pending.end).to.equal('failed');
    expect(broker.store.disks.size).to.equal(0);
    await broker.open(cluster.spec(1));
    await cluster.leader(1);
    expect(broker.owner(1).machine.commands).to.deep.equal([]);
    await cluster.finished(broker.host.stop());
    expect(await codeOf(broker.host.open(cluster.spec(2), broker.owner(1)))).to.equal(
      'SHUTTING_DOWN',
    );
  });

  it('is closed in the middle of its opening', async () => {
    const cluster = new TestCluster(1);
    const [broker] = cluster.brokers as [TestBroker];
    const opening = broker.open(cluster.spec(1));
    const closing = broker.host.close(raftGroupId(1));
    await cluster.finished(Promise.all([opening, closing]));
    expect(broker.group(1).status()).to.equal(undefined);
    expect(broker.store.disks.get(raftGroupId(1))?.isOpen ?? false).to.equal(false);
    await broker.open(cluster.spec(1));
    await cluster.leader(1);
  });
});

describe('a thousand idle Raft groups', () => {
  it('elect and stay quiet', async function () {
    this.timeout(60_000);
    const cluster = new TestCluster(3);
    const ids = Array.from({ length: 1_000 }, (_, at) => at + 1);
    const opened = ids.flatMap((id) => cluster.brokers.map((b) => b.open(cluster.spec(id))));
    await cluster.finished(Promise.all(opened));
    await cluster.world.until(() =>
      ids.every((id) => cluster.brokers.some((b) => b.group(id).isLeaderReady())),
    );
    cluster.network.calls.length = 0;
    const won = (): number =>
      cluster.brokers.reduce((n, b) => n + (b.metrics.get('raft_elections_won_total') ?? 0), 0);
    const before = won();
    await cluster.world.run(2_000);
    expect(won()).to.equal(before);
    expect(cluster.network.calls.length).to.be.lessThan(700);
  });
});
