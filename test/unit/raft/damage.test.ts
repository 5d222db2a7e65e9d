import { expect } from 'chai';
import { membershipOf } from '../../../src/model/membership.js';
import { brokerId, term } from '../../../src/model/ids.js';
import type { PeerStatus, RaftStatus } from '../../../src/raft/io.js';
import type { AppendResponse, HeartbeatResponse, Message } from '../../../src/raft/message.js';
import {
  acked,
  append,
  base,
  entry,
  heartbeat,
  heartbeatAnswer,
  id,
  target,
  voteRequest,
} from '../../support/raft-messages.js';
import { RaftNet, type InFlight } from '../../support/raft-net.js';

function status(net: RaftNet, member: number): RaftStatus {
  return net.node(member).status();
}

function peer(net: RaftNet, id: number): PeerStatus {
  return status(net, 1).peers.find((p) => p.id === id)!;
}

function give(net: RaftNet, message: Message): void {
  net.step(message.to, { kind: 'message', message });
}

function sent(net: RaftNet, member: number): InFlight[] {
  while (net.run(member));
  return net.drop();
}

function repairing<M extends AppendResponse | HeartbeatResponse>(message: M): M {
  return { ...message, repairing: true };
}

/** 1 leads 2 and 3; 3 is about to speak as another life. */
function led(): RaftNet {
  const net = RaftNet.of(3);
  net.elect(1);
  net.propose(1, 'a', 'b');
  net.stabilize();
  return net;
}

/** A damaged replica that holds these entries again. */
function damaged(...entries: string[]): RaftNet {
  const net = new RaftNet();
  net.add(1, membershipOf([1, 2, 3]), (disk) => {
    disk.entries = entries.map((at) => entry(at, at));
    disk.watermark = id('1/5');
    disk.hardState = { term: term(2), votedFor: undefined, needsRepair: true };
  });
  return net;
}

describe('a damaged replica, as its leader sees it', () => {
  it('counts for no commit before it is whole', () => {
    const net = led();
    net.propose(1, 'c');
    net.run(1);
    net.drop();
    give(net, repairing(acked(base(3, 1, 1, 2), 0, 4)));
    expect(peer(net, 3)).include({ match: 4, isRepairing: true });
    expect(status(net, 1).commit).equal(3);
    give(net, acked(base(3, 1, 1, 2), 0, 4));
    expect(status(net, 1).commit).equal(4);
  });

  it('starts at match 0 as another life, with what the leader has by then as its target', () => {
    const net = led();
    net.propose(1, 'c');
    net.run(1);
    net.drop();
    give(net, repairing(heartbeatAnswer(base(3, 1, 1, 2))));
    expect(peer(net, 3)).include({ match: 0, isRepairing: true, state: 'probe' });
    net.propose(1, 'd');
    const toThree = sent(net, 1).filter((m) => m.to === 3);
    expect(toThree.length).greaterThan(0);
    for (const m of toThree) expect(m).deep.include({ repairTarget: target(4, 2) });
  });

  it('is not mistaken for its former life, whose words come late', () => {
    const net = led();
    give(net, repairing(heartbeatAnswer(base(3, 1, 1, 2))));
    give(net, acked(base(3, 1, 1, 1), 1, 3));
    expect(peer(net, 3)).include({ match: 0, isRepairing: true });
    give(net, acked(base(3, 1, 1, 2), 0, 3));
    give(net, acked(base(3, 1, 1, 1), 1, 3));
    expect(peer(net, 3)).include({ match: 3, isRepairing: false });
  });

  it('is not damaged anew by its own late words', () => {
    const net = led();
    give(net, repairing(heartbeatAnswer(base(3, 1, 1, 2))));
    give(net, acked(base(3, 1, 1, 2), 0, 3));
    give(net, repairing(heartbeatAnswer(base(3, 1, 1, 2))));
    expect(peer(net, 3)).include({ match: 3, isRepairing: false });
  });

  it('confirms no read', () => {
    const net = led();
    give(net, repairing(heartbeatAnswer(base(3, 1, 1, 2))));
    net.step(1, { kind: 'readBarrier', token: 1 });
    sent(net, 1);
    give(net, repairing(heartbeatAnswer(base(3, 1, 1, 2), 1)));
    net.run(1);
    expect(net.get(1).barriers).deep.equal([]);
    give(net, heartbeatAnswer(base(2, 1, 1), 1));
    net.run(1);
    expect(net.get(1).barriers).deep.equal(['1@3']);
  });

  it('is handed no leadership', () => {
    const net = led();
    give(net, repairing(heartbeatAnswer(base(3, 1, 1, 2))));
    net.step(1, { kind: 'transferLeadership', to: brokerId(3) });
    expect(status(net, 1).transferringTo).equal(undefined);
  });

  for (const [others, role] of [
    ['one damaged and one silent', 'follower'],
    ['two damaged', 'leader'],
  ] as const) {
    it(`leaves a leader with ${others} a ${role}`, () => {
      const net = led();
      for (let ticks = 0; ticks < 35; ticks++) {
        give(net, repairing(heartbeatAnswer(base(3, 1, 1, 2))));
        if (role === 'leader') give(net, repairing(heartbeatAnswer(base(2, 1, 1, 2))));
        net.tick(1);
        sent(net, 1);
        if (status(net, 1).role !== 'leader') break;
      }
      expect(status(net, 1).role).equal(role);
    });
  }
});

