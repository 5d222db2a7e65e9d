import { MillraceClient, type Producer } from '../../../src/client/index.js';
import { compareReplicas } from '../../damage/compare.js';
import type { BrokerLog } from '../../damage/broker-log.js';
import type { Scenario, Stage } from '../scenario.js';
import { logOf } from './replicas.js';
import { bystander } from './targets.js';

const TOPIC = 'short';
const KEYS = 50;
const VALUE_BYTES = 4_000;
/** Retention leaves so much of each partition. */
const RETAINED_BYTES = 400_000;
const SENDS_AT_ONCE = 50;
const BEHIND_WITHIN_MS = 60_000;
const CAUGHT_UP_WITHIN_MS = 60_000;
const LOOK_MS = 200;
/** One partition is cut at its beginning, one compacted. */
const PARTITION = 0;
const POLICIES = [
  { topic: `${TOPIC}-deleted`, config: { 'retention.bytes': String(RETAINED_BYTES) } },
  {
    topic: `${TOPIC}-compacted`,
    config: {
      'cleanup.policy': 'compact,delete',
      'retention.bytes': String(RETAINED_BYTES),
      'min.cleanable.dirty.ratio': '0.1',
    },
  },
] as const;

/** What was written, and what was told of it. */
class ShortLog {
  readonly acked = new Map<number, string>();
  readonly topic: string;
  private readonly producer: Producer;
  private next = 0;

  constructor(client: MillraceClient, topic: string) {
    this.topic = topic;
    this.producer = client.producer({ lingerMs: 5 });
  }

  async write(): Promise<void> {
    await Promise.all(
      Array.from({ length: SENDS_AT_ONCE }, async () => {
        const head = `${this.next}.`;
        const key = Buffer.from(String(this.next % KEYS));
        this.next += 1;
        const value = Buffer.from(head.padEnd(VALUE_BYTES, 'x'));
        const { offset } = await this.producer.send({
          ...{ topic: this.topic, partition: PARTITION, key, value },
        });
        this.acked.set(offset, head);
      }),
    );
  }

  /** Everything that is still there is what was acknowledged, up to the last record. */
  async judge(client: MillraceClient, stage: Stage): Promise<void> {
    const { topic, acked } = this;
    const consumer = client.consumer({
      ...{ topic, partitions: [PARTITION], from: 'beginning', stopAtEnd: true },
    });
    let read = 0;
    let last = -1;
    for await (const batch of consumer.batches()) {
      for (const { offset, value } of batch.records) {
        const want = acked.get(offset);
        const got = Buffer.from(value ?? []).toString('latin1');
        if (want === undefined || !got.startsWith(want)) {
          stage.problem(`offset ${offset} of ${topic} holds what was not acknowledged there`);
        }
        if (offset <= last) stage.problem(`offset ${offset} of ${topic} comes twice`);
        last = offset;
        read += 1;
      }
    }
    await consumer.close();
    if (last !== Math.max(...acked.keys())) stage.problem(`the end of ${topic} is lost`);
    stage.count('records of short logs read', read);
  }
}

/**
 * A follower is away for as long as it takes until its place in the log is gone: retention has cut it, and
 * compaction runs on what is left. It must be sent a snapshot, and be equal to the others then.
 */
