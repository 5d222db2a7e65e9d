/**
 * A second consumer group beside the one whose history is judged: every second a member joins it and the
 * oldest leaves. Its members read nothing and let go at once of what they are told to, so how long a
 * new one waits for its whole share is the coordinator's doing alone. Forked by group-load.ts, with its
 * settings as the only argument; tells of every member that joined.
 */
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { type LightMember, LightMembers } from '../lib/light-members.js';
import type { MemberSettings, ShareTaken } from './group-protocol.js';

const MEMBERS = 4;
const EVERY_MS = 1_000;
const LOOK_EVERY_MS = 2;
const GIVE_UP_MS = 30_000;

const settings = JSON.parse(process.argv[2] ?? '{}') as MemberSettings;
const { bootstrap, topic, group, partitions } = settings;
process.on('disconnect', () => process.exit(0));
process.on('message', () => process.exit(0));

const now = (): number => performance.timeOrigin + performance.now();

/** How long until it has what is its own among so many, and waits for nothing more. */
async function joined(member: LightMember, among: number): Promise<ShareTaken> {
  const fromMs = now();
  void member.join().catch(() => undefined);
  const share = Math.floor(partitions / among);
  const isWhole = (): boolean => member.isWhole && member.heldKeys.length >= share;
  while (!isWhole() && now() - fromMs < GIVE_UP_MS) await pause(LOOK_EVERY_MS);
  return { kind: 'share', fromMs, toMs: now() };
}

const crowd = new LightMembers(bootstrap);
const inside: LightMember[] = [];
for (let dueMs = now(); ; dueMs = Math.max(dueMs + EVERY_MS, now())) {
  while (now() < dueMs) await pause(Math.max(1, dueMs - now()));
  const member = crowd.add({ group, topic });
  inside.push(member);
  const isFull = inside.length > MEMBERS;
  const taken = await joined(member, inside.length);
  // Those that fill the group up at first find nobody who has to let go.
  if (isFull) process.send?.(taken);
  if (isFull) void inside.shift()?.leave();
}
