import { createHash } from 'node:crypto';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { MillraceClient } from '../../src/client/index.js';
import type { PartitionDescription } from '../../src/client/types.js';
import { raftGroupId } from '../../src/model/ids.js';
import {
  ATTRIBUTE_CODEC_MASK,
  BATCH_HEADER_BYTES,
  readBatchHeader,
} from '../../src/model/record-batch.js';
import { inspectEntries } from '../../src/storage/inspect.js';
import type { HistoryWriter } from '../../test/checker/index.js';
import type { Row } from '../../test/checker/line.js';
import { compareReplicas } from '../damage/compare.js';
import type { ChaosCluster } from './chaos-cluster.js';
import { digest, valueOf } from './payload.js';
import { recordsOf } from '../../test/support/records-of.js';

const ALIKE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 100;
const STOPPED_WITHIN_MS = 30_000;
const METADATA_GROUP = 0;

export interface DumpFigures {
  readonly replicas: number;
  readonly rows: number;
  readonly entriesCompared: number;
}

/**
 * Stops the brokers of a topic that nobody writes to any more, and writes every replica's records into
 * the history, with a hash over their bytes. Beyond that, every entry that two replicas have in one
 * place must be the same one, the metadata group's too. Resolves with what is wrong.
 */
export async function dumpReplicas(
  cluster: ChaosCluster,
  admin: MillraceClient['admin'],
  topic: string,
  history: HistoryWriter,
): Promise<{ readonly figures: DumpFigures; readonly problems: readonly string[] }> {
  const problems: string[] = [];
  const partitions = await whenAlike(admin, topic);
  if (partitions === undefined) {
    problems.push(`replicas were not alike within ${ALIKE_WITHIN_MS} ms of the end of writing`);
  }
  await stopAll(cluster, problems);
  const figures = { replicas: 0, rows: 0, entriesCompared: 0 };
  for (const at of partitions ?? []) {
    for (const { brokerId } of at.replicas) {
      const rows = await dumpReplica(cluster, brokerId, `${topic}/${at.partition}`, at, history);
      figures.replicas += 1;
      figures.rows += rows;
    }
  }
  const groups = [METADATA_GROUP, ...(partitions ?? []).map(({ raftGroup }) => raftGroup)];
  for (const group of groups) {
    const brokers = partitions?.find(({ raftGroup }) => raftGroup === group)?.replicas;
    const ids = brokers?.map(({ brokerId }) => brokerId) ?? cluster.ids;
    const { entries, faults } = await compareReplicas(cluster.dir, ids, group);
    figures.entriesCompared += entries;
    problems.push(...faults.slice(0, 3).map((fault) => `group ${group}: ${fault}`));
  }
  return { figures, problems };
}

/** All replicas of all partitions have the same last entry. */
async function whenAlike(
  admin: MillraceClient['admin'],
  topic: string,
): Promise<readonly PartitionDescription[] | undefined> {
  const giveUpAt = performance.now() + ALIKE_WITHIN_MS;
  while (performance.now() < giveUpAt) {
    const { partitions } = await admin.describeTopic(topic);
    const areAlike = partitions.every(
      ({ leader, replicas }) =>
        leader !== undefined &&
        replicas.every((r) => r.inSync && r.matchIndex === replicas[0]?.matchIndex),
    );
    if (areAlike) return partitions;
    await pause(LOOK_EVERY_MS);
  }
  return undefined;
}

async function stopAll(cluster: ChaosCluster, problems: string[]): Promise<void> {
  await Promise.all(
    cluster.brokers.map(async (broker) => {
      const timer = setTimeout(() => {
        problems.push(`broker ${broker.id} did not end within ${STOPPED_WITHIN_MS} ms of SIGTERM`);
        void broker.kill();
      }, STOPPED_WITHIN_MS);
      await broker.kill('SIGTERM');
      clearTimeout(timer);
    }),
  );
}

/** One replica's records up to the high watermark; resolves with how many there were. */
async function dumpReplica(
  cluster: ChaosCluster,
  node: number,
  k: string,
  at: PartitionDescription,
  history: HistoryWriter,
): Promise<number> {
  const hash = createHash('sha256');
  const rows: Row[] = [];
  const directory = path.join(cluster.dir, `data-${node}`);
  for await (const { entry } of inspectEntries(directory, raftGroupId(at.raftGroup))) {
    if (entry?.kind !== 'batch') continue;
    const { payload } = entry;
    const header = readBatchHeader(payload);
    if (header.baseOffset >= at.highWatermark) break;
    hash.update(payload);
    if ((header.attributes & ATTRIBUTE_CODEC_MASK) !== 0) throw new Error('batch is compressed');
    for (const record of recordsOf(header, payload.subarray(BATCH_HEADER_BYTES))) {
      const value = record.value ?? new Uint8Array();
      rows.push([record.offset, valueOf(value), digest(value), header.leaderEpoch]);
    }
  }
  const { logStartOffset: start, highWatermark: hw } = at;
  history.event({ f: 'dump', node, k, start, hw, rows, chain: hash.digest('hex') });
  return rows.length;
}
