import { expect } from 'chai';

import { DEFAULT_BROKER_SETTINGS } from '../../../src/broker/types.js';
import {
  METADATA_GROUP,
  brokerId,
  logIndex,
  topicId,
  type LogIndex,
  type TopicId,
} from '../../../src/model/ids.js';
import { produce } from './support/produce.js';
import { TestBrokers } from './support/test-brokers.js';

const SECOND = { deadlineMs: 1_000 };
const LONG = { deadlineMs: 20_000 };
/** An entry of the first term, registrations and read barriers; the first pause of a retry is as long. */
const READY_AFTER_MS = 20;

function newTopic(topic: string, partitions = 1, replicationFactor?: number) {
  const config = new Map<string, string>();
  return { topic, partitions, replicationFactor, config, noWait: false, timeoutMs: undefined };
}

/** One that has to ask the controller. */
function notController(brokers: TestBrokers): number {
  const controller = brokers.controllerSeenBy(1) ?? 0;
  return [1, 2, 3].find((id) => id !== controller) ?? 0;
}

describe('a cluster of brokers', () => {
  let brokers: TestBrokers;

  beforeEach(() => {
    brokers = new TestBrokers();
  });
  afterEach(async () => {
    await brokers.stopAll();
  });

  it('is ready a few messages after its first leader is: nobody waits for a pause to end', async () => {
    brokers.startAll([1, 2, 3]);
    let leaderAtMs: number | undefined;
    await brokers.world.until(() => {
      const isThere = [1, 2, 3].some((id) => {
        const services = brokers.lives.get(id)?.broker.services();
        return services?.leaders.leaderOf(METADATA_GROUP)?.leader === id;
      });
      if (isThere) leaderAtMs = brokers.world.clock.monotonicMs();
      return isThere;
    });
    await brokers.untilReady();
    const waitedMs = brokers.world.clock.monotonicMs() - (leaderAtMs ?? 0);
    expect(waitedMs).to.be.lessThan(READY_AFTER_MS);
  });

  describe('with three founders', () => {
    beforeEach(async () => {
      brokers.startAll([1, 2, 3]);
      await brokers.untilReady();
    });

    it('forms under one cluster id, with everyone registered and voting', async () => {
      const described = await brokers.settled(brokers.admin(2).describeCluster(LONG));
      expect(described.clusterId).to.match(/^[0-9a-f]{32}$/);
      expect(described.brokers.map((b) => [b.id, b.isFenced])).to.deep.equal([
        [1, false],
        [2, false],
        [3, false],
      ]);
      expect(described.metadataMembers.map((m) => [m.brokerId, m.role])).to.deep.equal([
        [1, 'voter'],
        [2, 'voter'],
        [3, 'voter'],
      ]);
      expect(described.controller).to.equal(brokers.controllerSeenBy(1));
    });

    it('creates a topic through any broker and has leaders for all partitions', async () => {
      const made = await brokers.settled(brokers.admin(3).createTopic(newTopic('logs', 12), LONG));
      expect(made.replicationFactor).to.equal(3);
      const seen = await brokers.settled(
        brokers.admin(1).getMetadata({ topics: ['logs'], linearizable: true }, LONG),
      );
      const [topic] = seen.topics;
      if (topic?.error !== undefined || topic === undefined) throw new Error('not there');
      expect(topic.topicId).to.equal(made.topicId);
      expect(topic.partitions.every((p) => p.leader !== undefined)).to.equal(true);
      const preferred = topic.partitions.map((p) => p.replicas[0]);
      for (const id of [1, 2, 3]) expect(preferred.filter((p) => p === id)).to.have.length(4);
    });

    it('describes every partition from its leader', async () => {
      await brokers.settled(brokers.admin(1).createTopic(newTopic('logs', 3), LONG));
      const described = await brokers.settled(brokers.admin(2).describeTopic('logs', LONG));
      for (const { facts } of described.partitions) {
        if (facts instanceof Error) throw facts;
        expect(facts.replicas.map((r) => r.brokerId)).to.deep.equal([1, 2, 3]);
        expect(facts.highWatermark).to.equal(0);
      }
      expect(described.effectiveConfig.get('timestamp.type')).to.equal('create');
    });

    it('adds partitions and has leaders for them, also when the first answer is lost', async () => {
      await brokers.settled(brokers.admin(1).createTopic(newTopic('logs', 2), LONG));
      const asked = notController(brokers);
      const lost = brokers.peers.loseFirstAnswers(/addPartitions/);
      const request = { topic: 'logs', partitions: 5, noWait: false, timeoutMs: undefined };
      const grown = await brokers.settled(
        brokers.admin(asked).addPartitions(request, { deadlineMs: 60_000 }),
      );
      expect([lost.size, grown.partitions]).to.deep.equal([1, 5]);
      const described = await brokers.settled(brokers.admin(2).describeTopic('logs', LONG));
      expect(described.partitions).to.have.length(5);
      for (const { facts } of described.partitions) {
        if (facts instanceof Error) throw facts;
        expect(facts.replicas).to.have.length(3);
      }
      const fewer = brokers.admin(asked).addPartitions({ ...request, partitions: 4 }, LONG);
      const refusal = await brokers.refused(fewer);
      expect(refusal.code).to.equal('INVALID_PARTITIONS');
      expect(refusal.message).to.contain('has 5 partitions').and.contain('not reduced to 4');
    });

    it('runs live partitions with changed settings at once, and remembers the changes', async () => {
      const at = { topic: 'logs', partition: 0 };
      await brokers.settled(brokers.admin(1).createTopic(newTopic('logs'), LONG));
      const send = (count: number) => brokers.settled(produce(brokers, 1, at, count));
      const alter = (key: string, value: string, expectedVersion?: LogIndex) =>
        brokers.settled(
          brokers
            .admin(3)
            .alterTopic(
              { topic: 'logs', set: new Map([[key, value]]), unset: [], expectedVersion },
              LONG,
            ),
        );
      expect((await send(1_000)).error).to.equal(undefined);
      const first = await alter('max.batch.bytes', '1024', logIndex(0));
      await brokers.world.run(100);
      const refusal = (await send(1_000)).error;
      expect(refusal?.code).to.equal('BATCH_TOO_LARGE');
      expect(refusal?.message).to.match(/exceeds max.batch.bytes 1024/);
      await alter('timestamp.type', 'append', first.configVersion);
      await brokers.world.run(100);
      const before = brokers.world.clock.nowMs();
      expect((await send(1)).error).to.equal(undefined);
      const { answer } = (
        await brokers.settled(
          brokers.admin(1).listOffsets(
            {
              queries: [{ ...at, at: { kind: 'timestamp', timestampMs: before } }],
              linearizable: true,
            },
            LONG,
          ),
        )
      )[0]!;
      expect(answer, 'the leader stamped its own time').to.include({ offset: 1_000 });
      await alter('retention.records', '1');
      await brokers.world.run(DEFAULT_BROKER_SETTINGS.retentionCheckMs + 2_000);
      const described = await brokers.settled(brokers.admin(2).describeTopic('logs', LONG));
      const facts = described.partitions[0]!.facts;
      expect(facts).to.include({ logStartOffset: 1_000, highWatermark: 1_001 });
      expect(described.configHistory.map(({ keys }) => keys.map(({ key }) => key))).to.eql([
        ['max.batch.bytes'],
        ['timestamp.type'],
        ['retention.records'],
      ]);
      const stale = brokers.admin(2).alterTopic(
        {
          topic: 'logs',
          set: new Map(),
          unset: ['max.batch.bytes'],
          expectedVersion: first.configVersion,
        },
        LONG,
      );
      const conflict = await brokers.refused(stale);
      expect(conflict.code).to.equal('STALE_CONFIG_VERSION');
      expect(conflict.message).to.contain(String(described.configVersion));
    });

    it('answers a conditional change of settings whose answer was lost as made', async () => {
      await brokers.settled(brokers.admin(1).createTopic(newTopic('logs'), LONG));
      const asked = notController(brokers);
      const lost = brokers.peers.loseFirstAnswers(/alterTopic/);
      const request = {
        topic: 'logs',
        set: new Map([['retention.ms', '5']]),
        unset: [],
        expectedVersion: logIndex(0),
      };
      const altered = await brokers.settled(
        brokers.admin(asked).alterTopic(request, { deadlineMs: 60_000 }),
      );
      expect(lost.size).to.equal(1);
      expect(altered.configVersion).to.be.greaterThan(0);
      const described = await brokers.settled(brokers.admin(2).describeTopic('logs', LONG));
      expect(described.configHistory).to.have.length(1);
    });

    it('refuses what cannot be, each with its own code', async () => {
      const admin = brokers.admin(2);
      await brokers.settled(admin.createTopic(newTopic('logs'), LONG));
      const cases: [string, () => Promise<unknown>][] = [
        ['TOPIC_EXISTS', () => admin.createTopic(newTopic('logs'), LONG)],
        ['INVALID_TOPIC_NAME', () => admin.createTopic(newTopic('a/b'), LONG)],
        ['INVALID_TOPIC_NAME', () => admin.createTopic(newTopic('..'), LONG)],
        ['INVALID_TOPIC_NAME', () => admin.createTopic(newTopic('x'.repeat(250)), LONG)],
        ['INVALID_PARTITIONS', () => admin.createTopic(newTopic('p0', 0), LONG)],
        ['INVALID_PARTITIONS', () => admin.createTopic(newTopic('pm', 1_000_000), LONG)],
        ['INVALID_REPLICATION_FACTOR', () => admin.createTopic(newTopic('rf', 1, 4), LONG)],
        ['UNKNOWN_TOPIC', () => admin.deleteTopic({ topic: 'nope', timeoutMs: undefined }, LONG)],
        ['UNKNOWN_TOPIC', () => admin.describeTopic('nope', LONG)],
        [
          'INVALID_CONFIG',
          () =>
            admin.alterTopic({ topic: 'logs', set: new Map([['no.such', '1']]), unset: [] }, LONG),
        ],
        [
          'INVALID_CONFIG',
          () =>
            admin.alterTopic(
              { topic: 'logs', set: new Map([['retention.ms', 'x']]), unset: [] },
              LONG,
            ),
        ],
      ];
      for (const [code, attempt] of cases) {
        expect((await brokers.refused(attempt())).code).to.equal(code);
      }
    });

    it('refuses names that are reserved, and takes constructor for a name like any other', async () => {
      const admin = brokers.admin(1);
      for (const name of ['__proto__', '__anything']) {
        const refusal = await brokers.refused(admin.createTopic(newTopic(name), LONG));
        expect(refusal.code).to.equal('INVALID_TOPIC_NAME');
        expect(refusal.message).to.contain('reserved for the system');
      }
      const unknown = admin.deleteTopic({ topic: '__proto__', timeoutMs: undefined }, LONG);
      expect((await brokers.refused(unknown)).code).to.equal('UNKNOWN_TOPIC');
      await brokers.settled(admin.createTopic(newTopic('constructor'), LONG));
      const seen = await brokers.settled(
        admin.getMetadata({ topics: [], linearizable: true }, LONG),
      );
      expect(seen.topics.map((t) => t.topic)).to.deep.equal(['constructor']);
      const gone = admin.deleteTopic({ topic: 'constructor', timeoutMs: undefined }, LONG);
      await brokers.settled(gone);
      const after = await brokers.settled(
        admin.getMetadata({ topics: ['constructor'], linearizable: true }, LONG),
      );
      expect(after.topics[0]?.error?.code).to.equal('UNKNOWN_TOPIC');
    });

    it('deletes replicas by tombstone, also on a broker that was down meanwhile', async () => {
      const { topicId } = await brokers.settled(
        brokers.admin(1).createTopic(newTopic('gone', 4), LONG),
      );
      const victim = [1, 2, 3].find((id) => id !== brokers.controllerSeenBy(1)) ?? 0;
      const other = [1, 2, 3].find((id) => id !== victim) ?? 0;
      brokers.kill(victim);
      await brokers.settled(
        brokers.admin(other).deleteTopic({ topic: 'gone', timeoutMs: undefined }, LONG),
      );
      await brokers.world.until(() => brokers.disks.get(other)?.replicas.size === 1);
      expect(brokers.disks.get(victim)?.replicas.size).to.equal(5);
      brokers.start(victim, { founders: [1, 2, 3] });
      await brokers.untilReady();
      await brokers.world.until(() => brokers.disks.get(victim)?.replicas.size === 1);
      await brokers.world.until(() => brokers.services(other).view.image().tombstones.size === 0);
      expect(brokers.services(other).view.image().topicsById.has(topicId)).to.equal(false);
    });

    it('creates what it missed while it was down', async () => {
      const victim = [1, 2, 3].find((id) => id !== brokers.controllerSeenBy(1)) ?? 0;
      const other = [1, 2, 3].find((id) => id !== victim) ?? 0;
      brokers.kill(victim);
      // Not fenced yet, so replicas are placed there; two of three lead and serve.
      await brokers.settled(brokers.admin(other).createTopic(newTopic('late', 4), LONG));
      brokers.start(victim, { founders: [1, 2, 3] });
      await brokers.world.until(() => brokers.disks.get(victim)?.replicas.size === 5);
    });

    it('fences a silent broker after its session, and places nothing there until it is back', async () => {
      const victim = [1, 2, 3].find((id) => id !== brokers.controllerSeenBy(1)) ?? 0;
      const other = [1, 2, 3].find((id) => id !== victim) ?? 0;
      const isFenced = (): boolean =>
        brokers.services(other).view.image().brokers.get(brokerId(victim))?.isFenced === true;
      brokers.kill(victim);
      await brokers.world.run(5_000);
      expect(isFenced()).to.equal(false);
      await brokers.world.until(isFenced, 3_000);
      const error = await brokers.refused(
        brokers.admin(other).createTopic(newTopic('three', 1, 3), LONG),
      );
      expect(error.code).to.equal('INVALID_REPLICATION_FACTOR');
      expect(error.message).to.contain('2 of 3 are live');
      brokers.start(victim, { founders: [1, 2, 3] });
      await brokers.world.until(() => !isFenced());
    });

    it('goes on after the metadata leader is killed, and nothing is lost', async () => {
      await brokers.settled(brokers.admin(1).createTopic(newTopic('before', 2), LONG));
      const first = brokers.controllerSeenBy(1) ?? 0;
      const other = [1, 2, 3].find((id) => id !== first) ?? 0;
      brokers.kill(first);
      await brokers.settled(brokers.admin(other).createTopic(newTopic('after', 2), LONG));
      const seen = await brokers.settled(
        brokers.admin(other).getMetadata({ topics: [], linearizable: true }, LONG),
      );
      expect(seen.topics.map((t) => t.topic)).to.deep.equal(['after', 'before']);
      expect(seen.controller).to.not.equal(first);
      brokers.start(first, { founders: [1, 2, 3] });
      await brokers.untilReady();
      expect(brokers.services(first).view.image().topicsByName.has('after')).to.equal(true);
    });

    it('answers a create whose first answer was lost as done, and a delete too', async () => {
      const asked = notController(brokers);
      const lost = brokers.peers.loseFirstAnswers(/createTopic|deleteTopic/);
      await brokers.settled(
        brokers.admin(asked).createTopic(newTopic('once'), { deadlineMs: 60_000 }),
      );
      await brokers.settled(
        brokers
          .admin(asked)
          .deleteTopic({ topic: 'once', timeoutMs: undefined }, { deadlineMs: 60_000 }),
      );
      expect(lost.size).to.equal(2);
    });

    it('makes no topic again that was deleted when an attempt at creating it comes late', async () => {
      const asked = notController(brokers);
      const request = { ...newTopic('once'), topicId: topicId('ab'.repeat(16)) };
      const create = (by: number): Promise<unknown> => brokers.admin(by).createTopic(request, LONG);
      const { topicId: made } = await brokers.settled(brokers.admin(1).createTopic(request, LONG));
      expect(made).to.equal(request.topicId);
      await brokers.settled(create(asked));
      const deletion = { topic: 'once', topicId: made, timeoutMs: undefined };
      await brokers.settled(brokers.admin(asked).deleteTopic(deletion, LONG));
      expect((await brokers.refused(create(asked))).code).to.equal('UNKNOWN_TOPIC');
      // Also by another leader, that knows of the deletion by its log only.
      const before = brokers.controllerSeenBy(asked) ?? 0;
      brokers.kill(before);
      expect((await brokers.refused(create(asked))).code).to.equal('UNKNOWN_TOPIC');
      const seen = await brokers.settled(
        brokers.admin(asked).getMetadata({ topics: [], linearizable: true }, LONG),
      );
      expect(seen.topics).to.eql([]);
    });

    it('does nothing to a topic that was asked of another one of its name', async () => {
      const admin = brokers.admin(notController(brokers));
      const create = async (): Promise<TopicId> =>
        (await brokers.settled(admin.createTopic(newTopic('logs', 2), LONG))).topicId;
      const gone = await create();
      const late = { topic: 'logs', topicId: gone, timeoutMs: undefined };
      await brokers.settled(admin.deleteTopic(late, LONG));
      const there = await create();
      const set = new Map([['retention.ms', '1000']]);
      const refusals = [
        await brokers.refused(admin.deleteTopic(late, LONG)),
        await brokers.refused(admin.addPartitions({ ...late, partitions: 5, noWait: true }, LONG)),
        await brokers.refused(admin.alterTopic({ ...late, set, unset: [] }, LONG)),
        await brokers.refused(
          admin.trimPartition({ ...late, partition: 0, beforeOffset: -1 }, LONG),
        ),
      ];
      expect(refusals.map(({ code }) => code)).to.eql(Array(4).fill('UNKNOWN_TOPIC'));
      const {
        topicId: now,
        partitions,
        config,
      } = await brokers.settled(admin.describeTopic('logs', LONG));
      expect([now, partitions.length, config.size]).to.eql([there, 2, 0]);
    });

    it('says why when there is no quorum', async () => {
      const controller = brokers.controllerSeenBy(1) ?? 0;
      const alone = [1, 2, 3].find((id) => id !== controller) ?? 0;
      for (const id of [1, 2, 3]) if (id !== alone) brokers.kill(id);
      const error = await brokers.refused(
        brokers.admin(alone).createTopic(newTopic('never'), { deadlineMs: 4_000 }),
      );
      expect(error.code).to.equal('NO_QUORUM');
      expect(error.message).to.contain('majority');
      const described = await brokers.settled(brokers.admin(alone).describeCluster(LONG));
      expect(described.metadataMembers).to.have.length(3);
    });

    it('hands out producer ids once, in blocks, and next epochs of them', async () => {
      const ids = new Set<number>();
      for (const id of [1, 2, 3, 1, 2, 3]) {
        const made = await brokers.settled(
          brokers.admin(id).initProducer({ producerId: undefined, producerEpoch: 0 }, LONG),
        );
        ids.add(made.producerId);
        expect(made.producerEpoch).to.equal(0);
      }
      expect(ids.size).to.equal(6);
      const next = await brokers.settled(
        brokers.admin(1).initProducer({ producerId: 0, producerEpoch: 4 }, LONG),
      );
      expect(next).to.deep.equal({ producerId: 0, producerEpoch: 5 });
    });

    it('transfers the leadership of a partition and of the metadata group', async () => {
      await brokers.settled(brokers.admin(1).createTopic(newTopic('logs'), LONG));
      const before = await brokers.settled(
        brokers.admin(1).getMetadata({ topics: ['logs'], linearizable: false }, LONG),
      );
      const [topic] = before.topics;
      if (topic?.error !== undefined) throw topic.error;
      const leader = topic?.partitions[0]?.leader;
      const to = brokerId([1, 2, 3].find((id) => id !== leader) ?? 0);
      const moved = await brokers.settled(
        brokers
          .admin(2)
          .transferLeadership({ partition: { topic: 'logs', partition: 0 }, toBroker: to }, LONG),
      );
      expect(moved.leader).to.equal(to);
      const controller = brokers.controllerSeenBy(1);
      const heir = brokerId([1, 2, 3].find((id) => id !== controller) ?? 0);
      const changed = await brokers.settled(
        brokers.admin(3).transferLeadership({ partition: undefined, toBroker: heir }, LONG),
      );
      expect(changed.leader).to.equal(heir);
      await brokers.world.until(() => brokers.controllerSeenBy(1) === heir);
    });

    it('serves on when one broker comes back with the data directory of another cluster', async () => {
      const others = new TestBrokers();
      // Another draw, another cluster id.
      others.world.random.bytes(16);
      others.startAll([1, 2, 3]);
      await others.untilReady();
      const theirs = others.disks.get(3)?.identity?.clusterId;
      const ours = brokers.disks.get(1)?.identity?.clusterId;
      for (const id of [1, 2, 3]) others.kill(id);
      for (const id of [1, 2, 3]) brokers.kill(id);
      const stray = others.disks.get(3);
      if (stray === undefined) throw new Error('broker 3 has no disk');
      brokers.disks.set(3, stray);
      // Its Raft streams are refused.
      brokers.network.isolate(brokerId(3));
      // The stray one first, and alone with each of the others for a while.
      brokers.start(3, { founders: [1, 2, 3] });
      await brokers.world.run(1_000);
      brokers.start(1, { founders: [1, 2, 3] });
      await brokers.world.run(15_000);
      expect(brokers.lives.get(1)?.broker.health().live).to.equal(true);
      brokers.start(2, { founders: [1, 2, 3] });
      await brokers.untilReady([1, 2]);
      await brokers.world.until(() => {
        const { reason } = brokers.lives.get(3)?.broker.health() ?? {};
        return reason?.includes(`there ${ours}, here ${theirs}`) === true;
      });
      await brokers.settled(brokers.admin(1).createTopic(newTopic('after', 1, 3), LONG));
    });

    it('neither refuses nor takes for done what only a leader that may be deposed says', async () => {
      await brokers.settled(brokers.admin(1).createTopic(newTopic('there', 1, 3), LONG));
      const cutOff = brokers.controllerSeenBy(1) ?? 0;
      brokers.isolate(cutOff);
      const admin = brokers.admin(cutOff);
      const again = admin.createTopic({ ...newTopic('there'), timeoutMs: 500 }, SECOND);
      const change = { set: new Map<string, string>(), unset: ['retention.ms'] };
      const settled = admin.alterTopic({ topic: 'there', ...change }, SECOND);
      const answers = [await brokers.refused(again), await brokers.refused(settled)];
      for (const { code } of answers) expect(code).not.to.equal('TOPIC_EXISTS');
      brokers.heal(cutOff);
      const { code } = await brokers.refused(admin.createTopic(newTopic('there'), LONG));
      expect(code).to.equal('TOPIC_EXISTS');
    });

    it('comes back whole when every broker is killed at once', async () => {
      await brokers.settled(brokers.admin(1).createTopic(newTopic('kept', 3), LONG));
      for (const id of [1, 2, 3]) brokers.kill(id);
      await brokers.world.run(1_000);
      brokers.startAll([1, 2, 3]);
      await brokers.untilReady();
      const seen = await brokers.settled(
        brokers.admin(2).getMetadata({ topics: ['kept'], linearizable: true }, LONG),
      );
      expect(seen.topics[0]?.error).to.equal(undefined);
    });

    it('tells every broker of a new leader at once', async () => {
      await brokers.settled(brokers.admin(1).createTopic(newTopic('logs', 6, 2), LONG));
      const groups = [...brokers.services(1).view.image().groups.keys()];
      await brokers.world.run(50);
      for (const id of [1, 2, 3]) {
        const { leaders } = brokers.services(id);
        for (const groupId of [METADATA_GROUP, ...groups]) {
          expect(leaders.leaderOf(groupId), `${groupId} on ${id}`).to.not.equal(undefined);
          expect(leaders.hint(groupId)?.host).to.match(/^client[123]\.test$/);
        }
      }
    });
  });

  it('runs alone', async () => {
    brokers.startAll([1]);
    await brokers.untilReady();
    const made = await brokers.settled(brokers.admin(1).createTopic(newTopic('solo', 2), LONG));
    expect(made.replicationFactor).to.equal(1);
    const answer = await brokers.settled(
      brokers.admin(1).listOffsets(
        {
          queries: [{ topic: 'solo', partition: 1, at: { kind: 'latest' } }],
          linearizable: true,
        },
        SECOND,
      ),
    );
    expect(answer[0]?.answer).to.include({ offset: 0 });
  });
});
