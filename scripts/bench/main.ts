/**
 * `npm run bench -- suite [--only S1,S5] [--runs 5] [--seconds N] [--value-file FILE]... [--log-gb N]
 *   [--peers kafka,nats] [--short] [--json]`: the scenarios S1 to S11, one table, each with the goal that
 *   it has; the floor (the same stack with nothing of Millrace in it) is measured in the same call. What is
 *   compared is measured in turn. Progress goes to standard error. With peers also S12, against each of them
 *   that `scripts/bench/peers/install-*.sh` has installed; `npm run bench -- --peers kafka,nats` is S12 alone.
 *
 * `npm run bench -- produce|fetch|latency [--record-bytes N] [--batch-bytes N] [--partitions N]
 *   [--compression C] [--value-file FILE] [--retention-bytes N] [--seconds N] [--rate N]
 *   [--topic-config K=V]... [--rtt-ms N] [--no-floor] [--floor-share-min N] [--json]`: one workload.
 *
 * `npm run bench -- start`: how long a test file waits for a cluster of `millrace/testing`.
 *
 * All but `start` run three broker processes and a client on one machine, data in a temporary folder, and
 * what is in dist: `npm run build` first. Compare ratios, not absolute figures.
 */
import process from 'node:process';

import { scriptArguments } from '../lib/script-arguments.js';
import type { Compression } from '../../src/client/index.js';
import { COMPRESSION_CODES } from '../../src/model/record-batch.js';
import { PEERS } from './peers/peers.js';
import { peersScenario } from './scenarios/peers.js';
import { type Scenario, sizesOf, type Sizes } from './scenarios/scenario.js';
import {
  printSingle,
  runSingle,
  shareOfFloor,
  type SingleKind,
  type SingleReport,
} from './single.js';
import { benchStart } from './start.js';
import { Stoppables } from './stoppables.js';
import { runSuite, SCENARIOS, suiteJson, suiteText } from './suite.js';

const { values: args, positionals } = scriptArguments({
  allowPositionals: true,
  options: {
    'record-bytes': { type: 'string', default: '100' },
    'batch-bytes': { type: 'string', default: '262144' },
    partitions: { type: 'string', default: '12' },
    compression: { type: 'string', default: 'none' },
    /** Cut the records from these files instead of taking random bytes, or lines made up. */
    'value-file': { type: 'string', multiple: true, default: [] },
    /** Of each partition: long runs would fill the disk. */
    'retention-bytes': { type: 'string', default: '-1' },
    /** Any setting of the topic; may be repeated. */
    'topic-config': { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string' },
    rate: { type: 'string', default: '0' },
    'rtt-ms': { type: 'string', default: '0' },
    /** Exit with 1 if producing reaches less than this share of the floor. */
    'floor-share-min': { type: 'string', default: '0' },
    'no-floor': { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'string' },
    runs: { type: 'string' },
    'log-gb': { type: 'string' },
    short: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const kind = positionals[0] ?? '';

function usage(problem: string): never {
  process.stderr.write(
    `${problem}\nusage: npm run bench -- suite|produce|fetch|latency|start [options]\n`,
  );
  process.exit(2);
}
function number(
  name: 'record-bytes' | 'batch-bytes' | 'partitions' | 'rate' | 'rtt-ms' | 'floor-share-min',
): number {
  const value = Number(args[name]);
  if (!(value >= 0)) usage(`--${name} must be a number of at least 0, not ${args[name]}`);
  return value;
}
function keyAndValue(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) usage(`--topic-config must be key=value, not ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

const stoppables = new Stoppables();
process.once('SIGINT', () => void stoppables.stopAll().then(() => process.exit(130)));
process.once('SIGTERM', () => void stoppables.stopAll().then(() => process.exit(143)));

switch (kind) {
  case 'start':
    await benchStart(args.json);
    break;
  case 'suite':
    await suite([...SCENARIOS, ...peerScenarios()]);
    break;
  case '':
    if (args.peers === undefined) usage('which benchmark?');
    await suite(peerScenarios());
    break;
  case 'produce':
  case 'fetch':
  case 'latency':
    await single(kind);
    break;
  default:
    usage(`unknown benchmark ${kind}`);
}

function sizes(): Sizes {
  const { runs, seconds, 'log-gb': logGibibytes } = args;
  try {
    return sizesOf(args.short, {
      ...(runs === undefined ? {} : { runs: Number(runs) }),
      ...(seconds === undefined ? {} : { seconds: Number(seconds) }),
      ...(logGibibytes === undefined ? {} : { logGibibytes: Number(logGibibytes) }),
    });
  } catch (error) {
    usage((error as Error).message);
  }
}

function peerScenarios(): Scenario[] {
  if (args.peers === undefined) return [];
  const found = args.peers.split(',').map((name) => {
    const find = Object.hasOwn(PEERS, name) ? PEERS[name] : undefined;
    return find?.() ?? usage(`unknown peer ${name}: there are ${Object.keys(PEERS).join(', ')}`);
  });
  return [peersScenario(found)];
}

async function suite(available: readonly Scenario[]): Promise<void> {
  const wanted = args.only?.split(',').map((id) => id.trim().toUpperCase());
  const unknown = wanted?.filter((id) => !available.some((scenario) => scenario.id === id)) ?? [];
  if (unknown.length > 0) usage(`unknown scenario ${unknown.join(', ')}`);
  const report = await runSuite({
    ...{ sizes: sizes(), valueFiles: args['value-file'], stoppables },
    scenarios: available.filter(({ id }) => wanted?.includes(id) ?? true),
    say: (text) => process.stderr.write(`${text}\n`),
  });
  process.stdout.write(`${args.json ? JSON.stringify(suiteJson(report)) : suiteText(report)}\n`);
  if (report.reports.some(({ outcome }) => outcome.figures.length === 0)) process.exitCode = 1;
}

async function single(what: SingleKind): Promise<void> {
  if (!Object.hasOwn(COMPRESSION_CODES, args.compression)) {
    usage(`--compression must be one of ${Object.keys(COMPRESSION_CODES).join(', ')}`);
  }
  const seconds = Number(args.seconds ?? '10');
  if (!(seconds > 0)) usage(`--seconds must be a number above 0, not ${args.seconds ?? ''}`);
  const batchBytes = number('batch-bytes');
  const report = await runSingle(
    {
      ...{ kind: what, seconds, batchBytes },
      partitions: number('partitions'),
      recordBytes: number('record-bytes'),
      compression: args.compression as Compression,
      valueFile: args['value-file'][0],
      topicConfig: {
        'retention.bytes': args['retention-bytes'],
        ...Object.fromEntries(args['topic-config'].map(keyAndValue)),
      },
      recordsPerSecond: number('rate'),
      rttMs: number('rtt-ms'),
      hasFloor: !args['no-floor'],
    },
    stoppables,
  );
  if (args.json) process.stdout.write(`${JSON.stringify({ options: args, ...report })}\n`);
  else printSingle(report, batchBytes);
  checkShare(report);
}

function checkShare({ rows, floor }: SingleReport): void {
  const shareMin = number('floor-share-min');
  for (const row of rows) {
    const share = shareOfFloor(row, floor);
    if (share === undefined || share >= shareMin) continue;
    process.stderr.write(
      `${row.name}: ${share.toFixed(3)} x the floor, at least ${shareMin} wanted\n`,
    );
    process.exitCode = 1;
  }
}
