import { setTimeout as pause } from 'node:timers/promises';

import type { Consumer, MillraceClient } from '../../src/client/index.js';
import type { Load } from './load.js';
import { numberOf } from './numbered-writers.js';
import type { LoadStage } from './stage.js';

const TOPIC = 'paces';
const SLOW_EVERY_MS = 1_000;
/** Of the records that a slow reader asks for, those that it must get. */
const PACE_SHARE_MIN = 0.8;
const READ_WITHIN_MS = 60_000;
const SAMPLE_MS = 2_000;
/** Caches and heaps fill up first; from then on memory is to stay what it is. */
const WARM_UP_SHARE = 0.4;
const GROWTH_FACTOR_MAX = 1.15;
const GROWTH_MEBIBYTES_MAX = 24;
/** A run shorter than this says nothing about growth. */
const JUDGED_MINUTES_MIN = 5;

/** Readers of one record a second beside fast ones: brokers' memory, and what each of them read. */
export const slowConsumer: Load = {
  about: 'a reader of one record a second beside a fast one: the brokers’ memory by minute',
  sizes: { minutes: 10, slow: 1, partitions: 6, recordsPerSecond: 1_000, valueBytes: 2_048 },
  short: { minutes: 0.4, recordsPerSecond: 2_000 },
  async run(stage, size) {
    const { findings } = stage;
    const client = stage.client();
    const partitions = size('partitions');
    await client.admin.createTopic({ topic: TOPIC, partitions, replicationFactor: 3 });
    const over = new AbortController();
    const fast = new Reader(client, partitions, 0);
    const slow = Array.from(
      { length: size('slow') },
      () => new Reader(stage.client(), partitions, SLOW_EVERY_MS),
    );
    const reading = [fast, ...slow].map(async (reader) => await reader.read(over.signal));
    const memory = new MemoryByMinute(stage);
    memory.start();
    const sent = await writeFor(stage, client, {
      partitions,
      seconds: size('minutes') * 60,
      recordsPerSecond: size('recordsPerSecond'),
      valueBytes: size('valueBytes'),
    });
    const total = sent.reduce((sum, n) => sum + n, 0);
    const hasAll = await stage.until(() => fast.records >= total, READ_WITHIN_MS);
    const haveBegun = await stage.until(() => slow.every((r) => r.records > 0), READ_WITHIN_MS);
    const endedAt = performance.now();
    memory.stop();
    over.abort();
    await Promise.all(reading);

    findings.figure('records written', total);
    findings.figure('read by the fast reader', fast.records);
    findings.times('delivered to the fast reader', fast.deliveryMs);
    findings.figure(
      'read by each slow reader',
      slow.map((reader) => reader.records),
    );
    findings.must(hasAll, 'the fast reader did not get everything within a minute');
    findings.must(haveBegun, 'a slow reader got nothing within a minute');
    for (const reader of [fast, ...slow]) {
      // From its first record on: how long it takes to come to that is the machine's business.
      const seconds = (endedAt - reader.firstAtMs) / 1000;
      const wanted = ((seconds * 1000) / SLOW_EVERY_MS) * PACE_SHARE_MIN;
      findings.must(reader.wrong === 0, `${reader.wrong} records out of order or with a gap`);
      findings.must(
        reader.records >= Math.min(wanted, total),
        `a reader got ${reader.records} records only, in ${seconds.toFixed(1)} s`,
      );
    }
    memory.judge(size('minutes') >= JUDGED_MINUTES_MIN);
  },
};

/** Reads numbered records, each partition's in order; a pace of 0 is as fast as they come. */
class Reader {
  records = 0;
  wrong = 0;
  firstAtMs = Number.NaN;
  readonly deliveryMs: number[] = [];
  private readonly consumer: Consumer;
  private readonly paceMs: number;
  private readonly nextOf: number[];

  constructor(client: MillraceClient, partitions: number, paceMs: number) {
    this.consumer = client.consumer({ topic: TOPIC, from: 'beginning' });
    this.paceMs = paceMs;
    this.nextOf = Array.from({ length: partitions }, () => 0);
  }

