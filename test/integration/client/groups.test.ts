import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import {
  MillraceClient,
  type GroupConsumer,
  type GroupConsumerOptions,
} from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';

const PARTITIONS = 12;

/** One member, reading in the background. */
class Member {
  readonly client: MillraceClient;
  readonly consumer: GroupConsumer;
  readonly got: string[] = [];
  readonly events: string[] = [];
  private readonly reading: Promise<void>;

  constructor(cluster: TestCluster, options: GroupConsumerOptions) {
    this.client = new MillraceClient({ bootstrap: cluster.bootstrap });
    const note =
      (what: string) =>
      (at: readonly { readonly partition: number }[]): void =>
        void this.events.push(`${what} ${at.map((p) => p.partition).join()}`);
    this.consumer = this.client.groupConsumer({
      sessionTimeoutMs: 10_000,
      onAssigned: note('assigned'),
      onRevoked: note('revoked'),
      onLost: note('lost'),
      ...options,
    });
    this.reading = this.read();
  }

  get owned(): string[] {
    return this.consumer
      .assignment()
      .map((p) => `${p.topic}/${p.partition}`)
      .sort();
  }

  async leave(): Promise<void> {
    await this.consumer.close();
    await this.reading;
    await this.client.close();
  }

  private async read(): Promise<void> {
    for await (const r of this.consumer) {
      this.got.push(`${r.partition}:${Buffer.from(r.value ?? []).toString()}`);
    }
  }
}

/** Produces numbered records to every partition in turn until it is stopped. */
class Load {
  readonly sent = new Set<string>();
  private readonly client: MillraceClient;
  private isOn = true;
  private readonly running: Promise<void>;

  constructor(cluster: TestCluster, topic: string) {
    this.client = new MillraceClient({ bootstrap: cluster.bootstrap });
    this.running = this.run(topic);
  }

  async stop(): Promise<void> {
    this.isOn = false;
    await this.running;
    await this.client.close();
  }

  private async run(topic: string): Promise<void> {
    const producer = this.client.producer();
    for (let i = 0; this.isOn; i += 1) {
      const sends = Array.from({ length: PARTITIONS }, async (_, partition) => {
        await producer.send({ topic, partition, value: String(i) });
        this.sent.add(`${partition}:${i}`);
      });
      await Promise.all(sends);
    }
  }
}

function everyRecord(load: Load, members: readonly Member[]): void {
  const got = new Set(members.flatMap((m) => m.got));
  const missing = [...load.sent].filter((r) => !got.has(r));
  expect(missing, 'records that nobody read').to.deep.equal([]);
}

