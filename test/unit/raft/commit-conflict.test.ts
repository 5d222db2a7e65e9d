import { expect } from 'chai';
import { InvariantError } from '../../../src/base/assert.js';
import { brokerId, incarnation, logIndex, term } from '../../../src/model/ids.js';
import type { LogEntry } from '../../../src/model/log-entry.js';
import { membershipOf } from '../../../src/model/membership.js';
import { CommitConflictError } from '../../../src/raft/commit-conflict.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import type { AppendRequest } from '../../../src/raft/message.js';
import { createRaftNode } from '../../../src/raft/raft-core.js';
import type { RaftNode } from '../../../src/raft/raft-node.js';

const id = (t: number, index: number) => ({ term: term(t), index: logIndex(index) });

/** A follower that has entries 1 to 5 of term 1, the first two as a snapshot, and has applied four. */
function follower(): RaftNode {
  const membership = membershipOf([1, 2, 3]);
  return createRaftNode(
    {
      self: brokerId(1),
      incarnation: incarnation(1),
      hardState: { term: term(1), votedFor: undefined, needsRepair: false },
      snapshot: { last: id(1, 2), chain: 0, timeMs: 0, membership },
      termRuns: [{ term: term(1), first: logIndex(3) }],
      memberships: [],
      last: id(1, 5),
      lastTimeMs: 0,
      applied: logIndex(4),
      watermark: id(0, 0),
      seed: 1,
    },
    DEFAULT_RAFT_CONFIG,
  );
}

/** What the leader of term 2 sends: entries after `prev`, of these terms. */
function append(prev: { t: number; index: number }, ...terms: number[]): AppendRequest {
  const entries = terms.map((t, i): LogEntry => ({
    ...id(t, prev.index + 1 + i),
    kind: 'command',
    timeMs: 0,
    payload: Uint8Array.of(t),
  }));
  return {
    ...{ kind: 'appendRequest', from: brokerId(2), to: brokerId(1), term: term(2) },
    ...{ incarnation: incarnation(1), prev: id(prev.t, prev.index), entries },
    ...{ commit: logIndex(0), repairTarget: undefined },
  };
}

describe('a leader that contradicts what is committed here', () => {
  const contradictions: [string, AppendRequest][] = [
    ['before what it sends', append({ t: 2, index: 4 }, 2)],
    ['in what it sends', append({ t: 1, index: 3 }, 2)],
    ['below a snapshot', append({ t: 1, index: 0 }, 1, 2, 2)],
  ];
  for (const [where, message] of contradictions) {
    it(`is found out ${where}, and told from other bugs`, () => {
      const node = follower();
      expect(() => node.step({ kind: 'message', message }))
        .to.throw(CommitConflictError)
        .that.is.instanceOf(InvariantError);
    });
  }

  it('is not one whose log differs only above that', () => {
    const node = follower();
    node.step({ kind: 'message', message: append({ t: 1, index: 0 }, 1, 1, 1, 1, 2) });
    node.ready();
    expect(node.status().last).to.deep.equal(id(2, 5));
  });
});
