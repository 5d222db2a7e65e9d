import { setTimeout as pause } from 'node:timers/promises';

import { Prng } from '../../src/base/prng.js';
import type { MillraceClient } from '../../src/client/index.js';
import { TopicDisk } from './disk.js';
import { KeyModel, TableReader } from './key-model.js';
import type { Load } from './load.js';
import type { LoadStage } from './stage.js';

const TOPIC = 'table';
const OPEN_MAX = 20_000;
const PROGRESS_EVERY_MS = 10_000;
/** One update in so many deletes its key. */
const DELETES_ONE_IN = 20;
const COMPACTED_WITHIN_MS = 180_000;

/** Updates of a few keys while readers read them over and over: what compaction leaves, and when. */
export const compaction: Load = {
  about:
    'updates of a compacted topic with readers running: every key its last value, none goes back',
  sizes: {
    ...{ updates: 1_000_000, keys: 10_000, partitions: 4, valueBytes: 100, readers: 2 },
    ...{ dirtyPercent: 50, checkMs: 5_000 },
  },
  short: { updates: 100_000, keys: 1_000, checkMs: 1_000 },
  config: (sizes) => ({ retentionCheckMs: sizes['checkMs'] ?? 5_000 }),
  async run(stage, size) {
    const { findings } = stage;
    const client = stage.client();
    const partitions = size('partitions');
    await client.admin.createTopic({
      topic: TOPIC,
      partitions,
      replicationFactor: 3,
      config: {
        'cleanup.policy': 'compact',
        'min.cleanable.dirty.ratio': String(size('dirtyPercent') / 100),
      },
    });
    const disk = await TopicDisk.of(stage, client, TOPIC);
    const model = new KeyModel(size('keys'), partitions);
    const over = new AbortController();
    const readers = Array.from({ length: size('readers') }, () => new TableReader(model));
    const reading = readers.map(async (reader) => {
      await readOver(reader, stage.client(), over.signal);
    });
    const from = performance.now();
    let mostMebibytes = 0;
    const sampler = setInterval(() => {
      mostMebibytes = Math.max(mostMebibytes, ...disk.mebibytes());
    }, 1_000);
    stage.onEnd(() => clearInterval(sampler));
    const written = await stage.booked('writing', async () => {
      return await write(stage, client, model, size('updates'), size('valueBytes'));
    });
    findings.figure('seconds to write all updates', (performance.now() - from) / 1000);
    findings.figure('bytes of keys and values written, MiB', written / 1_048_576);
    findings.figure('on the disks when all was written, MiB', disk.mebibytes());
    const compactedAt = await whenCompacted(stage, client, model);
    findings.figure('seconds until fewer than twice the keys were left', compactedAt);
    over.abort();
    await Promise.all(reading);
    clearInterval(sampler);
    findings.figure(
      'most on one disk meanwhile, MiB',
      Math.max(mostMebibytes, ...disk.mebibytes()),
    );
    await pause(size('checkMs'));
    findings.figure('on the disks in the end, MiB', disk.mebibytes());

    findings.figure(
      'passes over the whole log while it was written',
      readers.map((r) => r.passes),
    );
    findings.figure(
      'records these readers got',
      readers.map((r) => r.records),
    );
    findings.needs(
      readers.every((r) => r.passes > 0),
      'a reader made no whole pass meanwhile',
    );
    for (const reader of readers) reader.judge(findings, 'a reader running meanwhile');
    await judgeReplicas(stage, client, model);
    stage.noteMemory('at the end');
  },
};

/** Reads from the beginning to the end, again and again. */
async function readOver(
  reader: TableReader,
  client: MillraceClient,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await readPass(reader, client, signal);
    await pause(100, undefined, { signal }).catch(() => undefined);
  }
}

async function readPass(
  reader: TableReader,
  client: MillraceClient,
  signal?: AbortSignal,
): Promise<number> {
  reader.begin();
  const consumer = client.consumer({ topic: TOPIC, from: 'beginning', stopAtEnd: true });
  let records = 0;
  for await (const batch of consumer.batches(signal === undefined ? {} : { signal })) {
    reader.took(batch);
    records += batch.records.length;
  }
  await consumer.close();
  if (signal?.aborted !== true) reader.end();
  return records;
}

/** Resolves with the bytes of keys and values, all of them acknowledged. */
async function write(
  stage: LoadStage,
  client: MillraceClient,
  model: KeyModel,
  updates: number,
  valueBytes: number,
): Promise<number> {
  const prng = new Prng(11);
  const producer = client.producer({ lingerMs: 5 });
  const gate = { open: 0, isFree: (): void => undefined };
  let failed = 0;
  let bytes = 0;
  let saidAt = performance.now();
  for (let i = 0; i < updates; i += 1) {
    const key = prng.int(model.keys);
    const { record, acked } = model.next(key, prng.int(DELETES_ONE_IN) === 0, valueBytes);
    bytes += record.key.length + (record.value?.length ?? 0);
    gate.open += 1;
    void producer
      .send({ topic: TOPIC, ...record })
      .then(acked, () => (failed += 1))
      .finally(() => {
        gate.open -= 1;
        if (gate.open < OPEN_MAX / 2) gate.isFree();
      });
    while (gate.open >= OPEN_MAX) await new Promise<void>((free) => (gate.isFree = free));
    if (performance.now() - saidAt < PROGRESS_EVERY_MS) continue;
    saidAt = performance.now();
    stage.say(`  ... ${i} of ${updates} updates`);
  }
  await producer.close();
  stage.findings.must(failed === 0, `${failed} updates could not be written`);
  return bytes;
}

/** Seconds until the log holds few records beside the last ones of its keys. */
async function whenCompacted(
  stage: LoadStage,
  client: MillraceClient,
  model: KeyModel,
): Promise<number> {
  const from = performance.now();
  let left = 0;
  const isCompacted = await stage.until(
    async () => {
      left = await readPass(new TableReader(model), client);
      return left < model.keys * 2;
    },
    COMPACTED_WITHIN_MS,
    500,
  );
  stage.findings.figure('records left', left);
  stage.findings.must(
    isCompacted,
    `${left} records are left of ${model.keys} keys after ${COMPACTED_WITHIN_MS / 1000} s`,
  );
  return (performance.now() - from) / 1000;
}

/** What each broker's replicas hold: each leads everything once. */
async function judgeReplicas(
  stage: LoadStage,
  client: MillraceClient,
  model: KeyModel,
): Promise<void> {
  for (const { id } of stage.cluster.brokers) {
    for (let partition = 0; partition < model.partitions; partition += 1) {
      const moved = await stage.until(async () => {
        const { partitions } = await client.admin.describeTopic(TOPIC);
        if (partitions.find((p) => p.partition === partition)?.leader === id) return true;
        await client.admin
          .transferLeadership({ topic: TOPIC, partition }, id)
          .catch(() => undefined);
        return false;
      }, 30_000);
      stage.findings.needs(moved, `broker ${id} did not come to lead partition ${partition}`);
    }
    const reader = new TableReader(model);
    const records = await readPass(reader, client);
    stage.findings.figure(`records that broker ${id} holds`, records);
    reader.judge(stage.findings, `the final read of broker ${id}`);
    const wrong = reader.differences();
    stage.findings.must(
      wrong === 0,
      `${wrong} of ${model.keys} keys do not have their last value at broker ${id}`,
    );
  }
}