describe('a damaged replica, for itself', () => {
  it('neither campaigns nor obeys an order to', () => {
    const net = damaged('1/1');
    net.tick(1, 100);
    give(net, { ...base(2, 1, 2), kind: 'timeoutNow' });
    expect(status(net, 1)).include({ role: 'follower', term: 2 });
  });

  const candidates: [string, boolean][] = [
    ['1/5', true],
    ['2/1', true],
    ['1/4', false],
  ];
  for (const [lastLog, granted] of candidates) {
    it(`${granted ? 'grants' : 'refuses'} ${lastLog} by what it once held, and says it is damaged`, () => {
      const net = damaged('1/1');
      give(net, { ...base(2, 1, 3), kind: 'preVoteRequest', lastLog: id(lastLog) });
      give(net, voteRequest(base(2, 1, 3), lastLog));
      const answers = sent(net, 1);
      expect(answers.map((m) => m.kind)).deep.equal(['preVoteResponse', 'voteResponse']);
      for (const answer of answers) expect(answer).include({ granted, damaged: true });
      expect(status(net, 1).votedFor).equal(granted ? 2 : undefined);
    });
  }

  it('is whole only when it is durable up to the target and knows that it agrees', () => {
    const net = damaged('1/1', '1/2', '1/3');
    net.get(1).isDiskHeld = true;
    give(net, { ...heartbeat(base(2, 1, 2)), repairTarget: target(4) });
    expect(status(net, 1).needsRepair).equal(true);
    const rest = append(base(2, 1, 2), '1/2', [entry('2/3'), entry('2/4')]);
    give(net, { ...rest, repairTarget: target(4) });
    net.run(1);
    expect(status(net, 1).needsRepair, 'not durable').equal(true);
    net.persist(1);
    expect(status(net, 1).needsRepair).equal(false);
    // Nothing says so before the disk does.
    for (const m of sent(net, 1)) expect(m).include({ repairing: true });
    net.persist(1);
    const [whole] = sent(net, 1);
    expect(whole).deep.include({ repairing: false, outcome: { ok: true, match: 4 } });
    expect(net.get(1).disk.hardState.needsRepair).equal(false);
  });

  it('trusts no entries it has not compared with the leader of this term', () => {
    const net = damaged('1/1', '1/2', '1/3', '1/4');
    give(net, { ...heartbeat(base(2, 1, 2)), repairTarget: target(4) });
    net.stabilize([1]);
    expect(status(net, 1).needsRepair).equal(true);
    give(net, { ...append(base(2, 1, 2), '1/4', []), repairTarget: target(4) });
    expect(status(net, 1).needsRepair).equal(false);
  });

  it('aims at the highest target its leader named', () => {
    const net = damaged('1/1', '1/2', '1/3', '1/4');
    give(net, { ...heartbeat(base(2, 1, 2)), repairTarget: target(9) });
    give(net, { ...append(base(2, 1, 2), '1/4', []), repairTarget: target(4) });
    expect(status(net, 1).needsRepair).equal(true);
  });

  it('stays damaged through a restart in the middle of its repair', () => {
    const net = damaged('1/1', '1/2');
    net.crash(1);
    net.restart(1);
    expect(status(net, 1)).include({ needsRepair: true, durable: 2 });
  });
});
