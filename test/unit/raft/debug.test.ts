import { expect } from 'chai';
import { InvariantError } from '../../../src/base/assert.js';
import { brokerId, logIndex, term } from '../../../src/model/ids.js';
import { encodeMembership, membershipOf } from '../../../src/model/membership.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
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
import type { Asleep, PeerStatus, RaftEvent, RaftStatus, Ready } from '../../../src/raft/io.js';
import type { Message } from '../../../src/raft/message.js';
import type { RaftInspection, RaftNode } from '../../../src/raft/raft-node.js';
import {
  acked,
  append,
  base,
  entry,
  heartbeat,
  heartbeatAnswer,
  id,
  refused,
  target,
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
    [{ kind: 'quiesce' }, 'quiesce'],
    [{ kind: 'wake' }, 'wake'],
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
        repairTarget: target(12),
      },
      'snapshotReceived from 1 t7 snapshot 3/9 voters=(1 2) learners=(3) repairTarget=12@1',
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
    expect(describeEntries([])).equal('[]');
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

  it('prints everything that a Ready asks for', () => {
    const ready: Ready = {
      persists: [],
      messages: [heartbeat(HEAD, 4)],
      committed: undefined,
      roleChange: undefined,
      catchUpReads: [{ peer: brokerId(2), from: logIndex(7), bytesMax: 99 }],
      snapshotsToSend: [
        { peer: brokerId(3), repairTarget: undefined },
        { peer: brokerId(2), repairTarget: target(12) },
      ],
      barriersReached: [{ token: 4, index: logIndex(6) }],
      barriersFailed: [5],
    };
    expect(describeReady(ready).split('; ')).deep.equal([
      'send 1->2 t7 heartbeatRequest commit=4',
      'read for 2 from 7',
      'send snapshot to 3',
      'send snapshot to 2 repairTarget=12@1',
      'barrier 4 at 6',
      'barrier 5 failed',
    ]);
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
  /** What a core says of itself, and what of it is untrue. */
  interface Lie {
    readonly status?: Partial<RaftStatus>;
    readonly inside?: Partial<RaftInspection>;
    readonly asleep?: Partial<Asleep>;
  }

  function liar(node: RaftNode, { status, inside, asleep }: Lie): RaftNode {
    const sleep = node.asleep ?? { term: term(1), leader: brokerId(1), others: [] };
    return Object.create(node, {
      status: { value: () => ({ ...node.status(), ...status }) },
      inspect: { value: () => ({ ...node.inspect(), ...inside }) },
      asleep: { value: asleep === undefined ? node.asleep : { ...sleep, ...asleep } },
    }) as RaftNode;
  }

  /** Three replicas in term 1 with three entries, all of them committed and applied everywhere. */
  function atWork(): RaftNet {
    const net = RaftNet.of(3);
    net.elect(1);
    net.propose(1, 'a', 'b');
    net.stabilize();
    return net;
  }

  const peer = (changes: Partial<PeerStatus>): Partial<RaftStatus> => {
    const rest = { next: logIndex(4), state: 'replicate', isActive: true } as const;
    const whole = { id: brokerId(2), match: logIndex(3), isRepairing: false, ...rest };
    return { peers: [{ ...whole, ...changes }] };
  };
  const inflight = (changes: { count?: number; bytes?: number }): Partial<RaftInspection> => ({
    inflights: [{ id: brokerId(2), count: 1, bytes: 1, isPaused: false, ...changes }],
  });
  const at = logIndex;
  const most = DEFAULT_RAFT_CONFIG.inflightBytesMax + 32 * 1024 * 1024;

  const lies: [what: string, who: 1 | 2, lie: Lie][] = [
    ['snapshot ≤ commit', 1, { status: { snapshotIndex: at(4) } }],
    ['applied ≤ handed', 1, { status: { applied: at(4) } }],
    ['handed ≤ commit', 1, { inside: { handed: at(4) } }],
    ['commit ≤ last', 1, { status: { commit: at(4) } }],
    ['durable ≤ last', 1, { status: { durable: at(4) } }],
    ['the log is not ahead of the term', 2, { status: { last: id('2/3') } }],
    ['the window ends the log', 1, { inside: { recent: { first: at(1), next: at(3) } } }],
    ['the window is above the snapshot', 1, { inside: { recent: { first: at(0), next: at(4) } } }],
    ['the membership is in the log', 1, { inside: { membershipIndex: at(4) } }],
    ['the tail has bytes', 1, { inside: { uncommittedBytes: -1 } }],
    ['a leader knows itself', 1, { status: { leader: undefined } }],
    ['a leader voted for itself', 1, { status: { votedFor: brokerId(2) } }],
    ['a damaged replica does not lead', 1, { status: { needsRepair: true } }],
    ['only a leader is its own leader', 2, { status: { leader: brokerId(2) } }],
    ['only a leader follows peers', 2, { status: peer({}) }],
    ['only a leader hands over', 2, { status: { transferringTo: brokerId(1) } }],
    ['a candidate voted for itself', 2, { status: { role: 'candidate' } }],
    ['match < next', 1, { status: peer({ next: at(3) }) }],
    ['match ≤ last', 1, { status: peer({ match: at(4), next: at(5) }) }],
    ['next ≤ last + 1', 1, { status: peer({ next: at(5) }) }],
    ['who sleeps knows its leader', 2, { asleep: { leader: brokerId(3) } }],
    ['who sleeps stays in its term', 2, { asleep: { term: term(2) } }],
    ['nothing is under way', 2, { asleep: {}, status: { commit: at(2), applied: at(2) } }],
    ['who sleeps has everything on disk', 2, { asleep: {}, status: { durable: at(2) } }],
    ['a damaged replica does not sleep', 2, { asleep: {}, status: { needsRepair: true } }],
    ['a leader sleeps when all have', 1, { asleep: {}, status: peer({ match: at(2) }) }],
    ['in-flight appends are bounded', 1, { inside: inflight({ count: 10_000 }) }],
    ['in-flight bytes are bounded', 1, { inside: inflight({ bytes: most + 1 }) }],
  ];
  for (const [what, who, lie] of lies) {
    it(`notice a core that contradicts itself: ${what}`, () => {
      const node = atWork().node(who);
      const inside = { ...lie.inside, ...(what.startsWith('nothing') ? { handed: at(2) } : {}) };
      expect(() => {
        checkInvariants(liar(node, { ...lie, inside }));
      }).throw(InvariantError, what);
    });
  }

  it('hold for a core at work, and for one that sleeps', () => {
    const net = atWork();
    for (const who of [1, 2]) {
      const node = net.node(who);
      checkInvariants(node);
      checkInvariants(liar(node, {}), node.status());
      checkInvariants(liar(node, { asleep: {} }));
    }
    const leader = net.node(1);
    checkInvariants(liar(leader, { inside: inflight({ bytes: most }), status: peer({}) }));
  });
});