function farBehind(): Scenario {
  let client: MillraceClient | undefined;
  let logs: readonly ShortLog[] = [];
  return {
    id: 'D36',
    title: 'snapshots and compaction while a follower is far behind',
    needs: { config: { retentionCheckMs: 500 } },
    prepare: async (stage) => {
      const opened = new MillraceClient({ bootstrap: stage.cluster.bootstrap });
      client = opened;
      for (const { topic, config } of POLICIES) {
        await opened.admin.createTopic({ topic, partitions: 1, replicationFactor: 3, config });
      }
      logs = POLICIES.map(({ topic }) => new ShortLog(opened, topic));
      return () => Promise.resolve();
    },
    strike: async (stage) => {
      const { node, keys } = await bystander(stage);
      if (stage.isOver()) return;
      const before = await Promise.all(POLICIES.map(({ topic }) => describe(stage, topic)));
      const ends = before.map(({ end }) => end);
      const groups = before.map(({ raftGroup }) => raftGroup);
      await stage.kill({ kind: 'kill-follower', nodes: [node], keys, limitMs: 1_500 });
      const others = stage.cluster.ids.filter((id) => id !== node).map((id) => logOf(stage, id));
      const giveUpAt = performance.now() + BEHIND_WITHIN_MS;
      for (;;) {
        await Promise.all(logs.map((log) => log.write()));
        const starts = await Promise.all(POLICIES.map(({ topic }) => startOf(stage, topic)));
        const areBeyond = starts.every((start, i) => start > (ends[i] ?? 0));
        if (areBeyond && others.every((log) => hasCut(log, groups))) break;
        if (performance.now() > giveUpAt) {
          stage.doubt(`retention did not pass the follower within ${BEHIND_WITHIN_MS} ms`);
          break;
        }
      }
      const log = logOf(stage, node);
      await stage.start([node]);
      await caughtUp(stage, logs);
      const installed = log.lines().filter(({ msg }) => msg === 'installed a snapshot').length;
      stage.count('snapshots installed', installed);
      stage.say(
        `broker ${node} was behind the beginning of ${POLICIES.length} logs; ${installed} snapshots`,
      );
      if (installed === 0) stage.doubt(`broker ${node} needed no snapshot`);
    },
    verify: async (stage) => {
      if (client === undefined) return;
      for (const log of logs) await log.judge(client, stage);
      const groups = await Promise.all(POLICIES.map(({ topic }) => describe(stage, topic)));
      await client.close();
      await compareStopped(
        stage,
        groups.map(({ raftGroup }) => raftGroup),
      );
    },
  };
}

async function compareStopped(stage: Stage, groups: readonly number[]): Promise<void> {
  const { ids } = stage.cluster;
  await Promise.all(ids.map((id) => stage.broker(id).kill('SIGTERM')));
  for (const group of groups) {
    const { entries, faults, lasts } = await compareReplicas(stage.cluster.dir, ids, group);
    stage.count('entries of short logs compared', entries);
    if (new Set(lasts).size > 1) stage.problem(`group ${group} ends at ${lasts.join(', ')}`);
    for (const fault of faults.slice(0, 3)) stage.problem(`group ${group}: ${fault}`);
  }
  // No repair for the history to know of: nothing is written any more.
  for (const id of ids) stage.broker(id).start();
  await Promise.all(ids.map((id) => stage.broker(id).ready()));
  await stage.whole();
}

async function describe(
  stage: Stage,
  topic: string,
): Promise<{ raftGroup: number; start: number; end: number; areAlike: boolean }> {
  const { partitions } = await stage.admin.describeTopic(topic);
  const at = partitions[PARTITION];
  if (at === undefined) throw new Error(`${topic} has no partition`);
  const { raftGroup, logStartOffset: start, highWatermark: end, replicas } = at;
  const areAlike = replicas.every((r) => r.inSync && r.matchIndex === replicas[0]?.matchIndex);
  return { raftGroup, start, end, areAlike: areAlike && at.leader !== undefined };
}

/** Whether a broker gave back the bytes of every log's beginning. */
function hasCut(log: BrokerLog, groups: readonly number[]): boolean {
  const cut = log.lines().filter(({ msg }) => msg === 'log prefix truncated');
  return groups.every((group) => cut.some(({ raftGroup }) => raftGroup === group));
}

async function startOf(stage: Stage, topic: string): Promise<number> {
  return (await describe(stage, topic)).start;
}

async function caughtUp(stage: Stage, logs: readonly ShortLog[]): Promise<void> {
  const giveUpAt = performance.now() + CAUGHT_UP_WITHIN_MS;
  for (;;) {
    const all = await Promise.all(logs.map(({ topic }) => describe(stage, topic)));
    if (all.every(({ areAlike }) => areAlike)) return;
    if (performance.now() > giveUpAt) {
      stage.problem(`a follower did not catch up within ${CAUGHT_UP_WITHIN_MS} ms`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Followers that come back to a log that no longer begins where they left it. */
export const BEHIND: readonly Scenario[] = [farBehind()];
