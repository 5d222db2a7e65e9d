import { build as buildHistogram, type Histogram } from 'hdr-histogram-js';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { crc32c } from '@node-rs/crc32';

import type * as Client from '../../src/client/index.js';
import type { Compression, MillraceClient, ProducerRecord } from '../../src/client/index.js';

/** What is measured is the built client, as users run it: code transpiled on the fly is slower. */
const CLIENT = (await import(
  new URL('../../dist/client/index.js', import.meta.url).href
)) as typeof Client;

export interface BenchOptions {
  readonly bootstrap: readonly string[];
  readonly topic: string;
  readonly partitions: number;
  readonly recordBytes: number;
  readonly batchBytes: number;
  readonly compression: Compression;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  /** Values are cut from this file; undefined: random bytes. */
  readonly valueFile: string | undefined;
}

export interface BenchResult {
  readonly records: number;
  readonly bytes: number;
  readonly seconds: number;
  /** From the moment a record or batch was due until its answer; no waiting is left out. */
  readonly latencyMs: Readonly<Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number>>;
}

const MICROS_MAX = 60_000_000;

function newHistogram(): Histogram {
  return buildHistogram({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MICROS_MAX,
    numberOfSignificantValueDigits: 3,
  });
}

function note(histogram: Histogram, ms: number): void {
  histogram.recordValue(Math.min(MICROS_MAX, Math.max(1, Math.round(ms * 1000))));
}

function quantiles(histogram: Histogram): BenchResult['latencyMs'] {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000;
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) };
}

export function connectBench(options: Pick<BenchOptions, 'bootstrap'>): MillraceClient {
  return new CLIENT.MillraceClient({
    bootstrap: options.bootstrap,
    crc32c: (bytes) => checksum(bytes),
  });
}

/** Native CRC-32C; the package is typed for Buffers and takes any bytes. */
function checksum(bytes: Uint8Array): number {
  return crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

const VALUES = 1024;

/** Values of the size asked for, cut from the file, or such as no codec shrinks. */
function valuesOf({ recordBytes, valueFile }: BenchOptions): Uint8Array[] {
  const pool = valueFile === undefined ? randomBytes(1 << 20) : readFileSync(valueFile);
  if (pool.length <= recordBytes) throw new Error(`${String(valueFile)} is shorter than a record`);
  return Array.from({ length: VALUES }, (_, i) => {
    const from = (i * 997) % (pool.length - recordBytes);
    return pool.subarray(from, from + recordBytes);
  });
}

/** As many records as fit, batched by the client, for the given time; then all are waited for. */
export async function produce(options: BenchOptions): Promise<BenchResult> {
  const client = connectBench(options);
  const histogram = newHistogram();
  let acked = 0;
  const producer = client.producer({
    batchBytes: options.batchBytes,
    compression: options.compression,
    lingerMs: 20,
    bufferBytesMax: Math.max(32 << 20, options.batchBytes * 64),
    onBatch: (report) => {
      if (report.error !== undefined) throw report.error;
      acked += report.records;
      note(histogram, report.elapsedMs);
    },
  });
  const values = valuesOf(options);
  const startedAt = performance.now();
  const endAt = startedAt + options.seconds * 1000;
  let sent = 0;
  function* records(): Generator<Omit<ProducerRecord, 'topic'>> {
    for (;;) {
      // Asking the clock for every record would be measured too.
      if ((sent & 1023) === 0 && performance.now() >= endAt) return;
      const value = values[sent & (VALUES - 1)];
      sent += 1;
      yield { value };
    }
  }
  await producer.sendMany(options.topic, records());
  const seconds = (performance.now() - startedAt) / 1000;
  await client.close();
  if (acked !== sent) throw new Error(`sent ${sent} records, ${acked} were acknowledged`);
  return {
    records: acked,
    bytes: acked * options.recordBytes,
    seconds,
    latencyMs: quantiles(histogram),
  };
}

/** One record at a time, or an offered rate: latency counts from when a record was due. */
export async function latency(options: BenchOptions): Promise<BenchResult> {
  const client = connectBench(options);
  const producer = client.producer({ lingerMs: 0 });
  const values = valuesOf(options);
  const histogram = newHistogram();
  const send = (i: number): Promise<unknown> =>
    producer.send({
      topic: options.topic,
      partition: i % options.partitions,
      value: values[i & (VALUES - 1)],
    });
  for (let i = 0; i < 200; i += 1) await send(i);
  const startedAt = performance.now();
  const endAt = startedAt + options.seconds * 1000;
  let records = 0;
  if (options.recordsPerSecond === 0) {
    for (; performance.now() < endAt; records += 1) {
      const dueAt = performance.now();
      await send(records);
      note(histogram, performance.now() - dueAt);
    }
  } else {
    // A client that spun until the next record is due would take a core from the brokers: it sleeps,
    // and what the timer is late by counts as latency.
    const everyMs = 1000 / options.recordsPerSecond;
    let open = 0;
    let drained: (() => void) | undefined;
    for (let dueAt = startedAt; dueAt < endAt; dueAt += everyMs) {
      while (performance.now() < dueAt) await sleep(Math.max(1, dueAt - performance.now()));
      const due = dueAt;
      open += 1;
      void send(records).then(() => {
        note(histogram, performance.now() - due);
        open -= 1;
        if (open === 0) drained?.();
      });
      records += 1;
    }
    if (open > 0) await new Promise<void>((resolve) => (drained = resolve));
  }
  const seconds = (performance.now() - startedAt) / 1000;
  await client.close();
  return {
    records,
    bytes: records * options.recordBytes,
    seconds,
    latencyMs: quantiles(histogram),
  };
}

/** Reads everything from the beginning, and every value. */
export async function fetchAll(options: BenchOptions): Promise<BenchResult> {
  const client = connectBench(options);
  const consumer = client.consumer({ topic: options.topic, from: 'beginning', stopAtEnd: true });
  const histogram = newHistogram();
  let records = 0;
  let bytes = 0;
  const startedAt = performance.now();
  let lastAt = startedAt;
  for await (const batch of consumer.batches()) {
    for (const record of batch.records) bytes += record.value?.length ?? 0;
    records += batch.records.length;
    const now = performance.now();
    note(histogram, now - lastAt);
    lastAt = now;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  await client.close();
  return { records, bytes, seconds, latencyMs: quantiles(histogram) };
}
