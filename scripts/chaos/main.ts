/**
 * `npm run chaos -- --scenario kill-leader --seconds 60 [--faults N] [--limit-ms N] [--history FILE]
 *   [--json]`
 *
 * Real broker processes, real clients, faults; then heal, drain, and judge the recorded history. The
 * scenario `groups` has members of a consumer group come and go meanwhile, each in its own process. Exits
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
const GROUP_MEMBERS = 4;

const { values: args } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'kill-leader' },
    seconds: { type: 'string' },
    faults: { type: 'string' },
    brokers: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '10' },
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
const partitions = Number(args.partitions);
const limitMs = args['limit-ms'] === undefined ? undefined : Number(args['limit-ms']);
if (
  !(seconds > 0) ||
  !(faultsMax > 0) ||
  !(partitions > 0) ||
  !(limitMs === undefined || limitMs > 0)
) {
  process.stderr.write(
    '--seconds, --faults, --partitions and --limit-ms must be positive numbers\n',
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
const groups =
  args.scenario === 'groups'
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
    faulted: (fault) => faults.push(fault),
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
  isPassed = verdict.verdict === 'PASS' && failure === undefined;
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
  process.exitCode = { PASS: 0, FAIL: 1, INVALID: 3 }[verdict.verdict];
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
    const { joins, leaves, processesKilled, lost, joinedMs, pausedMs } = outcome.groups;
    const { commits, commitsRefused, polledRecords } = outcome.groups;
    say(
      `groups: ${joins} joins, ${leaves} leaves, ${processesKilled} members killed, ${lost} times ` +
        `lost; ${polledRecords} records read, ${commits} commits, ${commitsRefused} refused`,
    );
    say(
      `from joining to the first partition: p50 ${ms(joinedMs.p50)}, p99 ${ms(joinedMs.p99)}, max ` +
        `${ms(joinedMs.max)}; longest pause of a partition that stayed: p50 ${ms(pausedMs.p50)}, ` +
        `max ${ms(pausedMs.max)}`,
    );
  }
  for (const violation of verdict.violations) say(`${violation.check} ${violation.message}`);
  if (verdict.reason !== undefined) say(verdict.reason);
  say(`${verdict.verdict}; skipped ${verdict.skipped.join(' ')}`);
}
