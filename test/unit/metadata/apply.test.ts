import { expect } from 'chai';

import { applyCommand } from '../../../src/metadata/apply.js';
import type { Command } from '../../../src/metadata/command.js';
import { DeletedTopics } from '../../../src/metadata/deleted-topics.js';
import { NO_TARGET } from '../../../src/metadata/image.js';
import { METADATA_LIMITS } from '../../../src/metadata/limits.js';
import { MetadataMachine } from '../../../src/metadata/metadata-machine.js';
import { MetadataState } from '../../../src/metadata/metadata-state.js';
import { OffsetLedger } from '../../../src/metadata/offset-ledger.js';
import { encodeSnapshot } from '../../../src/metadata/snapshot-codec.js';
import {
  brokerId,
  logIndex,
  raftGroupId,
  term,
  topicId,
  type LogIndex,
} from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import {
  addPartitions,
  createTopic,
  ids,
  Log,
  OTHER_TOPIC,
  registration,
  TIME_MS,
  TOPIC,
} from './support.js';

const group = raftGroupId;

describe('applying metadata commands', () => {
  it('keeps a broker id for its data directory', () => {
    const log = new Log(1);
    const stranger = registration(1, 'another');
    expect(log.refusal({ kind: 'registerBroker', registration: stranger })).to.equal(
      'BROKER_ID_TAKEN',
    );
    log.apply({ kind: 'setBrokerFenced', brokerId: ids(1)[0]!, isFenced: true });
    expect(log.state.brokers.get(ids(1)[0]!)?.isFenced).to.equal(true);
    log.apply({ kind: 'registerBroker', registration: registration(1) });
    expect(log.state.brokers.get(ids(1)[0]!)?.isFenced).to.equal(false);
  });

  it('never hands out a Raft group id twice', () => {
    const log = new Log(1, 2, 3);
    log.apply(createTopic('logs', [[1], [2]]));
    expect([log.partition('logs', 0), log.partition('logs', 1)].map((p) => p.groupId)).to.eql([
      1, 2,
    ]);
    log.apply({ kind: 'deleteTopic', topicId: TOPIC });
    log.apply(createTopic('logs', [[3]], OTHER_TOPIC));
    expect(log.partition().groupId).to.equal(3);
    expect([...log.state.groups.keys()]).to.eql([3]);
  });

  it('takes a repeated create of the same topic id as done, and of another as taken', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    expect(log.apply(createTopic('logs', [[1]]))).to.eql({ kind: 'done' });
    expect(log.refusal(createTopic('logs', [[1]], OTHER_TOPIC))).to.equal('TOPIC_EXISTS');
    expect(log.refusal(createTopic('other', [[1]]))).to.equal('INVALID_ARGUMENT');
  });

  it('creates no topic again that was deleted, however late the attempt', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    log.apply({ kind: 'deleteTopic', topicId: TOPIC });
    expect(log.refusal(createTopic('logs', [[1]]))).to.equal('UNKNOWN_TOPIC');
    expect(log.state.topicsByName.has('logs')).to.equal(false);
    log.apply(createTopic('logs', [[1]], OTHER_TOPIC));
    expect(log.refusal(createTopic('logs', [[1]]))).to.equal('UNKNOWN_TOPIC');
    expect(log.state.topicsByName.get('logs')?.id).to.equal(OTHER_TOPIC);
    const restored = new Log();
    restored.machine.restore(log.machine.encode(), log.state.version);
    expect(restored.refusal(createTopic('logs', [[1]]))).to.equal('UNKNOWN_TOPIC');
    restored.machine.state.clear();
    expect(restored.state.deletedTopics.has(TOPIC)).to.equal(false);
  });

  it('remembers no deletion from before deleted topics were remembered', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    log.apply({ kind: 'deleteTopic', topicId: TOPIC, isForgotten: true });
    expect(log.refusal(createTopic('logs', [[1]]))).to.equal(undefined);
  });

  it('forgets the deletions that are longest ago, and no more than it has to', () => {
    const ids = [1, 2, 3].map((n) => topicId(n.toString(16).padStart(32, '0')));
    const deleted = new DeletedTopics(2);
    for (const id of ids) deleted.add(id);
    expect(deleted.freeze()).to.eql(ids.slice(1));
    expect(ids.map((id) => deleted.has(id))).to.eql([false, true, true]);
  });

  it('buries every replica of a deleted topic until its broker reports', () => {
    const log = new Log(1, 2, 3);
    log.apply(createTopic('logs', [[1, 2]]));
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(2, 3) });
    log.apply({ kind: 'deleteTopic', topicId: TOPIC });
    expect(log.state.tombstones.get(group(1))).to.eql([1, 2, 3]);
    expect(log.state.moving.size).to.equal(0);
    for (const [brokerId, left] of [
      [1, [2, 3]],
      [1, [2, 3]],
      [3, [2]],
      [2, undefined],
    ] as const) {
      log.apply({ kind: 'replicasDeleted', brokerId: ids(brokerId)[0]!, groupIds: [group(1)] });
      expect(log.state.tombstones.get(group(1))).to.eql(left);
    }
  });

  it('moves by target, completion and tombstone', () => {
    const log = new Log(1, 2, 3, 4);
    log.apply(createTopic('logs', [[1, 2, 3]]));
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(2, 3, 4) });
    expect(log.partition()).to.deep.include({
      replicas: [2, 3, 4],
      movingFrom: [1, 2, 3],
      bootstrap: [1, 2, 3],
    });
    expect(
      log.refusal({ kind: 'completeMove', groupId: group(1), replicas: ids(1, 2, 3) }),
    ).to.equal('INVALID_ARGUMENT');
    log.apply({ kind: 'completeMove', groupId: group(1), replicas: ids(4, 3, 2) });
    expect(log.partition()).to.deep.include({
      replicas: [2, 3, 4],
      movingFrom: [],
      bootstrap: [2, 3],
      founders: [1, 2, 3],
    });
    expect(log.state.tombstones.get(group(1))).to.eql([1]);
    expect(
      log.refusal({ kind: 'moveReplicas', groupId: group(1), replicas: ids(1, 2, 3) }),
    ).to.equal('THROTTLED');
    log.apply({ kind: 'replicasDeleted', brokerId: ids(1)[0]!, groupIds: [group(1)] });
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(1, 2, 3) });
    expect(log.partition().bootstrap).to.eql([2, 3]);
  });

  it('remembers where a move came from when its target changes', () => {
    const log = new Log(1, 2, 3, 4);
    log.apply(createTopic('logs', [[1, 2]]));
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(3, 2) });
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(4, 2) });
    expect(log.partition().movingFrom).to.eql([1, 2, 3]);
    log.apply({ kind: 'completeMove', groupId: group(1), replicas: ids(2, 4) });
    expect(log.state.tombstones.get(group(1))).to.eql([1, 3]);
  });

  it('takes no report of an earlier move to the same replicas, which the group has left since', () => {
    const log = new Log(1, 2, 3, 4);
    log.apply(createTopic('logs', [[1, 2]]));
    const move = (...to: number[]): LogIndex => {
      log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(...to) });
      return log.partition().targetVersion;
    };
    const [first, , third] = [move(3, 2), move(4, 2), move(3, 2)];
    expect(third).to.be.greaterThan(Number(first));
    const arrived = { kind: 'completeMove', groupId: group(1), replicas: ids(2, 3) } as const;
    expect(log.refusal({ ...arrived, targetVersion: first })).to.equal('INVALID_ARGUMENT');
    expect(log.state.tombstones.size).to.equal(0);
    log.apply({ ...arrived, targetVersion: third });
    expect(log.state.tombstones.get(group(1))).to.eql([1, 4]);
    expect(log.partition().targetVersion).to.equal(NO_TARGET);
    expect(log.apply({ ...arrived, targetVersion: first })).to.eql({ kind: 'done' });
    expect(move(2, 3), 'another order is no move').to.equal(NO_TARGET);
  });

  it('takes a new order of the same replicas as another preferred leader, not a move', () => {
    const log = new Log(1, 2);
    log.apply(createTopic('logs', [[1, 2]]));
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(2, 1) });
    expect(log.partition()).to.deep.include({ replicas: [2, 1], movingFrom: [] });
    expect(log.state.moving.size).to.equal(0);
  });

  it('adds partitions with groups of their own, once', () => {
    const log = new Log(1, 2, 3);
    log.apply(createTopic('logs', [[1, 2]]));
    log.apply(createTopic('other', [[1]], OTHER_TOPIC));
    const more = addPartitions(1, [
      [2, 3],
      [3, 1],
    ]);
    log.apply(more);
    const { partitions } = log.state.topicsById.get(TOPIC)!;
    expect(partitions.map((p) => [p.partition, p.groupId, p.replicas, p.bootstrap])).to.eql([
      [0, 1, [1, 2], [1, 2]],
      [1, 3, [2, 3], [2, 3]],
      [2, 4, [3, 1], [1, 3]],
    ]);
    expect(log.state.groups.get(group(4))).to.eql({ topicId: TOPIC, partition: 2 });
    const before = log.machine.encode();
    expect(log.apply(more), 'a repetition').to.eql({ kind: 'done' });
    expect(log.machine.encode()).to.eql(before);
    log.apply({ kind: 'deleteTopic', topicId: TOPIC });
    expect([...log.state.groups.keys()]).to.eql([2]);
    expect(log.state.tombstones.get(group(4))).to.eql([1, 3]);
  });

  it('has groups that read a topic begin its new partitions at the beginning', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    log.apply(createTopic('other', [[1]], OTHER_TOPIC));
    const commit = (name: string, id: typeof TOPIC) => ({
      ...{ group: name, topicId: id, partition: 0, offset: 7, metadata: 'm' },
    });
    log.apply({
      kind: 'commitOffsets',
      commits: [commit('in', TOPIC), commit('not', OTHER_TOPIC)],
    });
    log.apply(addPartitions(1, [[1], [1]]), TIME_MS + 5);
    expect(log.state.ledger.rows('in').map((row) => [row.partition, row.offset])).to.eql([
      [0, 7],
      [1, 0],
      [2, 0],
    ]);
    expect(log.state.ledger.position('in', TOPIC, 2)?.timeMs).to.equal(TIME_MS + 5);
    expect(log.state.ledger.countOf('not')).to.equal(1);
    expect(log.state.ledger.size).to.equal(4);
  });

  it('adds no partitions that the groups reading the topic could not be given a position in', () => {
    const state = new MetadataState(new OffsetLedger(4));
    const apply = (command: Command) =>
      applyCommand(state, command, { index: logIndex(1), timeMs: TIME_MS });
    const one = { topicId: TOPIC, partition: 0, offset: 7, metadata: '' };
    apply({ kind: 'registerBroker', registration: registration(1) });
    apply(createTopic('logs', [[1]]));
    apply({ kind: 'commitOffsets', commits: ['a', 'b'].map((group) => ({ ...one, group })) });
    const before = encodeSnapshot(state.freeze());
    expect(apply(addPartitions(1, [[1], [1]]))).to.deep.include({
      kind: 'rejected',
      code: 'THROTTLED',
    });
    expect(encodeSnapshot(state.freeze()), 'changes nothing').to.eql(before);
    expect(apply(addPartitions(1, [[1]])), 'as many as there is room for').to.eql({ kind: 'done' });
    expect(state.ledger.room).to.equal(0);
    expect(state.ledger.position('b', TOPIC, 1)?.offset).to.equal(0);
  });

  it('gives settings a version with every change, and remembers the last sixteen', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const now = () => log.state.topicsById.get(TOPIC)!;
    expect([now().configVersion, now().configHistory]).to.eql([0, []]);
    const alter = (value: string | undefined, expectedVersion?: number): string | undefined => {
      const result = log.apply({
        kind: 'alterTopic',
        topicId: TOPIC,
        set: new Map(value === undefined ? [] : [['retention.ms', value]]),
        unset: value === undefined ? ['retention.ms'] : [],
        ...(expectedVersion === undefined
          ? undefined
          : { expectedVersion: logIndex(expectedVersion) }),
      });
      return result?.kind === 'rejected' ? result.code : undefined;
    };
    alter('1000');
    expect(now().configVersion).to.equal(3);
    alter('1000');
    expect(now().configVersion, 'nothing changed').to.equal(3);
    expect(alter('2000', 2)).to.equal('STALE_CONFIG_VERSION');
    expect(alter('2000', 3)).to.equal(undefined);
    expect(now().settings.retentionMs).to.equal(2_000);
    const version = now().configVersion;
    expect(alter('2000', 3), 'a repetition').to.equal(undefined);
    expect(alter('3000', 3), 'another change from there').to.equal('STALE_CONFIG_VERSION');
    expect(alter('2000', 2), 'nobody changed it from there').to.equal('STALE_CONFIG_VERSION');
    expect(now().configVersion).to.equal(version);
    expect(alter(undefined, version)).to.equal(undefined);
    expect(now().configHistory.map(({ previous, keys }) => [previous, ...keys])).to.eql([
      [0, { key: 'retention.ms', before: undefined, after: '1000' }],
      [3, { key: 'retention.ms', before: '1000', after: '2000' }],
      [version, { key: 'retention.ms', before: '2000', after: undefined }],
    ]);
    for (let i = 0; i < 20; i += 1) alter(String(5_000 + i));
    expect(now().configHistory).to.have.length(16);
    expect(now().configHistory.at(-1)?.version).to.equal(now().configVersion);
  });

  it('refuses replicas that a broker came to have no memory for meanwhile', () => {
    const log = new Log(1, 2);
    const room = (replicasMax: number): void => {
      const wanted = { ...registration(1), replicasMax };
      log.apply({ kind: 'registerBroker', registration: wanted });
    };
    room(2);
    expect(log.refusal(createTopic('logs', [[1], [1], [1]]))).to.equal('REPLICA_LIMIT');
    expect(log.refusal(createTopic('logs', [[1], [2]]))).to.equal(undefined);
    expect(log.refusal(addPartitions(2, [[1], [1]]))).to.equal('REPLICA_LIMIT');
    expect(log.refusal(addPartitions(2, [[1]]))).to.equal(undefined);
    room(1);
    expect(log.refusal(addPartitions(3, [[1]]))).to.equal('REPLICA_LIMIT');
    expect(log.refusal(addPartitions(3, [[2]]))).to.equal(undefined);
    const { groupId } = log.partition('logs', 1);
    const move = { kind: 'moveReplicas', groupId, replicas: ids(2, 1) } as const;
    expect(log.refusal(move)).to.equal('REPLICA_LIMIT');
    // Below what it holds: that stays.
    room(0);
    expect(log.refusal({ ...move, replicas: ids(2) })).to.equal(undefined);
    expect(log.partition('logs', 0).replicas).to.eql(ids(1));
    expect(log.state.replicasHeld.get(brokerId(1))).to.equal(2);
  });

  it('counts the replicas that every broker holds, through moves, deletions and snapshots', () => {
    const log = new Log(1, 2, 3);
    const held = (of = log): number[] =>
      ids(1, 2, 3).map((id) => of.state.replicasHeld.get(id) ?? 0);
    log.apply(
      createTopic('logs', [
        [1, 2],
        [2, 1],
      ]),
    );
    log.apply(addPartitions(2, [[3]]));
    expect(held()).to.eql([2, 2, 1]);
    const { groupId } = log.partition('logs', 0);
    log.apply({ kind: 'moveReplicas', groupId, replicas: ids(2, 3) });
    expect(held()).to.eql([2, 2, 2]);
    const restored = new Log();
    restored.machine.restore(log.machine.encode(), log.state.version);
    expect(held(restored)).to.eql([2, 2, 2]);
    log.apply({ kind: 'completeMove', groupId, replicas: ids(2, 3) });
    expect(held()).to.eql([1, 2, 2]);
    log.apply({ kind: 'deleteTopic', topicId: TOPIC });
    expect(held()).to.eql([0, 0, 0]);
  });

  it('refuses what cannot be and changes nothing', () => {
    const log = new Log(1, 2);
    log.apply(createTopic('logs', [[1]]));
    const before = log.machine.encode();
    const long = Array.from({ length: 8 }, (_, i) => i + 1);
    const config = new Map([['retention.ms', '-7']]);
    const cases = [
      [createTopic('..', [[1]], OTHER_TOPIC), 'INVALID_TOPIC_NAME'],
      [createTopic('a', [], OTHER_TOPIC), 'INVALID_PARTITIONS'],
      [createTopic('a', [[]], OTHER_TOPIC), 'INVALID_REPLICATION_FACTOR'],
      [createTopic('a', [long], OTHER_TOPIC), 'INVALID_REPLICATION_FACTOR'],
      [createTopic('a', [[1, 1]], OTHER_TOPIC), 'INVALID_ARGUMENT'],
      [createTopic('a', [[9]], OTHER_TOPIC), 'INVALID_ARGUMENT'],
      [createTopic('a', [[1]], topicId('short')), 'INVALID_ARGUMENT'],
      [{ kind: 'deleteTopic', topicId: OTHER_TOPIC }, 'UNKNOWN_TOPIC'],
      [{ kind: 'alterTopic', topicId: TOPIC, set: config, unset: [] }, 'INVALID_CONFIG'],
      [{ kind: 'alterTopic', topicId: OTHER_TOPIC, set: config, unset: [] }, 'UNKNOWN_TOPIC'],
      [{ kind: 'moveReplicas', groupId: group(9), replicas: ids(1) }, 'UNKNOWN_PARTITION'],
      [{ kind: 'completeMove', groupId: group(9), replicas: ids(1) }, 'UNKNOWN_PARTITION'],
      [{ kind: 'setBrokerFenced', brokerId: ids(9)[0]!, isFenced: true }, 'INVALID_ARGUMENT'],
      [addPartitions(0, [[1], [1]]), 'INVALID_PARTITIONS'],
      [addPartitions(2, [[1]]), 'INVALID_PARTITIONS'],
      [addPartitions(1, []), 'INVALID_PARTITIONS'],
      [addPartitions(1, [[1], []]), 'INVALID_REPLICATION_FACTOR'],
      [addPartitions(1, [[9]]), 'INVALID_ARGUMENT'],
      [
        addPartitions(
          1,
          Array.from({ length: 10_000 }, () => [1]),
        ),
        'INVALID_PARTITIONS',
      ],
      [{ ...addPartitions(1, [[1]]), topicId: OTHER_TOPIC }, 'UNKNOWN_TOPIC'],
      [{ kind: 'allocateProducers', count: 0 }, 'INVALID_ARGUMENT'],
      [{ kind: 'allocateProducers', count: 1_000_000 }, 'INVALID_ARGUMENT'],
    ] as const;
    for (const [command, code] of cases) expect(log.refusal(command)).to.equal(code);
    expect(log.machine.encode()).to.eql(before);
  });

  it('keeps __proto__ and constructor apart from what objects have', () => {
    const log = new Log(1);
    log.apply(createTopic('constructor', [[1]]));
    expect(log.state.topicsByName.has('toString')).to.equal(false);
    expect(log.refusal(createTopic('__proto__', [[1]]))).to.equal('INVALID_TOPIC_NAME');
    const commits = ['__proto__', 'constructor'].map((name, offset) => ({
      group: name,
      topicId: TOPIC,
      partition: 0,
      offset,
      metadata: '__proto__',
    }));
    log.apply({ kind: 'commitOffsets', commits });
    expect(log.state.ledger.position('constructor', TOPIC, 0)?.offset).to.equal(1);
    expect(log.state.ledger.rows('toString')).to.eql([]);
  });

  it('judges each commit of a command by itself', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const at = { group: 'g', topicId: TOPIC, partition: 0, offset: 1, metadata: '' };
    const result = log.apply({
      kind: 'commitOffsets',
      commits: [at, { ...at, topicId: OTHER_TOPIC }, { ...at, partition: 1 }, { ...at, group: '' }],
    });
    if (result?.kind !== 'offsetsCommitted') throw new Error('not committed');
    expect(result.refused.map((r) => r?.code)).to.eql([
      undefined,
      'UNKNOWN_TOPIC',
      'UNKNOWN_PARTITION',
      'INVALID_ARGUMENT',
    ]);
    expect(log.state.ledger.position('g', TOPIC, 0)).to.eql({
      offset: 1,
      metadata: '',
      timeMs: TIME_MS,
    });
  });

  it('fences a broker, which is a change only once', () => {
    const log = new Log(1);
    log.state.takeDelta();
    const fence = (isFenced: boolean) =>
      log.apply({ kind: 'setBrokerFenced', brokerId: ids(1)[0]!, isFenced });
    expect(fence(false)).to.eql({ kind: 'done' });
    expect(log.state.takeDelta()).to.equal(undefined);
    fence(true);
    expect(log.state.takeDelta()?.brokers).to.eql([1]);
  });

  it('takes a move to where the replicas are for done, and says so again when it is', () => {
    const log = new Log(1, 2, 3);
    log.apply(createTopic('logs', [[1, 2]]));
    log.state.takeDelta();
    const move = { kind: 'moveReplicas', groupId: group(1), replicas: ids(1, 2) } as const;
    const complete = { ...move, kind: 'completeMove' } as const;
    expect([log.apply(move), log.apply(complete)]).to.eql([{ kind: 'done' }, { kind: 'done' }]);
    expect(log.state.takeDelta(), 'nothing changed').to.equal(undefined);
    log.apply({ ...move, replicas: ids(1, 2, 3) });
    log.apply({ ...complete, replicas: ids(1, 2, 3) });
    expect(log.partition()).to.deep.include({ replicas: [1, 2, 3], movingFrom: [] });
    expect(log.state.tombstones.size, 'nobody left').to.equal(0);
  });

  it('takes the order of replicas during a move for part of it', () => {
    const log = new Log(1, 2, 3);
    log.apply(createTopic('logs', [[1, 2]]));
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(2, 3) });
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(3, 2) });
    expect(log.partition()).to.deep.include({ replicas: [3, 2], movingFrom: [1, 2, 3] });
  });

  it('hands out producer ids one block after another, none twice', () => {
    const log = new Log();
    const allocate = (count: number) => log.apply({ kind: 'allocateProducers', count });
    expect(allocate(1)).to.eql({ kind: 'producersAllocated', first: 0, count: 1 });
    const block = LIMITS.producerIdBlock;
    expect(allocate(block)).to.eql({ kind: 'producersAllocated', first: 1, count: block });
    expect(allocate(block + 1)).to.deep.include({ kind: 'rejected' });
    expect(allocate(2)).to.eql({ kind: 'producersAllocated', first: block + 1, count: 2 });
    log.state.nextProducerId = Number.MAX_SAFE_INTEGER - 1;
    expect(allocate(1)).to.deep.include({ kind: 'producersAllocated' });
    expect(allocate(1)).to.deep.include({ kind: 'rejected', code: 'INVALID_ARGUMENT' });
  });

  it('ages groups by time that has passed, towards a limit', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const age = (elapsedMs: number, limitMs: number) =>
      log.apply({ kind: 'ageGroups', elapsedMs, limitMs });
    for (const [elapsed, limit] of [
      [0, 5],
      [5, 0],
    ] as const) {
      expect(age(elapsed, limit)).to.deep.include({ kind: 'rejected', code: 'INVALID_ARGUMENT' });
    }
    const commit = { group: 'g', topicId: TOPIC, partition: 0, offset: 1, metadata: '' };
    log.apply({ kind: 'commitOffsets', commits: [commit] });
    expect(age(1, 3)).to.eql({ kind: 'groupsAged', expired: [] });
    expect(age(1, 3), 'active until aged').to.eql({ kind: 'groupsAged', expired: [] });
    expect(age(1, 3)).to.eql({ kind: 'groupsAged', expired: ['g'] });
    expect(log.state.ledger.has('g')).to.equal(false);
    expect(age(1, 1)).to.eql({ kind: 'groupsAged', expired: [] });
  });

  it('creates a topic with the settings that it is given, canonical ones only', () => {
    const log = new Log(1);
    const create = (value: string) => {
      const config = new Map([['retention.ms', value]]);
      return { ...createTopic('logs', [[1]]), config } as Command;
    };
    expect(log.refusal(create('-7'))).to.equal('INVALID_CONFIG');
    expect(log.refusal(create('007'))).to.equal('INVALID_CONFIG');
    log.apply(create('7'));
    const topic = log.state.topicsByName.get('logs');
    expect(topic?.settings.retentionMs).to.equal(7);
    expect(topic).to.deep.include({ id: TOPIC, name: 'logs', configVersion: 0, configHistory: [] });
  });

  it('takes a change of settings from before settings had versions, which gives them none', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const set = new Map([['retention.ms', '1000']]);
    log.apply({ kind: 'alterTopic', topicId: TOPIC, set, unset: [], isUnversioned: true });
    const topic = log.state.topicsById.get(TOPIC)!;
    expect(topic.settings.retentionMs).to.equal(1_000);
    expect([topic.configVersion, topic.configHistory]).to.eql([0, []]);
    log.apply({ kind: 'alterTopic', topicId: TOPIC, set, unset: [] });
    expect(log.state.topicsById.get(TOPIC), 'nothing changed').to.equal(topic);
  });

  it('knows a repeated change of settings for one, after any number of others', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const now = () => log.state.topicsById.get(TOPIC)!;
    const alter = (value: string, expectedVersion: number) => {
      const set = new Map([['retention.ms', value]]);
      return log.apply({
        ...{ kind: 'alterTopic', topicId: TOPIC, set, unset: [] },
        expectedVersion: logIndex(expectedVersion),
      });
    };
    const set = new Map();
    log.state.takeDelta();
    expect(log.apply({ kind: 'alterTopic', topicId: TOPIC, set, unset: ['retention.ms'] })).to.eql({
      kind: 'done',
    });
    expect(log.state.takeDelta(), 'nothing to tell').to.equal(undefined);
    let before = 0;
    for (const value of ['1000', '2000', '3000', '4000']) {
      before = now().configVersion;
      alter(value, before);
      expect(alter(value, before), `a repetition of ${value}`).to.eql({ kind: 'done' });
    }
    expect(now().configHistory).to.have.length(4);
    expect(alter('4000', 0)).to.deep.include({ code: 'STALE_CONFIG_VERSION' });
  });

  it('moves replicas only to where replicas may be', () => {
    const log = new Log(1, 2, 3);
    log.apply(createTopic('logs', [[1, 2]]));
    const cases = [
      [[], 'INVALID_REPLICATION_FACTOR'],
      [[1, 1], 'INVALID_ARGUMENT'],
      [[1, 9], 'INVALID_ARGUMENT'],
    ] as const;
    for (const [replicas, code] of cases) {
      const move = { kind: 'moveReplicas', groupId: group(1), replicas: ids(...replicas) } as const;
      expect(log.refusal(move), replicas.join()).to.equal(code);
    }
    expect(log.partition().replicas).to.eql([1, 2]);
  });

  it('tells nobody of tombstones when a move left none', () => {
    const log = new Log(1, 2);
    log.apply(createTopic('logs', [[1]]));
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(1, 2) });
    log.state.takeDelta();
    log.apply({ kind: 'completeMove', groupId: group(1), replicas: ids(1, 2) });
    expect(log.state.takeDelta()).to.deep.include({ topics: [TOPIC], tombstones: [] });
  });

  it('gives partitions as many replicas as may be, and topics as many partitions', () => {
    const brokers = Array.from({ length: LIMITS.replicationFactorMax }, (_, i) => i + 1);
    const log = new Log(...brokers);
    const most = LIMITS.partitionsPerTopicMax;
    const assignment = Array.from({ length: most - 1 }, () => [1]);
    expect(log.apply(createTopic('logs', [brokers, ...assignment]))).to.eql({ kind: 'done' });
    expect(log.refusal(addPartitions(most, [[1]]))).to.equal('INVALID_PARTITIONS');
  });

  it('has no more partitions in all topics than the cluster may hold', () => {
    const log = new Log(1);
    const each = LIMITS.partitionsPerTopicMax;
    const assignment = Array.from({ length: each }, () => [1]);
    const idOf = (n: number) => topicId(n.toString(16).padStart(32, '0'));
    const topics = METADATA_LIMITS.partitionsMax / each;
    for (let n = 1; n < topics; n += 1) log.apply(createTopic(`t${n}`, assignment, idOf(n)));
    const rest = assignment.slice(1);
    expect(log.refusal(createTopic('last', rest)), 'one less than there is room for').to.equal(
      undefined,
    );
    expect(log.refusal(createTopic('more', [[1], [1]], OTHER_TOPIC))).to.equal(
      'INVALID_PARTITIONS',
    );
    expect(log.refusal(addPartitions(each - 1, [[1]])), 'exactly as many').to.equal(undefined);
    expect(log.refusal(createTopic('more', [[1]], OTHER_TOPIC))).to.equal('INVALID_PARTITIONS');
    expect(log.state.groups.size).to.equal(METADATA_LIMITS.partitionsMax);
  });

  it('has no more topics than the cluster may hold', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]], OTHER_TOPIC));
    const image = log.state.topicsById.get(OTHER_TOPIC)!;
    for (let n = 2; n < LIMITS.topicsMax; n += 1) {
      const id = topicId(n.toString(16).padStart(32, '0'));
      log.state.putTopic({ ...image, id, name: `t${n}`, partitions: [] });
    }
    expect(log.refusal(createTopic('last', [[1]]))).to.equal(undefined);
    expect(log.state.topicsById.size).to.equal(LIMITS.topicsMax);
    const more = createTopic('more', [[1]], topicId('f'.repeat(32)));
    expect(log.refusal(more)).to.equal('THROTTLED');
  });

  it('takes no more commits than the ledger has room for, and none halfway', () => {
    const state = new MetadataState(new OffsetLedger(1));
    const apply = (command: Command) =>
      applyCommand(state, command, { index: logIndex(1), timeMs: TIME_MS });
    apply({ kind: 'registerBroker', registration: registration(1) });
    apply(createTopic('logs', [[1], [1]]));
    const at = { group: 'g', topicId: TOPIC, offset: 3, metadata: '' };
    const result = apply({
      kind: 'commitOffsets',
      commits: [0, 1, 0].map((partition) => ({ ...at, partition })),
    });
    if (result.kind !== 'offsetsCommitted') throw new Error('not committed');
    const codes = result.refused.map((refusal) => refusal?.code);
    expect(codes).to.eql([undefined, 'THROTTLED', undefined]);
    expect(state.ledger.rows('g').map(({ partition }) => partition)).to.eql([0]);
  });

  it('begins new partitions at the beginning, with nothing said of it', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const commit = { group: 'g', topicId: TOPIC, partition: 0, offset: 7, metadata: 'm' };
    log.apply({ kind: 'commitOffsets', commits: [commit] });
    log.apply(addPartitions(1, [[1]]));
    expect(log.state.ledger.position('g', TOPIC, 1)).to.eql({
      offset: 0,
      metadata: '',
      timeMs: TIME_MS,
    });
  });

  it('starts anew from nothing', () => {
    const log = new Log(1, 2);
    log.apply(createTopic('logs', [[1, 2]]));
    log.apply({ kind: 'moveReplicas', groupId: group(1), replicas: ids(2) });
    log.apply({ kind: 'allocateProducers', count: 5 });
    log.apply(createTopic('gone', [[1]], OTHER_TOPIC));
    log.apply({ kind: 'deleteTopic', topicId: OTHER_TOPIC });
    const commit = { group: 'g', topicId: TOPIC, partition: 0, offset: 1, metadata: '' };
    log.apply({ kind: 'commitOffsets', commits: [commit] });
    log.machine.restore(undefined, logIndex(0));
    expect(log.machine.encode()).to.eql(new MetadataMachine().encode());
    const { state } = log;
    expect([state.groups.size, state.moving.size, state.topicsByName.size]).to.eql([0, 0, 0]);
    expect(state.partition(group(1))).to.equal(undefined);
  });

  it('tells what changed, once', () => {
    const log = new Log(1);
    expect(log.state.takeDelta()).to.eql({
      isReset: false,
      brokers: [1],
      topics: [],
      tombstones: [],
    });
    log.apply(createTopic('logs', [[1]]));
    log.apply({ kind: 'deleteTopic', topicId: TOPIC });
    expect(log.state.takeDelta()).to.deep.include({ topics: [TOPIC], tombstones: [1] });
    expect(log.state.takeDelta()).to.equal(undefined);
    log.machine.restore(undefined, logIndex(0));
    expect(log.state.takeDelta()?.isReset).to.equal(true);
  });

  it('stops at a command it cannot read, and at an entry out of order', () => {
    const machine = new MetadataMachine();
    const entry = { term: term(1), timeMs: 0, payload: Uint8Array.of(9, 9) };
    expect(() => machine.apply({ ...entry, index: logIndex(1), kind: 'command' })).to.throw(
      'version 9',
    );
    machine.apply({ ...entry, index: logIndex(1), kind: 'noop' });
    expect(() => machine.apply({ ...entry, index: logIndex(1), kind: 'noop' })).to.throw(
      'in order',
    );
    expect(() => machine.apply({ ...entry, index: logIndex(2), kind: 'batch' })).to.throw(
      'no record batches',
    );
  });
});
