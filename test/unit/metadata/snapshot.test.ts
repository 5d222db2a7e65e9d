import { expect } from 'chai';
import fc from 'fast-check';

import { MalformedBytesError } from '../../../src/base/bytes.js';
import type { Command } from '../../../src/metadata/command.js';
import { MetadataState } from '../../../src/metadata/metadata-state.js';
import { OffsetLedger } from '../../../src/metadata/offset-ledger.js';
import {
  decodeSnapshot,
  encodeSlices,
  encodeSnapshot,
} from '../../../src/metadata/snapshot-codec.js';
import { brokerId, logIndex, raftGroupId, topicId, type TopicId } from '../../../src/model/ids.js';
import { Log, registration } from './support.js';
import { casesOf } from '../../support/cases.js';

const topicIdOf = (n: number): TopicId => topicId(n.toString(16).padStart(32, '0'));
const small = fc.integer({ min: 1, max: 5 });
const brokers = fc.uniqueArray(small.map(brokerId), { minLength: 1, maxLength: 4 });
const groupIds = fc.integer({ min: 1, max: 12 }).map(raftGroupId);
const names = fc.constantFrom('a', 'b', 'c', 'constructor');

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.tuple(small, fc.option(small, { nil: undefined })).map(([id, replicasMax]): Command => ({
    kind: 'registerBroker',
    registration: { ...registration(id), replicasMax },
  })),
  fc.tuple(small, fc.boolean()).map(([id, isFenced]): Command => ({
    kind: 'setBrokerFenced',
    brokerId: brokerId(id),
    isFenced,
  })),
  fc
    .tuple(small, names, fc.array(brokers, { minLength: 1, maxLength: 3 }))
    .map(([id, name, assignment]): Command => ({
      kind: 'createTopic',
      topicId: topicIdOf(id),
      name,
      assignment,
      config: new Map([['retention.ms', '1000']]),
    })),
  fc
    .tuple(small, small, fc.array(brokers, { maxLength: 3 }))
    .map(([id, from, assignment]): Command => ({
      kind: 'addPartitions',
      topicId: topicIdOf(id),
      from,
      assignment,
    })),
  fc
    .tuple(small, fc.constantFrom('1000', '2000'), fc.boolean(), fc.option(fc.nat(20)))
    .map(([id, value, isSet, version]): Command => ({
      kind: 'alterTopic',
      topicId: topicIdOf(id),
      set: new Map(isSet ? [['retention.ms', value]] : []),
      unset: isSet ? [] : ['retention.ms'],
      expectedVersion: version === null ? undefined : logIndex(version),
      isUnversioned: version === 20,
    })),
  small.map((id): Command => ({ kind: 'deleteTopic', topicId: topicIdOf(id) })),
  fc
    .tuple(groupIds, brokers)
    .map(([groupId, replicas]): Command => ({ kind: 'moveReplicas', groupId, replicas })),
  fc
    .tuple(groupIds, brokers)
    .map(([groupId, replicas]): Command => ({ kind: 'completeMove', groupId, replicas })),
  fc.tuple(small, fc.array(groupIds)).map(([id, deleted]): Command => ({
    kind: 'replicasDeleted',
    brokerId: brokerId(id),
    groupIds: deleted,
  })),
  small.map((count): Command => ({ kind: 'allocateProducers', count })),
  small.map((elapsedMs): Command => ({ kind: 'ageGroups', elapsedMs, limitMs: 4 })),
  fc
    .array(fc.tuple(names, small, fc.integer({ min: 0, max: 3 }), fc.nat()))
    .map((rows): Command => ({
      kind: 'commitOffsets',
      commits: rows.map(([group, id, partition, offset]) => ({
        group,
        topicId: topicIdOf(id),
        partition,
        offset,
        metadata: '',
      })),
    })),
);
const history = fc.array(command, { maxLength: 60 });

