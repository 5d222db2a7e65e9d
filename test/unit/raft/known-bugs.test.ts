import { expect } from 'chai';
import { InvariantError } from '../../../src/base/assert.js';
import { membershipOf } from '../../../src/model/membership.js';
import { brokerId, term } from '../../../src/model/ids.js';
import type { Message } from '../../../src/raft/message.js';
import {
  acked,
  append,
  base,
  entry,
  heartbeat,
  heartbeatAnswer,
  id,
  refused,
  voteAnswer,
  voteRequest,
} from '../../support/raft-messages.js';
import { RaftNet, type InFlight } from '../../support/raft-net.js';
import { follower, give, sent, status } from '../../support/raft-steps.js';

/** Bugs that real systems had (RB numbers), each as the story that once went wrong. */

function kinds(messages: readonly InFlight[]): string[] {
  return messages.map((m) => m.kind);
}

describe('bugs that other logs had: log and commit', () => {
  /**
   * Fig. 8 up to its third picture: S1 leads in term 4; its entry 2 of term 2 is on S1, S2 and S3, and
   * its opening entry 3 on nobody else. S5, down, has an entry 2 of term 3.
   */
  function figure8(): RaftNet {
    const net = new RaftNet();
    const log = (member: number, t: number, ...entries: string[]): void => {
      net.add(member, membershipOf([1, 2, 3, 4, 5]), (disk) => {
        disk.entries = entries.map((at) => entry(at, at));
        const votedFor = t === 3 ? brokerId(5) : undefined;
        disk.hardState = { term: term(t), votedFor, needsRepair: false };
      });
    };
    log(1, 2, '1/1', '2/2');
    log(2, 2, '1/1', '2/2');
    log(3, 3, '1/1');
    log(4, 3, '1/1');
    log(5, 3, '1/1', '3/2');
    net.crash(5);
    const isVote = (m: InFlight): boolean => m.kind !== 'appendRequest';
    // The first campaign tells S1 of term 3, the second is won.
    for (let i = 0; i < 100 && status(net, 1).role !== 'leader'; i++) {
      net.tick(1);
      for (const member of [1, 2, 3, 4]) while (net.run(member));
      while (net.deliver(isVote) > 0) for (const member of [1, 2, 3, 4]) while (net.run(member));
    }
    net.drop();
    give(net, append(base(1, 3, 4), '1/1', [entry('2/2', '2/2')]));
    while (net.run(3));
    net.deliver((m) => m.from === 3);
    return net;
  }

  it('RB01: an entry of an earlier term on a majority is not committed, and may be lost', () => {
    const net = figure8();
    expect(status(net, 1)).deep.include({ role: 'leader', term: 4, last: id('4/3'), commit: 0 });
    expect(status(net, 1).peers.find((p) => p.id === 3)).include({ match: 2 });
    net.crash(1);
    net.crash(2);
    net.drop();
    net.restart(5);
    net.tickAll(80);
    expect(status(net, 5).role).equal('leader');
    expect(net.get(3).disk.entry(2)?.term).equal(3);
  });

  it('RB01: once an entry of its own term is committed, nobody without it is elected', () => {
    const net = figure8();
    give(net, append(base(1, 3, 4), '2/2', [entry('4/3')]));
    give(net, append(base(1, 2, 4), '2/2', [entry('4/3')]));
    for (const member of [2, 3]) while (net.run(member));
    net.deliver((m) => m.to === 1);
    expect(status(net, 1).commit).equal(3);
    net.crash(1);
    net.drop();
    net.restart(5);
    for (let i = 0; i < 200; i++) {
      net.tickAll();
      expect(status(net, 5).role).not.equal('leader');
    }
    expect([2, 3].some((member) => status(net, member).role === 'leader')).equal(true);
  });

  it('RB02: a late duplicate append truncates nothing', () => {
    const net = follower(['1/1'], { t: 1, leader: 2 });
    const first = append(base(2, 1, 1), '1/1', [entry('1/2'), entry('1/3')]);
    give(net, first);
    give(net, append(base(2, 1, 1), '1/3', [entry('1/4'), entry('1/5')], 5));
    net.stabilize([1]);
    net.drop();
    give(net, first);
    expect(status(net, 1)).deep.include({ last: id('1/5'), commit: 5 });
    const [answer] = sent(net, 1);
    expect(answer).deep.include({ outcome: { ok: true, match: 5 } });
  });

  it('RB02: a conflict at or below the commit index stops the replica', () => {
    const net = follower(['1/1', '1/2', '1/3'], { t: 1, leader: 2 });
    give(net, append(base(2, 1, 1), '1/3', [], 3));
    const forged = append(base(3, 1, 2), '1/1', [entry('2/2')]);
    expect(() => {
      give(net, forged);
    }).throw(InvariantError);
  });

  it('RB03: acknowledgements that come after stepping down commit nothing', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.propose(1, 'lost');
    net.run(1);
    net.drop();
    give(net, append(base(2, 1, 2), '1/1', [entry('2/2')]));
    give(net, acked(base(2, 1, 1), 1, 2));
    give(net, acked(base(3, 1, 1), 1, 2));
    expect(status(net, 1)).deep.include({ role: 'follower', commit: 1, last: id('2/2') });
  });

  it('RB04: a stale refusal after a reordered append never moves next back to match', () => {
    const net = RaftNet.of(2);
    net.elect(1);
    net.propose(1, 'a');
    net.run(1);
    net.propose(1, 'b');
    net.run(1);
    const [a1, a2] = net.drop() as [Message, Message];
    give(net, a2);
    net.run(2);
    const [stale] = net.drop() as [Message];
    give(net, a1);
    while (net.run(2));
    net.deliver();
    net.step(1, { kind: 'peerUnreachable', peer: brokerId(2) });
    give(net, stale);
    const [peer] = status(net, 1).peers;
    expect(peer).include({ match: 2, next: 3 });
    give(net, heartbeatAnswer(base(2, 1, 1)));
    net.stabilize();
    expect(net.appliedTexts(2)).deep.equal(['a', 'b']);
  });

  it('RB05: a lone leader acknowledges nothing before its disk has it', () => {
    const net = RaftNet.of(1);
    net.elect(1);
    net.get(1).isDiskHeld = true;
    net.propose(1, 'a');
    net.stabilize();
    expect(net.appliedTexts(1)).deep.equal([]);
    net.crash(1);
    net.restart(1);
    expect(status(net, 1).last).deep.equal(id('1/1'));
  });

  it('RB06: a vote request waits for the whole log it speaks of', () => {
    const net = follower(['1/1'], { t: 1, leader: 2 });
    net.get(1).isDiskHeld = true;
    give(net, append(base(2, 1, 1), '1/1', [entry('1/2')]));
    net.run(1);
    net.step(1, { kind: 'connectionLost', peer: brokerId(2) });
    net.campaign(1);
    net.run(1);
    give(net, voteAnswer('preVoteResponse', base(3, 1, 2), true));
    expect(kinds(sent(net, 1))).deep.equal([]);
    net.persist(1);
    const requests = sent(net, 1);
    expect(kinds(requests)).deep.equal(['voteRequest', 'voteRequest']);
    expect(requests[0]).deep.include({ lastLog: id('1/2') });
  });

  it('RB07: a completed write does not speak for what replaced it', () => {
    const net = follower(['1/1'], { t: 1, leader: 2 });
    net.get(1).isDiskHeld = true;
    const writeFrom = (leader: number, t: number): void => {
      give(net, append(base(leader, 1, t), '1/1', [entry(`${t}/2`), entry(`${t}/3`)]));
      net.run(1);
      net.drop();
    };
    writeFrom(2, 2);
    writeFrom(3, 3);
    writeFrom(2, 4);
    net.persist(1, 1);
    expect(status(net, 1).durable, 'the entries of term 2 are gone').equal(1);
    net.persist(1, 1);
    expect(status(net, 1).durable, 'and so are those of term 3').equal(1);
    // The opening answer of each term names what all terms share.
    for (const m of sent(net, 1)) expect(m).deep.include({ outcome: { ok: true, match: 1 } });
    net.persist(1, 1);
    expect(status(net, 1).durable).equal(3);
    expect(sent(net, 1).at(-1)).deep.include({ outcome: { ok: true, match: 3 }, term: 4 });
  });

  it('RB08: a leader never gives one index of its term to two entries', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.get(1).isDiskHeld = true;
    const seen = new Set<number>();
    for (const text of ['a', 'b', 'c']) {
      const result = net.propose(1, text);
      expect(result.accepted).equal(true);
      if (result.accepted) seen.add(result.first.index);
      // Nothing in the core's interface takes an accepted entry back while it leads.
      net.step(1, { kind: 'peerUnreachable', peer: brokerId(2) });
      net.tick(1, 3);
    }
    expect([...seen]).deep.equal([2, 3, 4]);
  });

  it('RB10: repeated refusals never bring next to match or below 1', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.propose(1, 'a', 'b');
    net.stabilize();
    for (let i = 0; i < 5; i++) {
      for (const prev of [3, 2, 1, 0]) give(net, refused(base(2, 1, 1), prev, '0/0'));
      const peer = status(net, 1).peers.find((p) => p.id === 2)!;
      expect(peer.next).greaterThan(peer.match);
      expect(peer.match).equal(3);
    }
  });
});

