/**
 * The floor under every benchmark, measured in the same run: see floor-process.ts.
 * By itself: `tsx scripts/bench/floor.ts [--total-mib N] [--batch-kib N] [--in-flight N]
 * [--partitions N]`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

import { scriptArguments } from '../lib/script-arguments.js';
import { percentile } from './statistics.js';

export interface FloorResult {
  readonly mebibytesPerSecond: number;
  readonly seconds: number;
  readonly clientCpuSeconds: number;
  readonly brokerCpuSeconds: readonly number[];
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type ClientReport = Pick<FloorResult, 'mebibytesPerSecond' | 'seconds' | 'clientCpuSeconds'> & {
  readonly latencies: readonly number[];
};

const SOURCE = fileURLToPath(new URL('floor-process.ts', import.meta.url));
const BUILT = fileURLToPath(new URL('../../dist/bench/floor-process.js', import.meta.url));

/**
 * The processes run as plain JavaScript: a transpiler that stays in the process makes its heap, and
 * with it every garbage collection, so much larger that the floor lies a quarter lower.
 */
function buildProcess(): void {
  const { outputText } = ts.transpileModule(readFileSync(SOURCE, 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  mkdirSync(path.dirname(BUILT), { recursive: true });
  writeFileSync(BUILT, outputText);
}

function start(args: readonly string[]): ChildProcess {
  return fork(BUILT, args, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}

function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code) => reject(new Error(`floor process ended with ${String(code)}`)));
  });
}

export interface FloorOptions {
  /** What is timed; a fifth as much before it is not. */
  readonly totalMebibytes: number;
  readonly batchBytes: number;
  /** Batches; by default 12 MiB of them, and one for each partition at least. */
  readonly inFlight?: number;
  readonly partitions?: number;
}

const MIB = 1_048_576;
const FLOOR_PARTITIONS = 12;
const IN_FLIGHT_BYTES = 12 * MIB;
const WARMUP_SHARE = 0.2;
/** A process that has just been ended may still make a file. */
const REMOVE_RETRIES = 10;

/** Runs three brokers and a client on 127.0.0.1, data in a temporary folder, all gone afterwards. */
export async function runFloor(options: FloorOptions): Promise<FloorResult> {
  const { partitions = FLOOR_PARTITIONS, batchBytes } = options;
  const inFlight =
    options.inFlight ?? Math.max(partitions, Math.round(IN_FLIGHT_BYTES / batchBytes));
  buildProcess();
  const dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-floor-'));
  const brokers = [0, 1, 2].map((i) =>
    start(['broker', JSON.stringify({ dir: path.join(dir, String(i)), partitions })]),
  );
  let client: ChildProcess | undefined;
  const clear = (): void => {
    for (const child of [...brokers, client]) child?.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
  };
  // An interrupted run ends without coming back here.
  process.once('exit', clear);
  try {
    const started = await Promise.all(brokers.map((b) => answer<{ port: number }>(b)));
    const ports = started.map((s) => s.port);
    await Promise.all(
      brokers.map((broker, i) => {
        broker.send(ports.filter((_, other) => other !== i));
        return answer(broker);
      }),
    );
    const order = {
      ...{ ports, partitions, batchBytes, inFlight },
      warmupBytes: options.totalMebibytes * WARMUP_SHARE * MIB,
      totalBytes: options.totalMebibytes * MIB,
    };
    client = start(['client', JSON.stringify(order)]);
    // A broker that ends says nothing before, and the client would wait for it for ever.
    const { latencies, ...result } = await Promise.race(
      [client, ...brokers].map((child) => answer<ClientReport>(child)),
    );
    const cpu = await Promise.all(
      brokers.map((broker) => {
        const reply = answer<{ cpuSeconds: number }>(broker);
        broker.kill('SIGTERM');
        return reply;
      }),
    );
    return {
      ...result,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      brokerCpuSeconds: cpu.map((c) => c.cpuSeconds),
    };
  } finally {
    process.off('exit', clear);
    clear();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = scriptArguments({
    options: {
      'total-mib': { type: 'string', default: '512' },
      'batch-kib': { type: 'string', default: '256' },
      'in-flight': { type: 'string', default: '48' },
      partitions: { type: 'string', default: String(FLOOR_PARTITIONS) },
    },
  });
  const result = await runFloor({
    totalMebibytes: Number(values['total-mib']),
    batchBytes: Number(values['batch-kib']) * 1024,
    inFlight: Number(values['in-flight']),
    partitions: Number(values.partitions),
  });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
