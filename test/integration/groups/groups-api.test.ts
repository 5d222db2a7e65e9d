import { expect } from 'chai';

import type { BrokerError } from '../../../src/model/errors.js';
import { MillraceClient } from '../../../src/client/index.js';
import { connectBroker, type BrokerConnection } from '../../../src/rpc/channel.js';
import type { CommitOffsetsResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/CommitOffsetsResponse.js';
import type { DescribeGroupResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/DescribeGroupResponse.js';
import type { GroupsClient } from '../../../src/rpc/gen/millrace/broker/v1/Groups.js';
import type { JoinGroup } from '../../../src/rpc/gen/millrace/broker/v1/JoinGroup.js';
import type { ParticipateRequest } from '../../../src/rpc/gen/millrace/broker/v1/ParticipateRequest.js';
import type { ParticipateResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/ParticipateResponse.js';
import { errorFromStatus } from '../../../src/rpc/status.js';
import { answerOf } from '../../support/api.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { filledTopic } from '../../support/filled-topic.js';
import { flat, groupsClient, type RawGroupMember } from '../../support/raw-group-member.js';
import { RawGroupMembers } from '../../support/raw-group-members.js';

describe('the Groups service', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let client: MillraceClient;
  let groups: GroupsClient;
  let connection: BrokerConnection;
  const members = new RawGroupMembers({
    // Long: what is to time out says so.
    subscription: { topics: ['jobs'] },
    sessionTimeoutMs: 60_000,
    rebalanceTimeoutMs: 60_000,
  });

  before(async () => {
    cluster = await startCluster(1);
    client = new MillraceClient({ bootstrap: cluster.bootstrap });
    groups = groupsClient(cluster.bootstrap[0]!);
    connection = connectBroker(cluster.bootstrap[0]!);
    await filledTopic(client, 'jobs');
  });

  after(async () => {
    groups.close();
    connection.close();
    await client.close();
    await cluster.stop();
  });

  function member(group: string, memberId: string, more: JoinGroup = {}): RawGroupMember {
    return members.start(cluster.bootstrap, { group, memberId, ...more });
  }

  const describeGroup = (group: string): Promise<DescribeGroupResponse__Output> =>
    answerOf((done) => groups.DescribeGroup({ group }, done));

  /** Code and message that the stream ends with. */
  async function refusal(...requests: ParticipateRequest[]): Promise<string> {
    const call = groups.Participate();
    let ended: string | undefined;
    call.on('data', () => undefined);
    call.on('end', () => undefined);
    call.on('error', (error) => {
      const failure = errorFromStatus(error as never, { isWrite: false });
      ended = `${failure.code}: ${failure.message}`;
    });
    requests.forEach((request, i) => call.write({ sequence: i + 1, ...request }));
    await eventually('the stream is refused', () => ended !== undefined);
    return ended ?? '';
  }

  async function commit(
    group: string,
    memberId: string,
    memberEpoch: number,
    offset: number,
    partition = 0,
  ): Promise<string> {
    const answer = await answerOf<CommitOffsetsResponse__Output>((done) =>
      connection.cluster.CommitOffsets(
        { group, memberId, memberEpoch, offsets: [{ topic: 'jobs', partition, offset }] },
        done,
      ),
    );
    return answer.offsets[0]?.error?.code ?? 'OK';
  }

  it('hands a leaving member’s partitions on at once', async () => {
    const m1 = member('leave', 'm1');
    const m2 = member('leave', 'm2');
    await eventually('both have half', () => m1.held.length === 2 && m2.held.length === 2);
    await m2.leave();
    await eventually('m1 has all', () => m1.held.length === 4);
  });

  it('keeps the place of a static member that leaves for a while, or dies', async () => {
    const m1 = member('static', 'm1', { instanceId: 'i1' });
    const m2 = member('static', 'm2', { instanceId: 'i2' });
    await eventually('both have half', () => m1.held.length === 2 && m2.held.length === 2);
    const place = m2.held;
    expect(
      await refusal({
        join: {
          group: 'static',
          memberId: 'm9',
          instanceId: 'i2',
          subscription: { topics: ['jobs'] },
        },
      }),
    ).to.match(/^UNRELEASED_INSTANCE_ID/);
    await m2.leave(true);
    const again = member('static', 'm2b', { instanceId: 'i2' });
    await eventually('its second life has its place', () => again.held.length === 2);
    expect(again.held).to.eql(place);
    again.kill();
    const third = member('static', 'm2c', { instanceId: 'i2', sessionTimeoutMs: 1_500 });
    await eventually('its third life, too', () => third.held.length === 2);
    expect(third.held).to.eql(place);
    expect(m1.lost.length + m1.taken.length, 'all, then half, and no more').to.be.at.most(6);
    third.kill();
    await eventually('its session is over', () => m1.held.length === 4);
  });

  it('evicts a member that does not release in time, and says so', async () => {
    const call = groups.Participate();
    let last: ParticipateResponse__Output | undefined;
    let ended: BrokerError | undefined;
    call.on('data', (response: ParticipateResponse__Output) => {
      if (response.assignment !== null) last = response;
    });
    call.on('end', () => undefined);
    call.on('error', (error) => {
      ended = errorFromStatus(error as never, { isWrite: false });
    });
    const owned = { topics: [{ topic: 'jobs', partitions: [0, 1, 2, 3] }] };
    const timeouts = { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 1_000 };
    const subscription = { topics: ['jobs'] };
    call.write({ sequence: 1, join: { group: 'slow', memberId: 'm1', subscription, ...timeouts } });
    await eventually(
      'it has everything',
      () => flat(last?.assignment?.partitions ?? []).length === 4,
    );
    const memberEpoch = last?.memberEpoch ?? 0;
    const assignmentVersion = last?.assignment?.version ?? 0;
    call.write({ sequence: 2, heartbeat: { memberEpoch, assignmentVersion, owned } });
    const m2 = member('slow', 'm2');
    await eventually('m2 has everything', () => m2.held.length === 4);
    await eventually('m1 is told', () => ended !== undefined);
    expect(ended?.code).to.equal('UNKNOWN_MEMBER');
    expect(ended?.message).to.match(/rebalance timeout of 1000 ms/);
  });

  it('takes up topics that match a pattern when they come', async () => {
    const m1 = member('pattern', 'm1', { subscription: { pattern: 'events-[0-9]+' } });
    await eventually('it is in', () => m1.epoch > 0);
    expect(m1.held).to.eql([]);
    await client.admin.createTopic({ topic: 'events-7', partitions: 2 });
    await client.admin.createTopic({ topic: 'events-x', partitions: 2 });
    await eventually('it has the topic', () => m1.held.length === 2);
    expect(m1.held).to.eql(['events-7/0', 'events-7/1']);
    await client.admin.deleteTopic('events-7');
    await eventually('and lost it', () => m1.held.length === 0);
    await eventually(
      'stable',
      async () => (await describeGroup('pattern')).state === 'GROUP_STATE_STABLE',
    );
    expect(m1.ended).to.eql([]);
  });

  it('takes commits of those who hold the partition, up to its end', async () => {
    const m1 = member('fence', 'm1');
    await eventually('it has all', () => m1.held.length === 4);
    expect(await commit('fence', 'm1', m1.epoch, 10)).to.equal('OK');
    expect(await commit('fence', 'm1', m1.epoch, 11), 'beyond the end').to.equal(
      'OFFSET_OUT_OF_RANGE',
    );
    expect(await commit('fence', 'm1', m1.epoch + 1, 3)).to.equal('FENCED_MEMBER_EPOCH');
    expect(await commit('fence', 'm2', 1, 3)).to.equal('UNKNOWN_MEMBER');
    expect(await commit('fence', '', 0, 3)).to.equal('GROUP_NOT_EMPTY');
    const m2 = member('fence', 'm2');
    await eventually('m2 has half', () => m2.held.length === 2 && m1.held.length === 2);
    const of2 = Number(m2.held[0]?.at(-1));
    expect(await commit('fence', 'm1', m1.epoch, 3, of2)).to.equal('STALE_MEMBER_EPOCH');
    expect(await commit('fence', 'm2', m2.epoch, 3, of2)).to.equal('OK');
    // What a member holds is known to it before it has said so.
    await eventually(
      'stable',
      async () => (await describeGroup('fence')).state === 'GROUP_STATE_STABLE',
    );
    const askedAtMs = Date.now();
    const group = await describeGroup('fence');
    const answeredAtMs = Date.now();
    expect(group).to.include({ state: 'GROUP_STATE_STABLE', assignor: 'uniform', coordinator: 1 });
    expect(group.groupEpoch).to.equal(group.assignmentEpoch);
    expect(group.lastCommitTimeMs).to.be.greaterThan(1_600_000_000_000);
    expect(group.members.map((m) => [m.memberId, m.connected, m.clientHost])).to.eql([
      ['m1', true, '127.0.0.1'],
      ['m2', true, '127.0.0.1'],
    ]);
    expect(group.members.map((m) => flat(m.assigned))).to.eql([m1.held, m2.held]);
    const lag = group.partitions.map((p) => [p.committedOffset, p.highWatermark, p.lagRecords]);
    expect(lag).to.deep.include.members([
      [10, 10, 0],
      [3, 10, 7],
      [-1, 10, 10],
    ]);
    // Records are of the second second of 1970.
    const behind = group.partitions.filter(
      ({ lagMs }) => lagMs >= askedAtMs - 2_000 && lagMs <= answeredAtMs - 1_000,
    );
    expect(behind).to.have.length(3);
    expect(group.partitions.filter((p) => p.lagMs === 0)).to.have.length(1);
    const names = await answerOf<{ groups: { group: string; members: number }[] }>((done) =>
      groups.ListGroups({ prefix: 'fen' }, done),
    );
    expect(names.groups).to.have.length(1);
    expect(names.groups[0]).to.include({ group: 'fence', members: 2, committedPartitions: 2 });
  });

  it('resets, forgets and deletes only without members', async () => {
    const m1 = member('reset', 'm1');
    await eventually('it has all', () => m1.held.length === 4);
    const reset = (more: object): Promise<string> =>
      answerOf<{ offsets: { previousOffset: number; offset: number }[] }>((done) =>
        groups.ResetGroupOffsets({ group: 'reset', ...more }, done),
      ).then(
        ({ offsets }) => offsets.map((o) => `${o.previousOffset}>${o.offset}`).join(' '),
        (error: unknown) => errorFromStatus(error as never, { isWrite: false }).code,
      );
    const codeOf = (call: Promise<unknown>): Promise<string> =>
      call.then(
        () => 'OK',
        (error: unknown) => errorFromStatus(error as never, { isWrite: false }).code,
      );
    const gone = (): Promise<string> =>
      codeOf(answerOf((done) => groups.DeleteGroup({ group: 'reset' }, done)));
    const forgotten = (topics: { topic: string; partitions?: number[] }[]): Promise<string> =>
      codeOf(answerOf((done) => groups.DeleteGroupOffsets({ group: 'reset', topics }, done)));
    const all = { topics: [{ topic: 'jobs' }] };
    expect(await reset({ ...all, earliest: true })).to.equal('GROUP_NOT_EMPTY');
    expect(await gone()).to.equal('GROUP_NOT_EMPTY');
    expect(await forgotten(all.topics)).to.equal('GROUP_NOT_EMPTY');
    await m1.leave();
    expect(await reset({ ...all, latest: true, dryRun: true })).to.equal('-1>10 -1>10 -1>10 -1>10');
    expect(await reset({ ...all, latest: true })).to.equal('-1>10 -1>10 -1>10 -1>10');
    expect(await reset({ shiftBy: -3 })).to.equal('10>7 10>7 10>7 10>7');
    expect(await reset({ shiftBy: 30 })).to.equal('7>10 7>10 7>10 7>10');
    expect(
      await reset({ topics: [{ topic: 'jobs', partitions: [1] }], timestampMs: 1_017 }),
    ).to.equal('10>4');
    expect(await reset({ offset: 2 })).to.equal('10>2 4>2 10>2 10>2');
    expect(await reset({ topics: [{ topic: 'no' }], earliest: true })).to.equal('UNKNOWN_TOPIC');
    expect(await reset({})).to.equal('INVALID_ARGUMENT');
    expect(await forgotten([{ topic: 'jobs', partitions: [0] }])).to.equal('OK');
    expect((await describeGroup('reset')).partitions.map((p) => p.partition)).to.eql([1, 2, 3]);
    expect(await gone()).to.equal('OK');
    expect(await gone()).to.equal('UNKNOWN_GROUP');
    expect(await reset({ earliest: true })).to.equal('UNKNOWN_GROUP');
  });

  it('refuses what is wrong, naming it', async () => {
    const join = { group: 'bad', subscription: { topics: ['jobs'] } };
    const wrong: [ParticipateRequest, RegExp][] = [
      [{ join: { ...join, group: '' } }, /^INVALID_ARGUMENT: group: is missing/],
      [
        { join: { ...join, subscription: {} } },
        /^INVALID_SUBSCRIPTION: a subscription names topics/,
      ],
      [
        { join: { ...join, subscription: { pattern: 'a(' } } },
        /^INVALID_SUBSCRIPTION: pattern "a\("/,
      ],
      [{ join: { ...join, subscription: { pattern: '(?=a)b' } } }, /^INVALID_SUBSCRIPTION/],
      [{ join: { ...join, subscription: { pattern: '(a)\\1' } } }, /^INVALID_SUBSCRIPTION/],
      [{ join: { ...join, assignor: 'best' } }, /^UNKNOWN_ASSIGNOR: .*uniform, range, rack/],
      [{ join: { ...join, sessionTimeoutMs: 5 } }, /session_timeout_ms is 1000 to 3600000/],
      [{ join: { ...join, memberEpoch: 4, memberId: 'x' } }, /^UNKNOWN_MEMBER/],
      [{ join: { ...join, memberId: 'x'.repeat(65) } }, /^INVALID_ARGUMENT: member_id/],
      [{ heartbeat: {} }, /^INVALID_ARGUMENT: the first request of a stream is a join/],
      [{}, /^INVALID_ARGUMENT: request: none of/],
      [{ sequence: 0, join }, /^INVALID_ARGUMENT: sequence/],
    ];
    for (const [request, expected] of wrong) {
      expect(await refusal(request), JSON.stringify(request)).to.match(expected);
    }
    const good = { join: { ...join, memberId: 'ok' } };
    expect(await refusal(good, good)).to.match(/a stream has one join/);
    expect(await refusal(good, { leave: { temporary: true } })).to.match(/instance id/);
    expect(await refusal(good, { heartbeat: { memberEpoch: 9 } })).to.match(/^FENCED_MEMBER_EPOCH/);
    const stolen = { topics: [{ topic: 'jobs', topicId: 'ab'.repeat(16), partitions: [0] }] };
    expect(await refusal(good, { heartbeat: { owned: stolen } })).to.match(/^FENCED_MEMBER_EPOCH/);
    expect(await refusal(good, { heartbeat: { assignmentVersion: 99 } })).to.match(/not sent yet/);
  });

  it('matches patterns in linear time', async () => {
    // One that tried the ways of matching one after another would not come back.
    const m1 = member('evil', 'm1', { subscription: { pattern: '(a*)*(a*)*(a*)*b' } });
    await client.admin.createTopic({ topic: 'a'.repeat(249), partitions: 1 });
    await eventually('it is in', () => m1.epoch > 0);
    expect(m1.held).to.eql([]);
  });
});
