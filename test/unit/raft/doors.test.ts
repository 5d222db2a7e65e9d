import { expect } from 'chai';
import { membershipOf } from '../../../src/model/membership.js';
import { brokerId, logIndex, term } from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import type { LogSlice } from '../../../src/model/log-entry.js';
import { acked, append, base, entry, heartbeat, id, refused } from '../../support/raft-messages.js';
import { RaftNet, type InFlight } from '../../support/raft-net.js';
import { follower, give, sent, status } from '../../support/raft-steps.js';

describe('doors of the core', () => {
  it('hands out committed entries once, and none while a snapshot is being installed', () => {
    const net = follower(['1/1'], { t: 1, leader: 2 });
    net.get(1).isDiskHeld = true;
    const snapshot = { last: id('1/5'), chain: 0, timeMs: 0, membership: membershipOf([1, 2, 3]) };
    net.step(1, {
      kind: 'snapshotReceived',
      from: brokerId(2),
      term: term(1),
      snapshot,
      repairTarget: undefined,
    });
    give(net, append(base(2, 1, 1), '1/5', [entry('1/6')], 6));
    const ready = net.node(1).ready();
    expect(ready.persists.map((p) => [p.install?.last.index, p.append?.entries.length])).deep.equal(
      [
        [5, undefined],
        [undefined, 1],
      ],
    );
    expect(ready.committed).equal(undefined);
    expect(status(net, 1).durable).equal(0);
    net.step(1, { kind: 'persisted', ticket: ready.persists[0]!.ticket });
    expect(status(net, 1)).include({ durable: 5, applied: 5 });
    expect(net.node(1).ready().committed).deep.equal({ first: 6, next: 7 });
    expect(net.node(1).ready().committed).equal(undefined);
  });

  it('keeps in memory what is not applied and durable yet', () => {
    const net = RaftNet.of(1);
    net.elect(1);
    net.get(1).isDiskHeld = true;
    net.propose(1, 'a');
    net.run(1);
    net.node(1).trimRecent(0);
    const range = { first: logIndex(2), next: logIndex(3) };
    expect(net.node(1).recent(range, 1)?.length).equal(1);
    net.persist(1);
    net.run(1);
    net.node(1).trimRecent(0);
    expect(net.node(1).recent(range, 1)).equal(undefined);
    expect(net.node(1).recentBytes()).equal(0);
  });

  it('owes followers the commit index until entries, heartbeats or whoever asks for it tell them', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.stabilize();
    const leader = net.node(1);
    const told = (): unknown[] =>
      leader.ready().messages.map((m) => ('commit' in m ? [m.kind, m.to, m.commit] : m.kind));
    expect(leader.owesCommit).equal(false);
    net.propose(1, 'a');
    net.run(1);
    net.persist(1);
    net.drop();
    give(net, acked(base(2, 1, 1), 1, 2));
    expect(told()).deep.equal([]);
    expect(leader.owesCommit).equal(true);
    net.step(1, { kind: 'tellCommit' });
    // The other one has not said that it has the entry.
    expect(told()).deep.equal([['heartbeatRequest', 2, 2]]);
    expect(leader.owesCommit).equal(false);
    net.propose(1, 'b');
    expect(told()).deep.equal([
      ['appendRequest', 2, 2],
      ['appendRequest', 3, 2],
    ]);
    net.step(1, { kind: 'tellCommit' });
    expect(told()).deep.equal([]);
  });

  it('stamps times that never fall', () => {
    const net = RaftNet.of(1);
    net.elect(1);
    const propose = (timeMs: number): number => {
      const payload = new Uint8Array(1);
      const result = net.node(1).propose([{ kind: 'batch', payload, timeMs }]);
      return result.accepted ? result.timeMs : -1;
    };
    expect([propose(500), propose(400), propose(600)]).deep.equal([500, 500, 600]);
  });

  it('wants nothing while nothing happens', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    for (const member of [1, 2, 3]) expect(net.node(member).hasReady()).equal(false);
    net.tick(2);
    expect(net.node(2).hasReady()).equal(false);
  });

  it('ignores catch-up reads it no longer waits for', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    const slice = { prev: id('0/0'), entries: [entry('1/1')] };
    net.step(1, { kind: 'entriesRead', peer: brokerId(2), slice });
    net.step(1, { kind: 'readFailed', peer: brokerId(2) });
    net.run(1);
    expect(net.drop()).deep.equal([]);
  });

  it('fails every waiting read when it steps down', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.step(1, { kind: 'readBarrier', token: 5 });
    give(net, heartbeat(base(2, 1, 2)));
    net.run(1);
    expect(net.get(1).barriers).deep.equal(['5 failed']);
  });
});

describe('what the disk brings for a peer', () => {
  /** 1 leads 2 and 3 with entries of an earlier term that are on disk alone, and reads them for 2. */
  function reading(): RaftNet {
    const net = new RaftNet();
    for (const member of [1, 2, 3]) {
      net.add(member, membershipOf([1, 2, 3]), (disk) => {
        disk.entries = ['1/1', '1/2', '1/3'].map((at) => entry(at, at));
        disk.hardState = { term: term(1), votedFor: undefined, needsRepair: false };
      });
    }
    net.crash(3);
    net.get(1).areReadsHeld = true;
    net.campaign(1);
    net.stabilize();
    net.step(1, { kind: 'peerUnreachable', peer: brokerId(2) });
    give(net, refused(base(2, 1, 2), 4, '0/0'));
    give(net, refused(base(3, 1, 2), 3, '0/0'));
    net.run(1);
    net.drop();
    return net;
  }

  function appendsTo(net: RaftNet, peer: number, slice: LogSlice): InFlight[] {
    net.step(1, { kind: 'entriesRead', peer: brokerId(peer), slice });
    return sent(net, 1).filter((m) => m.to === peer && m.kind === 'appendRequest');
  }

  it('is sent if it fits the log', () => {
    const slice = { prev: id('0/0'), entries: [entry('1/1', '1/1')] };
    expect(appendsTo(reading(), 3, slice).length).equal(1);
  });

  const others: [string, LogSlice][] = [
    ['it is nothing', { prev: id('0/0'), entries: [] }],
    ['it is of another term', { prev: id('0/0'), entries: [entry('2/1')] }],
    ['it ends beyond the log', { prev: id('0/0'), entries: [entry('2/5')] }],
  ];
  for (const [what, slice] of others) {
    it(`is read again if ${what}`, () => {
      const net = reading();
      expect(appendsTo(net, 3, slice)).deep.equal([]);
      net.answerReads(1);
      net.get(1).areReadsHeld = false;
      expect(sent(net, 1).filter((m) => m.to === 3).length).greaterThan(0);
    });
  }
});

describe('reads that wait', () => {
  it('are bounded: one more than the limit fails at once', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    const node = net.node(1);
    for (let token = 1; token <= LIMITS.fetchWaitersMax; token++) {
      node.step({ kind: 'readBarrier', token });
    }
    expect(node.inspect().barriersWaiting).equal(LIMITS.fetchWaitersMax);
    node.step({ kind: 'readBarrier', token: 0 });
    expect(node.ready().barriersFailed).deep.equal([0]);
    expect(node.inspect().barriersWaiting).equal(LIMITS.fetchWaitersMax);
  });
});
