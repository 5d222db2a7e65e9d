import { heldTwice, type LightMember, LightMembers } from '../lib/light-members.js';
import type { Load } from './load.js';
import { judgeUnharmed, Neighbour } from './neighbour.js';
import type { LoadStage } from './stage.js';

const TOPIC = 'members';
const GROUP = 'members';
const SETTLE_WITHIN_MS = 300_000;
/** Shorter than a session: one that did not leave would be evicted after that. */
const LEFT_WITHIN_MS = 30_000;
/** Members that come to, and go from, a group that has settled. */
const COMINGS = 5;

/** Many members in one group: they all join at once, settle, see some come and go, and all leave. */
export const members: Load = {
  about:
    'one group of many members: join, settle, leave; times, memory, and a small group beside it',
  sizes: { members: 1_000, partitions: 120, quietSeconds: 20 },
  short: { members: 100, partitions: 12, quietSeconds: 3 },
  async run(stage, size) {
    const { findings } = stage;
    const count = size('members');
    const client = stage.client();
    const partitions = size('partitions');
    await client.admin.createTopic({ topic: TOPIC, partitions, replicationFactor: 3 });
    const neighbour = await Neighbour.moveIn(stage);
    const seconds = size('quietSeconds');
    const before = await neighbour.noteQuiet(stage, seconds, 'before');
    stage.noteMemory('before');

    const crowd = new LightMembers(stage.cluster.bootstrap);
    stage.onEnd(() => crowd.close());
    const startedAt = performance.now();
    await stage.booked('joining and settling', async () => {
      const joinedMs: number[] = [];
      await Promise.all(
        Array.from({ length: count }, async () => {
          await crowd.add({ group: GROUP, topic: TOPIC }).join();
          joinedMs.push(performance.now() - startedAt);
        }),
      );
      findings.times('taken in, all joining at once', joinedMs);
      findings.must(await settled(stage, crowd.all, partitions), 'the group never settled');
      findings.figure('settled, s after the first join', (performance.now() - startedAt) / 1000);
    });
    await neighbour.note(stage, 'while all join');
    stage.noteMemory('with all of them');
    judge(stage, crowd.all, partitions);

    const beside = await neighbour.noteQuiet(stage, seconds, 'while all are members');
    judgeUnharmed(stage, { seconds, before, beside });
    await comeAndGo(stage, crowd, partitions);

    const leftMs: number[] = [];
    const leavingAt = performance.now();
    await stage.booked('leaving', async () => {
      await Promise.all(
        crowd.all.map(async (member) => {
          await member.leave();
          leftMs.push(performance.now() - leavingAt);
        }),
      );
    });
    findings.times('left, all leaving at once', leftMs);
    await neighbour.note(stage, 'while all leave');
    const isEmpty = await stage.until(async () => {
      const group = await client.admin.describeGroup(GROUP, { lag: false });
      return group.members.length === 0;
    }, LEFT_WITHIN_MS);
    findings.must(isEmpty, 'the group has members after all have left');
    stage.noteMemory('after all have left');
  },
};

/** One more member, and one less, of a group that stands: what each costs the whole. */
async function comeAndGo(stage: LoadStage, crowd: LightMembers, partitions: number): Promise<void> {
  const comingMs: number[] = [];
  const goingMs: number[] = [];
  let hasSettled = true;
  for (let i = 0; i < COMINGS; i += 1) {
    const from = performance.now();
    const member = crowd.add({ group: GROUP, topic: TOPIC });
    await member.join();
    hasSettled &&= await settled(stage, crowd.all, partitions);
    comingMs.push(performance.now() - from);
    const leavingFrom = performance.now();
    const [first] = crowd.all;
    if (first === undefined) throw new Error('nobody is there');
    crowd.all.shift();
    await first.leave();
    hasSettled &&= await settled(stage, crowd.all, partitions);
    goingMs.push(performance.now() - leavingFrom);
  }
  stage.findings.times('settled after one more came', comingMs);
  stage.findings.times('settled after one left', goingMs);
  stage.findings.must(hasSettled, 'the group did not settle after a member came or left');
}

/** Everything is held, by members that wait for nothing more. */
async function settled(
  stage: LoadStage,
  all: readonly LightMember[],
  partitions: number,
): Promise<boolean> {
  return await stage.until(
    () => all.every((m) => m.isWhole) && heldBy(all).length === partitions && isEven(all),
    SETTLE_WITHIN_MS,
    5,
  );
}

function judge(stage: LoadStage, all: readonly LightMember[], partitions: number): void {
  const { findings } = stage;
  const twice = heldTwice(all);
  findings.must(twice.length === 0, `held by two members: ${twice.slice(0, 5).join(', ')}`);
  findings.must(heldBy(all).length === partitions, 'not every partition is held');
  findings.must(isEven(all), 'the shares of members differ by more than one partition');
  const bad = all.filter((m) => m.lost > 0 || m.failure !== undefined).length;
  findings.must(bad === 0, `${bad} members were evicted or refused`);
}

function heldBy(all: readonly LightMember[]): string[] {
  return all.flatMap((member) => member.heldKeys);
}

function isEven(all: readonly LightMember[]): boolean {
  const shares = all.map((member) => member.heldKeys.length);
  return Math.max(...shares) - Math.min(...shares) <= 1;
}
