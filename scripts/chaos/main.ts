/**
 * `npm run chaos -- --scenario kill-leader --seconds 60 [--faults N] [--limit-ms N] [--history FILE]
 *   [--share-limit-ms N] [--json]`
 *
 * Real broker processes, real clients, faults; then heal, drain, and judge the recorded history. The
 * scenario `groups` kills the coordinator every 15 s while members of a consumer group, each a process of
 * its own, come and go every second, and fails if a joining member waits too long for its share. Exits
 * with 0 on PASS, 1 on FAIL, 3 on INVALID (a run too thin to judge), 2 on bad usage.
 */
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { MillraceClient } from '../../src/client/index.js';
import { checkHistoryFile, HistoryWriter, type Verdict } from '../../test/checker/index.js';
import { ScriptCluster } from '../lib/script-cluster.js';
import { type Fault, type GapSummary, summarize, writeGaps } from './gaps.js';
import { type GroupFigures, GroupLoad } from './group-load.js';
import { SCENARIOS } from './scenarios.js';
import { Workload } from './workload.js';

interface Outcome {
  readonly scenario: string;
  readonly seconds: number;
  readonly faults: number;
  readonly counts: Workload['counts'];
  readonly writeGapsMs: GapSummary;
  /** Acknowledgements of one partition, fault-free, are this far apart. */
  readonly quietSpacingP99Ms: number;
  readonly groups: GroupFigures | undefined;
  readonly verdict: Verdict;
}

const TOPIC = 'chaos';
const EXIT_CODES = { PASS: 0, FAIL: 1, INVALID: 3 } as const;
const WARM_UP_MS = 3_000;
const WARM_UP_SECONDS_MAX = 60;
/** Half more than what the judge demands between start and fault. */
const ACKED_PER_SECOND_MIN = 150;
const HEALED_FOR_MS = 10_000;
/** What a run must have data for, or it proves nothing. */
const REQUIRED = [
  'C01',
  'C02',
  'C03',
  'C04',
  'C11',
  'C12',
  'C13',
  'C19',
  'C20',
  'C23',
  'C24',
] as const;
const REQUIRED_OF_GROUPS = ['C14', 'C15', 'C16'] as const;
const GROUP_MEMBERS = 6;
/** A joining member has its share within this time, where the owners release at once. */
const SHARE_MS_P99_MAX = 1_000;
const SHARES_MIN = 20;
const PARTITIONS_DEFAULT = { groups: '12', others: '10' };

const { values: args } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'kill-leader' },
    seconds: { type: 'string' },
    faults: { type: 'string' },
    brokers: { type: 'string', default: '3' },
    partitions: { type: 'string' },
    'share-limit-ms': { type: 'string' },
    'records-per-second': { type: 'string', default: '1000' },
    'value-bytes': { type: 'string', default: '100' },
    'limit-ms': { type: 'string' },
    history: { type: 'string' },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const scenario = SCENARIOS[args.scenario];
if (scenario === undefined) {
  process.stderr.write(
    `unknown --scenario ${args.scenario}; there are ${Object.keys(SCENARIOS).join(', ')}\n`,
  );
  process.exit(2);
}
const seconds = Number(args.seconds ?? (args.faults === undefined ? 60 : 86_400));
const faultsMax = Number(args.faults ?? Number.POSITIVE_INFINITY);
const isOfGroups = args.scenario === 'groups';
const partitions = Number(args.partitions ?? PARTITIONS_DEFAULT[isOfGroups ? 'groups' : 'others']);
const shareLimitMs = Number(args['share-limit-ms'] ?? SHARE_MS_P99_MAX);
const limitMs = args['limit-ms'] === undefined ? undefined : Number(args['limit-ms']);
if (
  !(seconds > 0) ||
  !(faultsMax > 0) ||
  !(partitions > 0) ||
  !(shareLimitMs > 0) ||
  !(limitMs === undefined || limitMs > 0)
) {
  process.stderr.write(
    '--seconds, --faults, --partitions, --limit-ms and --share-limit-ms must be positive numbers\n',
  );
  process.exit(2);
}
const say = (text: string): void => {
  if (!args.json) process.stdout.write(`${text}\n`);
};

