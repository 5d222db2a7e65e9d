import { expect } from 'chai';

import { phaseOf } from '../../../src/metadata/consumer-group.js';
import { METADATA_LIMITS } from '../../../src/metadata/limits.js';
import {
  decideHeartbeat,
  decideJoin,
  decideLeave,
} from '../../../src/metadata/decide-consumer-group.js';
import { GROUP, GroupLog, profile, show, slot, topicIdOf } from './group-support.js';

describe('consumer groups', () => {
  it('give a joining member its share as the others release it, and stop nobody else', () => {
    const log = new GroupLog({ a: 4 });
    log.join('m1');
    expect(phaseOf(log.group)).to.equal('assigning');
    log.plan();
    expect(show(log.member('m1').assigned)).to.equal('a0 a1 a2 a3');
    expect(log.member('m1').epoch).to.equal(1);
    log.join('m2');
    expect(log.member('m2').epoch).to.equal(0);
    log.plan();
    expect(show(log.member('m1').assigned)).to.equal('a0 a1');
    expect(show(log.member('m1').revoking)).to.equal('a2 a3');
    expect(log.member('m1').epoch, 'while it has to release').to.equal(1);
    expect(log.member('m2').epoch, 'nothing to release').to.equal(2);
    expect(show(log.member('m2').assigned)).to.equal('');
    expect(phaseOf(log.group)).to.equal('reconciling');
    log.event({
      kind: 'release',
      group: GROUP,
      memberId: 'm1',
      slots: log.member('m1').revoking.slice(0, 1),
    });
    expect(show(log.member('m2').assigned), 'at once').to.equal('a2');
    expect(log.member('m1').epoch).to.equal(1);
    log.release('m1');
    expect(show(log.member('m2').assigned)).to.equal('a2 a3');
    expect(log.member('m1').epoch).to.equal(2);
    expect(phaseOf(log.group)).to.equal('stable');
    expect(
      log.member('m1').assigned.map(({ epoch }) => epoch),
      'kept ones',
    ).to.eql([1, 1]);
  });

  it('give what a member leaves behind to the others', () => {
    const log = new GroupLog({ a: 4 });
    log.join('m1');
    log.join('m2');
    log.settle();
    log.leave('m1');
    expect(log.group.ownerOf(slot('a0'))).to.equal(undefined);
    log.settle();
    expect(show(log.member('m2').assigned)).to.equal('a0 a1 a2 a3');
    log.leave('m2');
    expect(phaseOf(log.group)).to.equal('empty');
    expect(log.leave('m2')).to.equal('UNKNOWN_MEMBER');
    expect(log.state.consumerGroups.memberCount).to.equal(0);
  });

  it('hand on what a leaving member had yet to release', () => {
    const log = new GroupLog({ a: 4 });
    log.join('m1');
    log.settle();
    log.join('m2');
    log.plan();
    log.leave('m1');
    expect(show(log.member('m2').assigned), 'its target, before any new one').to.equal('a2 a3');
  });

  it('release only the gift that is meant', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    log.join('m2');
    log.plan();
    const late = log.member('m1').revoking;
    expect(show(late)).to.equal('a1');
    log.release('m1');
    log.leave('m2');
    log.settle();
    log.join('m3');
    log.plan();
    expect(show(log.member('m1').revoking)).to.equal('a1');
    expect(log.event({ kind: 'release', group: GROUP, memberId: 'm1', slots: late })).to.equal(
      undefined,
    );
    expect(show(log.member('m1').revoking), 'given anew since').to.equal('a1');
  });

  it('take commits where assignment epoch <= client epoch <= member epoch', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    log.join('m2');
    log.plan();
    const of = (memberId: string, memberEpoch: number) => ({ memberId, memberEpoch });
    expect(log.commit(of('m1', 1), slot('a0'))).to.equal(undefined);
    expect(log.commit(of('m1', 1), slot('a1')), 'still to be released').to.equal(undefined);
    expect(log.commit(of('m1', 2), slot('a0')), 'not reached').to.equal('FENCED_MEMBER_EPOCH');
    expect(log.commit(of('m2', 2), slot('a1')), 'not yet its').to.equal('STALE_MEMBER_EPOCH');
    log.release('m1');
    expect(log.commit(of('m1', 1), slot('a1')), 'released').to.equal('STALE_MEMBER_EPOCH');
    expect(log.commit(of('m1', 1), slot('a0')), 'the epoch before').to.equal(undefined);
    expect(log.commit(of('m2', 2), slot('a1'))).to.equal(undefined);
    expect(log.commit(of('m2', 1), slot('a1')), 'before it got it').to.equal('STALE_MEMBER_EPOCH');
    expect(log.commit(of('m9', 1), slot('a1'))).to.equal('UNKNOWN_MEMBER');
    expect(log.commit(undefined, slot('a1'))).to.equal('GROUP_NOT_EMPTY');
    log.leave('m1');
    log.leave('m2');
    expect(log.commit(of('m2', 2), slot('a1'))).to.equal('UNKNOWN_MEMBER');
    expect(log.commit(undefined, slot('a1'))).to.equal(undefined);
  });

  it('let no commit that was held up undo a later one of the same member', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    const fence = { memberId: 'm1', memberEpoch: log.member('m1').epoch };
    const offsetOf = (text: string): number | undefined =>
      log.state.ledger.position(GROUP, slot(text).topicId, slot(text).partition)?.offset;
    expect(log.commit({ ...fence, sequence: 2 }, slot('a0'), 20)).to.equal(undefined);
    expect(log.commit({ ...fence, sequence: 1 }, slot('a0'), 10), 'taken').to.equal(undefined);
    expect(offsetOf('a0'), 'without effect').to.equal(20);
    log.commit({ ...fence, sequence: 1 }, slot('a1'), 10);
    expect(offsetOf('a1'), 'as a whole').to.equal(undefined);
    log.commit({ ...fence, sequence: 2 }, slot('a1'), 5);
    expect(offsetOf('a1'), 'the same commit again').to.equal(5);
    log.commit(fence, slot('a1'), 4);
    expect(offsetOf('a1'), 'one that is not numbered').to.equal(4);
    const before = log.state.consumerGroups.takeChanged();
    log.commit({ ...fence, sequence: 3 }, slot('a1'), 6);
    expect(before).to.deep.equal([GROUP]);
    expect(log.state.consumerGroups.takeChanged(), 'nothing to tell members').to.deep.equal([]);
    log.join('m1');
    log.settle();
    const again = { memberId: 'm1', memberEpoch: log.member('m1').epoch, sequence: 1 };
    log.commit(again, slot('a0'), 30);
    expect(offsetOf('a0'), 'its new life counts anew').to.equal(30);
  });

  it('expire when they were idle for too long, with what they committed', () => {
    const log = new GroupLog({ a: 2 });
    const age = (elapsedMs: number): readonly string[] | undefined => {
      const result = log.apply({ kind: 'ageGroups', elapsedMs, limitMs: 100 });
      return result?.kind === 'groupsAged' ? result.expired : undefined;
    };
    const plain = { topicId: topicIdOf(1), partition: 0, offset: 1, metadata: '' };
    log.apply({ kind: 'commitOffsets', commits: [{ group: 'reader', ...plain }] });
    log.join('m1');
    log.settle();
    log.commit({ memberId: 'm1', memberEpoch: log.member('m1').epoch }, slot('a0'));
    expect(age(99)).to.deep.equal([]);
    expect(age(50), 'never had members').to.deep.equal(['reader']);
    expect(log.state.ledger.has('reader')).to.equal(false);
    expect(log.state.ledger.has(GROUP), 'has members').to.equal(true);
    log.leave('m1');
    expect(age(60)).to.deep.equal([]);
    log.commit(undefined, slot('a0'), 2);
    expect(age(60), 'somebody committed since').to.deep.equal([]);
    log.join('m2');
    log.leave('m2');
    expect(age(60), 'somebody was there since').to.deep.equal([]);
    expect(age(40)).to.deep.equal([GROUP]);
    expect(log.state.ledger.has(GROUP)).to.equal(false);
    expect(log.state.consumerGroups.get(GROUP)).to.equal(undefined);
    expect(age(1_000)).to.deep.equal([]);
    expect(age(0), 'refused').to.equal(undefined);
  });

  it('move nothing when a static member comes back under its instance id', () => {
    const log = new GroupLog({ a: 4 });
    log.join('m1', { instanceId: 'i1' });
    log.join('m2', { instanceId: 'i2' });
    log.settle();
    const { groupEpoch } = log.group;
    const before = show(log.member('m1').assigned);
    expect(log.event({ kind: 'away', group: GROUP, memberId: 'm1' })).to.equal(undefined);
    expect(log.member('m1').isAway).to.equal(true);
    expect(log.plan()).to.equal(false);
    expect(log.join('m1b', { instanceId: 'i1' })).to.equal('UNRELEASED_INSTANCE_ID');
    expect(log.join('m1b', { instanceId: 'i1' }, 'm1')).to.equal(undefined);
    expect(log.plan()).to.equal(false);
    expect(show(log.member('m1b').assigned)).to.equal(before);
    expect(log.member('m1b').isAway).to.equal(false);
    expect(log.group.groupEpoch).to.equal(groupEpoch);
    expect(log.group.members.has('m1')).to.equal(false);
    expect(log.event({ kind: 'away', group: GROUP, memberId: 'm1' })).to.equal('UNKNOWN_MEMBER');
    log.join('plain');
    expect(log.event({ kind: 'away', group: GROUP, memberId: 'plain' })).to.equal(
      'INVALID_ARGUMENT',
    );
    expect(log.update('plain', { instanceId: 'i2' })).to.equal('INVALID_ARGUMENT');
  });

  it('do not wait for a member that is away', () => {
    const log = new GroupLog({ a: 4 });
    log.join('m1', { instanceId: 'i1' });
    log.settle();
    log.event({ kind: 'away', group: GROUP, memberId: 'm1' });
    log.join('m2');
    log.plan();
    expect(show(log.member('m2').assigned)).to.equal('a2 a3');
    expect(show(log.member('m1').assigned)).to.equal('a0 a1');
    expect(phaseOf(log.group)).to.equal('stable');
  });

  it('free what a member that starts anew had yet to release', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    log.join('m2');
    log.plan();
    expect(log.join('m1')).to.equal(undefined);
    expect(show(log.member('m1').assigned)).to.equal('a0');
    expect(show(log.member('m2').assigned)).to.equal('a1');
    expect(log.member('m1').epoch).to.equal(2);
  });

  it('follow topics that come, grow out of nothing and go', () => {
    const log = new GroupLog({ a: 1 });
    log.join('m1', { topics: ['b'], pattern: 'a|c.*' });
    log.settle();
    expect(show(log.member('m1').assigned)).to.equal('a0');
    expect(log.plan(), 'nothing new').to.equal(false);
    log.create('b', 2);
    log.create('c', 1);
    log.create('d', 1);
    const { groupEpoch } = log.group;
    log.settle();
    expect(show(log.member('m1').assigned)).to.equal('a0 b0 b1 c0');
    expect(log.group.groupEpoch).to.equal(groupEpoch + 1);
    log.apply({ kind: 'deleteTopic', topicId: slot('b0').topicId });
    log.settle();
    expect(show(log.member('m1').assigned)).to.equal('a0 c0');
    log.update('m1', { topics: ['d'] });
    log.settle();
    expect(show(log.member('m1').assigned)).to.equal('d0');
  });

  it('refuse targets that came too late or give a partition twice', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.join('m2');
    const target = {
      kind: 'target',
      group: GROUP,
      groupEpoch: 2,
      assignmentEpoch: 0,
      raisesEpoch: false,
      assignor: 'uniform',
      topicsHash: 1,
      changes: [{ memberId: 'm1', slots: [slot('a0')] }],
    } as const;
    expect(log.event({ ...target, groupEpoch: 1 })).to.equal('INVALID_ARGUMENT');
    expect(log.event({ ...target, assignmentEpoch: 1 })).to.equal('INVALID_ARGUMENT');
    expect(log.event({ ...target, raisesEpoch: true })).to.equal('INVALID_ARGUMENT');
    const twice = [...target.changes, { memberId: 'm2', slots: [slot('a0')] }];
    expect(log.event({ ...target, changes: twice })).to.equal('INVALID_ARGUMENT');
    const stranger = [{ memberId: 'm3', slots: [slot('a0')] }];
    expect(log.event({ ...target, changes: stranger })).to.equal('UNKNOWN_MEMBER');
    expect(log.event({ ...target, group: 'other' })).to.equal('UNKNOWN_GROUP');
    expect(log.group.assignmentEpoch).to.equal(0);
    expect(log.event(target)).to.equal(undefined);
  });

  it('let members change places in one target', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.join('m2');
    log.settle();
    const swapped = {
      kind: 'target',
      group: GROUP,
      groupEpoch: 2,
      assignmentEpoch: 2,
      raisesEpoch: true,
      assignor: 'uniform',
      topicsHash: 1,
      changes: [
        { memberId: 'm1', slots: log.member('m2').target },
        { memberId: 'm2', slots: log.member('m1').target },
      ],
    } as const;
    expect(log.event(swapped)).to.equal(undefined);
    expect(show(log.member('m1').assigned) + show(log.member('m2').assigned)).to.equal('');
    log.release('m1');
    expect(show(log.member('m2').assigned), 'waits for its own release').to.equal('');
    log.release('m2');
    expect(show(log.member('m1').assigned)).to.equal('a1');
    expect(show(log.member('m2').assigned)).to.equal('a0');
  });

  it('are deleted, and their offsets, only without members', () => {
    const log = new GroupLog({ a: 2 });
    expect(log.event({ kind: 'deleteGroup', group: GROUP })).to.equal('UNKNOWN_GROUP');
    log.commit(undefined, slot('a0'));
    log.commit(undefined, slot('a1'));
    log.join('m1');
    const offsets = { kind: 'deleteOffsets', group: GROUP, slots: [slot('a0')] } as const;
    expect(log.event({ kind: 'deleteGroup', group: GROUP })).to.equal('GROUP_NOT_EMPTY');
    expect(log.event(offsets)).to.equal('GROUP_NOT_EMPTY');
    log.leave('m1');
    expect(log.event(offsets)).to.equal(undefined);
    expect(log.state.ledger.size).to.equal(1);
    expect(log.event(offsets), 'repeated').to.equal(undefined);
    expect(log.event({ kind: 'deleteGroup', group: GROUP })).to.equal(undefined);
    expect(log.state.ledger.size).to.equal(0);
    expect(log.state.ledger.groupCount).to.equal(0);
    expect(log.state.consumerGroups.size).to.equal(0);
  });

  it('refuse members beyond their limit, and malformed ones', () => {
    const log = new GroupLog({ a: 1 });
    const { membersPerConsumerGroupMax } = METADATA_LIMITS;
    for (let i = 0; i < membersPerConsumerGroupMax; i += 1) log.join(`m${i}`);
    expect(log.group.members.size).to.equal(membersPerConsumerGroupMax);
    expect(log.join('more')).to.equal('GROUP_LIMIT');
    expect(log.join('m7'), 'is in already').to.equal(undefined);
    log.leave('m7');
    for (const [memberId, changes] of [
      ['', {}],
      ['x'.repeat(65), {}],
      ['x', { topics: [], pattern: '' }],
      ['x', { topics: ['b', 'a'] }],
      ['x', { topics: ['a', 'a'] }],
      ['x', { topics: ['no/name'] }],
      ['x', { pattern: 'x'.repeat(1_001) }],
      ['x', { rack: 'line\nbreak' }],
      ['x', { sessionTimeoutMs: 999 }],
      ['x', { rebalanceTimeoutMs: 3_600_001 }],
    ] as const) {
      expect(log.join(memberId, changes), JSON.stringify(changes)).to.equal('INVALID_ARGUMENT');
    }
    expect(log.update('unknown', {})).to.equal('UNKNOWN_MEMBER');
  });
});

