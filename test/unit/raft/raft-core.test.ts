import { expect } from 'chai';
import { brokerId, incarnation, logIndex, term } from '../../../src/model/ids.js';
import { base, heartbeat, heartbeatAnswer, voteAnswer } from '../../support/raft-messages.js';
import { RaftNet } from '../../support/raft-net.js';

describe('raft core, the main road', () => {
  it('elects, replicates and commits', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    expect(net.propose(1, 'a', 'b').accepted).equal(true);
    net.stabilize();
    for (const id of [1, 2, 3]) expect(net.appliedTexts(id)).deep.equal(['a', 'b']);
  });

  it('goes on after its leader died', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.propose(1, 'a');
    net.stabilize();
    net.crash(1);
    net.step(2, { kind: 'connectionLost', peer: net.node(2).status().leader! });
    net.step(3, { kind: 'connectionLost', peer: net.node(3).status().leader! });
    net.stabilize();
    expect(net.node(2).status().role).equal('leader');
    net.propose(2, 'b');
    net.stabilize();
    net.restart(1);
    net.tickAll(5);
    for (const id of [1, 2, 3]) expect(net.appliedTexts(id)).deep.equal(['a', 'b']);
  });
});

describe('raft core, who is active', () => {
  it('tells for how long it has heard nothing', () => {
    const net = RaftNet.of(3);
    net.tick(3, 2);
    expect(net.node(3).inspect().electionElapsedTicks).equal(2);
  });

  it('tells at every tick which followers answered within an election timeout', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.tickAll(3);
    const active = (): boolean[] =>
      net
        .node(1)
        .status()
        .peers.map((peer) => peer.isActive);
    const { electionTicks } = net.node(1).inspect().config;
    // Over several checks of the quorum: a check must not make anybody look silent.
    for (let tick = 0; tick < 3 * electionTicks; tick += 1) {
      net.tick(1, 1);
      expect(active(), `before the answers of tick ${tick}`).deep.equal([true, true]);
      net.stabilize();
    }
    net.crash(3);
    net.tickAll(electionTicks + 3);
    expect(active()).deep.equal([true, false]);
  });
});

describe('raft core, who campaigns first', () => {
  it('elects the first leader of a new group within a few ticks', () => {
    const net = RaftNet.of(3);
    net.tickAll(2);
    expect(net.node(1).status().role).equal('leader');
  });

  it('elects a lone voter at once after a restart', () => {
    const net = RaftNet.of(1);
    net.elect(1);
    net.crash(1);
    net.restart(1);
    net.tickAll(1);
    expect(net.node(1).status().role).equal('leader');
  });

  it('waits for a leader it may still hear of after a restart', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    net.crash(2);
    net.restart(2);
    net.tick(2, 9);
    expect(net.node(2).status().role).equal('follower');
  });

  it('spreads the groups of a dead broker over the others', () => {
    const heirs = [0, 1, 2, 3].map((rankSalt) => {
      const net = RaftNet.of(3, { rankSalt });
      net.elect(1);
      net.crash(1);
      for (const id of [2, 3]) net.step(id, { kind: 'connectionLost', peer: brokerId(1) });
      net.stabilize();
      return [2, 3].find((id) => net.node(id).status().role === 'leader');
    });
    expect(heirs).deep.equal([2, 3, 2, 3]);
  });

  for (const isBack of [false, true]) {
    const what = isBack ? 'waits for the vote of' : 'does not wait for the vote of';
    const who = isBack ? 'a lost leader that came back' : 'a leader whose process is gone';
    it(`${what} ${who}`, () => {
      const net = RaftNet.of(3, { rankSalt: 1 });
      net.elect(1);
      net.crash(1);
      net.step(3, { kind: 'connectionLost', peer: brokerId(1) });
      net.drop();
      const refusal = voteAnswer('preVoteResponse', base(2, 3, 1), false);
      net.step(3, { kind: 'message', message: refusal });
      expect(net.node(3).status().role).equal('follower');
      if (isBack) net.step(3, { kind: 'message', message: heartbeatAnswer(base(1, 3, 1, 2)) });
      for (let i = 0; i < 19 && net.node(3).status().role === 'follower'; i++) net.tick(3);
      expect(net.node(3).status().role).equal('preCandidate');
      net.step(3, { kind: 'message', message: refusal });
      expect(net.node(3).status().role).equal(isBack ? 'preCandidate' : 'follower');
    });
  }

  it('does not pile up terms while its own disk is stuck', () => {
    const net = RaftNet.of(3);
    net.get(1).isDiskHeld = true;
    net.campaign(1);
    net.stabilize();
    net.tick(1, 200);
    expect(net.node(1).status()).include({ role: 'candidate', term: 1 });
    net.persist(1);
    net.stabilize();
    net.persist(1);
    expect(net.node(1).status().role).equal('leader');
  });

  it('holds back only so much for a stuck disk', () => {
    const net = RaftNet.of(3);
    net.get(2).isDiskHeld = true;
    for (let i = 0; i < 1000; i++) {
      net.step(2, { kind: 'message', message: heartbeat(base(1, 2, 5)) });
    }
    expect(net.node(2).inspect().heldMessages).equal(256);
  });
});

describe('raft core, who campaigns first after a leader is gone', () => {
  const firstOf = (rankSalt: number): number[] => {
    const net = RaftNet.of(5, { rankSalt });
    net.elect(1);
    net.crash(1);
    for (const id of [2, 3, 4, 5]) net.step(id, { kind: 'connectionLost', peer: brokerId(1) });
    return [2, 3, 4, 5].filter((id) => net.node(id).status().role === 'preCandidate');
  };

  it('is another one from group to group, so that a broker is not given all of them', () => {
    expect([0, 1, 2, 3, 4, 7].map(firstOf)).deep.equal([[2], [5], [4], [3], [2], [3]]);
  });

  it('is nobody because of a stranger, in whatever group', () => {
    for (const rankSalt of [0, 1, 2, 3]) {
      const net = RaftNet.of(5, { rankSalt });
      net.elect(1);
      net.propose(1, 'a');
      net.stabilize();
      net.crash(1);
      const waiting = [2, 3, 4, 5].filter((id) => {
        net.step(id, { kind: 'connectionLost', peer: brokerId(1) });
        return net.node(id).status().role === 'follower';
      });
      for (const id of waiting) {
        const head = { from: brokerId(9), to: brokerId(id), term: term(2) };
        const lastLog = { term: term(0), index: logIndex(0) };
        const rest = { incarnation: incarnation(1), kind: 'preVoteRequest', lastLog } as const;
        net.step(id, { kind: 'message', message: { ...head, ...rest } });
        expect(net.node(id).status().role, `${id} of salt ${rankSalt}`).equal('follower');
      }
    }
  });
});