const scratch = mkdtempSync(path.join(os.tmpdir(), 'millrace-chaos-'));
const historyFile = args.history ?? path.join(scratch, 'history.jsonl');
const sink = createWriteStream(historyFile);
const startedAt = performance.now();
const history = new HistoryWriter(
  (line) => sink.write(line),
  () => (performance.now() - startedAt) * 1000,
);
const cluster = await ScriptCluster.start({ brokers: Number(args.brokers) });
process.once('SIGINT', () => void cluster.stop().then(() => process.exit(130)));
const faults: Fault[] = [];
const groups = isOfGroups
  ? new GroupLoad(
      {
        bootstrap: cluster.bootstrap,
        topic: TOPIC,
        group: 'chaos-readers',
        members: GROUP_MEMBERS,
        partitions,
      },
      history,
    )
  : undefined;
let isPassed = false;
try {
  const admin = new MillraceClient({ bootstrap: cluster.bootstrap });
  await admin.admin.createTopic({ topic: TOPIC, partitions, replicationFactor: 3 });
  await admin.close();
  const workload = new Workload(
    {
      bootstrap: cluster.bootstrap,
      topic: TOPIC,
      partitions,
      // Beside the members' processes every answer takes longer: more of them are under way.
      producers: partitions * (groups === undefined ? 2 : 4),
      recordsPerSecond: Number(args['records-per-second']),
      valueBytes: Number(args['value-bytes']),
    },
    history,
  );
  history.phase('start');
  workload.start();
  groups?.start();
  const loadFrom = performance.now();
  await pause(WARM_UP_MS);
  // A busy machine takes longer to come up to a load that a judgement can rest on.
  while (workload.counts.acked < secondsSince(loadFrom) * ACKED_PER_SECOND_MIN) {
    if (secondsSince(loadFrom) > WARM_UP_SECONDS_MAX) throw new Error('the load never came up');
    await pause(100);
  }
  history.phase('fault');
  groups?.faultsBegin();
  const faultsFrom = performance.now();
  await scenario({
    cluster,
    topic: TOPIC,
    partitions,
    history,
    limitMs,
    isOver: () =>
      performance.now() - faultsFrom > seconds * 1000 ||
      faults.length >= faultsMax ||
      groups?.failure !== undefined,
    faulted: (fault) => {
      faults.push(fault);
      groups?.faulted(fault);
    },
    say,
  });
  history.phase('heal');
  await pause(HEALED_FOR_MS);
  await workload.stopProducing();
  history.phase('drain');
  await Promise.all([workload.readAll(), groups?.drain()]);
  await workload.stopReading();
  await groups?.stop();
  history.phase('end');
  await workload.close();
  await new Promise<void>((resolve) => sink.end(resolve));

  const verdict = await checkHistoryFile(historyFile, {
    require: groups === undefined ? REQUIRED : [...REQUIRED, ...REQUIRED_OF_GROUPS],
  });
  const failure = groups?.failure;
  const judged = groups === undefined ? undefined : judgeGroups(groups.figures());
  isPassed = verdict.verdict === 'PASS' && failure === undefined && judged?.verdict !== 'FAIL';
  const outcome: Outcome = {
    scenario: args.scenario,
    seconds: (performance.now() - startedAt) / 1000,
    faults: faults.length,
    counts: workload.counts,
    writeGapsMs: summarize(writeGaps(faults, workload.acks)),
    quietSpacingP99Ms: quietSpacing(workload, faultsFrom),
    groups: groups?.figures(),
    verdict,
  };
  print(outcome);
  for (const problem of judged?.problems ?? []) process.stderr.write(`${problem}\n`);
  process.exitCode = Math.max(EXIT_CODES[verdict.verdict], EXIT_CODES[judged?.verdict ?? 'PASS']);
  if (verdict.verdict === 'FAIL' || judged?.verdict === 'FAIL') process.exitCode = EXIT_CODES.FAIL;
  if (failure !== undefined) {
    process.stderr.write(`${failure}\n`);
    process.exitCode = 1;
  }
} finally {
  await groups?.kill();
  await cluster.stop({ keep: args.keep || !isPassed });
  if (isPassed) rmSync(scratch, { recursive: true, force: true });
  else process.stderr.write(`history ${historyFile}, logs and data ${cluster.dir}\n`);
}