describe('bugs that other logs had: votes and terms', () => {
  it('RB13: after a restart, a vote that left is still given', () => {
    const net = RaftNet.of(3);
    give(net, voteRequest(base(1, 3, 5), '0/0'));
    net.run(3);
    net.run(3);
    expect(net.drop()[0]).include({ kind: 'voteResponse', granted: true });
    net.crash(3);
    net.restart(3);
    give(net, voteRequest(base(2, 3, 5), '0/0'));
    expect(sent(net, 3)[0]).include({ kind: 'voteResponse', granted: false, term: 5 });
  });

  it('RB14: term and vote are one record of one write', () => {
    const net = RaftNet.of(3);
    net.get(3).isDiskHeld = true;
    give(net, voteRequest(base(1, 3, 5), '0/0'));
    net.run(3);
    const { writes } = net.get(3);
    expect(writes.map((w) => w.hardState)).deep.equal([
      { term: 5, votedFor: 1, needsRepair: false },
    ]);
  });

  it('RB15: stepping down within a term keeps the vote', () => {
    const net = RaftNet.of(3);
    give(net, voteRequest(base(1, 3, 5), '0/0'));
    give(net, append(base(1, 3, 5), '0/0', [entry('4/1')]));
    net.stabilize([3]);
    net.drop();
    net.step(3, { kind: 'connectionLost', peer: brokerId(1) });
    give(net, voteRequest(base(2, 3, 5), '4/9'));
    expect(sent(net, 3).at(-1)).include({ kind: 'voteResponse', granted: false });
    expect(status(net, 3).votedFor).equal(1);
  });

  it('RB16: a candidate counts its own vote only once it is durable', () => {
    const net = RaftNet.of(3);
    net.get(1).isDiskHeld = true;
    net.campaign(1);
    net.run(1);
    give(net, voteAnswer('preVoteResponse', base(2, 1, 1), true));
    net.run(1);
    // A vote that overtakes the disk: with the own one it would be a majority.
    give(net, voteAnswer('voteResponse', base(2, 1, 1), true));
    expect(status(net, 1).role).equal('candidate');
    net.persist(1);
    expect(status(net, 1).role).equal('leader');
  });

  it('RB16: an earlier write that completes is not the vote’s', () => {
    const net = follower(['1/1'], { t: 1, leader: 2 });
    net.get(1).isDiskHeld = true;
    give(net, append(base(2, 1, 1), '1/1', [entry('1/2')]));
    net.run(1);
    net.step(1, { kind: 'connectionLost', peer: brokerId(2) });
    net.run(1);
    give(net, voteAnswer('preVoteResponse', base(3, 1, 2), true));
    net.run(1);
    net.persist(1, 1);
    give(net, voteAnswer('voteResponse', base(3, 1, 2), true));
    expect(status(net, 1).role).equal('candidate');
    net.persist(1, 1);
    expect(status(net, 1).role).equal('leader');
  });

  it('RB17: late answers of an older term elect and acknowledge nothing', () => {
    const net = RaftNet.of(3);
    net.campaign(1);
    net.run(1);
    give(net, voteAnswer('preVoteResponse', base(2, 1, 1), true));
    net.stabilize([1]);
    expect(status(net, 1)).include({ role: 'candidate', term: 1 });
    net.campaignAgain(1);
    give(net, voteAnswer('preVoteResponse', base(2, 1, 2), true));
    net.stabilize([1]);
    expect(status(net, 1)).include({ role: 'candidate', term: 2 });
    give(net, voteAnswer('voteResponse', base(2, 1, 1), true));
    give(net, voteAnswer('voteResponse', base(3, 1, 1), true));
    expect(status(net, 1).role).equal('candidate');
    give(net, voteAnswer('voteResponse', base(2, 1, 2), true));
    expect(status(net, 1).role).equal('leader');
    net.run(1);
    expect(status(net, 1).durable).equal(1);
    give(net, acked(base(2, 1, 1), 0, 1));
    expect(status(net, 1).commit).equal(0);
    give(net, acked(base(2, 1, 2), 0, 1));
    expect(status(net, 1).commit).equal(1);
  });

  it('RB18: another leader in the own term stops the leader, whatever it says', () => {
    const forged: Message[] = [
      append(base(2, 1, 1), '0/0', [entry('1/1')]),
      heartbeat(base(2, 1, 1)),
    ];
    for (const message of forged) {
      const net = RaftNet.of(3);
      net.elect(1);
      expect(() => {
        give(net, message);
      }).throw(InvariantError, 'one leader a term');
    }
  });

  it('RB18: a follower that hears two leaders of one term stops', () => {
    const net = follower(['1/1'], { t: 1, leader: 2 });
    expect(() => {
      give(net, heartbeat(base(3, 1, 1)));
    }).throw(InvariantError, 'one leader a term');
  });

  it('RB20: votes of removed peers and strangers do not elect', () => {
    const net = RaftNet.of(4);
    net.elect(1);
    net.change(1, [1, 2, 3]);
    net.stabilize();
    net.step(2, { kind: 'connectionLost', peer: brokerId(1) });
    net.run(2);
    give(net, voteAnswer('preVoteResponse', base(4, 2, 2), true));
    give(net, voteAnswer('preVoteResponse', base(9, 2, 2), true));
    expect(status(net, 2)).include({ role: 'preCandidate', term: 1 });
  });
});

