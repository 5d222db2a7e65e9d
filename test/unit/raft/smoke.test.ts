import { expect } from 'chai';
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
