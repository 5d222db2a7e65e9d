import { setTimeout as pause } from 'node:timers/promises';

import { GrpcTransport } from '../../src/client/grpc-transport.js';
import { BrokerError, type MillraceClient } from '../../src/client/index.js';
import { heldTwice, type LightMember, LightMembers } from '../lib/light-members.js';
import { forEachLimited } from './limited.js';
import type { Load } from './load.js';
import { judgeUnharmed, Neighbour } from './neighbour.js';

const TOPIC = 'groups';
const PARTITIONS = 4;
const RECORDS = 100;
const SETTLE_WITHIN_MS = 300_000;
const COMMITS_AT_ONCE = 64;
const ATTEMPTS_MAX = 100;
const RETRY_AFTER_MS = 50;

/** Many groups in one cluster: their members join, settle, commit and leave, all at the same time. */
export const groups: Load = {
  about: 'many groups of two members in one cluster: join, settle, commit, leave; times and memory',
  sizes: { groups: 1_000, membersEach: 2, quietSeconds: 20 },
  short: { groups: 100, membersEach: 2, quietSeconds: 3 },
  async run(stage, size) {
    const { findings } = stage;
    const client = stage.client();
    await client.admin.createTopic({ topic: TOPIC, partitions: PARTITIONS, replicationFactor: 3 });
    await fill(client);
    const neighbour = await Neighbour.moveIn(stage);
    const seconds = size('quietSeconds');
    const before = await neighbour.noteQuiet(stage, seconds, 'before');
    stage.noteMemory('before');

    const crowd = new LightMembers(stage.cluster.bootstrap);
    stage.onEnd(() => crowd.close());
    const each = size('membersEach');
    const byGroup = Array.from({ length: size('groups') }, (_, i) =>
      Array.from({ length: each }, () => crowd.add({ group: nameOf(i), topic: TOPIC })),
    );
    const startedAt = performance.now();
    const secondsSince = (ms: number): number => (performance.now() - ms) / 1000;
    await stage.booked('joining and settling', async () => {
      const joinedMs: number[] = [];
      await Promise.all(
        crowd.all.map(async (member) => {
          await member.join();
          joinedMs.push(performance.now() - startedAt);
        }),
      );
      findings.times('taken in, all joining at once', joinedMs);
      const hasSettled = await stage.until(() => byGroup.every(isSettled), SETTLE_WITHIN_MS, 10);
      findings.must(hasSettled, 'not all groups settled');
      findings.figure('all groups settled, s after the first join', secondsSince(startedAt));
    });
    await neighbour.note(stage, 'while all join');
    stage.noteMemory('with all groups');
    const beside = await neighbour.noteQuiet(stage, seconds, 'while all groups stand');
    judgeUnharmed(stage, { seconds, before, beside });
    const twice = heldTwice(crowd.all);
    findings.must(twice.length === 0, `held by two members: ${twice.slice(0, 5).join(', ')}`);

    await stage.booked('committing', async () => {
      const took = await commitAll(stage.cluster.brokers, crowd.all, client);
      findings.times('commit of one member, all its partitions', took.ms);
      findings.must(took.refused === 0, `${took.refused} offsets of owners were refused`);
    });
    await neighbour.note(stage, 'while all commit');
    const listed = await client.admin.listGroups({ prefix: 'load-' });
    const whole = listed.filter((g) => g.committedPartitions === PARTITIONS && g.members === each);
    findings.must(
      whole.length === byGroup.length,
      `${whole.length} of ${byGroup.length} groups have all members and commits`,
    );

    const leavingAt = performance.now();
    await stage.booked('leaving', async () => {
      await Promise.all(crowd.all.map(async (member) => await member.leave()));
    });
    findings.figure('all left, s', secondsSince(leavingAt));
    await neighbour.note(stage, 'while all leave');
    const deletingAt = performance.now();
    await forEachLimited(byGroup.keys(), COMMITS_AT_ONCE, async (i) => {
      await client.admin.deleteGroup(nameOf(i));
    });
    findings.figure('all deleted, s', secondsSince(deletingAt));
    const bad = crowd.all.filter((m) => m.lost > 0 || m.failure !== undefined).length;
    findings.must(bad === 0, `${bad} members were evicted or refused`);
    stage.noteMemory('after all groups are gone');
  },
};

function nameOf(i: number): string {
  return `load-${i}`;
}

async function fill(client: MillraceClient): Promise<void> {
  const producer = client.producer();
  for (let i = 0; i < RECORDS * PARTITIONS; i += 1) {
    await producer.enqueue({ topic: TOPIC, partition: i % PARTITIONS, value: String(i) });
  }
  await producer.close();
}

function isSettled(members: readonly LightMember[]): boolean {
  const held = members.reduce((sum, member) => sum + member.heldKeys.length, 0);
  return held === PARTITIONS && members.every((member) => member.isWhole);
}

/** Every member commits what it holds, as owners do: fenced by its epoch. */
async function commitAll(
  brokers: readonly { readonly ports: { readonly client: number } }[],
  members: readonly LightMember[],
  client: MillraceClient,
): Promise<{ readonly ms: number[]; readonly refused: number }> {
  const portOfController = async (): Promise<number> => {
    const { controller } = await client.admin.describeCluster();
    return brokers[(controller ?? 1) - 1]?.ports.client ?? 0;
  };
  let port = await portOfController();
  const transport = new GrpcTransport();
  const ms: number[] = [];
  let refused = 0;
  await forEachLimited(members, COMMITS_AT_ONCE, async (member) => {
    const from = performance.now();
    const offsets = member.held.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition, offset: RECORDS / 2 })),
    );
    const commit = async (): Promise<readonly { readonly error?: unknown }[]> =>
      await transport.call(
        { host: '127.0.0.1', port },
        'commitOffsets',
        {
          group: member.group,
          offsets,
          member: { memberId: member.memberId, memberEpoch: member.epoch },
        },
        { deadlineMs: 30_000 },
      );
    let answers: readonly { readonly error?: unknown }[] | undefined;
    for (let attempt = 1; answers === undefined; attempt += 1) {
      try {
        answers = await commit();
      } catch (thrown) {
        // The metadata group may be led by another broker by now.
        if (!BrokerError.from(thrown).retriable || attempt === ATTEMPTS_MAX) throw thrown;
        await pause(RETRY_AFTER_MS);
        port = await portOfController();
      }
    }
    refused += answers.filter((answer) => answer.error !== undefined).length;
    ms.push(performance.now() - from);
  });
  transport.close();
  return { ms, refused };
}
