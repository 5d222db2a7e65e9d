import { expect } from 'chai';

import {
  decideAddPartitions,
  decideAlterTopic,
  decideCommit,
  decideCreateTopic,
  decideMoveReplicas,
  decideRegister,
  type Decision,
} from '../../../src/metadata/decide.js';
import type { Command } from '../../../src/metadata/command.js';
import { brokerId } from '../../../src/model/ids.js';
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

  it('measures commit metadata in bytes', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const commit = (metadata: string): string =>
      verdict(decideCommit(log.state, 'g', { topic: 'logs', partition: 0, offset: 0, metadata }));
    expect(commit('x'.repeat(4_096))).to.equal('commit');
    expect(commit('ä'.repeat(2_049))).to.equal('INVALID_ARGUMENT');
  });
});