describe('deciding on what members say', () => {
  const joinOf = (log: GroupLog, memberId: string, memberEpoch: number, owned: string[] = []) =>
    decideJoin(
      log.state,
      { group: GROUP, memberId, memberEpoch, owned: owned.map(slot), profile: profile() },
      () => true,
    );

  function twoMembers(): GroupLog {
    const log = new GroupLog({ a: 4 });
    log.join('m1');
    log.settle();
    log.join('m2');
    log.plan();
    return log;
  }

  it('lets a member go on where it was, and behind, but not ahead', () => {
    const log = twoMembers();
    const nothing = { kind: 'events', events: [] };
    expect(joinOf(log, 'm1', 1, ['a0', 'a1', 'a2', 'a3'])).to.eql(nothing);
    expect(joinOf(log, 'm1', 2)).to.include({ code: 'FENCED_MEMBER_EPOCH' });
    expect(joinOf(log, 'm2', 1, ['a2'])).to.include({ code: 'FENCED_MEMBER_EPOCH' });
    expect(joinOf(log, 'm3', 1)).to.include({ code: 'UNKNOWN_MEMBER' });
    expect(joinOf(log, 'm3', 0, ['a0'])).to.include({ code: 'INVALID_ARGUMENT' });
    log.release('m1');
    expect(joinOf(log, 'm1', 1, ['a0']), 'behind').to.eql(nothing);
    expect(joinOf(log, 'm1', 1, ['a0', 'a2'])).to.include({ code: 'FENCED_MEMBER_EPOCH' });
    expect(joinOf(log, 'm2', 1, ['a2']), 'given later').to.include({ code: 'FENCED_MEMBER_EPOCH' });
    expect(joinOf(log, 'm2', 2, ['a2'])).to.eql(nothing);
  });

  it('takes a join for the proof that everything it leaves out is released', () => {
    const log = twoMembers();
    const decision = joinOf(log, 'm1', 1, ['a0', 'a1', 'a3']);
    expect(decision).to.have.property('kind', 'events');
    if (decision.kind !== 'events') return;
    expect(decision.events.map((event) => event.kind)).to.eql(['release']);
    for (const event of decision.events) log.event(event);
    expect(show(log.member('m2').assigned)).to.equal('a2');
  });

  it('takes a heartbeat for that only if the member knew what to release', () => {
    const log = twoMembers();
    const m1 = log.member('m1');
    const report = { group: GROUP, memberEpoch: 1, owned: [slot('a0')], profile: undefined };
    expect(decideHeartbeat(m1, report, () => false)).to.eql({ kind: 'events', events: [] });
    const decision = decideHeartbeat(m1, report, ({ partition }) => partition === 3);
    expect(decision).to.eql({
      kind: 'events',
      events: [
        { kind: 'release', group: GROUP, memberId: 'm1', slots: [{ ...slot('a3'), epoch: 1 }] },
      ],
    });
    const greedy = { ...report, owned: [slot('b0')] };
    expect(decideHeartbeat(m1, greedy, () => true)).to.include({ code: 'FENCED_MEMBER_EPOCH' });
    const changed = { ...report, profile: profile({ topics: ['b'] }) };
    expect(decideHeartbeat(m1, changed, () => false)).to.deep.include({ kind: 'events' });
    const wrong = { ...report, profile: profile({ assignor: 'best' }) };
    expect(decideHeartbeat(m1, wrong, () => false)).to.include({ code: 'UNKNOWN_ASSIGNOR' });
  });

  it('takes note of what changed while a member was away, and of nothing else', () => {
    const log = new GroupLog({ a: 1 });
    log.join('m1', { instanceId: 'i' });
    log.settle();
    const resume = (changes: Parameters<typeof profile>[0]) =>
      decideJoin(
        log.state,
        {
          ...{ group: GROUP, memberId: 'm1', memberEpoch: 1, owned: [slot('a0')] },
          profile: profile(changes),
        },
        () => true,
      );
    expect(resume({ instanceId: 'i' })).to.eql({ kind: 'events', events: [] });
    expect(resume({ instanceId: 'j' })).to.include({ code: 'INVALID_ARGUMENT' });
    expect(resume({ instanceId: 'i', clientId: 'new' })).to.have.nested.property(
      'events[0].isStart',
      false,
    );
    log.event({ kind: 'away', group: GROUP, memberId: 'm1' });
    expect(resume({ instanceId: 'i' })).to.have.nested.property('events[0].kind', 'member');
  });

  it('refuses to join what is no group, and to be what is no member', () => {
    const log = new GroupLog({ a: 1 });
    const join = (group: string, memberId: string, changes = {}) =>
      decideJoin(
        log.state,
        { group, memberId, memberEpoch: 0, owned: [], profile: profile(changes) },
        () => false,
      );
    expect(join('', 'm')).to.include({ code: 'INVALID_ARGUMENT' });
    expect(join('g', '')).to.include({ code: 'INVALID_ARGUMENT' });
    expect(join('g', 'm', { assignor: 'best' })).to.include({ code: 'UNKNOWN_ASSIGNOR' });
    expect(join('g', 'm')).to.eql({
      kind: 'events',
      events: [
        {
          ...{ kind: 'member', group: 'g', memberId: 'm', isStart: true, replaces: '' },
          profile: profile(),
        },
      ],
    });
  });

  it('makes nothing of a heartbeat that tells nothing new', () => {
    const log = twoMembers();
    const m1 = log.member('m1');
    const beat = (changes: object) =>
      decideHeartbeat(
        m1,
        { group: GROUP, memberEpoch: 1, owned: undefined, profile: undefined, ...changes },
        () => true,
      );
    const nothing = { kind: 'events', events: [] };
    expect(beat({})).to.eql(nothing);
    expect(beat({ profile: profile() })).to.eql(nothing);
    expect(beat({ owned: ['a0', 'a1', 'a2', 'a3'].map(slot) })).to.eql(nothing);
    expect(beat({ memberEpoch: 2 })).to.include({ code: 'FENCED_MEMBER_EPOCH' });
    expect(beat({ memberEpoch: 0, owned: [slot('a0')] })).to.include({
      code: 'FENCED_MEMBER_EPOCH',
    });
    expect(beat({ profile: profile({ topics: [] }) })).to.include({
      code: 'INVALID_SUBSCRIPTION',
    });
    expect(beat({ profile: profile({ topics: ['b'] }) })).to.eql({
      kind: 'events',
      events: [
        {
          ...{ kind: 'member', group: GROUP, memberId: 'm1', replaces: '', isStart: false },
          profile: profile({ topics: ['b'] }),
        },
      ],
    });
  });

  it('tells by its phase what a group waits for', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    expect(phaseOf(log.group)).to.equal('assigning');
    log.settle();
    expect(phaseOf(log.group)).to.equal('stable');
    log.join('m2');
    log.plan();
    expect(phaseOf(log.group), 'm1 is to release one').to.equal('reconciling');
    log.release('m1');
    expect(phaseOf(log.group)).to.equal('stable');
    log.leave('m1');
    log.leave('m2');
    expect(phaseOf(log.group)).to.equal('empty');
  });

  it('gives an instance id to a newcomer only if its holder is not connected', () => {
    const log = new GroupLog({ a: 1 });
    log.join('m1', { instanceId: 'i' });
    const join = (memberId: string, isConnected: boolean) =>
      decideJoin(
        log.state,
        {
          group: GROUP,
          memberId,
          memberEpoch: 0,
          owned: [],
          profile: profile({ instanceId: 'i' }),
        },
        () => isConnected,
      );
    expect(join('m2', true)).to.include({ code: 'UNRELEASED_INSTANCE_ID' });
    expect(join('m2', false)).to.have.nested.property('events[0].replaces', 'm1');
    expect(join('m1', true), 'the member itself').to.have.nested.property('events[0].replaces', '');
    log.event({ kind: 'away', group: GROUP, memberId: 'm1' });
    expect(join('m2', true)).to.have.nested.property('events[0].replaces', 'm1');
  });

  it('lets only static members leave for a while', () => {
    const log = new GroupLog({ a: 1 });
    log.join('m1');
    log.join('m2', { instanceId: 'i' });
    const leave = (memberId: string, isTemporary: boolean) =>
      decideLeave(log.member(memberId), { group: GROUP, isTemporary });
    expect(leave('m1', true)).to.include({ code: 'INVALID_ARGUMENT' });
    expect(leave('m1', false)).to.have.nested.property('events[0].kind', 'leave');
    expect(leave('m2', true)).to.have.nested.property('events[0].kind', 'away');
  });
});