describe('bugs that other logs had: membership', () => {
  it('RB21: no change before an entry of the own term is committed', () => {
    // C = {1,2,3,4}. 1 adds 5 and only 5 hears of it; 2 is elected by 3 and 4.
    const net = RaftNet.of(4);
    net.add(5);
    net.elect(1);
    net.isolate(1, 5);
    expect(net.change(1, [1, 2, 3, 4, 5]).accepted).equal(true);
    net.stabilize([1, 5]);
    for (const member of [2, 3, 4]) {
      net.step(member, { kind: 'connectionLost', peer: brokerId(1) });
    }
    while (status(net, 2).role !== 'leader') {
      for (const member of [2, 3, 4]) net.run(member);
      net.deliver((m) => m.kind !== 'appendRequest');
    }
    // Its opening entry has not reached anybody yet: removing 1 now is what once lost data.
    const refusal = { accepted: false, reason: 'membershipBusy', leader: 2 };
    expect(net.change(2, [2, 3, 4])).deep.equal(refusal);
    net.stabilize([2, 3, 4]);
    expect(net.change(2, [2, 3, 4]).accepted).equal(true);
    net.stabilize([2, 3, 4]);
    net.heal();
    net.tickAll(30);
    expect(status(net, 2)).include({ role: 'leader', term: 2 });
    expect(status(net, 2).membership).deep.equal(membershipOf([2, 3, 4]));
  });

  it('RB23: what follows a removal of the leader needs the others alone', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.change(1, [2, 3]);
    net.propose(1, 'bar');
    net.run(1);
    net.drop();
    give(net, acked(base(2, 1, 1), 1, 3));
    expect(status(net, 1), 'one of two').include({ role: 'leader', commit: 1 });
    give(net, acked(base(3, 1, 1), 1, 2));
    expect(status(net, 1)).include({ role: 'follower', commit: 2 });
    net.tick(1, 50);
    while (net.run(1));
    expect(kinds(net.drop())).not.include('voteRequest');
  });

  it('RB26: a leader obeys no answer of a stranger, however high its term', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    give(net, heartbeatAnswer(base(9, 1, 77)));
    give(net, acked(base(9, 1, 77), 0, 1));
    give(net, voteRequest(base(9, 1, 77), '76/99'));
    expect(status(net, 1)).include({ role: 'leader', term: 1 });
  });

  it('RB27: a change that is overwritten is taken back on every replica', () => {
    const net = follower(['1/1'], { t: 1, leader: 2 });
    const grow = membershipOf([1, 2, 3, 4]);
    const leader = RaftNet.of(3);
    leader.elect(1);
    leader.change(1, [1, 2, 3, 4]);
    leader.run(1);
    const change = leader
      .drop()
      .find((m): m is Message & { kind: 'appendRequest' } => m.kind === 'appendRequest')!;
    give(net, append(base(2, 1, 1), '1/1', change.entries));
    expect(status(net, 1).membership).deep.equal(grow);
    give(net, append(base(3, 1, 2), '1/1', [entry('2/2')]));
    expect(status(net, 1).membership).deep.equal(membershipOf([1, 2, 3]));
  });

  it('RB32: whoever leads next leaves the joint configuration, and only once', () => {
    const net = RaftNet.of(3);
    net.add(4);
    net.add(5);
    net.elect(1);
    net.change(1, [3, 4, 5]);
    net.run(1);
    net.deliver();
    for (const member of [2, 3, 4, 5]) net.run(member);
    net.deliver();
    net.run(1);
    net.deliver();
    net.crash(1);
    net.drop();
    for (const member of [2, 3, 4, 5]) {
      net.step(member, { kind: 'connectionLost', peer: brokerId(1) });
    }
    net.tickAll(40);
    const leader = [...net.members.keys()].find((m) => status(net, m).role === 'leader' && m > 1)!;
    expect([3, 4, 5]).include(leader);
    expect(status(net, leader).membership).deep.equal(membershipOf([3, 4, 5]));
    const changes = net.get(leader).disk.entries.filter((e) => e.kind === 'membership');
    expect(changes.length).equal(2);
  });
});

