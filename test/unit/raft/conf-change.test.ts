import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
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
import { casesOf } from '../../support/cases.js';

const IDS = [1, 2, 3, 4, 5, 6];

function anyMembership(random: Prng): Membership {
  const voters = IDS.filter(() => random.chance(0.5));
  return membershipOf(
    voters,
    IDS.filter((id) => !voters.includes(id) && random.chance(0.3)),
  );
}

/** One member more, less, promoted or demoted. */
function nearby(from: Membership, random: Prng): Membership {
  const id = random.pick(IDS);
  const voters = from.voters.filter((other) => other !== id);
  const learners = from.learners.filter((other) => other !== id);
  switch (random.int(3)) {
    case 0:
      return membershipOf([...voters, id], learners);
    case 1:
      return membershipOf(voters, [...learners, id]);
    default:
      return membershipOf(voters, learners);
  }
}

/** The slow way: every majority of the one against every majority of the other. */
function doMajoritiesOverlap(a: readonly number[], b: readonly number[]): boolean {
  return majoritiesOf(a).every((left) => majoritiesOf(b).every((right) => (left & right) !== 0));
}

const majorities = new Map<string, readonly number[]>();

/** Each majority as a set of bits. */
function majoritiesOf(voters: readonly number[]): readonly number[] {
  const key = voters.join();
  const known = majorities.get(key);
  if (known !== undefined) return known;
  const found: number[] = [];
  for (let bits = 0; bits < 2 ** (IDS.length + 1); bits++) {
    const isInside = IDS.every((id) => (bits & (1 << id)) === 0 || voters.includes(id));
    const count = IDS.filter((id) => (bits & (1 << id)) !== 0).length;
    if (isInside && (bits & 1) === 0 && count * 2 > voters.length) found.push(bits);
  }
  majorities.set(key, found);
  return found;
}

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
    ['a broker 1.5', m([1, 2]), m([1, 1.5, 2]), 'refused'],
    ['a broker 2^31', m([1, 2]), m([1, 2, 2 ** 31]), 'refused'],
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

  it('keeps the overlap of majorities on every way, and arrives, 100,000 times', () => {
    const random = new Prng(20240609);
    const kinds = { refused: 0, simple: 0, joint: 0 };
    const cases = casesOf(100_000);
    for (let i = 0; i < cases; i++) {
      const from = anyMembership(random);
      if (from.voters.length === 0) continue;
      const to = random.chance(0.4) ? nearby(from, random) : anyMembership(random);
      const planned = planChange(from, to);
      const what = `${describeMembership(from)} to ${describeMembership(to)}`;
      if (planned === undefined) {
        kinds.refused++;
        if (to.voters.length > 0 && !sameMembership(from, to)) expect.fail(`refuses ${what}`);
      } else if (isJoint(planned)) {
        kinds.joint++;
        const isVoting = planned.learners.some((id) => isVoter(planned, id));
        const isRight =
          planned.autoLeave &&
          planned.votersOutgoing.join() === from.voters.join() &&
          sameMembership(leaveJoint(planned), to);
        if (isVoting || !isRight) expect.fail(`${describeMembership(planned)}: ${what}`);
      } else {
        kinds.simple++;
        if (!sameMembership(planned, to)) expect.fail(`does not arrive: ${what}`);
        if (!doMajoritiesOverlap(from.voters, to.voters)) expect.fail(`splits: ${what}`);
      }
    }
    for (const [kind, count] of Object.entries(kinds)) expect(count, kind).above(cases / 100);
  });

  it('knows voters and members of both halves', () => {
    const joint = planChange(m([1, 2, 3]), m([3, 4, 5], [1]))!;
    expect(votersOf(joint)).deep.equal([1, 2, 3, 4, 5]);
    for (const id of [1, 2, 3, 4, 5]) expect(isMember(joint, id as never)).equal(true);
    expect(isMember(joint, 6 as never)).equal(false);
    expect(leaveJoint(joint)).deep.equal(m([3, 4, 5], [1]));
    expect(sameMembership(joint, { ...joint })).equal(true);
    expect(sameMembership(joint, { ...joint, autoLeave: false })).equal(false);
  });
});
