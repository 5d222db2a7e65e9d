import { expect } from 'chai';

import { planTarget, type TargetPlan } from '../../../src/metadata/plan-target.js';
import { brokerId } from '../../../src/model/ids.js';
import { GROUP, GroupLog, show, slot, topicIdOf } from './group-support.js';
import { createTopic } from './support.js';

/** Brokers 1 and 3 are in rack `odd`, broker 2 in `even`. */
function planned(log: GroupLog): TargetPlan {
  return planTarget(log.state, log.group, () => () => false);
}

function move(log: GroupLog, partition: number, ...replicas: number[]): void {
  const { groupId } = log.partition('a', partition);
  const ids = replicas.map(brokerId);
  log.apply({ kind: 'moveReplicas', groupId, replicas: ids });
  log.apply({ kind: 'completeMove', groupId, replicas: ids });
}

describe('planning targets by racks', () => {
  it('gives members the partitions that have a replica in their rack', () => {
    const log = new GroupLog({ a: 3 });
    log.join('m1', { rack: 'even', assignor: 'rack' });
    log.join('m2', { rack: 'odd', assignor: 'rack' });
    log.settle();
    expect(show(log.member('m1').target)).to.equal('a1');
    expect(show(log.member('m2').target)).to.equal('a0 a2');
  });

  const interests: [string, { rack: string; assignor: string }[], boolean][] = [
    ['members in racks, by rack', [{ rack: 'odd', assignor: 'rack' }], true],
    [
      'one member of two in a rack, by rack',
      [
        { rack: '', assignor: 'rack' },
        { rack: 'odd', assignor: 'rack' },
      ],
      true,
    ],
    ['members without a rack, by rack', [{ rack: '', assignor: 'rack' }], false],
    ['members in racks, evenly', [{ rack: 'odd', assignor: 'uniform' }], false],
    ['members in racks, by whatever is usual', [{ rack: 'odd', assignor: '' }], false],
  ];
  for (const [what, members, isInRacks] of interests) {
    it(`${isInRacks ? 'depends' : 'does not depend'} on where replicas are: ${what}`, () => {
      const log = new GroupLog({ a: 3 });
      members.forEach((changes, i) => log.join(`m${i}`, changes));
      expect(planned(log).interest.isInRacks).to.equal(isInRacks);
      log.settle();
      move(log, 0, 2);
      expect(planned(log).target !== undefined, 'a replica changed racks').to.equal(isInRacks);
    });
  }

  it('makes no new target of replicas that only change places, or move within a rack', () => {
    const log = new GroupLog();
    log.apply(createTopic('a', [[1, 2], [2]], topicIdOf(1)));
    log.join('m1', { rack: 'odd', assignor: 'rack' });
    log.join('m2', { rack: 'even', assignor: 'rack' });
    log.settle();
    move(log, 0, 2, 1);
    expect(planned(log).target, 'another order').to.equal(undefined);
    move(log, 0, 3, 2);
    expect(planned(log).target, 'another broker of the rack').to.equal(undefined);
    move(log, 1, 1);
    expect(planned(log).target, 'the last partition left its rack').to.not.equal(undefined);
  });

  it('tells racks apart that have no replica from those that have', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1', { rack: 'odd', assignor: 'rack' });
    log.settle();
    const unracked = log.state.brokers.get(brokerId(2));
    if (unracked === undefined) throw new Error('no broker 2');
    log.apply({ kind: 'registerBroker', registration: { ...unracked, rack: '' } });
    expect(planned(log).target, 'a broker without a rack').to.not.equal(undefined);
    log.settle();
    move(log, 1, 2, 1);
    expect(planned(log).target).to.not.equal(undefined);
  });

  it('plans anew when a topic grows, and when one of the same name takes its place', () => {
    const log = new GroupLog({ a: 2, b: 1 });
    log.join('m1', { topics: ['a'] });
    log.join('m2', { topics: ['b'] });
    log.settle();
    expect(planned(log)).to.have.property('target', undefined);
    const more = { kind: 'addPartitions', topicId: topicIdOf(2), from: 1 } as const;
    log.apply({ ...more, assignment: [[brokerId(1)]] });
    const { target } = planned(log);
    expect(target?.changes.map(({ memberId, slots }) => [memberId, show(slots)])).to.deep.equal([
      ['m2', 'b0 b1'],
    ]);
    log.settle();
    log.apply({ kind: 'deleteTopic', topicId: topicIdOf(1) });
    log.apply(createTopic('a', [[1], [2]], topicIdOf(5)));
    log.settle();
    expect(show(log.member('m1').assigned), 'as many of another topic').to.equal('e0 e1');
    expect(show(log.member('m2').assigned)).to.equal('b0 b1');
  });

  it('gives members what they subscribe to, however alike their subscriptions look', () => {
    const log = new GroupLog({ a: 1, b: 1 });
    log.apply(createTopic('ab', [[1]], topicIdOf(5)));
    log.join('m1', { topics: ['a', 'b'] });
    log.join('m2', { topics: ['ab'] });
    log.join('m3', { topics: ['ab'], pattern: 'no.*' });
    log.settle();
    expect(show(log.member('m1').assigned)).to.equal('a0 b0');
    const rest = ['m2', 'm3'].map((id) => show(log.member(id).assigned));
    expect(rest.sort()).to.deep.equal(['', 'e0']);
  });

  it('plans nothing anew because a leader has the topics in another order', () => {
    const log = new GroupLog({ b: 2, a: 2 });
    log.join('m1', { topics: [], pattern: 'a|b' });
    log.settle();
    expect(show(log.member('m1').assigned)).to.equal('a0 a1 b0 b1');
    log.machine.restore(log.machine.encode(), log.state.version);
    expect(log.plan()).to.equal(false);
  });

  it('plans nothing for a group without members', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    log.leave('m1');
    expect(planned(log).target).to.equal(undefined);
    expect(planned(log).interest.isInRacks).to.equal(false);
    expect(log.state.consumerGroups.get(GROUP)?.ownerOf(slot('a0'))).to.equal(undefined);
  });

  it('remembers names of topics that do not exist yet, patterns, and what there is', () => {
    const log = new GroupLog({ a: 1, b: 1 });
    log.join('m1', { topics: ['b', 'no'], pattern: 'x.*' });
    const { interest } = planned(log);
    expect([...interest.names]).to.deep.equal(['b', 'no']);
    expect([...interest.patterns]).to.deep.equal(['x.*']);
    expect([...interest.topics]).to.deep.equal([topicIdOf(2)]);
  });
});
