import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

import type { Measured } from '../drive.js';
import type { FetchJob } from '../driver/job.js';
import { MillraceSystem } from '../millrace.js';
import { type Bench, ratesOf, recordsPerSecond, type Scenario } from './scenario.js';

const PARTITIONS = 12;
const RECORD_BYTES = 100;
const BATCH_BYTES = 256 * 1024;
const EVEN_MS_MAX = 60_000;

async function fill(system: MillraceSystem, topic: string, records: number): Promise<void> {
  await system.create(topic, PARTITIONS);
  await system.run({
    ...{ kind: 'fill', topic, partitions: PARTITIONS, records },
    ...{ batchBytes: BATCH_BYTES, lingerMs: 20, compression: 'none' },
    values: { kind: 'numbered', bytes: RECORD_BYTES },
  });
}

function job(topic: string, records: number, seconds: number): FetchJob {
  const expected = { records, bytes: RECORD_BYTES };
  return { kind: 'fetch', topic, partitions: PARTITIONS, seconds, expected };
}

/**
 * Brokers that have just started have nothing in memory, and the kernel is told to forget what it keeps
 * of their files; nobody maps them while they are stopped.
 */
async function forgetAll(system: MillraceSystem): Promise<void> {
  const { brokers, dir } = system.cluster;
  await Promise.all(brokers.map((broker) => broker.kill('SIGTERM')));
  await promisify(execFile)('find', [
    ...[path.join(dir, '.'), '-type', 'f', '-size', '+0', '-exec'],
    ...['dd', 'if={}', 'iflag=nocache', 'count=0', 'status=none', ';'],
  ]);
  for (const broker of brokers) broker.start();
  await Promise.all(brokers.map((broker) => broker.ready()));
}

/**
 * Waits until each broker leads its share: the one that came up first leads more until then, and would
 * be all that is measured.
 */
async function untilEven(system: MillraceSystem, topic: string): Promise<void> {
  await system.until(
    topic,
    (partitions) => {
      const led = system.cluster.brokers.map(
        ({ id }) => partitions.filter(({ leader }) => leader === id).length,
      );
      const areEven = Math.max(...led) - Math.min(...led) <= 1 && sum(led) === partitions.length;
      return areEven ? undefined : `brokers lead ${led.join(', ')} partitions of ${topic}`;
    },
    EVEN_MS_MAX,
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function fromMemory(bench: Bench, system: MillraceSystem): Promise<Measured[]> {
  const { recordsInMemory: records, seconds, runs } = bench.sizes;
  await fill(system, 's7-memory', records);
  const measured: Measured[] = [];
  for (let i = 1; i <= runs; i += 1) {
    const one = await system.run(job('s7-memory', records, seconds));
    bench.say(
      `s7-${i} from memory: ${Math.round(recordsPerSecond(one)).toLocaleString('en')} records/s`,
    );
    measured.push(one);
  }
  return measured;
}

async function fromDisk(bench: Bench, system: MillraceSystem): Promise<Measured[]> {
  const { recordsOnDisk: records, runs } = bench.sizes;
  await fill(system, 's7-disk', records);
  const measured: Measured[] = [];
  for (let i = 1; i <= runs; i += 1) {
    await forgetAll(system);
    await untilEven(system, 's7-disk');
    const one = await system.run(job('s7-disk', records, 0));
    bench.say(
      `s7-${i} from disk: ${Math.round(recordsPerSecond(one)).toLocaleString('en')} records/s`,
    );
    measured.push(one);
  }
  return measured;
}

export const S7: Scenario = {
  id: 'S7',
  about:
    'fetch from memory / from disk, 100-byte incompressible records, every value read and checked',
  run: async (bench) =>
    await bench.using(
      () => MillraceSystem.start(),
      async (system) => {
        const memory = await fromMemory(bench, system);
        const disk = await fromDisk(bench, system);
        const { recordsInMemory, recordsOnDisk } = bench.sizes;
        return {
          conditions:
            `memory: ${recordsInMemory.toLocaleString('en')} records again and again; disk: ${recordsOnDisk.toLocaleString('en')} records once, ` +
            'brokers restarted, the page cache of their files dropped, leaderships even again',
          figures: [
            { ...ratesOf(memory, { atLeast: 3_000_000 }), what: 'from memory' },
            { ...ratesOf(disk, { atLeast: 1_500_000 }), what: 'from disk' },
          ],
          parts: [
            { name: 'from memory', measured: memory },
            { name: 'from disk', measured: disk },
          ],
        };
      },
    ),
};
