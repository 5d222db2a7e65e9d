import { expect } from 'chai';
import fc from 'fast-check';
import { membershipOf, type Membership } from '../../../src/model/membership.js';
import { describeMembership } from '../../../src/raft/debug.js';
import {
  isJoint,
  isMember,
  isVoter,
  leaveJoint,
  planChange,
  sameMembership,
  votersOf,
} from '../../../src/raft/conf-change.js';

function plan(from: Membership, to: Membership): string {
  const planned = planChange(from, to);
  return planned === undefined ? 'refused' : describeMembership(planned);
}

describe('membership changes', () => {
  const m = membershipOf;
  const table: [string, Membership, Membership, string][] = [
    ['add a voter', m([1, 2]), m([1, 2, 3]), 'voters=(1 2 3)'],
    ['remove a voter', m([1, 2, 3]), m([1, 3]), 'voters=(1 3)'],
    ['promote a learner', m([1, 2], [3]), m([1, 2, 3]), 'voters=(1 2 3)'],
    ['demote a voter', m([1, 2, 3]), m([1, 2], [3]), 'voters=(1 2) learners=(3)'],
    ['add two learners', m([1]), m([1], [2, 3]), 'voters=(1) learners=(2 3)'],
    ['replace a voter', m([1, 2, 3]), m([1, 2, 4]), 'voters=(1 2 4) outgoing=(1 2 3) autoLeave'],
    [
      'swap a voter and a learner',
      m([1, 2], [3]),
      m([1, 3], [2]),
      'voters=(1 3) outgoing=(1 2) learnersNext=(2) autoLeave',
    ],
    [
      'move everything',
      m([1, 2, 3]),
      m([4, 5, 6], [7]),
      'voters=(4 5 6) outgoing=(1 2 3) learners=(7) autoLeave',
    ],
    ['nothing', m([1, 2], [3]), m([2, 1], [3]), 'refused'],
    ['no voters', m([1, 2]), m([], [1]), 'refused'],
    ['a voter that is a learner', m([1, 2]), m([1, 2, 3], [3]), 'refused'],
    ['a repeated voter', m([1, 2]), m([1, 2, 2]), 'refused'],
    ['a broker 0', m([1, 2]), m([0, 1, 2]), 'refused'],
  ];
  for (const [name, from, to, expected] of table) {
    it(`${name}: ${expected}`, () => {
      expect(plan(from, to)).equal(expected);
    });
  }

  it('starts no change inside a joint configuration', () => {
    const joint = planChange(m([1, 2, 3]), m([1, 4, 5]))!;
    expect(planChange(joint, m([1, 2]))).equal(undefined);
  });

  it('keeps the overlap of majorities on every way, and arrives', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(ids, ids, ids, ids, (a, b, c, d) => {
        const from = m(
          a,
          b.filter((id) => !a.includes(id)),
        );
        const to = m(
          c,
          d.filter((id) => !c.includes(id)),
        );
        const planned = planChange(from, to);
        if (planned === undefined) {
          expect(sameMembership(from, to)).equal(true);
          return;
        }
        if (isJoint(planned)) {
          expect(planned.votersOutgoing).deep.equal(from.voters);
          for (const id of planned.learners) expect(isVoter(planned, id)).equal(false);
          expect(leaveJoint(planned)).deep.equal(to);
          return;
        }
        expect(planned).deep.equal(to);
        const changed = [...a, ...c].filter((id) => a.includes(id as never) !== c.includes(id));
        expect(changed.length).lessThan(2);
      }),
      { numRuns: 1000 },
    );
  });

  it('knows voters and members of both halves', () => {
    const joint = planChange(m([1, 2, 3]), m([3, 4, 5], [1]))!;
    expect(votersOf(joint)).deep.equal([1, 2, 3, 4, 5]);
    for (const id of [1, 2, 3, 4, 5]) expect(isMember(joint, id as never)).equal(true);
    expect(isMember(joint, 6 as never)).equal(false);
    expect(leaveJoint(joint)).deep.equal(m([3, 4, 5], [1]));
  });
});
