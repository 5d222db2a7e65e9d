import { expect } from 'chai';

import {
  decideAddPartitions,
  decideAlterTopic,
  decideCommit,
  decideCreateTopic,
  decideMoveReplicas,
  decideRegister,
  findPartition,
  type Decision,
} from '../../../src/metadata/decide.js';
import type { Command } from '../../../src/metadata/command.js';
import { brokerId, logIndex, type TopicId } from '../../../src/model/ids.js';
import { GROUP, GroupLog } from './group-support.js';
import { createTopic, ids, Log, OTHER_TOPIC, registration, TOPIC } from './support.js';

const NEW = {
  topicId: TOPIC,
  topic: 'logs',
  partitions: undefined,
  replicationFactor: undefined,
  config: new Map<string, string>(),
};

/** The code of a rejection, else the decision's kind. */
const verdict = (decision: { kind: string; code?: string }): string =>
  decision.code ?? decision.kind;

function mustPropose<K extends Command['kind']>(
  decision: Decision,
  kind: K,
): Extract<Command, { kind: K }> {
  if (decision.kind !== 'propose' || decision.command.kind !== kind) {
    throw new Error(`not ${kind}: ${verdict(decision)}`);
  }
  return decision.command as Extract<Command, { kind: K }>;
}

describe('deciding on metadata requests', () => {
  it('gives a topic one partition and three replicas unless told otherwise', () => {
    const decision = decideCreateTopic(new Log(1, 2, 3, 4).state, NEW, 4, 1);
    const command = mustPropose(decision, 'createTopic');
    expect(command.assignment).to.have.length(1);
    expect(command.assignment[0]).to.have.length(3);
  });

  it('counts brokers that are yet to register, and places on live ones only', () => {
    const log = new Log(1, 2);
    expect(verdict(decideCreateTopic(log.state, NEW, 3, 1))).to.equal('INVALID_REPLICATION_FACTOR');
    expect(verdict(decideCreateTopic(log.state, NEW, 2, 1))).to.equal('propose');
    log.apply({ kind: 'setBrokerFenced', brokerId: brokerId(1), isFenced: true });
    const one = decideCreateTopic(log.state, { ...NEW, replicationFactor: 1 }, 2, 1);
    const command = mustPropose(one, 'createTopic');
    expect(command.assignment).to.eql([[2]]);
  });

  it('names the setting that is wrong', () => {
    const log = new Log(1);
    const config = new Map([['max.batch.bytes', '12']]);
    const decision = decideCreateTopic(log.state, { ...NEW, config }, 1, 1);
    expect(decision).to.include({ kind: 'rejected', code: 'INVALID_CONFIG' });
    expect(decision).to.have.property('message').that.contains('max.batch.bytes must be');
  });

  it('settles a repeated create', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    expect(verdict(decideCreateTopic(log.state, NEW, 1, 1))).to.equal('settled');
    const other = { ...NEW, topicId: OTHER_TOPIC };
    expect(verdict(decideCreateTopic(log.state, other, 1, 1))).to.equal('TOPIC_EXISTS');
  });

  it('proposes a registration only when it says something new', () => {
    const log = new Log(1);
    expect(verdict(decideRegister(log.state, registration(1)))).to.equal('settled');
    const moved = { ...registration(1), rack: 'elsewhere' };
    expect(verdict(decideRegister(log.state, moved))).to.equal('propose');
    log.apply({ kind: 'setBrokerFenced', brokerId: brokerId(1), isFenced: true });
    expect(verdict(decideRegister(log.state, registration(1)))).to.equal('propose');
    expect(verdict(decideRegister(log.state, registration(0)))).to.equal('INVALID_ARGUMENT');
    const rack = 'r'.repeat(256);
    expect(verdict(decideRegister(log.state, { ...registration(3), rack }))).to.equal(
      'INVALID_ARGUMENT',
    );
  });

  it('registers only what can be a broker', () => {
    const { state } = new Log();
    const one = registration(7);
    const good = [
      { ...one, id: brokerId(1) },
      { ...one, id: brokerId(0x7fff_ffff) },
      { ...one, directoryId: 'd'.repeat(64) },
      { ...one, rack: '' },
      { ...one, rack: 'r'.repeat(255) },
      { ...one, address: { ...one.address, host: 'h'.repeat(255) } },
    ];
    for (const wanted of good) expect(verdict(decideRegister(state, wanted))).to.equal('propose');
    const bad = [
      { ...one, id: 0x8000_0000 as typeof one.id },
      { ...one, directoryId: '' },
      { ...one, directoryId: 'd'.repeat(65) },
      { ...one, address: { ...one.address, host: '' } },
      { ...one, address: { ...one.address, host: 'h'.repeat(256) } },
      { ...one, address: { ...one.address, peerHost: '' } },
      { ...one, address: { ...one.address, peerHost: 'h'.repeat(256) } },
    ];
    for (const wanted of bad) {
      expect(verdict(decideRegister(state, wanted))).to.equal('INVALID_ARGUMENT');
    }
  });

  it('takes any change of a registration for news', () => {
    const { state } = new Log(1);
    const one = registration(1);
    const { address } = one;
    const changed = [
      { ...one, directoryId: 'another' },
      { ...one, address: { ...address, host: 'h' } },
      { ...one, address: { ...address, port: 1 } },
      { ...one, address: { ...address, peerHost: 'h' } },
      { ...one, address: { ...address, peerPort: 1 } },
      { ...one, address: { ...address, httpPort: 1 } },
    ];
    for (const wanted of changed) {
      expect(verdict(decideRegister(state, wanted))).to.equal('propose');
    }
  });

  it('refuses more brokers than a cluster may have, but none that it knows', () => {
    const log = new Log(...Array.from({ length: 999 }, (_, i) => i + 1));
    expect(verdict(decideRegister(log.state, registration(1_000)))).to.equal('propose');
    log.apply({ kind: 'registerBroker', registration: registration(1_000) });
    expect(verdict(decideRegister(log.state, registration(1_001)))).to.equal('INVALID_ARGUMENT');
    expect(log.refusal({ kind: 'registerBroker', registration: registration(1_001) })).to.equal(
      'INVALID_ARGUMENT',
    );
    const moved = { ...registration(5), rack: 'elsewhere' };
    expect(verdict(decideRegister(log.state, moved))).to.equal('propose');
    expect(log.refusal({ kind: 'registerBroker', registration: moved })).to.equal(undefined);
  });

  it('bounds partitions and replicas of a new topic', () => {
    const log = new Log(1, 2, 3, 4, 5, 6, 7, 8);
    const create = (partitions: number, replicationFactor: number, known = 8): string =>
      verdict(decideCreateTopic(log.state, { ...NEW, partitions, replicationFactor }, known, 1));
    expect([create(1, 1), create(3, 7)]).to.eql(['propose', 'propose']);
    for (const count of [0, 1.5, 10_001]) {
      expect(create(count, 1), String(count)).to.equal('INVALID_PARTITIONS');
    }
    for (const factor of [0, 1.5, 8]) {
      expect(create(1, factor), String(factor)).to.equal('INVALID_REPLICATION_FACTOR');
    }
    expect(create(1, 3, 3)).to.equal('propose');
    expect(create(1, 3, 2)).to.equal('INVALID_REPLICATION_FACTOR');
    const bad = { ...NEW, topic: 'a b' };
    expect(verdict(decideCreateTopic(log.state, bad, 8, 1))).to.equal('INVALID_TOPIC_NAME');
  });

  it('gives a topic fewer replicas than three only where there are fewer brokers', () => {
    const factor = (known: number): number | undefined =>
      mustPropose(decideCreateTopic(new Log(1, 2, 3, 4).state, NEW, known, 1), 'createTopic')
        .assignment[0]?.length;
    expect([1, 2, 3, 4].map(factor)).to.eql([1, 2, 3, 3]);
  });

  it('finds a partition, or says what is unknown about it', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1], [1]]));
    const find = (topic: string, partition: number): string =>
      verdict(findPartition(log.state, { topic, partition }));
    expect([find('logs', 0), find('logs', 1)]).to.eql(['found', 'found']);
    expect([find('logs', 2), find('logs', -1)]).to.eql(['UNKNOWN_PARTITION', 'UNKNOWN_PARTITION']);
    expect(find('nope', 0)).to.equal('UNKNOWN_TOPIC');
    const alter = decideAlterTopic(log.state, { topic: 'nope', set: new Map(), unset: [] });
    expect(verdict(alter)).to.equal('UNKNOWN_TOPIC');
    const alterLogs = (topicId: TopicId | undefined): string =>
      verdict(decideAlterTopic(log.state, { topic: 'logs', topicId, set: new Map(), unset: [] }));
    expect([undefined, TOPIC, OTHER_TOPIC].map(alterLogs)).to.eql([
      'propose',
      'propose',
      'UNKNOWN_TOPIC',
    ]);
    const move = (topic: string, ...replicas: number[]): string =>
      verdict(decideMoveReplicas(log.state, { topic, partition: 0, replicas: ids(...replicas) }));
    expect([move('nope', 1), move('logs', 9), move('logs', 1)]).to.eql([
      'UNKNOWN_TOPIC',
      'INVALID_ARGUMENT',
      'propose',
    ]);
  });

  it('commits positions of partitions that are, under names that may be', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const commit = (group: string, wanted: object): unknown => {
      const all = { topic: 'logs', partition: 0, offset: 0, metadata: '', ...wanted };
      return verdict(decideCommit(log.state, group, all));
    };
    expect(commit('g', {})).to.equal('commit');
    expect(commit('g', { offset: Number.MAX_SAFE_INTEGER })).to.equal('commit');
    for (const offset of [-1, 0.5, Number.MAX_SAFE_INTEGER + 1]) {
      expect(commit('g', { offset })).to.equal('INVALID_ARGUMENT');
    }
    expect(commit('', {})).to.equal('INVALID_ARGUMENT');
    expect(commit('g', { topic: 'nope' })).to.equal('UNKNOWN_TOPIC');
    expect(commit('g', { partition: 1 })).to.equal('UNKNOWN_PARTITION');
    const made = decideCommit(log.state, 'g', {
      ...{ topic: 'logs', partition: 0, offset: 3, metadata: 'm' },
    });
    expect(made).to.eql({
      kind: 'commit',
      groupId: log.partition().groupId,
      item: { group: 'g', topicId: TOPIC, partition: 0, offset: 3, metadata: 'm' },
    });
  });

  it('carries who commits, for what it holds alone', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    const wanted = { topic: 'a', partition: 0, offset: 3, metadata: '' };
    const fence = { memberId: 'm1', memberEpoch: log.member('m1').epoch, sequence: 7 };
    const made = decideCommit(log.state, GROUP, wanted, fence);
    expect(made).to.have.deep.nested.property('item.fence', fence);
    const ahead = { ...fence, memberEpoch: fence.memberEpoch + 1 };
    expect(verdict(decideCommit(log.state, GROUP, wanted, ahead))).to.equal('FENCED_MEMBER_EPOCH');
    expect(verdict(decideCommit(log.state, GROUP, wanted))).to.equal('GROUP_NOT_EMPTY');
  });

  it('carries the version that a change of settings expects', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const wanted = { topic: 'logs', set: new Map(), unset: ['retention.ms'] };
    const expectedVersion = logIndex(4);
    const command = mustPropose(
      decideAlterTopic(log.state, { ...wanted, expectedVersion }),
      'alterTopic',
    );
    expect(command).to.deep.include({ topicId: TOPIC, unset: ['retention.ms'], expectedVersion });
    const set = new Map([['retention.ms', 'soon']]);
    expect(verdict(decideAlterTopic(log.state, { ...wanted, set, unset: [] }))).to.equal(
      'INVALID_CONFIG',
    );
  });

  it('places more partitions like the first ones, and knows when nothing is to do', () => {
    const log = new Log(1, 2, 3);
    log.apply(createTopic('logs', [[1, 2]]));
    const more = (partitions: number, topicId = TOPIC): Decision =>
      decideAddPartitions(log.state, { topicId, partitions }, 3, 1);
    const { from, assignment } = mustPropose(more(3), 'addPartitions');
    expect(from).to.equal(1);
    expect(assignment.map((replicas) => replicas.length)).to.eql([2, 2]);
    // The third broker has nothing yet.
    expect(assignment.flat().filter((id) => id === 3)).to.have.length(2);
    expect(verdict(more(1))).to.equal('settled');
    for (const count of [0, -1, 1.5, 10_001]) {
      expect(verdict(more(count)), String(count)).to.equal('INVALID_PARTITIONS');
    }
    expect(verdict(more(2, OTHER_TOPIC))).to.equal('UNKNOWN_TOPIC');
    log.apply({ kind: 'addPartitions', topicId: TOPIC, from, assignment });
    expect(verdict(more(3)), 'a retry').to.equal('settled');
    expect(more(2)).to.have.property('message').that.contains('not reduced to 2');
    for (const id of [2, 3]) {
      log.apply({ kind: 'setBrokerFenced', brokerId: brokerId(id), isFenced: true });
    }
    expect(verdict(more(4))).to.equal('INVALID_REPLICATION_FACTOR');
  });

  it('refuses to set and unset a key at once, or to unset one that is none', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const set = new Map([['retention.ms', '007']]);
    const wanted = (unset: string[]) => ({ topic: 'logs', set, unset });
    const decision = decideAlterTopic(log.state, wanted(['retention.bytes']));
    const command = mustPropose(decision, 'alterTopic');
    expect([...command.set]).to.eql([['retention.ms', '7']]);
    for (const key of ['retention.ms', 'nope', '__proto__']) {
      expect(verdict(decideAlterTopic(log.state, wanted([key])))).to.equal('INVALID_CONFIG');
    }
  });

  it('moves no replica to a broker that is fenced, but may leave one there', () => {
    const log = new Log(1, 2, 3);
    log.apply(createTopic('logs', [[1, 2]]));
    for (const id of [2, 3]) {
      log.apply({ kind: 'setBrokerFenced', brokerId: brokerId(id), isFenced: true });
    }
    const move = (...replicas: number[]): string =>
      verdict(
        decideMoveReplicas(log.state, { topic: 'logs', partition: 0, replicas: ids(...replicas) }),
      );
    expect(move(1, 3)).to.equal('INVALID_ARGUMENT');
    expect(move(2)).to.equal('propose');
  });

  describe('with memory for so many replicas', () => {
    /** Brokers with room for two replicas each; 4 tells of none. */
    function fullAtTwo(...brokers: number[]): Log {
      const log = new Log();
      for (const id of brokers) {
        const replicasMax = id === 4 ? undefined : 2;
        const wanted = { ...registration(id), replicasMax };
        log.apply({ kind: 'registerBroker', registration: wanted });
      }
      return log;
    }
    const threeOf = (partitions: number) => ({ ...NEW, partitions, replicationFactor: 3 });

    it('places as many as fit, and refuses one more, naming brokers and setting', () => {
      const log = fullAtTwo(1, 2, 3);
      expect(verdict(decideCreateTopic(log.state, threeOf(2), 3, 1))).to.equal('propose');
      log.apply(createTopic('ops', [[1, 2, 3]], OTHER_TOPIC));
      expect(verdict(decideCreateTopic(log.state, threeOf(1), 3, 1))).to.equal('propose');
      expect(decideCreateTopic(log.state, threeOf(2), 3, 1)).to.deep.equal({
        kind: 'rejected',
        code: 'REPLICA_LIMIT',
        message:
          'no memory for 6 more replicas: broker 1 holds 1 of 2, broker 2 holds 1 of 2, ' +
          "broker 3 holds 1 of 2; each takes 512 KiB of the broker's replicasMemoryBytes",
      });
    });

    it('names five brokers at most', () => {
      const decision = decideCreateTopic(fullAtTwo(1, 2, 3, 5, 6, 7).state, threeOf(9), 6, 1);
      expect(decision.kind === 'rejected' && decision.message).to.contain(
        'broker 6 holds 0 of 2, …;',
      );
    });

    it('asks nothing of a broker that does not tell', () => {
      const log = fullAtTwo(1, 4);
      const wanted = { ...NEW, partitions: 50, replicationFactor: 1 };
      const { assignment } = mustPropose(decideCreateTopic(log.state, wanted, 2, 1), 'createTopic');
      expect(assignment.flat().filter((id) => id === 1)).to.have.length(2);
    });

    it('adds partitions within the same bounds', () => {
      const log = fullAtTwo(1, 2);
      log.apply(createTopic('logs', [[1, 2]]));
      const more = (partitions: number) =>
        verdict(decideAddPartitions(log.state, { topicId: TOPIC, partitions }, 2, 1));
      expect(more(2)).to.equal('propose');
      expect(more(3)).to.equal('REPLICA_LIMIT');
    });

    it('moves a replica only to where there is room, and counts where it still is', () => {
      const log = fullAtTwo(1, 2, 3);
      log.apply(createTopic('logs', [[1], [2], [2]]));
      const move = (partition: number, ...replicas: number[]) =>
        verdict(
          decideMoveReplicas(log.state, { topic: 'logs', partition, replicas: ids(...replicas) }),
        );
      expect(move(0, 2)).to.equal('REPLICA_LIMIT');
      expect(move(0, 1, 3)).to.equal('propose');
      // One that it has already takes no more.
      expect(move(1, 2, 1)).to.equal('propose');
      const { groupId } = log.partition('logs', 1);
      log.apply({ kind: 'moveReplicas', groupId, replicas: ids(3) });
      expect(move(0, 2)).to.equal('REPLICA_LIMIT');
      log.apply({ kind: 'completeMove', groupId, replicas: ids(3) });
      expect(move(0, 2)).to.equal('propose');
    });

    it('takes another amount of memory for news', () => {
      const log = fullAtTwo(1);
      const again = (replicasMax: number | undefined) =>
        verdict(decideRegister(log.state, { ...registration(1), replicasMax }));
      expect(again(2)).to.equal('settled');
      expect(again(1)).to.equal('propose');
      expect(again(undefined)).to.equal('propose');
    });
  });

  it('measures commit metadata in bytes', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const commit = (metadata: string): string =>
      verdict(decideCommit(log.state, 'g', { topic: 'logs', partition: 0, offset: 0, metadata }));
    expect(commit('x'.repeat(4_096))).to.equal('commit');
    expect(commit('ä'.repeat(2_049))).to.equal('INVALID_ARGUMENT');
  });
});
