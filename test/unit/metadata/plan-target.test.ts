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

  it('plans nothing for a group without members', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    log.leave('m1');
    expect(planned(log).target).to.equal(undefined);
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
