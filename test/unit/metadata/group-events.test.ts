import { expect } from 'chai';

import { applyGroupEvent } from '../../../src/metadata/apply-group-event.js';
import { phaseOf } from '../../../src/metadata/consumer-group.js';
import type { GroupEvent } from '../../../src/metadata/group-event.js';
import { METADATA_LIMITS } from '../../../src/metadata/limits.js';
import { GROUP, GroupLog, profile, show, slot } from './group-support.js';

/** `m1` holds a0 and a1 and has a2 and a3 yet to release, which `m2` is to get. */
function between(changes: Parameters<typeof profile>[0] = {}): GroupLog {
  const log = new GroupLog({ a: 4 });
  log.join('m1', changes);
  log.settle();
  log.join('m2');
  log.plan();
  return log;
}

describe('events of consumer groups', () => {
  it('make a new target due when a member subscribes to something else, and not for less', () => {
    const log = new GroupLog({ a: 2, b: 1 });
    log.join('m1');
    log.settle();
    const { groupEpoch } = log.group;
    log.update('m1', { clientId: 'other', sessionTimeoutMs: 20_000 });
    expect(log.member('m1').profile.clientId).to.equal('other');
    expect(log.group.groupEpoch).to.equal(groupEpoch);
    log.update('m1', { topics: ['a', 'b'] });
    expect(log.group.groupEpoch).to.equal(groupEpoch + 1);
    expect(phaseOf(log.group)).to.equal('assigning');
  });

  it('make a new target due when a static member comes back with another subscription', () => {
    const log = new GroupLog({ a: 2, b: 1 });
    log.join('m1', { instanceId: 'i' });
    log.settle();
    const { groupEpoch } = log.group;
    log.join('m2', { instanceId: 'i', topics: ['b'] }, 'm1');
    expect(log.group.groupEpoch).to.equal(groupEpoch + 1);
    log.settle();
    expect(show(log.member('m2').assigned)).to.equal('b0');
  });

  it('leave what a member has yet to release alone when it only tells something new of itself', () => {
    const log = between();
    const before = log.member('m1');
    log.update('m1', { clientId: 'other' });
    expect(log.member('m1').revoking).to.equal(before.revoking);
    expect(show(log.member('m2').assigned)).to.equal('');
  });

  it('keep the lists of a member that starts anew where there is nothing to release', () => {
    const log = between();
    log.release('m1');
    const before = log.member('m1');
    log.join('m1');
    const after = log.member('m1');
    expect(after.revoking).to.equal(before.revoking);
    expect(after.assigned).to.equal(before.assigned);
  });

  it('free what the former life of a static member had yet to release', () => {
    const log = between({ instanceId: 'i' });
    log.join('m3', { instanceId: 'i' }, 'm1');
    expect(log.member('m3').revoking).to.deep.equal([]);
    expect(show(log.member('m3').assigned)).to.equal('a0 a1');
    expect(show(log.member('m2').assigned)).to.equal('a2 a3');
  });

  it('take a member that is away and comes back under its own id for there', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1', { instanceId: 'i' });
    log.settle();
    for (const isStart of [true, false]) {
      log.event({ kind: 'away', group: GROUP, memberId: 'm1' });
      expect(log.member('m1').isAway).to.equal(true);
      if (isStart) log.join('m1', { instanceId: 'i' });
      else log.update('m1', { instanceId: 'i' });
      expect(log.member('m1').isAway, `start: ${isStart}`).to.equal(false);
    }
  });

  it('do not begin the count of a member anew unless it starts anew', () => {
    const log = new GroupLog({ a: 1 });
    log.join('m1');
    log.settle();
    const fence = { memberId: 'm1', memberEpoch: log.member('m1').epoch };
    const offset = (): number | undefined =>
      log.state.ledger.position(GROUP, slot('a0').topicId, 0)?.offset;
    log.commit({ ...fence, sequence: 2 }, slot('a0'), 20);
    log.update('m1', { clientId: 'other' });
    log.commit({ ...fence, sequence: 1 }, slot('a0'), 10);
    expect(offset(), 'it told something new of itself').to.equal(20);
    log.commit(fence, slot('a0'), 21);
    log.commit({ ...fence, sequence: 1 }, slot('a0'), 10);
    expect(offset(), 'it committed without a number').to.equal(21);
  });

  it('leave a member that is in no target yet without an epoch', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    log.join('m2');
    log.update('m2', { clientId: 'other' });
    expect(log.member('m2').epoch).to.equal(0);
  });

  it('of a stranger, or of a group that there is none of, are refused', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    for (const group of [GROUP, 'none']) {
      for (const kind of ['release', 'away', 'leave', 'member'] as const) {
        const rest = { slots: [], replaces: '', isStart: false, profile: profile() };
        const event = { kind, group, memberId: 'm9', ...rest };
        expect(log.event(event), `${kind} in ${group}`).to.equal('UNKNOWN_MEMBER');
      }
    }
    expect(log.state.consumerGroups.get('none')).to.equal(undefined);
  });

  it('leave a partition to its owner, whatever its neighbours are', () => {
    const log = new GroupLog({ a: 3 });
    for (const id of ['m1', 'm2']) log.join(id);
    const owned = { m1: ['a0', 'a2'], m2: ['a1'] };
    log.event({
      ...{ kind: 'target', group: GROUP, groupEpoch: 2, assignmentEpoch: 0, raisesEpoch: false },
      ...{ assignor: 'uniform', topicsHash: 1 },
      changes: Object.entries(owned).map(([memberId, all]) => ({ memberId, slots: all.map(slot) })),
    });
    const owners = ['a0', 'a1', 'a2'].map((text) => log.group.ownerOf(slot(text)));
    expect(owners).to.deep.equal(['m1', 'm2', 'm1']);
    const fence = { memberId: 'm1', memberEpoch: log.member('m1').epoch };
    const refusals = ['a0', 'a1', 'a2'].map((text) => log.commit(fence, slot(text)));
    expect(refusals).to.deep.equal([undefined, 'STALE_MEMBER_EPOCH', undefined]);
  });

  it('that repeat a release tell nobody anything', () => {
    const log = between();
    const slots = log.member('m1').revoking;
    const release = { kind: 'release', group: GROUP, memberId: 'm1', slots } as const;
    log.event(release);
    log.state.consumerGroups.takeChanged();
    expect(log.event(release)).to.equal(undefined);
    expect(log.state.consumerGroups.takeChanged()).to.deep.equal([]);
  });

  it('with a target that names a member twice are refused', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    const target = {
      kind: 'target',
      group: GROUP,
      groupEpoch: 1,
      assignmentEpoch: 0,
      raisesEpoch: false,
      assignor: 'uniform',
      topicsHash: 1,
      changes: ['a0', 'a1'].map((text) => ({ memberId: 'm1', slots: [slot(text)] })),
    } as const;
    expect(log.event(target)).to.equal('INVALID_ARGUMENT');
    expect(show(log.member('m1').target)).to.equal('');
  });

  it('delete groups that only committed, and groups that only had members', () => {
    const log = new GroupLog({ a: 1 });
    log.commit(undefined, slot('a0'));
    expect(log.event({ kind: 'deleteGroup', group: GROUP })).to.equal(undefined);
    expect(log.state.ledger.has(GROUP)).to.equal(false);
    log.join('m1');
    log.leave('m1');
    expect(log.event({ kind: 'deleteGroup', group: GROUP })).to.equal(undefined);
    expect(log.state.consumerGroups.get(GROUP)).to.equal(undefined);
  });

  describe('at the limits of the cluster', () => {
    const join = (group: string, memberId: string): GroupEvent => {
      const rest = { replaces: '', isStart: true, profile: profile() };
      return { kind: 'member', group, memberId, ...rest };
    };

    it('make no group more than may be', () => {
      const { state } = new GroupLog({ a: 1 });
      const most = METADATA_LIMITS.consumerGroupsMax;
      for (let i = 1; i < most; i += 1) state.consumerGroups.writable(`g${i}`);
      expect(applyGroupEvent(state, join('last', 'm'))).to.equal(undefined);
      expect(applyGroupEvent(state, join('more', 'm'))?.code).to.equal('GROUP_LIMIT');
      expect(applyGroupEvent(state, join('g7', 'm')), 'one that is there').to.equal(undefined);
      expect(state.consumerGroups.size).to.equal(most);
    });

    it('take no member more than all groups may have together', () => {
      const { state } = new GroupLog({ a: 1 });
      const most = METADATA_LIMITS.consumerGroupMembersMax;
      const rest = { profile: profile(), isAway: false, epoch: 0 };
      const none = { assigned: [], revoking: [], target: [] };
      for (let i = 1; i < most; i += 1) {
        const group = state.consumerGroups.writable(`g${i % 50}`);
        group.put({ memberId: `m${i}`, ...rest, ...none });
      }
      expect(applyGroupEvent(state, join('a', 'm'))).to.equal(undefined);
      expect(state.consumerGroups.memberCount).to.equal(most);
      expect(applyGroupEvent(state, join('b', 'm'))?.code).to.equal('GROUP_LIMIT');
      expect(state.consumerGroups.get('b')).to.equal(undefined);
    });
  });

  it('are reconciling while a member has less than it is to have', () => {
    const log = between();
    const group = log.state.consumerGroups.writable(GROUP);
    log.leave('m2');
    log.settle();
    const m1 = log.member('m1');
    expect(phaseOf(log.group)).to.equal('stable');
    group.put({ ...m1, assigned: m1.assigned.slice(1) });
    expect(phaseOf(log.state.consumerGroups.writable(GROUP))).to.equal('reconciling');
  });
});
