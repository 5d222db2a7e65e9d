import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { Prng } from '../../src/base/prng.js';
import type { BrokerLog } from './broker-log.js';
import type { ReadVerdict } from './ledger.js';
import type { RoundResult } from './round.js';
import { SmallVolume } from './small-volume.js';
import { BROKERS, DamageStage, METADATA_GROUP, until } from './stage.js';

export const DISK_FULL = 'disk-full';

const SMALL_BYTES = 24 << 20;
const LARGE_BYTES = 1 << 30;
const FULL_WITHIN_MS = 120_000;
/** How long it must stand a full disk. */
const FULL_FOR_MS = 6_000;
const NO_SPACE = /no space left/i;
/** More a second is a flood: a disk may stay full for days. */
const LINES_PER_SECOND_MAX = 20;

/**
 * Fills the disk of one broker under load. Its replicas must be fenced and nothing else happen: its
 * process lives, the other two go on, the log is not flooded. Killed on the full disk, it comes back;
 * once there is room, it is whole without anybody's help.
 *
 * A string says why it could not be tried here.
 */
export async function fullDiskRound(options: {
  readonly seed: number;
  /** It is killed and started on the full disk too. */
  readonly isKilled: boolean;
  readonly recordsPerSecond: number;
  readonly valueBytes: number;
  readonly keep: boolean;
  say(text: string): void;
}): Promise<RoundResult | string> {
  const prng = new Prng(options.seed);
  const victim = prng.pick(BROKERS);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-damage-'));
  const volume = SmallVolume.mount(path.join(dir, `data-${victim}`), SMALL_BYTES);
  if (typeof volume === 'string') {
    rmSync(dir, { recursive: true });
    return volume;
  }
  let stage: DamageStage | undefined;
  let isKept = true;
  try {
    stage = await DamageStage.start({ ...options, dir });
    const result = await fillAndHeal(stage, volume, {
      victim,
      isKilled: options.isKilled,
      leads: prng.chance(0.5),
    });
    isKept = options.keep || result.problems.length > 0;
    return result;
  } finally {
    await stage?.stop({ keep: true });
    if (isKept) options.say(`logs and data of the others: ${dir}`);
    volume.unmount();
    if (!isKept) rmSync(dir, { recursive: true });
  }
}

async function fillAndHeal(
  stage: DamageStage,
  volume: SmallVolume,
  how: { readonly victim: number; readonly isKilled: boolean; readonly leads: boolean },
): Promise<RoundResult> {
  const { victim } = how;
  const broker = stage.cluster.broker(victim);
  const log = stage.logOf(victim);
  const problems: string[] = [];
  await stage.whenWhole();
  if (how.leads) await stage.lead(victim);
  let healedAt = 0;
  await stage.underLoad(async () => {
    await until('an error of the full disk', FULL_WITHIN_MS, () => isFenced(log, stage.group));
    problems.push(...(await enduring(stage, victim)));
    if (how.isKilled) {
      await broker.kill();
      broker.start();
      problems.push(...(await refusing(stage, victim)));
    }
    volume.resize(LARGE_BYTES);
    healedAt = performance.now();
    // What a supervisor does; one that runs must get well by itself.
    if (!broker.isRunning) broker.start();
    await stage.whenWhole();
  });
  const rebuiltMs = Math.round(performance.now() - healedAt);
  await stage.whenWhole();
  const verdicts: ReadVerdict[] = [await stage.judge(), ...(await stage.serveFrom(victim))];
  const compared = await stage.compareStopped([stage.group, METADATA_GROUP]);
  problems.push(...verdicts.flatMap((verdict) => verdict.examples));
  problems.push(...log.fatal().map((line) => `broker ${victim}: ${line.msg}`));
  let wrong = verdicts.reduce((total, verdict) => total + verdict.wrong, 0);
  for (const [group, { faults }] of compared) {
    wrong += faults.length;
    problems.push(...faults.slice(0, 5).map((fault) => `group ${group}: ${fault}`));
  }
  return {
    what: `broker ${victim}${how.leads ? ', which led' : ''}${how.isKilled ? ', killed while full' : ''}`,
    isDetected: log.fenced().some((line) => line.raftGroup === stage.group),
    wrong,
    lost: verdicts.reduce((total, verdict) => total + verdict.lost, 0),
    rebuiltMs,
    problems,
  };
}

function isFenced(log: BrokerLog, group: number): boolean {
  return log.fenced().some((line) => line.raftGroup === group);
}

/**
 * Started on a full disk, a broker may serve as well as it can, or end and say why in one line; what
 * the others acknowledge goes on.
 */
async function refusing(stage: DamageStage, victim: number): Promise<string[]> {
  const log = stage.logOf(victim);
  const ackedBefore = stage.ledger.acked.size;
  await pause(FULL_FOR_MS);
  const problems: string[] = [];
  const text = log.text();
  if (!stage.cluster.broker(victim).isRunning && !NO_SPACE.test(text)) {
    problems.push(`broker ${victim} ended and did not say that its disk is full`);
  }
  if (stage.ledger.acked.size === ackedBefore) problems.push('the other two acknowledged nothing');
  return problems;
}

/** What must hold while the disk is full. */
async function enduring(stage: DamageStage, victim: number): Promise<string[]> {
  const problems: string[] = [];
  const log = stage.logOf(victim);
  const ackedBefore = stage.ledger.acked.size;
  await pause(FULL_FOR_MS);
  const acked = stage.ledger.acked.size - ackedBefore;
  if (acked === 0) problems.push('the other two acknowledged nothing meanwhile');
  if (!stage.cluster.broker(victim).isRunning) problems.push(`broker ${victim} ended`);
  const { partitions } = await stage.client.admin.describeTopic('damage');
  const replica = partitions[0]?.replicas.find(({ brokerId }) => brokerId === victim);
  if (replica?.inSync === true) problems.push(`broker ${victim} counts as in sync`);
  const lines = log.lines().filter((line) => line.level !== 'debug').length;
  const linesMax = (LINES_PER_SECOND_MAX * FULL_FOR_MS) / 1000;
  if (lines > linesMax) problems.push(`broker ${victim} wrote ${lines} lines into its log`);
  return problems;
}
