/**
 * `npm run bench -- produce|fetch|latency|start [--record-bytes N] [--batch-bytes N] [--partitions N]
 *   [--compression C] [--value-file FILE] [--retention-bytes N] [--seconds N] [--rate N]
 *   [--topic-config K=V]... [--rtt-ms N] [--no-floor] [--floor-share-min N] [--json]`
 *
 * `start` tells how long a test file waits for a cluster of `millrace/testing`; the others want
 * three broker processes and this client on one machine, data in a temporary folder; the floor (the
 * same stack with nothing of Millrace in it) is measured in the same call. Compare ratios, not
 * absolute figures.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';

import { type Compression, MillraceClient } from '../../src/client/index.js';
import { COMPRESSION_CODES } from '../../src/model/record-batch.js';
import { type DelayProxies, startDelayProxies } from '../lib/delay-proxy.js';
import { ScriptCluster } from '../lib/script-cluster.js';
import { runFloor } from './floor.js';
import { benchStart } from './start.js';
import { cpuSeconds, memoryMebibytes } from './usage.js';
import { type BenchOptions, type BenchResult, fetchAll, latency, produce } from './workloads.js';

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'record-bytes': { type: 'string', default: '100' },
    'batch-bytes': { type: 'string', default: '262144' },
    partitions: { type: 'string', default: '12' },
    compression: { type: 'string', default: 'none' },
    /** Cut the records from this file instead of taking random bytes. */
    'value-file': { type: 'string' },
    /** Of each partition: long runs would fill the disk. */
    'retention-bytes': { type: 'string', default: '-1' },
    /** Any setting of the topic; may be repeated. */
    'topic-config': { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '0' },
    'rtt-ms': { type: 'string', default: '0' },
    /** Exit with 1 if producing reaches less than this share of the floor. */
    'floor-share-min': { type: 'string', default: '0' },
    'no-floor': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const kind = positionals[0] ?? '';
const TOPIC = 'bench';
const MEMORY_SAMPLE_MS = 1_000;
const FLOOR_IN_FLIGHT_BYTES = 12 << 20;

