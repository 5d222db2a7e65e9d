import { setTimeout as pause } from 'node:timers/promises';

import { judge as judgeCase } from '../../bad-input/case.js';
import { garbage } from '../../bad-input/garbage.js';
import { Patient } from '../../bad-input/patient.js';
import { requests } from '../../bad-input/requests.js';
import { Crowd } from '../crowd.js';
import type { GroupLoad } from '../group-load.js';
import { killAndRetry } from '../retries.js';
import type { Scenario, Stage } from '../scenario.js';
import { busiest } from './targets.js';

/** Of the members of the load: group-member.ts asks for it. */
const SESSION_MS = 6_000;
/** What partitions of a member that is gone may take to move, and what a busy machine adds to it. */
const MOVED_WITHIN_MS = SESSION_MS + 1_000;
const MOVED_AT_LAST_MS = 30_000;
const BACK_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 20;
const IDLE_CLIENTS = 1_000;
const RECONNECTING_CLIENTS = 200;
const CROWD_WITHIN_MS = 60_000;
const IDLE_SHARE_MIN = 0.9;

async function until(condition: () => boolean, withinMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > giveUpAt) return false;
    await pause(LOOK_EVERY_MS);
  }
  return true;
}

/** One of a group all of whose partitions are somebody's; undefined if it never becomes that. */
async function anyMember(
  stage: Stage,
): Promise<{ readonly group: GroupLoad; readonly place: number } | undefined> {
  const group = stage.prng.pick(stage.groups);
  const place = stage.prng.int(group.size);
  if (await until(() => group.isWhole, BACK_WITHIN_MS)) return { group, place };
  stage.problem(`group ${group.name} did not become whole within ${BACK_WITHIN_MS} ms`);
  return undefined;
}

/** Waits until what a member had is others', and books how long that took. */
async function moved(
  stage: Stage,
  group: GroupLoad,
  gone: { readonly keys: readonly string[]; readonly atMs: number; readonly place?: number },
): Promise<void> {
  const { keys, atMs, place } = gone;
  const has = (): boolean => group.areTakenOver(keys, atMs, place);
  if (!(await until(has, MOVED_AT_LAST_MS))) {
    stage.problem(
      `partitions of a member that was gone did not move within ${MOVED_AT_LAST_MS} ms`,
    );
    return;
  }
  const ms = performance.now() - atMs;
  stage.count('times that partitions moved');
  if (ms > MOVED_WITHIN_MS) stage.count('of which later than the session timeout and a second');
  stage.say(
    `${keys.length} partitions of a member of ${group.name} moved within ${ms.toFixed(0)} ms`,
  );
}

async function killMember(stage: Stage): Promise<void> {
  const member = await anyMember(stage);
  if (member === undefined) return;
  const { group, place } = member;
  const keys = group.keysOf(place);
  const atMs = performance.now();
  if (!(await group.replaceMember(place))) return;
  stage.fault({ kind: 'kill-member', nodes: [], keys: [] });
  await moved(stage, group, { keys, atMs });
}

/** What the member does first when it goes on is to commit, in a generation that is over. */
async function pauseMember(stage: Stage): Promise<void> {
  const member = await anyMember(stage);
  if (member === undefined) return;
  const { group, place } = member;
  const keys = group.keysOf(place);
  const before = group.figures();
  const atMs = performance.now();
  group.signalMember(place, 'SIGSTOP');
  stage.fault({ kind: 'pause-member', nodes: [], keys: [] });
  try {
    await moved(stage, group, { keys, atMs, place });
  } finally {
    group.signalMember(place, 'SIGCONT');
    stage.repair('continue-member', []);
  }
  const goneOnMs = performance.now();
  const isBack = await until(() => group.hasSpoken(place, goneOnMs), BACK_WITHIN_MS);
  if (!isBack)
    stage.problem(`a member that had been paused was not back within ${BACK_WITHIN_MS} ms`);
  const { commitsRefused, lost } = group.figures();
  stage.count(
    'commits refused to members that were paused',
    commitsRefused - before.commitsRefused,
  );
  stage.count('members told that they had lost their partitions', lost - before.lost);
}

