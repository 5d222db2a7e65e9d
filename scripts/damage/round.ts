import path from 'node:path';
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import type { Prng } from '../../src/base/prng.js';
import type { BrokerLog, LogLine } from './broker-log.js';
import type { Harm } from './harms.js';
import type { ReadVerdict } from './ledger.js';
import { BROKERS, METADATA_GROUP, until, type DamageStage } from './stage.js';

export interface RoundResult {
  readonly what: string;
  readonly isDetected: boolean;
  readonly wrong: number;
  readonly lost: number;
  /** From the line that says what was found to the replica being whole. */
  readonly rebuiltMs: number | undefined;
  readonly problems: readonly string[];
}

const LOAD_BEFORE_MS = 2_500;
const LOAD_WHILE_DEAD_MS = 300;
const OTHER_DEAD_MS = 700;
const FOUND_WITHIN_MS = 30_000;

/** (broker, group) whose files hold damage that had no effect so far. */
export type Tainted = Set<string>;

/**
 * One damage: load, SIGKILL, harm, restart under load, and then everything that must hold. Sometimes
 * another broker is killed too while the damaged one comes back, so that it would be needed for a
 * majority; sometimes it is made to lead and serve at once, before it has verified its log.
 */
export async function damageRound(
  stage: DamageStage,
  harm: Harm,
  prng: Prng,
  tainted: Tainted,
): Promise<RoundResult> {
  await stage.whenWhole();
  const group = prng.chance(0.25) ? METADATA_GROUP : stage.group;
  const leads = prng.chance(0.33);
  const alsoOther = prng.chance(0.33);
  const readsEarly = !alsoOther && prng.chance(0.5);
  const verdicts: ReadVerdict[] = [];
  const logs = new Map(BROKERS.map((id) => [id, stage.logOf(id)]));

  const hit = await stage.underLoad(async () => {
    await pause(LOAD_BEFORE_MS);
    const leader = await stage.leaderOf(group);
    const followers = BROKERS.filter((id) => id !== leader);
    const victim = leads && leader !== undefined ? leader : prng.pick(followers);
    const broker = stage.cluster.broker(victim);
    await broker.kill();
    const harmed = harmReplica(stage, { broker: victim, group, harm, prng });
    await pause(LOAD_WHILE_DEAD_MS);
    const other = stage.cluster.broker(prng.pick(BROKERS.filter((id) => id !== victim)));
    if (alsoOther) await other.kill();
    const log = stage.logOf(victim);
    broker.start();
    await pause(alsoOther ? OTHER_DEAD_MS : 0);
    if (alsoOther) other.start();
    await Promise.all([broker.ready(), other.ready()]);
    if (readsEarly) {
      await stage.client.admin
        .transferLeadership({ topic: 'damage', partition: 0 }, victim)
        // It may well refuse: it may be damaged.
        .catch(() => undefined);
      verdicts.push(await stage.judge());
    }
    const outcome = await outcomeOf(log, harmed.group);
    return { victim, ...harmed, log, outcome };
  });

  const { victim } = hit;
  await stage.whenWhole();
  const rebuiltMs =
    hit.outcome === undefined ? undefined : Date.now() - Date.parse(hit.outcome.time);
  verdicts.push(await stage.judge());
  verdicts.push(...(await stage.serveFrom(victim)));
  const compared = await stage.compareStopped([stage.group, METADATA_GROUP]);
  const problems = verdicts.flatMap((verdict) => verdict.examples);
  let wrong = sum(verdicts.map((verdict) => verdict.wrong));
  for (const [id, { faults }] of compared) {
    wrong += faults.length;
    problems.push(...faults.slice(0, 5).map((fault) => `group ${id}: ${fault}`));
  }
  const isDetected = hit.log.damaged().some((line) => line.raftGroup === hit.group);
  if (!isDetected) tainted.add(`${victim}/${hit.group}`);
  problems.push(...unexpectedLines(logs, { victim, group: hit.group, tainted }));
  const role = `${leads ? 'led' : 'followed'}${alsoOther ? ', another killed' : ''}`;
  return {
    what: `broker ${victim} (${role}), group ${hit.group}: ${hit.what}`,
    isDetected,
    wrong,
    lost: sum(verdicts.map((verdict) => verdict.lost)),
    rebuiltMs,
    problems,
  };
}

/** Harms the group's log, or the partition's where this group has no such file. */
function harmReplica(
  stage: DamageStage,
  at: {
    readonly broker: number;
    readonly group: number;
    readonly harm: Harm;
    readonly prng: Prng;
  },
): { readonly what: string; readonly group: number } {
  for (const group of new Set([at.group, stage.group, METADATA_GROUP])) {
    const replica = path.join(stage.cluster.dir, `data-${at.broker}`, 'replicas', String(group));
    const generation = Math.max(...readdirSync(replica).map(Number).filter(Number.isInteger));
    const what = at.harm(path.join(replica, String(generation), 'db'), at.prng);
    if (what !== undefined) return { what, group };
  }
  throw new Error('there is no file to harm');
}

/** The line that tells of the damage; undefined once everything was verified without finding any. */
async function outcomeOf(log: BrokerLog, group: number): Promise<LogLine | undefined> {
  const damage = (): LogLine | undefined => log.damaged().find((l) => l.raftGroup === group);
  await until(
    `a verdict on group ${group}`,
    FOUND_WITHIN_MS,
    () => damage() !== undefined || log.verified().some((line) => line.raftGroup === group),
  );
  return damage();
}

/** Replicas found damaged that nobody harmed, and anything that ended a replica for good. */
function unexpectedLines(
  logs: ReadonlyMap<number, BrokerLog>,
  hit: { readonly victim: number; readonly group: number; readonly tainted: Tainted },
): string[] {
  const problems: string[] = [];
  for (const [id, log] of logs) {
    for (const { raftGroup, reason } of log.damaged()) {
      const isHit = id === hit.victim && raftGroup === hit.group;
      if (isHit || hit.tainted.has(`${id}/${raftGroup}`)) continue;
      problems.push(
        `broker ${id} calls group ${raftGroup} damaged, which nobody harmed: ${reason}`,
      );
    }
    problems.push(...log.fatal().map((line) => `broker ${id}: ${line.msg}`));
  }
  return problems;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
