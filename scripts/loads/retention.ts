import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import type { MillraceClient } from '../../src/client/index.js';
import { TopicDisk } from './disk.js';
import type { Load } from './load.js';
import type { LoadStage } from './stage.js';

const MIB = 1_048_576;
const VALUE_BYTES = 1_024;
/** What a record takes in a log beside its value, at most. */
const RECORD_BYTES = VALUE_BYTES + 24;
/** What the disk may hold of the quota once everything was written. */
const DISK_SHARE_MAX = 1.5;
const SAMPLE_MS = 250;
/** Checks of retention until the disk must have come down. */
const CHECKS = 4;
const LED_WITHIN_MS = 60_000;

type Quota = 'bytes' | 'records';

/** Ten times what a topic may hold, by bytes and by count: what disks hold meanwhile, and afterwards. */
export const retention: Load = {
  about: 'ten times the quota written, by bytes and by count: disk during and afterwards',
  sizes: { quotaMebibytes: 64, times: 10, partitions: 2, checkMs: 30_000, diskQuotaMin: 16 },
  short: { quotaMebibytes: 16, checkMs: 1_000, times: 5 },
  config: (sizes) => ({ retentionCheckMs: sizes['checkMs'] ?? 30_000 }),
  async run(stage, size) {
    for (const by of ['bytes', 'records'] as const) {
      await fillOver(stage, by, {
        quotaBytes: size('quotaMebibytes') * MIB,
        times: size('times'),
        partitions: size('partitions'),
        checkMs: size('checkMs'),
        isDiskJudged: size('quotaMebibytes') >= size('diskQuotaMin'),
      });
    }
    stage.noteMemory('at the end');
  },
};

interface Filling {
  /** Of each partition. */
  readonly quotaBytes: number;
  readonly times: number;
  readonly partitions: number;
  readonly checkMs: number;
  /** LevelDB's own files outweigh a quota of a few megabytes. */
  readonly isDiskJudged: boolean;
}

async function fillOver(stage: LoadStage, by: Quota, filling: Filling): Promise<void> {
  const { findings } = stage;
  const { quotaBytes, times, partitions, checkMs } = filling;
  const client = stage.client();
  const topic = `quota-${by}`;
  const quotaRecords = Math.floor(quotaBytes / RECORD_BYTES);
  const quota = by === 'bytes' ? quotaBytes : quotaRecords;
  await client.admin.createTopic({
    topic,
    partitions,
    replicationFactor: 3,
    config: { [`retention.${by}`]: String(quota) },
  });
  const disk = await TopicDisk.of(stage, client, topic);
  const quotaMebibytes = (quotaBytes * partitions) / MIB;
  let mostMebibytes = 0;
  const sample = (): number[] => {
    const each = disk.mebibytes();
    mostMebibytes = Math.max(mostMebibytes, ...each);
    return each;
  };
  const sampler = setInterval(sample, SAMPLE_MS);
  stage.onEnd(() => clearInterval(sampler));
  const from = performance.now();
  await write(client, topic, partitions, quotaRecords * times);
  const writtenAt = performance.now();
  const limit = quotaMebibytes * DISK_SHARE_MAX;
  const isDown = await stage.until(
    () => Math.max(...sample()) <= limit,
    checkMs * CHECKS + 30_000,
    SAMPLE_MS,
  );
  const downAfterMs = performance.now() - writtenAt;
  // One more check: what is there then stays.
  await pause(checkMs + 1_000);
  clearInterval(sampler);
  const after = sample();
  findings.figure(`quota of all partitions by ${by}, MiB`, quotaMebibytes);
  findings.figure(`seconds to write ${times} times as much`, (writtenAt - from) / 1000);
  findings.figure(`most on one disk meanwhile, MiB`, mostMebibytes);
  findings.figure(`most on one disk meanwhile, in quotas`, mostMebibytes / quotaMebibytes);
  findings.figure(
    `seconds until all disks were under ${DISK_SHARE_MAX} quotas`,
    downAfterMs / 1000,
  );
  findings.figure(`on the disks afterwards by ${by}, MiB`, after);
  findings.figure(
    `on the disks afterwards by ${by}, in quotas`,
    after.map((m) => m / quotaMebibytes),
  );
  if (filling.isDiskJudged) {
    findings.must(
      isDown && Math.max(...after) <= limit,
      `a disk holds ${(Math.max(...after) / quotaMebibytes).toFixed(2)} quotas of ${topic}`,
    );
  }
  await judgeKept(stage, client, topic, { by, quota, written: quotaRecords * times });
}

async function write(
  client: MillraceClient,
  topic: string,
  partitions: number,
  each: number,
): Promise<void> {
  const pool = randomBytes(MIB);
  const producer = client.producer({ lingerMs: 20 });
  await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      function* records(): Generator<{ readonly partition: number; readonly value: Uint8Array }> {
        for (let i = 0; i < each; i += 1) {
          const at = (i * 997) % (MIB - VALUE_BYTES);
          yield { partition, value: pool.subarray(at, at + VALUE_BYTES) };
        }
      }
      await producer.sendMany(topic, records());
    }),
  );
  await producer.close();
}

/** What the log still holds: no less than the quota, not much more, and all of it can be read. */
async function judgeKept(
  stage: LoadStage,
  client: MillraceClient,
  topic: string,
  log: { readonly by: Quota; readonly quota: number; readonly written: number },
): Promise<void> {
  const { findings } = stage;
  // Of a partition whose leader cannot be asked at the moment nothing is known.
  let { partitions } = await client.admin.describeTopic(topic);
  const areKnown = await stage.until(async () => {
    ({ partitions } = await client.admin.describeTopic(topic));
    return partitions.every(({ error }) => error === undefined);
  }, LED_WITHIN_MS);
  findings.must(areKnown, `not every partition of ${topic} has a leader that answers`);
  const kept = partitions.map((p) => p.highWatermark - p.logStartOffset);
  const consumer = client.consumer({ topic, from: 'beginning', stopAtEnd: true });
  const readOf = partitions.map(() => ({ records: 0, bytes: 0, next: -1 }));
  let gaps = 0;
  for await (const { partition, records, bytes, nextOffset } of consumer.batches()) {
    const read = readOf[partition];
    if (read === undefined) continue;
    if (read.next >= 0 && records[0]?.offset !== read.next) gaps += 1;
    read.records += records.length;
    read.bytes += bytes;
    read.next = nextOffset;
  }
  const held = readOf.map((read) => (log.by === 'bytes' ? read.bytes : read.records));
  findings.figure(
    `kept of each partition, ${log.by}, in quotas`,
    held.map((h) => h / log.quota),
  );
  findings.must(gaps === 0, `${gaps} gaps in what is left of ${topic}`);
  findings.must(
    partitions.every((p) => p.highWatermark === log.written),
    `${topic} does not end where it was written to`,
  );
  findings.must(
    kept.every((records, i) => records === readOf[i]?.records),
    `not everything from the log start on can be read of ${topic}`,
  );
  findings.must(
    held.every((h) => h >= log.quota && h <= log.quota * DISK_SHARE_MAX),
    `${topic} keeps less than its quota, or more than ${DISK_SHARE_MAX} of it`,
  );
}