  async read(signal: AbortSignal): Promise<void> {
    for await (const { partition, offset, value, timestampMs } of this.consumer.records({
      signal,
    })) {
      const want = this.nextOf[partition] ?? 0;
      if (offset !== want || numberOf(value) !== want) this.wrong += 1;
      this.nextOf[partition] = offset + 1;
      if (this.records === 0) this.firstAtMs = performance.now();
      this.records += 1;
      if (this.paceMs > 0) await pause(this.paceMs, undefined, { signal }).catch(() => undefined);
      // One in sixteen is enough to tell how long it takes.
      else if (this.records % 16 === 0) this.deliveryMs.push(Date.now() - timestampMs);
    }
    await this.consumer.close();
  }
}

/** At an even pace; resolves with how many went to each partition, all acknowledged. */
async function writeFor(
  stage: LoadStage,
  client: MillraceClient,
  load: {
    readonly partitions: number;
    readonly seconds: number;
    readonly recordsPerSecond: number;
    readonly valueBytes: number;
  },
): Promise<number[]> {
  const { partitions, seconds, recordsPerSecond, valueBytes } = load;
  const producer = client.producer({ lingerMs: 20 });
  const sent = Array.from({ length: partitions }, () => 0);
  const startedAt = performance.now();
  let failed = 0;
  let saidMinutes = 0;
  for (let i = 0, now = startedAt; now - startedAt < seconds * 1000; now = performance.now()) {
    const due = Math.floor(((now - startedAt) / 1000) * recordsPerSecond);
    for (; i < due; i += 1) {
      const partition = i % partitions;
      const n = sent[partition] ?? 0;
      sent[partition] = n + 1;
      const value = `${n} `.padEnd(valueBytes, 'x');
      void producer.send({ topic: TOPIC, partition, value }).catch(() => (failed += 1));
    }
    if (now - startedAt > (saidMinutes + 1) * 60_000) {
      saidMinutes += 1;
      stage.say(`  ... minute ${saidMinutes}: ${stage.memory().map(Math.round).join(', ')} MiB`);
    }
    await pause(5);
  }
  await producer.close();
  stage.findings.must(failed === 0, `${failed} records could not be written`);
  return sent;
}

/** Own memory of the brokers over time. */
class MemoryByMinute {
  private readonly stage: LoadStage;
  private readonly samples: { readonly atMs: number; readonly each: readonly number[] }[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(stage: LoadStage) {
    this.stage = stage;
  }

  start(): void {
    this.sample();
    this.timer = setInterval(() => this.sample(), SAMPLE_MS);
  }

  stop(): void {
    clearInterval(this.timer);
    this.sample();
  }

  /** The most of each minute, of every broker; and whether it grew once it had warmed up. */
  judge(isJudged: boolean): void {
    const { findings, cluster } = this.stage;
    const startMs = this.samples[0]?.atMs ?? 0;
    const lastsMs = (this.samples.at(-1)?.atMs ?? startMs) - startMs;
    for (const [i, { id }] of cluster.brokers.entries()) {
      const minutes: number[] = [];
      let before = 0;
      let after = 0;
      for (const { atMs, each } of this.samples) {
        const mebibytes = each[i] ?? 0;
        const minute = Math.floor((atMs - startMs) / 60_000);
        minutes[minute] = Math.max(minutes[minute] ?? 0, mebibytes);
        const share = (atMs - startMs) / lastsMs;
        if (share < WARM_UP_SHARE) before = Math.max(before, mebibytes);
        else if (share > 1 - WARM_UP_SHARE) after = Math.max(after, mebibytes);
      }
      findings.figure(`own memory of broker ${id} by minute, MiB`, minutes);
      if (!isJudged) continue;
      findings.must(
        after <= before * GROWTH_FACTOR_MAX + GROWTH_MEBIBYTES_MAX,
        `the memory of broker ${id} grew from ${before.toFixed(0)} to ${after.toFixed(0)} MiB`,
      );
    }
  }

  private sample(): void {
    this.samples.push({ atMs: performance.now(), each: this.stage.memory() });
  }
}
