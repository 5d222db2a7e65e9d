import { expect } from 'chai';
import { logIndex } from '../../../src/model/ids.js';
import { membershipOf } from '../../../src/model/membership.js';
import { MembershipLog, type MembershipAt } from '../../../src/raft/membership-log.js';
import { id } from '../../support/raft-messages.js';

const at = (index: number, ...voters: number[]): MembershipAt => ({
  index: logIndex(index),
  membership: membershipOf(voters),
});
const log = (): MembershipLog => new MembershipLog(at(2, 1), [at(5, 1, 2), at(8, 1, 2, 3)]);
const possible = (l: MembershipLog, commit: number) =>
  l.possibleAt(logIndex(commit)).map((item) => item.index);

describe('memberships of a log', () => {
  it('has the last one in force, committed or not', () => {
    expect(log().current).deep.equal(at(8, 1, 2, 3));
    expect(new MembershipLog(at(2, 1), []).current).deep.equal(at(2, 1));
  });

  it('takes them in order only', () => {
    expect(() => log().append(at(8, 1))).throws('ascend');
    const l = log();
    l.append(at(9, 4));
    expect(l.current).deep.equal(at(9, 4));
  });

  it('gets the one before back by a truncation, and says whether it did', () => {
    const l = log();
    expect(l.truncateAfter(logIndex(8))).equal(false);
    expect(l.truncateAfter(logIndex(7))).equal(true);
    expect(l.current).deep.equal(at(5, 1, 2));
    expect(l.truncateAfter(logIndex(0))).equal(true);
    expect(l.current, 'the snapshot’s stays').deep.equal(at(2, 1));
    expect(l.truncateAfter(logIndex(0))).equal(false);
  });

  it('knows which was in force when', () => {
    const voters = (index: number) => log().asOf(logIndex(index)).voters.length;
    expect([2, 4, 5, 7, 8, 99].map(voters)).deep.equal([1, 1, 2, 2, 3, 3]);
    expect(() => log().asOf(logIndex(1))).throws('from the snapshot on');
  });

  it('counts the one as of the commit and all later ones as possible', () => {
    expect([4, 5, 7, 8].map((commit) => possible(log(), commit))).deep.equal([
      [2, 5, 8],
      [5, 8],
      [5, 8],
      [8],
    ]);
    expect(possible(log(), 0)).deep.equal([2, 5, 8]);
  });

  it('moves its base under those above it', () => {
    const l = log();
    l.moveBase(id('3/5'), membershipOf([1, 2]));
    expect(l.asOf(logIndex(5)).voters).deep.equal([1, 2]);
    expect(() => l.asOf(logIndex(4))).throws();
    expect(possible(l, 5)).deep.equal([5, 8]);
    l.reset(at(20, 7));
    expect(l.current).deep.equal(at(20, 7));
    expect(possible(l, 20)).deep.equal([20]);
  });
});