/** What a group owes its members beyond what the history can tell. */
function judgeGroups(figures: GroupFigures): {
  readonly verdict: Verdict['verdict'];
  readonly problems: readonly string[];
} {
  const { commitsBackwards, sharesMs, joinsPerSecond, leavesPerSecond } = figures;
  const wrong: string[] = [];
  if (commitsBackwards > 0) wrong.push(`FAIL: ${commitsBackwards} commits went backwards`);
  if (sharesMs.p99 > shareLimitMs) {
    wrong.push(`FAIL: p99 of joining to the whole share is ${sharesMs.p99.toFixed(0)} ms`);
  }
  if (wrong.length > 0) return { verdict: 'FAIL', problems: wrong };
  const thin: string[] = [];
  if (sharesMs.count < SHARES_MIN) thin.push(`INVALID: only ${sharesMs.count} shares were timed`);
  if (joinsPerSecond < 1 || leavesPerSecond < 1) {
    thin.push('INVALID: members did not come and go every second');
  }
  return { verdict: thin.length > 0 ? 'INVALID' : 'PASS', problems: thin };
}

function secondsSince(ms: number): number {
  return (performance.now() - ms) / 1000;
}

/** p99 of the time between acknowledgements of a partition before the first fault. */
function quietSpacing(workload: Workload, untilMs: number): number {
  const lastOf = new Map<string, number>();
  const spacings: number[] = [];
  for (const { key, atMs } of workload.acks) {
    if (atMs > untilMs) break;
    const last = lastOf.get(key);
    if (last !== undefined) spacings.push(atMs - last);
    lastOf.set(key, atMs);
  }
  return summarize(spacings).p99;
}

function print(outcome: Outcome): void {
  if (args.json) {
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
    return;
  }
  const { counts, writeGapsMs: gaps, verdict } = outcome;
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  say(
    `${outcome.scenario}: ${outcome.faults} faults in ${outcome.seconds.toFixed(0)} s; ` +
      `sent ${counts.sent}, acked ${counts.acked}, failed ${counts.failed}, unknown ${counts.unknown}`,
  );
  say(
    `write gap of the partitions hit (${gaps.count}): p50 ${ms(gaps.p50)}, p90 ${ms(gaps.p90)}, ` +
      `p99 ${ms(gaps.p99)}, max ${ms(gaps.max)}`,
  );
  if (outcome.groups !== undefined) {
    const { joins, leaves, processesKilled, lost, joinedMs } = outcome.groups;
    const { joinsPerSecond, leavesPerSecond, commitsBackwards } = outcome.groups;
    const { sharesMs, sharesAfterKillsMs, pausesMs, pausesAfterKillsMs } = outcome.groups;
    const { commits, commitsRefused, polledRecords } = outcome.groups;
    const all = (of: GapSummary): string =>
      of.count === 0
        ? 'none'
        : `p50 ${ms(of.p50)}, p99 ${ms(of.p99)}, max ${ms(of.max)} (${of.count})`;
    say(
      `groups: ${joins} joins, ${leaves} leaves (${joinsPerSecond.toFixed(1)} and ` +
        `${leavesPerSecond.toFixed(1)} a second), ${processesKilled} members killed, ${lost} times lost; ` +
        `${polledRecords} records read, ${commits} commits, ${commitsRefused} refused, ` +
        `${commitsBackwards} backwards`,
    );
    say(`from joining to the first partition: ${all(joinedMs)}`);
    say(`to the whole share, owners releasing at once: ${all(sharesMs)}`);
    say(`the same within 5 s of a coordinator's end: ${all(sharesAfterKillsMs)}`);
    say(`pauses over 100 ms of partitions that stayed: ${all(pausesMs)}`);
    say(`the same within 10 s of their leader's end: ${all(pausesAfterKillsMs)}`);
  }
  for (const violation of verdict.violations) say(`${violation.check} ${violation.message}`);
  if (verdict.reason !== undefined) say(verdict.reason);
  say(`${verdict.verdict}; skipped ${verdict.skipped.join(' ')}`);
}
