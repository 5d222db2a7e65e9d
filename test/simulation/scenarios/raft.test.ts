import { expect } from 'chai';
import { GOOD_DISK } from '../disk-replica.js';
import { ms } from '../world.js';
import { RaftStage } from './stage.js';

describe('scenarios of Raft groups', () => {
  it('nothing acknowledged is lost when the power goes everywhere at once', async () => {
    const stage = new RaftStage({ disk: { ...GOOD_DISK, syncMax: ms(20) } });
    stage.startAll();
    const leader = await stage.leader();
    for (let i = 0; i < 200; i += 1) {
      expect(stage.propose(leader, `command ${i}`)).to.equal(true);
      await stage.pass(1);
    }
    const acked = Math.max(...stage.acked);
    expect(acked).to.be.greaterThan(50);
    for (const { id } of stage.cluster.brokers) stage.cluster.kill(id, 'power');
    stage.startAll();
    await stage.leader();
    expect(stage.cluster.oracle(1).committedIndex).to.be.at.least(acked);
    await stage.until('all replicas to hold it', () =>
      [1, 2, 3].every((id) => (stage.replica(id)?.watched.applied ?? 0) >= acked),
    );
  });

  it('a leader that is cut off acknowledges nothing, and another takes over', async () => {
    const stage = new RaftStage();
    stage.startAll();
    const old = await stage.leader();
    stage.isolate(old);
    expect(stage.propose(old, 'lost')).to.equal(true);
    await stage.until('a second leader', () => stage.leaders().some((id) => id !== old));
    expect(stage.acked).to.deep.equal([]);
    const next = stage.leaders().find((id) => id !== old) ?? 0;
    expect(stage.propose(next, 'kept')).to.equal(true);
    await stage.until('the acknowledgement', () => stage.acked.length === 1);
    stage.cluster.network.mend();
    await stage.until('the old leader to follow', () => {
      const applied = stage.replica(old)?.watched.applied ?? 0;
      return applied === stage.cluster.oracle(1).committedIndex && stage.leaders().length === 1;
    });
    expect(stage.failed).to.deep.equal(['lost']);
  });

  it('a closed connection makes the others elect at once, not after a timeout', async () => {
    const stage = new RaftStage();
    stage.startAll();
    const leader = await stage.leader();
    await stage.pass(500);
    stage.cluster.kill(leader, 'process');
    const killedAt = stage.scheduler.now;
    await stage.until('a new leader', () => stage.leaders().length === 1);
    expect((stage.scheduler.now - killedAt) / 1_000).to.be.lessThan(150);
  });

  it('a paused leader comes back deposed', async () => {
    const stage = new RaftStage();
    stage.startAll();
    const old = await stage.leader();
    stage.cluster.broker(old).process?.pause();
    await stage.until('another leader', () => stage.leaders().some((id) => id !== old));
    stage.cluster.broker(old).process?.resume();
    await stage.until('one leader', () => stage.leaders().length === 1);
    expect(stage.leaders()).to.not.include(old);
  });

  it('a damaged replica is rebuilt from its peers and counts again', async () => {
    const stage = new RaftStage();
    stage.startAll();
    const leader = await stage.leader();
    for (let i = 0; i < 50; i += 1) stage.propose(leader, `command ${i}`);
    await stage.until('the commits', () => stage.acked.length === 50);
    const victim = leader === 1 ? 2 : 1;
    const { disk } = stage.cluster.broker(victim);
    stage.cluster.kill(victim, 'process');
    for (const groupId of disk.replicas.keys()) disk.damage(groupId);
    stage.cluster.start(victim);
    await stage.until('the damage to be known', () =>
      [...disk.replicas.values()].every((replica) => replica.hardState.needsRepair),
    );
    await stage.until('the repair', () =>
      [...disk.replicas.values()].every(
        ({ hardState, log }) => !hardState.needsRepair && log.last.index > 50,
      ),
    );
    // Whole again: with it, and without one of the others, there is a quorum.
    const other = [1, 2, 3].find((id) => id !== victim && id !== leader) ?? 0;
    stage.cluster.kill(other, 'process');
    stage.propose(leader, 'with the repaired one');
    await stage.until('a commit', () => stage.acked.length === 51);
  });

  it('a failed sync fences the replica, and it comes back', async () => {
    const stage = new RaftStage();
    stage.startAll();
    const leader = await stage.leader();
    for (const replica of stage.cluster.broker(leader).disk.replicas.values()) {
      replica.failsNextSync = true;
    }
    expect(stage.propose(leader, 'unlucky')).to.equal(true);
    await stage.until('the fence', () => stage.replica(leader)?.group?.status() === undefined);
    await stage.until('a leader', () => stage.leaders().length === 1);
    await stage.until('the replica to be open again', () => {
      const applied = stage.replica(leader)?.watched.applied ?? 0;
      return applied === stage.cluster.oracle(1).committedIndex;
    });
  });

  it('a prefix that is gone everywhere reaches a newcomer as a snapshot', async () => {
    const stage = new RaftStage();
    stage.startAll();
    const leader = await stage.leader();
    const late = leader === 3 ? 2 : 3;
    stage.cluster.kill(late, 'process');
    for (let i = 0; i < 40; i += 1) stage.propose(leader, `command ${i}`);
    await stage.until('the commits', () => stage.acked.length === 40);
    await stage.until('everyone alive to have applied them', () =>
      stage.cluster.alive().every(({ id }) => {
        const applied = stage.replica(id)?.watched.applied ?? 0;
        return applied === stage.cluster.oracle(1).committedIndex;
      }),
    );
    for (const { id, app } of stage.cluster.alive()) {
      for (const groupId of app?.replicas.keys() ?? [])
        await stage.result(app?.truncate(groupId, 5) ?? Promise.resolve());
      expect(stage.replica(id)?.group?.firstIndex()).to.be.greaterThan(30);
    }
    stage.cluster.start(late);
    await stage.until('the newcomer to catch up', () => {
      const applied = stage.replica(late)?.watched.applied ?? 0;
      return applied === stage.cluster.oracle(1).committedIndex;
    });
    expect(stage.replica(late)?.group?.firstIndex()).to.be.greaterThan(30);
    expect(stage.replica(late)?.machine.commands).to.equal(40);
  });
});
