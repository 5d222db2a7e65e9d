import { expect } from 'chai';
import { InvariantError } from '../../../src/base/assert.js';
import { logIndex } from '../../../src/model/ids.js';
import { encodeMembership, membershipOf } from '../../../src/model/membership.js';
import { RaftLog } from '../../../src/raft/raft-log.js';
import { entry, id } from '../../support/raft-messages.js';
import { Disk } from '../../support/raft-net.js';

const i = logIndex;

function logOf(...entries: string[]): RaftLog {
  const disk = new Disk(membershipOf([1, 2, 3]));
  disk.entries = entries.map((at) => entry(at, at));
  return new RaftLog(disk.init(1, 1));
}

describe('raft log', () => {
  it('starts durable, with nothing to write and nothing committed', () => {
    const log = logOf('1/1', '2/2');
    expect(log).include({ durable: 2, commit: 0, hasUnstaged: false, hasCommitted: false });
    expect(log.last).deep.equal(id('2/2'));
  });

  it('starts where a checkpoint stands, and hands out nothing before it again', () => {
    const disk = new Disk(membershipOf([1, 2, 3]));
    disk.entries = ['1/1', '1/2', '1/3'].map((at) => entry(at, at));
    const log = new RaftLog({ ...disk.init(1, 1), applied: i(2) });
    expect(log).include({ commit: 2, applied: 2, handed: 2, hasCommitted: false });
    log.commitTo(i(3));
    expect(log.takeCommitted()).deep.equal({ first: 3, next: 4 });
  });

  const upToDate: [string, boolean][] = [
    ['2/2', true],
    ['2/3', true],
    ['3/1', true],
    ['2/1', false],
    ['1/9', false],
  ];
  for (const [candidate, isCovered] of upToDate) {
    it(`${isCovered ? 'is' : 'is not'} covered by a log that ends in ${candidate}`, () => {
      expect(logOf('1/1', '2/2').isCoveredBy(id(candidate))).equal(isCovered);
    });
  }

  it('writes each entry once, after what is before it', () => {
    const log = logOf('1/1');
    log.append([entry('1/2'), entry('1/3')]);
    const slice = log.stageAppend(1);
    expect(slice?.prev).deep.equal(id('1/1'));
    expect(slice?.entries.map((e) => e.index)).deep.equal([2, 3]);
    expect(log.hasUnstaged).equal(false);
    log.append([entry('1/4')]);
    expect(log.stageAppend(2)?.prev).deep.equal(id('1/3'));
    log.persisted(1);
    expect(log.durable).equal(3);
    log.persisted(2);
    expect(log.durable).equal(4);
  });

  it('lets a write of the hard state alone attest the whole tail', () => {
    const log = logOf('1/1');
    log.append([entry('1/2')]);
    log.stageAppend(1);
    expect(log.stageAppend(2)).equal(undefined);
    log.persisted(2);
    expect(log.durable).equal(2);
  });

  it('takes back what a truncation took from writes under way', () => {
    const log = logOf('1/1');
    log.append([entry('1/2'), entry('1/3')]);
    log.stageAppend(1);
    log.truncateAfter(i(2));
    log.append([entry('2/3')]);
    const slice = log.stageAppend(2);
    expect(slice?.prev).deep.equal(id('1/2'));
    log.persisted(1);
    expect(log.durable).equal(2);
    log.persisted(2);
    expect(log.durable).equal(3);
  });

  it('writes only what is left if a truncation comes before the write', () => {
    const log = logOf('1/1');
    log.append([entry('1/2'), entry('1/3')]);
    log.truncateAfter(i(1));
    log.append([entry('2/2')]);
    expect(log.stageAppend(1)?.entries.map((e) => e.term)).deep.equal([2]);
  });

  it('never truncates committed entries', () => {
    const log = logOf('1/1', '1/2');
    log.commitTo(i(2));
    expect(() => {
      log.truncateAfter(i(1));
    }).throw(InvariantError, 'committed entries stay');
    log.truncateAfter(i(2));
  });

  it('never lets the commit index fall or pass the end', () => {
    const log = logOf('1/1', '1/2');
    expect(log.commitTo(i(2))).equal(true);
    expect(log.commitTo(i(1))).equal(false);
    expect(log.commit).equal(2);
    expect(() => {
      log.commitTo(i(3));
    }).throw(InvariantError);
  });

  it('takes only applied what it handed out', () => {
    const log = logOf('1/1', '1/2');
    log.commitTo(i(2));
    expect(() => {
      log.appliedTo(i(1));
    }).throw(InvariantError);
    expect(log.takeCommitted()).deep.equal({ first: 1, next: 3 });
    expect(log.takeCommitted()).equal(undefined);
    log.appliedTo(i(2));
    log.appliedTo(i(1));
    expect(log.applied).equal(2);
  });

  it('gives slices by bytes, but at least one entry', () => {
    const log = logOf();
    log.append(['1/1', '1/2', '1/3'].map((at) => entry(at, 'x'.repeat(52))));
    const all = { first: i(1), next: i(4) };
    expect(log.recent(all, 1)?.length).equal(1);
    expect(log.recent(all, 200)?.length).equal(2);
    expect(log.recent(all, 1e9)?.length).equal(3);
    expect(log.recent({ first: i(2), next: i(3) }, 1e9)?.map((e) => e.index)).deep.equal([2]);
    expect(log.recent({ first: i(4), next: i(5) }, 1)).equal(undefined);
    expect(log.recentBytes).equal(300);
  });

  it('brings the membership before a truncated one back', () => {
    const log = logOf('1/1');
    const payload = encodeMembership(membershipOf([1, 2, 3, 4]));
    expect(log.append([{ ...entry('1/2'), kind: 'membership', payload }])).equal(true);
    expect(log.membership.voters).deep.equal([1, 2, 3, 4]);
    expect(log.mayBeVoter(4 as never)).equal(true);
    log.truncateAfter(i(1));
    expect(log).include({ membershipIndex: 0 });
    expect(log.membership.voters).deep.equal([1, 2, 3]);
  });

  it('lets one whose removal is not committed still be a voter', () => {
    const log = logOf('1/1');
    const payload = encodeMembership(membershipOf([2, 3]));
    log.append([{ ...entry('1/2'), kind: 'membership', payload }]);
    expect(log.mayBeVoter(1 as never)).equal(true);
    log.commitTo(i(2));
    expect(log.mayBeVoter(1 as never)).equal(false);
  });

  it('moves its prefix under what is in memory, with the membership as of there', () => {
    const log = logOf('1/1', '1/2');
    log.append([entry('2/3')]);
    log.commitTo(i(2));
    log.takeCommitted();
    log.appliedTo(i(2));
    const meta = { chain: 0, timeMs: 0, membership: membershipOf([1, 2, 3]) };
    expect(() => {
      log.movePrefix({ ...meta, last: id('1/2'), membership: membershipOf([1]) });
    }).throw(InvariantError, 'membership as of');
    log.movePrefix({ ...meta, last: id('1/2') });
    expect(log.termAt(i(1))).equal(undefined);
    expect(log.termAt(i(2))).equal(1);
    expect(log.last).deep.equal(id('2/3'));
    log.movePrefix({ ...meta, last: id('1/1') });
    expect(log.snapshot.last).deep.equal(id('1/2'));
    expect(() => {
      log.movePrefix({ ...meta, last: id('2/3') });
    }).throw(InvariantError, 'only applied');
  });

  it('installs a snapshot over everything, durable only with its own write', () => {
    const log = logOf('1/1', '1/2');
    log.append([entry('1/3')]);
    log.stageAppend(1);
    const snapshot = { last: id('2/9'), chain: 0, timeMs: 5, membership: membershipOf([1]) };
    log.install(snapshot);
    expect(log).include({ commit: 9, durable: 0, isInstalling: true, lastIndex: 9, lastTimeMs: 5 });
    expect(log.recentBytes).equal(0);
    log.persisted(1);
    expect(log.durable).equal(0);
    expect(log.stageInstall(2)).equal(snapshot);
    log.append([entry('2/10')]);
    log.stageAppend(3);
    log.persisted(2);
    expect(log).include({ durable: 9, applied: 9, isInstalling: false });
    log.persisted(3);
    expect(log.durable).equal(10);
    expect(() => {
      log.install({ ...snapshot, last: id('2/8') });
    }).throw(InvariantError, 'never goes back');
  });
});