/** Honest clients beside whom others send what no client may. */
function badInput(): Pick<Scenario, 'prepare' | 'strike'> {
  let patient: Patient | undefined;
  return {
    prepare: async (stage) => {
      const own = new Patient(stage.cluster.script);
      patient = own;
      await own.prepare();
      return async () => {
        own.connection.close();
        await own.client.close();
      };
    },
    strike: async (stage) => {
      if (patient === undefined) throw new Error('not prepared');
      const one = stage.prng.pick([...requests(patient), ...garbage(patient)]);
      stage.fault({ kind: 'bad-input', nodes: [], keys: [] });
      const row = await judgeCase(patient, one);
      stage.count('bad requests answered');
      if (row.problem !== undefined) {
        stage.problem(`${row.input}: ${row.problem}; it was answered ${row.answer.slice(0, 200)}`);
      }
    },
  };
}

/** A leader dies while a thousand clients hold connections and others come and go. */
function crowded(): Pick<Scenario, 'prepare' | 'strike'> {
  let crowd: Crowd | undefined;
  return {
    prepare: async (stage) => {
      const own = new Crowd({
        bootstrap: stage.cluster.bootstrap,
        idle: IDLE_CLIENTS,
        reconnecting: RECONNECTING_CLIENTS,
      });
      crowd = own;
      const areThere = await until(() => own.counts.open === IDLE_CLIENTS, CROWD_WITHIN_MS);
      if (!areThere) stage.doubt(`only ${own.counts.open} idle clients were connected`);
      return () => {
        const { broken, visits, failed } = own.counts;
        stage.count('idle connections broken and made again', broken);
        stage.count('clients that came and went', visits);
        stage.count('clients that were not answered', failed);
        if (visits < RECONNECTING_CLIENTS) stage.doubt(`only ${visits} clients came and went`);
        own.stop();
        return Promise.resolve();
      };
    },
    strike: async (stage) => {
      const { node, keys } = await busiest(stage);
      const open = crowd?.counts.open ?? 0;
      if (open < IDLE_CLIENTS * IDLE_SHARE_MIN) {
        await stage.rest(LOOK_EVERY_MS);
        return;
      }
      await stage.kill({ kind: 'kill-leader', nodes: [node], keys });
      stage.say(`killed broker ${node} beside ${open} idle clients`);
      await stage.rest(1_000);
      await stage.start([node]);
    },
  };
}

/** Clients that end, stand still, misbehave or crowd. */
export const CLIENTS: readonly Scenario[] = [
  {
    id: 'D31',
    title:
      'a producer is killed between a send and its answer; another repeats it with the same id',
    onWhole: false,
    faultsMin: 2,
    random: 'beside',
    strike: killAndRetry,
    verify: (stage) => {
      const repeated = stage.figures['sends repeated by another process'] ?? 0;
      if (repeated === 0) stage.doubt('no send was left to repeat');
      return Promise.resolve();
    },
  },
  {
    id: 'D32',
    title: 'a consumer is killed between a poll and its commit',
    onWhole: false,
    everyMs: 2_000,
    strike: killMember,
  },
  {
    id: 'D33',
    title: 'a group member stands still for longer than its session, then commits',
    onWhole: false,
    strike: pauseMember,
    verify: (stage) => {
      const refused = stage.figures['commits refused to members that were paused'] ?? 0;
      const lost = stage.figures['members told that they had lost their partitions'] ?? 0;
      if (refused + lost === 0) stage.doubt('no paused member was told that it is out');
      return Promise.resolve();
    },
  },
  {
    id: 'D34',
    title: 'oversize and malformed requests beside honest load',
    onWhole: false,
    faultsMin: 5,
    ...badInput(),
  },
  {
    id: 'D35',
    title: 'failover beside 1,000 idle clients and 200 that come and go',
    everyMs: 10_000,
    ...crowded(),
  },
];
