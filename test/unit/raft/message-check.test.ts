import { expect } from 'chai';
import { brokerId, term, TERM_LIMIT } from '../../../src/model/ids.js';
import { encodeMembership, membershipOf, type Membership } from '../../../src/model/membership.js';
import type { LogEntry } from '../../../src/model/log-entry.js';
import { isPlausible, isPlausibleSnapshot } from '../../../src/raft/message-check.js';
import { isBulk, type Message, type PreVoteRequest } from '../../../src/raft/message.js';
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
import { give, status } from '../../support/raft-steps.js';

function preVote(lastLog: string): PreVoteRequest {
  return { ...base(2, 1, 3), kind: 'preVoteRequest', lastLog: id(lastLog) };
}

function membershipEntry(membership: Membership): LogEntry {
  return { ...entry('1/1'), kind: 'membership', payload: encodeMembership(membership) };
}

describe('messages no correct peer sends', () => {
  const refusedOnes: [string, Message][] = [
    ['a term of 2^31', heartbeat(base(2, 1, TERM_LIMIT))],
    ['a broken term', heartbeat(base(2, 1, 1.5))],
    ['a leader in term 0', heartbeat(base(2, 1, 0))],
    ['an index beyond the safe integers', append(base(2, 1, 1), `1/${2 ** 53}`, [])],
    ['a negative commit index', heartbeat(base(2, 1, 1), -1)],
    ['entries with a gap', append(base(2, 1, 1), '0/0', [entry('1/2')])],
    ['entries whose terms descend', append(base(2, 1, 3), '0/0', [entry('2/1'), entry('1/2')])],
    ['an entry of a later term than its sender’s', append(base(2, 1, 1), '0/0', [entry('2/1')])],
    ['a candidate whose log is ahead of its term', voteRequest(base(2, 1, 3), '3/1')],
    ['a message to somebody else', heartbeat(base(2, 3, 1))],
    ['a message from itself', heartbeat(base(1, 1, 1))],
    ['a pre-candidate whose log is ahead of its term', preVote('3/1')],
    ['a log that ends before it begins', preVote('1/-1')],
    ['a log that ends in a broken term', preVote('1.5/1')],
    ['a log that ends in a term below 0', preVote('-1/1')],
    ['entries in term 0', append(base(2, 1, 0), '0/0', [entry('0/1')])],
    ['a negative commit index with entries', append(base(2, 1, 1), '0/0', [entry('1/1')], -1)],
    ['a broken commit index', append(base(2, 1, 1), '0/0', [], 0.5)],
    [
      'a target beyond the safe integers',
      { ...append(base(2, 1, 1), '0/0', []), repairTarget: target(2 ** 52) },
    ],
    ['an entry of a broken term', append(base(2, 1, 3), '0/0', [entry('1.5/1')])],
    ['an answer to a negative index', acked(base(2, 1, 1), -1, 0)],
    ['an acknowledgement of a negative index', acked(base(2, 1, 1), 0, -1)],
    ['a hint below the log', refused(base(2, 1, 1), 4, '1/-1')],
    ['a broken read round', heartbeatAnswer(base(2, 1, 1), 0.5)],
    ['a broken read round of a leader', { ...heartbeat(base(2, 1, 1)), readRound: NaN }],
    [
      'a membership without voters',
      append(base(2, 1, 1), '0/0', [membershipEntry(membershipOf([], [1]))]),
    ],
    [
      'a membership that does not decode',
      append(base(2, 1, 1), '0/0', [{ ...entry('1/1', '?'), kind: 'membership' }]),
    ],
  ];
  for (const [what, message] of refusedOnes) {
    it(`refuses ${what}, and counts it`, () => {
      const net = RaftNet.of(3);
      net.step(1, { kind: 'message', message });
      expect(status(net, 1)).deep.include({ term: 0, leader: undefined, last: id('0/0') });
      expect(net.node(1).inspect().implausibleMessages).equal(1);
      expect(net.node(1).hasReady()).equal(false);
    });
  }

  for (const [what, inTerm, last] of [
    ['of a broken term', 1.5, '1/1'],
    ['of a term that ends later', 2, '3/1'],
    ['of an index below the log', 2, '1/-1'],
  ] as const) {
    it(`refuses a snapshot ${what}, and counts it`, () => {
      const net = RaftNet.of(3);
      const membership = membershipOf([1, 2, 3]);
      net.step(1, {
        kind: 'snapshotReceived',
        from: brokerId(2),
        term: term(inTerm),
        snapshot: { last: id(last), chain: 0, timeMs: 0, membership },
        repairTarget: undefined,
      });
      expect(status(net, 1)).deep.include({ term: 0, leader: undefined, last: id('0/0') });
      expect(net.node(1).inspect().implausibleMessages).equal(1);
    });
  }

  const LAST_INDEX = 2 ** 52 - 1;
  const good: [string, Message][] = [
    ['the last term and the last index', append(base(2, 1, TERM_LIMIT - 1), `1/${LAST_INDEX}`, [])],
    ['a commit index at the limit', heartbeat(base(2, 1, 1), LAST_INDEX)],
    ['a log that ends in the term before', voteRequest(base(2, 1, 3), '2/9')],
    ['an empty log', voteRequest(base(2, 1, 1), '0/0')],
    ['entries of the sender’s own term', append(base(2, 1, 3), '3/4', [entry('3/5')])],
    ['a refusal with a hint at 0', refused(base(2, 1, 1), 0, '0/0')],
    ['an acknowledgement of nothing', acked(base(2, 1, 1), 0, 0)],
    ['a target of repair', { ...heartbeat(base(2, 1, 1)), repairTarget: target(7) }],
    [
      'a membership with a voter',
      append(base(2, 1, 1), '0/0', [membershipEntry(membershipOf([1]))]),
    ],
    ['an answer to votes in term 0', voteAnswer('preVoteResponse', base(2, 1, 0), true)],
  ];
  for (const [what, message] of good) {
    it(`takes ${what}`, () => {
      expect(isPlausible(message)).equal(true);
    });
  }

  const bad: [string, Message][] = [
    ['the first term beyond the limit', voteAnswer('voteResponse', base(2, 1, TERM_LIMIT), true)],
    ['the first index beyond the limit', heartbeat(base(2, 1, 1), LAST_INDEX + 1)],
    ['a term below 0', heartbeat(base(2, 1, -1))],
    ['a broken index to build on', append(base(2, 1, 1), '1/0.5', [])],
    [
      'an entry beyond the last index',
      append(base(2, 1, 1), `1/${LAST_INDEX}`, [entry(`1/${LAST_INDEX + 1}`)]),
    ],
    ['entries that repeat an index', append(base(2, 1, 1), '1/1', [entry('1/2'), entry('1/2')])],
    ['a target below the log', { ...heartbeat(base(2, 1, 1)), repairTarget: target(-1) }],
    ['something to build on from a later term', append(base(2, 1, 2), '3/1', [])],
  ];
  for (const [what, message] of bad) {
    it(`does not take ${what}`, () => {
      expect(isPlausible(message)).equal(false);
    });
  }

  it('takes a snapshot that ends in its own term', () => {
    const membership = membershipOf([1]);
    const snapshot = { last: id('3/9'), chain: 0, timeMs: 0, membership };
    expect(isPlausibleSnapshot(3, snapshot)).equal(true);
    expect(isPlausibleSnapshot(2, snapshot)).equal(false);
  });

  it('refuses an acknowledgement beyond the log', () => {
    const net = RaftNet.of(3);
    net.elect(1);
    give(net, acked(base(2, 1, 1), 1, 9));
    expect(status(net, 1).commit).equal(1);
    expect(net.node(1).inspect().implausibleMessages).equal(1);
  });

  it('does not campaign into a term that does not exist', () => {
    const net = new RaftNet();
    net.add(1, membershipOf([1, 2, 3]), (disk) => {
      disk.hardState = { term: term(TERM_LIMIT - 1), votedFor: undefined, needsRepair: false };
    });
    net.tick(1, 100);
    expect(status(net, 1)).include({ role: 'follower', term: TERM_LIMIT - 1 });
    give(net, { ...base(2, 1, TERM_LIMIT - 1), kind: 'timeoutNow' });
    expect(status(net, 1)).include({ role: 'follower', term: TERM_LIMIT - 1 });
  });
});

describe('what travels in bulk', () => {
  const table: [Message, boolean][] = [
    [append(base(2, 1, 1), '0/0', [entry('1/1')]), true],
    [append(base(2, 1, 1), '0/0', []), false],
    [heartbeat(base(2, 1, 1)), false],
    [acked(base(2, 1, 1), 0, 1), false],
  ];
  for (const [message, expected] of table) {
    const count = message.kind === 'appendRequest' ? ` of ${message.entries.length}` : '';
    it(`${message.kind}${count}: ${expected}`, () => {
      expect(isBulk(message)).equal(expected);
    });
  }
});