describe('consumer groups on a real cluster', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let admin: MillraceClient;

  before(async () => {
    cluster = await startCluster(3);
    admin = new MillraceClient({ bootstrap: cluster.bootstrap });
  });

  after(async () => {
    await admin.close();
    await cluster.stop();
  });

  it('shares partitions while members come and go, and loses nothing', async () => {
    const topic = 'shared';
    const group = 'sharers';
    await admin.admin.createTopic({ topic, partitions: PARTITIONS });
    const load = new Load(cluster, topic);
    const options = { group, topics: [topic], autoCommitIntervalMs: 200 };
    const members: Member[] = [];
    const join = (): Member => {
      const member = new Member(cluster, options);
      members.push(member);
      return member;
    };
    const shares = async (among: readonly Member[]): Promise<void> => {
      const share = PARTITIONS / among.length;
      await eventually(
        `${among.length} members with ${share} partitions each`,
        () => {
          const all = among.flatMap((m) => m.owned);
          // Nobody owns what another does: releasing comes before taking.
          expect(new Set(all).size).to.equal(all.length);
          return among.every((m) => m.owned.length === share);
        },
        20_000,
      );
    };
    const a = join();
    await shares([a]);
    const b = join();
    await shares([a, b]);
    const c = join();
    await shares([a, b, c]);
    await b.leave();
    await shares([a, c]);
    const d = join();
    await shares([a, c, d]);
    await load.stop();
    await eventually(
      'everything read',
      () => new Set(members.flatMap((m) => m.got)).size >= load.sent.size,
      20_000,
    );
    everyRecord(load, members);
    const total = members.reduce((sum, m) => sum + m.got.length, 0);
    expect(total, 'in order leaving repeats nothing').to.equal(load.sent.size);
    await Promise.all([a, c, d].map((m) => m.leave()));
    const described = await admin.admin.describeGroup(group);
    expect(described.state).to.equal('empty');
    expect(described.partitions.map((p) => p.lagRecords)).to.deep.equal(
      Array.from({ length: PARTITIONS }, () => 0),
    );
    for (const m of members) expect(m.events.join()).not.to.contain('lost');
  });

  it('describes members and lag, resets with a dry run, and deletes', async () => {
    const topic = 'operated';
    const group = 'operators';
    await admin.admin.createTopic({ topic, partitions: 2 });
    const producer = admin.producer();
    for (let i = 0; i < 20; i += 1) await producer.send({ topic, partition: i % 2, value: 'v' });
    const member = new Member(cluster, { group, topics: [topic], clientId: 'tester' });
    await eventually('all read', () => member.got.length === 20, 20_000);
    await member.consumer.commit();
    const described = await admin.admin.describeGroup(group);
    expect(described.state).to.equal('stable');
    expect(described.members.map((m) => [m.clientId, m.memberId, m.isConnected])).to.deep.equal([
      ['tester', member.consumer.memberId, true],
    ]);
    expect(described.partitions.map((p) => [p.committedOffset, p.lagRecords])).to.deep.equal([
      [10, 0],
      [10, 0],
    ]);
    const early = admin.admin.resetOffsets(group, 'beginning').catch((e: unknown) => e);
    expect(await early).to.have.property('code', 'GROUP_NOT_EMPTY');
    await member.leave();
    const groups = await admin.admin.listGroups({ prefix: 'operat' });
    expect(groups.map((g) => [g.group, g.members, g.committedPartitions])).to.deep.equal([
      [group, 0, 2],
    ]);
    const to = { shiftBy: -3 };
    const would = await admin.admin.resetOffsets(group, to, { dryRun: true });
    expect(would.map((o) => [o.previousOffset, o.offset])).to.deep.equal([
      [10, 7],
      [10, 7],
    ]);
    await admin.admin.resetOffsets(group, { offset: 4 }, { topics: [{ topic, partitions: [1] }] });
    const committed = await admin.admin.fetchOffsets(group);
    expect(committed.map((c) => c.offset)).to.deep.equal([10, 4]);
    await admin.admin.deleteGroupOffsets(group, [{ topic, partitions: [0] }]);
    expect((await admin.admin.fetchOffsets(group)).map((c) => c.partition)).to.deep.equal([1]);
    await admin.admin.deleteGroup(group);
    const gone = admin.admin.describeGroup(group).catch((e: unknown) => e);
    expect(await gone)
      .to.be.instanceOf(BrokerError)
      .with.property('code', 'UNKNOWN_GROUP');
  });

  it('takes up topics that match a pattern when they are created', async () => {
    const member = new Member(cluster, { group: 'matchers', pattern: 'match-.*' });
    await member.consumer.start();
    await admin.admin.createTopic({ topic: 'match-1', partitions: 2 });
    await admin.admin.createTopic({ topic: 'other', partitions: 2 });
    await eventually('the new topic', () => member.owned.length === 2, 20_000);
    expect(member.owned.sort()).to.deep.equal(['match-1/0', 'match-1/1']);
    await admin.admin.deleteTopic('match-1');
    await eventually('the topic gone', () => member.owned.length === 0, 20_000);
    await member.leave();
  });

  const wrong: [string, GroupConsumerOptions, string][] = [
    ['a pattern that is none', { group: 'w', pattern: '(' }, 'INVALID_SUBSCRIPTION'],
    [
      'an assignor that nobody knows',
      { group: 'w', topics: ['a'], assignor: 'fair' },
      'UNKNOWN_ASSIGNOR',
    ],
  ];
  for (const [what, options, code] of wrong) {
    it(`refuses ${what}`, async () => {
      const starting = admin
        .groupConsumer(options)
        .start()
        .catch((e: unknown) => e);
      expect(await starting).to.have.property('code', code);
    });
  }

  it('stays a member while the application is slow and its streams are held back', async () => {
    const topic = 'slow';
    await admin.admin.createTopic({ topic });
    const producer = admin.producer();
    const value = new Uint8Array(512 * 1024);
    await producer.sendMany(
      topic,
      Array.from({ length: 40 }, () => ({ value })),
    );
    const lost: unknown[] = [];
    const consumer = admin.groupConsumer({
      group: 'slow',
      topics: [topic],
      sessionTimeoutMs: 4_000,
      prefetchBytesMax: 1024 * 1024,
      onLost: (_, error) => lost.push(error),
    });
    let count = 0;
    for await (const record of consumer) {
      count += 1;
      // Longer than the session timeout on one record.
      if (record.offset === 0) await pause(6_000);
      if (count === 40) break;
    }
    await consumer.commit();
    expect(lost).to.deep.equal([]);
    await consumer.close();
  });

  it('keeps the place of a static member that restarts, and refuses another of its name', async () => {
    const topic = 'static';
    const group = 'static';
    await admin.admin.createTopic({ topic, partitions: 4 });
    const one = new Member(cluster, { group, topics: [topic], instanceId: 'one' });
    const two = new Member(cluster, { group, topics: [topic], instanceId: 'two' });
    await eventually('shared', () => one.owned.length === 2 && two.owned.length === 2, 20_000);
    const { owned } = one;
    const before = await admin.admin.describeGroup(group, { lag: false });
    await one.leave();
    const away = await admin.admin.describeGroup(group, { lag: false });
    expect(away.members.map((m) => [m.instanceId, m.isAway]).sort()).to.deep.equal([
      ['one', true],
      ['two', false],
    ]);
    const again = new Member(cluster, { group, topics: [topic], instanceId: 'one' });
    await eventually('its place', () => again.owned.length === 2, 20_000);
    expect(again.owned).to.deep.equal(owned);
    const after = await admin.admin.describeGroup(group, { lag: false });
    expect(after.groupEpoch).to.equal(before.groupEpoch);
    const taken = admin.groupConsumer({ group, topics: [topic], instanceId: 'two' });
    const refused = await taken.start().catch((e: unknown) => e);
    expect(refused).to.have.property('code', 'UNRELEASED_INSTANCE_ID');
    await again.consumer.close({ leave: true });
    await eventually('the rest', () => two.owned.length === 4, 20_000);
    await Promise.all([again.leave(), two.leave(), taken.close()]);
  });

  it('gives up what is not processed in time, and reads on after the error', async () => {
    const topic = 'late';
    await admin.admin.createTopic({ topic });
    const producer = admin.producer();
    await producer.sendMany(
      topic,
      Array.from({ length: 3 }, (_, i) => ({ value: String(i) })),
    );
    const consumer = admin.groupConsumer({
      group: 'late',
      topics: [topic],
      processingTimeoutMs: 500,
    });
    const got: number[] = [];
    const read = async (): Promise<void> => {
      for await (const record of consumer) {
        got.push(record.offset);
        if (got.length === 2) {
          await eventually('evicted', () => consumer.assignment().length === 0, 10_000);
        }
        if (record.offset === 2) break;
      }
    };
    const error = await read().catch((e: unknown) => e);
    expect(error).to.have.property('code', 'PROCESSING_TIMEOUT');
    await read();
    expect(got, 'the second was processed too late').to.deep.equal([0, 1, 1, 2]);
    await consumer.close();
  });

  it('goes on without a rebalance when the coordinator ends', async () => {
    const topic = 'survivors';
    const group = 'survivors';
    await admin.admin.createTopic({ topic, partitions: PARTITIONS });
    const options = { group, topics: [topic], autoCommitIntervalMs: 200 };
    const members = [1, 2, 3].map(() => new Member(cluster, options));
    const isShared = (): boolean => members.every((m) => m.owned.length === PARTITIONS / 3);
    await eventually('shared', isShared, 20_000);
    const load = new Load(cluster, topic);
    await eventually('records', () => members.every((m) => m.got.length > 20), 20_000);
    const before = await admin.admin.describeGroup(group, { lag: false });
    const events = members.map((m) => m.events.length);
    await cluster.brokers[(before.coordinator ?? 0) - 1]?.stop();
    const counts = members.map((m) => m.got.length);
    await eventually(
      'everyone reads on',
      () => members.every((m, i) => m.got.length > (counts[i] ?? 0) + 100),
      30_000,
    );
    await eventually(
      'all with the next coordinator',
      async () => {
        const now = await admin.admin.describeGroup(group, { lag: false });
        return now.coordinator !== before.coordinator && now.members.every((m) => m.isConnected);
      },
      30_000,
    );
    const after = await admin.admin.describeGroup(group, { lag: false });
    expect(after.groupEpoch).to.equal(before.groupEpoch);
    await load.stop();
    await eventually(
      'all read',
      () => members.reduce((n, m) => n + m.got.length, 0) >= load.sent.size,
      20_000,
    );
    everyRecord(load, members);
    expect(members.map((m) => m.events.length)).to.deep.equal(events);
    await Promise.all(members.map((m) => m.leave()));
  });
});