describe('bugs that other logs had: liveness and reads', () => {
  it('RB39: a pre-candidate that hears its leader late deposes nobody', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.tick(1);
    net.run(1);
    const late = net.drop((m) => m.to === 3);
    net.tick(3, 20);
    net.stabilize();
    expect(status(net, 3)).include({ role: 'preCandidate', term: 1 });
    for (const message of late) net.receive(message);
    net.stabilize();
    expect(status(net, 3)).include({ role: 'follower', leader: 1, term: 1 });
    expect(status(net, 1).role).equal('leader');
  });

  it('RB40: a candidate of a lower term learns the term and is elected', () => {
    const net = RaftNet.of(3);
    // 2 is in term 3 with a shorter log; 1 has the longer log and an older term.
    net.add(1, membershipOf([1, 2, 3]), (disk) => {
      disk.entries = [entry('1/1'), entry('1/2')];
      disk.hardState = { term: term(1), votedFor: undefined, needsRepair: false };
    });
    net.add(2, membershipOf([1, 2, 3]), (disk) => {
      disk.entries = [entry('1/1')];
      disk.hardState = { term: term(3), votedFor: brokerId(2), needsRepair: false };
    });
    net.crash(3);
    net.tickAll(60);
    expect(status(net, 1).role).equal('leader');
    expect(status(net, 1).term).greaterThan(3);
  });

  it('RB41: pre-votes of everybody at once do not stand in each other’s way', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const net = RaftNet.of(3);
      net.elect(1);
      net.crash(1);
      for (const member of [2, 3]) net.restart(member, seed * 10 + member);
      net.tickAll(45);
      const roles = [2, 3].map((member) => status(net, member).role);
      expect(roles, `seed ${seed}`).include('leader');
    }
  });

  it('RB43: split votes end, since timeouts are drawn anew', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const net = RaftNet.of(5);
      // All timers start alike: everybody campaigns in the same tick.
      for (const member of net.members.keys()) net.restart(member, seed);
      for (let ticks = 0; ticks < 20; ticks++) {
        for (const member of net.members.keys()) net.tick(member);
      }
      net.stabilize();
      for (const member of net.members.keys()) net.restart(member, seed * 100 + member);
      net.tickAll(100);
      const leaders = [...net.members.keys()].filter((m) => status(net, m).role === 'leader');
      expect(leaders.length, `seed ${seed}`).equal(1);
    }
  });

  it('RB48: a read before the first commit of the term waits for it', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.propose(1, 'seen');
    net.run(1);
    net.deliver();
    for (const member of [2, 3]) net.run(member);
    // 1 committed `seen` and told a client; nobody else knows yet that it is committed.
    net.deliver((m) => m.to === 1);
    net.crash(1);
    net.drop();
    for (const member of [2, 3]) net.step(member, { kind: 'connectionLost', peer: brokerId(1) });
    while (status(net, 2).role !== 'leader') {
      for (const member of [2, 3]) net.run(member);
      net.deliver((m) => m.kind !== 'appendRequest');
    }
    expect(status(net, 2).commit).equal(1);
    net.step(2, { kind: 'readBarrier', token: 7 });
    net.run(2);
    give(net, heartbeatAnswer(base(3, 2, 2), 0));
    expect(net.get(2).barriers).deep.equal([]);
    net.stabilize();
    expect(net.get(2).barriers).deep.equal(['7@3']);
  });

  it('RB48: an answer to an earlier round confirms no later read', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.step(1, { kind: 'readBarrier', token: 1 });
    net.run(1);
    net.step(1, { kind: 'readBarrier', token: 1 });
    net.run(1);
    net.drop();
    give(net, heartbeatAnswer(base(2, 1, 1), 1));
    net.run(1);
    expect(net.get(1).barriers).deep.equal(['1@1']);
    give(net, heartbeatAnswer(base(3, 1, 1), 1));
    net.run(1);
    expect(net.get(1).barriers).deep.equal(['1@1']);
    give(net, heartbeatAnswer(base(3, 1, 1), 2));
    net.run(1);
    expect(net.get(1).barriers).deep.equal(['1@1', '1@1']);
  });

  it('RB48: a round nobody began is not believed', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    give(net, heartbeatAnswer(base(2, 1, 1), 99));
    net.step(1, { kind: 'readBarrier', token: 1 });
    net.run(1);
    expect(net.get(1).barriers).deep.equal([]);
    expect(net.node(1).inspect().implausibleMessages).equal(1);
  });
});
