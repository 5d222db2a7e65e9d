import { expect } from 'chai';
import { InvariantError } from '../../../src/base/assert.js';
import { brokerId, logIndex, term } from '../../../src/model/ids.js';
import { encodeMembership, membershipOf } from '../../../src/model/membership.js';
import {
  checkInvariants,
  describeEntries,
  describeEntry,
  describeEvent,
  describeHardState,
  describeMessage,
  describePersist,
  describeProposeResult,
  describeReady,
  describeRole,
  describeSnapshot,
} from '../../../src/raft/debug.js';
import type { RaftEvent } from '../../../src/raft/io.js';
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
import { RaftNet } from '../../support/raft-net.js';

const HEAD = base(1, 2, 7);
const SNAPSHOT = { last: id('3/9'), chain: 5, timeMs: 0, membership: membershipOf([1, 2], [3]) };

describe('one-line printers', () => {
  const messages: [Message, string][] = [
    [voteRequest(HEAD, '6/5', true), '1->2 t7 voteRequest lastLog=6/5 transfer'],
    [voteAnswer('preVoteResponse', HEAD, true, true), '1->2 t7 preVoteResponse granted damaged'],
    [voteAnswer('voteResponse', HEAD, false), '1->2 t7 voteResponse refused'],
    [
      append(HEAD, '6/5', [entry('7/6', 'hello')], 4),
      '1->2 t7 appendRequest prev=6/5 commit=4 [7/6 command "hello"]',
    ],
    [acked(HEAD, 5, 6), '1->2 t7 appendResponse prev=5 match=6'],
    [refused(HEAD, 5, '3/2'), '1->2 t7 appendResponse prev=5 refused hint=3/2'],
    [heartbeat(HEAD, 4), '1->2 t7 heartbeatRequest commit=4'],
    [heartbeatAnswer(HEAD, 3), '1->2 t7 heartbeatResponse round=3'],
    [{ ...HEAD, kind: 'timeoutNow' }, '1->2 t7 timeoutNow'],
    [{ ...HEAD, kind: 'quiesceRequest', last: id('6/5') }, '1->2 t7 quiesceRequest last=6/5'],
    [{ ...HEAD, kind: 'wakeRequest' }, '1->2 t7 wakeRequest'],
    [{ ...HEAD, kind: 'preVoteRequest', lastLog: id('6/5') }, '1->2 t7 preVoteRequest lastLog=6/5'],
  ];
  for (const [message, line] of messages) {
    it(line, () => {
      expect(describeMessage(message)).equal(line);
    });
  }

  const events: [RaftEvent, string][] = [
    [{ kind: 'tick' }, 'tick'],
    [{ kind: 'stalled' }, 'stalled'],
    [{ kind: 'message', message: heartbeat(HEAD) }, '1->2 t7 heartbeatRequest commit=0'],
    [{ kind: 'persisted', ticket: 4 }, 'persisted #4'],
    [
      { kind: 'entriesRead', peer: brokerId(2), slice: { prev: id('1/1'), entries: [] } },
      'entriesRead for 2 after 1/1 []',
    ],
    [{ kind: 'connectionLost', peer: brokerId(2) }, 'connectionLost 2'],
    [{ kind: 'readFailed', peer: brokerId(2) }, 'readFailed 2'],
    [{ kind: 'peerUnreachable', peer: brokerId(2) }, 'peerUnreachable 2'],
    [{ kind: 'campaign', inTicks: 3 }, 'campaign in 3'],
    [
      { kind: 'snapshotReported', peer: brokerId(2), lastIndex: logIndex(9), ok: true },
      'snapshotReported 2 last=9 ok',
    ],
    [{ kind: 'applied', index: logIndex(3) }, 'applied 3'],
    [{ kind: 'readBarrier', token: 8 }, 'readBarrier 8'],
    [{ kind: 'transferLeadership', to: brokerId(2) }, 'transferLeadership to 2'],
    [
      { kind: 'prefixMoved', snapshot: SNAPSHOT },
      'prefixMoved snapshot 3/9 voters=(1 2) learners=(3)',
    ],
    [
      {
        kind: 'snapshotReceived',
        from: brokerId(1),
        term: term(7),
        snapshot: SNAPSHOT,
        repairTarget: logIndex(12),
      },
      'snapshotReceived from 1 t7 snapshot 3/9 voters=(1 2) learners=(3) repairTarget=12',
    ],
    [
      { kind: 'snapshotReported', peer: brokerId(2), lastIndex: logIndex(9), ok: false },
      'snapshotReported 2 last=9 failed',
    ],
  ];
  for (const [event, line] of events) {
    it(line, () => {
      expect(describeEvent(event)).equal(line);
    });
  }

  it('prints entries, long ones and many in short', () => {
    const payload = encodeMembership(membershipOf([1], [2]));
    const membership = { ...entry('2/4'), kind: 'membership', payload } as const;
    expect(describeEntry(membership)).equal('2/4 membership voters=(1) learners=(2)');
    const binary = { ...entry('2/5'), kind: 'batch', payload: new Uint8Array(99) } as const;
    expect(describeEntry(binary)).equal('2/5 batch 99 bytes');
    expect(describeEntry(entry('2/6', 'a'.repeat(30)))).equal(
      `2/6 command "${'a'.repeat(24)}…" (30 bytes)`,
    );
    const many = [1, 2, 3, 4, 5].map((n) => entry(`1/${n}`, 'x'));
    expect(describeEntries(many)).equal('[1/1 command "x", … 5 entries …, 1/5 command "x"]');
  });

  it('prints what a replica keeps', () => {
    const hardState = { term: term(3), votedFor: brokerId(2), needsRepair: true };
    expect(describeHardState(hardState)).equal('t3 vote=2 needsRepair');
    expect(describeSnapshot(SNAPSHOT)).equal('snapshot 3/9 voters=(1 2) learners=(3)');
    const persist = { ticket: 4, hardState, append: undefined, install: SNAPSHOT };
    expect(describePersist(persist)).equal(
      '#4 t3 vote=2 needsRepair install snapshot 3/9 voters=(1 2) learners=(3)',
    );
    expect(describeRole({ role: 'candidate', term: term(3), leader: undefined })).equal(
      'candidate t3 leader=-',
    );
  });

  it('prints a Ready, and what became of a proposal', () => {
    const net = RaftNet.of(1);
    net.campaign(1);
    expect(describeReady(net.node(1).ready())).equal(
      'role candidate t1 leader=-; persist #1 t1 vote=1',
    );
    expect(describeReady(net.node(1).ready())).equal('nothing');
    net.step(1, { kind: 'persisted', ticket: 1 });
    expect(describeReady(net.node(1).ready())).equal(
      'role leader t1 leader=1; persist #2 after 0/0 [1/1 noop]',
    );
    net.step(1, { kind: 'persisted', ticket: 2 });
    expect(describeReady(net.node(1).ready())).equal('committed [1,2)');
    expect(describeProposeResult(net.propose(1, 'x'))).equal('accepted 1/2');
    const refusal = RaftNet.of(1).propose(1, 'x');
    expect(describeProposeResult(refusal)).equal('refused notLeader leader=-');
  });
});

describe('invariant checks', () => {
  it('hold for a core at work, and notice one that contradicts itself', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    const node = net.node(1);
    checkInvariants(node);
    const lying = { ...node.status(), commit: logIndex(99) };
    const status = node.status.bind(node);
    node.status = () => lying;
    expect(() => {
      checkInvariants(node);
    }).throw(InvariantError, 'commit ≤ last');
    node.status = () => ({ ...status(), leader: undefined });
    expect(() => {
      checkInvariants(node);
    }).throw(InvariantError, 'a leader knows itself');
  });
});