function usage(problem: string): never {
  process.stderr.write(
    `${problem}\nusage: npm run bench -- produce|fetch|latency|start [options]\n`,
  );
  process.exit(2);
}
function number(
  name: 'record-bytes' | 'batch-bytes' | 'partitions' | 'seconds' | 'rate' | 'rtt-ms',
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
if (kind === 'start') {
  await benchStart(args.json);
  process.exit(0);
}
if (!['produce', 'fetch', 'latency'].includes(kind)) usage(`unknown benchmark ${kind}`);
if (!Object.hasOwn(COMPRESSION_CODES, args.compression)) {
  usage(`--compression must be one of ${Object.keys(COMPRESSION_CODES).join(', ')}`);
}

interface Row extends BenchResult {
  readonly name: string;
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly memoryMebibytes: Readonly<Record<string, number>>;
  /** Own memory of the largest broker, sampled while it ran: seconds since the start, MiB. */
  readonly memoryOverTime: readonly (readonly [number, number])[];
}

/** Runs one workload and books the CPU of every process over it. */
async function measure(
  name: string,
  cluster: ScriptCluster,
  run: () => Promise<BenchResult>,
): Promise<Row> {
  const before = cluster.brokers.map((broker) => cpuSeconds(broker.pid));
  const clientBefore = process.cpuUsage();
  const startedAt = performance.now();
  const memoryOverTime: [number, number][] = [];
  const sample = (): void => {
    const largest = Math.max(...cluster.brokers.map((b) => memoryMebibytes(b.pid).own));
    memoryOverTime.push([(performance.now() - startedAt) / 1000, largest]);
  };
  const sampler = setInterval(sample, MEMORY_SAMPLE_MS);
  const result = await run().finally(() => clearInterval(sampler));
  sample();
  const client = process.cpuUsage(clientBefore);
  const cpu: Record<string, number> = { client: (client.user + client.system) / 1e6 };
  const memory: Record<string, number> = {};
  cluster.brokers.forEach((broker, i) => {
    cpu[`broker-${broker.id}`] = cpuSeconds(broker.pid) - (before[i] ?? 0);
    memory[`broker-${broker.id}`] = memoryMebibytes(broker.pid).own;
  });
  return { name, ...result, cpuSeconds: cpu, memoryMebibytes: memory, memoryOverTime };
}

const rttMs = number('rtt-ms');
let proxies: DelayProxies | undefined;
let cluster: ScriptCluster | undefined;
process.once('SIGINT', () => {
  proxies?.stop();
  void cluster?.stop().then(() => process.exit(130));
});
try {
  const delay = rttMs > 0 ? startDelayProxies(rttMs / 2) : undefined;
  proxies = delay;
  cluster = await ScriptCluster.start({
    brokers: 3,
    ...(delay === undefined ? {} : { seenThrough: (port: number) => delay.before(port) }),
  });
  const options: BenchOptions = {
    bootstrap: cluster.bootstrap,
    topic: TOPIC,
    partitions: number('partitions'),
    recordBytes: number('record-bytes'),
    batchBytes: number('batch-bytes'),
    compression: args.compression as Compression,
    seconds: number('seconds'),
    recordsPerSecond: number('rate'),
    valueFile: args['value-file'],
  };
  const client = new MillraceClient({ bootstrap: cluster.bootstrap });
  await client.admin.createTopic({
    topic: TOPIC,
    partitions: options.partitions,
    replicationFactor: 3,
    config: {
      'max.batch.bytes': '8388608',
      'retention.bytes': args['retention-bytes'],
      ...Object.fromEntries(args['topic-config'].map(keyAndValue)),
    },
  });
  await client.close();
  const rows: Row[] = [];
  if (kind === 'latency') rows.push(await measure('latency', cluster, () => latency(options)));
  else rows.push(await measure('produce', cluster, () => produce(options)));
  if (kind === 'fetch') rows.push(await measure('fetch', cluster, () => fetchAll(options)));
  await cluster.stop();
  const floor =
    args['no-floor'] || kind === 'latency'
      ? undefined
      : await runFloor({
          totalMebibytes: Math.max(64, Math.round(options.seconds * 40)),
          batchBytes: options.batchBytes,
          inFlight: Math.max(12, Math.round(FLOOR_IN_FLIGHT_BYTES / options.batchBytes)),
        });
  report(rows, floor);
  checkShare(rows, floor);
} finally {
  proxies?.stop();
  await cluster?.stop();
}

function checkShare(
  rows: readonly Row[],
  floor: Awaited<ReturnType<typeof runFloor>> | undefined,
): void {
  const shareMin = Number(args['floor-share-min']);
  for (const row of rows) {
    if (floor === undefined || row.name !== 'produce') continue;
    const share = row.bytes / 1_048_576 / row.seconds / floor.mebibytesPerSecond;
    if (share >= shareMin) continue;
    process.stderr.write(
      `${row.name}: ${share.toFixed(3)} x the floor, at least ${shareMin} wanted\n`,
    );
    process.exitCode = 1;
  }
}

function report(
  rows: readonly Row[],
  floor: Awaited<ReturnType<typeof runFloor>> | undefined,
): void {
  if (args.json) {
    process.stdout.write(`${JSON.stringify({ options: args, rows, floor })}\n`);
    return;
  }
  const f = (value: number, digits = 1): string => value.toFixed(digits);
  for (const row of rows) {
    const rate = row.bytes / 1_048_576 / row.seconds;
    const l = row.latencyMs;
    process.stdout.write(
      `${row.name}: ${Math.round(row.records / row.seconds).toLocaleString('en')} records/s, ` +
        `${f(rate)} MiB/s of values, ${row.records} records in ${f(row.seconds)} s\n` +
        `  latency ms: p50 ${f(l.p50, 2)}, p90 ${f(l.p90, 2)}, p99 ${f(l.p99, 2)}, ` +
        `p99.9 ${f(l.p999, 2)}, max ${f(l.max, 2)}\n` +
        `  cpu s: ${pairs(row.cpuSeconds)}\n  own MiB at the end: ${pairs(row.memoryMebibytes)}, at most ${f(Math.max(0, ...row.memoryOverTime.map(([, m]) => m)), 0)}\n`,
    );
    if (floor !== undefined && row.name === 'produce') {
      process.stdout.write(`  ${f(rate / floor.mebibytesPerSecond, 2)} x the floor\n`);
    }
  }
  if (floor !== undefined) {
    process.stdout.write(
      `floor: ${f(floor.mebibytesPerSecond)} MiB/s, p50 ${f(floor.p50Ms)} ms, p99 ${f(floor.p99Ms)} ms; ` +
        `cpu s: client ${f(floor.clientCpuSeconds)}, brokers ${floor.brokerCpuSeconds.map((c) => f(c)).join(' ')}\n`,
    );
  }
}

function pairs(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toFixed(1)}`)
    .join(', ');
}