describe('metadata snapshots', () => {
  it('give replicas the same bytes, whether they saw the log or a snapshot on the way', () => {
    fc.assert(
      fc.property(history, fc.nat(60), (commands, cut) => {
        const whole = new Log(1, 2, 3);
        const late = new Log();
        commands.forEach((one, at) => {
          if (at === cut) late.machine.restore(whole.machine.encode(), whole.state.version);
          whole.apply(one);
          if (at >= cut) late.apply(one);
        });
        if (cut >= commands.length) return;
        expect(late.machine.encode()).to.eql(whole.machine.encode());
        expect([...late.state.groups].sort()).to.eql([...whole.state.groups].sort());
        expect([...late.state.moving].sort()).to.eql([...whole.state.moving].sort());
        expect([...late.state.topicsByName.keys()].sort()).to.eql(
          [...whole.state.topicsByName.keys()].sort(),
        );
        expect(late.state.ledger.size).to.equal(whole.state.ledger.size);
      }),
      { numRuns: casesOf(150) },
    );
  });

  it('stand still while the state goes on', () => {
    fc.assert(
      fc.property(history, history, (before, after) => {
        const log = new Log(1, 2, 3);
        for (const one of before) log.apply(one);
        const bytes = log.machine.encode();
        const frozen = log.state.freeze();
        for (const one of after) log.apply(one);
        expect(encodeSnapshot(frozen)).to.eql(bytes);
      }),
      { numRuns: casesOf(100) },
    );
  });

  it('with more offsets than may be are refused', () => {
    const log = new Log(1);
    const assignment = [[brokerId(1)], [brokerId(1)]];
    const topic = { topicId: topicIdOf(1), name: 'a', assignment, config: new Map() };
    log.apply({ kind: 'createTopic', ...topic });
    const commits = [0, 1].map((partition) => ({
      ...{ group: 'g', topicId: topicIdOf(1), partition, offset: 1, metadata: '' },
    }));
    log.apply({ kind: 'commitOffsets', commits });
    const bytes = log.machine.encode();
    const roomy = new MetadataState(new OffsetLedger(2));
    decodeSnapshot(bytes, roomy);
    expect(roomy.ledger.size).to.equal(2);
    const tight = new MetadataState(new OffsetLedger(1));
    expect(() => decodeSnapshot(bytes, tight)).to.throw(MalformedBytesError, 'more offsets');
  });

  it('keep how long groups have been idle, but for those that were active since', () => {
    const log = new Log(1);
    const assignment = [[brokerId(1)]];
    const topic = { topicId: topicIdOf(1), name: 'a', assignment, config: new Map() };
    log.apply({ kind: 'createTopic', ...topic });
    const commit = (group: string): void => {
      const at = { topicId: topicIdOf(1), partition: 0, offset: 1, metadata: '' };
      log.apply({ kind: 'commitOffsets', commits: [{ group, ...at }] });
    };
    for (const group of ['busy', 'quiet']) commit(group);
    log.apply({ kind: 'ageGroups', elapsedMs: 3, limitMs: 9 });
    commit('busy');
    const late = new Log();
    late.machine.restore(log.machine.encode(), log.state.version);
    for (const { state } of [log, late]) {
      expect(['busy', 'quiet'].map((name) => state.idleGroups.timeOf(name))).to.eql([0, 3]);
    }
  });

  it('are encoded in slices', () => {
    const log = new Log(1);
    log.apply({
      kind: 'createTopic',
      topicId: topicIdOf(1),
      name: 'a',
      assignment: [[brokerId(1)]],
      config: new Map(),
    });
    for (let i = 0; i < 400; i += 1) {
      const metadata = 'x'.repeat(1_000);
      log.apply({
        kind: 'commitOffsets',
        commits: [{ group: `g${i}`, topicId: topicIdOf(1), partition: 0, offset: i, metadata }],
      });
    }
    const slices = encodeSlices(log.state.freeze());
    let pauses = 0;
    let step = slices.next();
    for (; step.done !== true; step = slices.next()) pauses += 1;
    expect(pauses).to.be.greaterThan(4);
    expect(step.value).to.eql(log.machine.encode());
  });
});
