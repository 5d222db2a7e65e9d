import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { MillraceClient } from '../../src/client/index.js';
import { ScriptCluster } from '../lib/script-cluster.js';
import { BrokerLog } from './broker-log.js';
import { compareReplicas, type Comparison } from './compare.js';
import { Ledger, type ReadVerdict } from './ledger.js';
import { GROUP, Load, sendOne } from './load.js';

export const TOPIC = 'damage';
export const BROKERS = [1, 2, 3] as const;
export const METADATA_GROUP = 0;

const POLL_MS = 20;
const WHOLE_WITHIN_MS = 60_000;
const UNAVAILABLE_MS = 30_000;
const SENDS_WITH_TWO = 20;
const HANDOVERS_MAX = 50;
const TENURES_MAX = 10;

export async function until(
  what: string,
  withinMs: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > giveUpAt) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(POLL_MS);
  }
}

/**
 * Three real brokers with one partition on all of them, a client, and the ledger of what it was
 * told: what every damage happens on.
 */
export class DamageStage {
  readonly cluster: ScriptCluster;
  readonly client: MillraceClient;
  readonly ledger: Ledger;
  /** Raft group of the partition. */
  readonly group: number;
  private committed = 0;
  private readonly recordsPerSecond: number;

  private constructor(
    cluster: ScriptCluster,
    client: MillraceClient,
    ledger: Ledger,
    facts: { readonly group: number; readonly recordsPerSecond: number },
  ) {
    this.cluster = cluster;
    this.client = client;
    this.ledger = ledger;
    this.group = facts.group;
    this.recordsPerSecond = facts.recordsPerSecond;
  }

  static async start(options: {
    readonly seed: number;
    readonly recordsPerSecond: number;
    readonly valueBytes: number;
    /** Data directories are made in it; made here if left out. */
    readonly dir?: string;
  }): Promise<DamageStage> {
    const cluster = await ScriptCluster.start({
      brokers: BROKERS.length,
      // Small write buffers: the log reaches tables within seconds. Debug says what was verified.
      config: { storeMemoryBytes: 16 << 20, logLevel: 'debug' },
      ...(options.dir === undefined ? {} : { dir: options.dir }),
    });
    const client = new MillraceClient({ bootstrap: cluster.bootstrap });
    try {
      await client.admin.createTopic({ topic: TOPIC, partitions: 1, replicationFactor: 3 });
      const { partitions } = await client.admin.describeTopic(TOPIC);
      const group = partitions[0]?.raftGroup;
      if (group === undefined) throw new Error('the topic has no partition');
      return new DamageStage(cluster, client, new Ledger(options), { group, ...options });
    } catch (error) {
      await client.close();
      await cluster.stop({ keep: true });
      throw error;
    }
  }

  async stop(options: { readonly keep: boolean }): Promise<void> {
    await this.client.close();
    await this.cluster.stop(options);
  }

  logOf(broker: number): BrokerLog {
    return new BrokerLog(path.join(this.cluster.dir, `broker-${broker}.log`));
  }

  /** The brokers that follow in a group and the one that leads it. */
  async leaderOf(group: number): Promise<number | undefined> {
    if (group === METADATA_GROUP) {
      const { metadataMembers } = await this.client.admin.describeCluster();
      return metadataMembers.find(({ role }) => role === 'leader')?.brokerId ?? this.controller();
    }
    const { partitions } = await this.client.admin.describeTopic(TOPIC);
    return partitions[0]?.leader;
  }

  /** Every replica of both groups has everything, takes part, and is not being repaired. */
  async isWhole(): Promise<boolean> {
    try {
      const [{ partitions }, cluster] = await Promise.all([
        this.client.admin.describeTopic(TOPIC),
        this.client.admin.describeCluster(),
      ]);
      const [partition] = partitions;
      const { metadataMembers: members, metadataCommitIndex, controller } = cluster;
      return (
        partition !== undefined &&
        partition.error === undefined &&
        partition.replicas.length === BROKERS.length &&
        partition.replicas.every((replica) => replica.inSync && !replica.isRepairing) &&
        controller !== undefined &&
        members.length === BROKERS.length &&
        members.every(
          (m) => m.isActive && !m.isRepairing && m.matchIndex >= metadataCommitIndex - 100,
        )
      );
    } catch {
      // Nobody leads at the moment.
      return false;
    }
  }

  async whenWhole(withinMs = WHOLE_WITHIN_MS): Promise<void> {
    await until('every replica in sync and none repairing', withinMs, () => this.isWhole());
  }

  /** Keeps writing while the work is done; afterwards every record that was sent has its answer. */
  async underLoad<T>(work: (load: Load) => Promise<T>): Promise<T> {
    const { client, ledger, recordsPerSecond } = this;
    const load = new Load({ client, topic: TOPIC, ledger, recordsPerSecond });
    load.start();
    try {
      return await work(load);
    } finally {
      await load.stop();
      this.committed = Math.max(this.committed, load.committed);
    }
  }

  /** Reads the whole partition and the committed offset. */
  async judge(): Promise<ReadVerdict> {
    const consumer = this.client.consumer({
      topic: TOPIC,
      partitions: [0],
      from: 'beginning',
      stopAtEnd: true,
      unavailableTimeoutMs: UNAVAILABLE_MS,
    });
    const verdict = await this.ledger.judge(consumer);
    const [answer] = await this.client.admin.fetchOffsets(GROUP, [{ topic: TOPIC, partition: 0 }]);
    const stands = answer?.offset ?? 0;
    if (stands >= this.committed) return verdict;
    const example = `offset ${this.committed} was committed, but the group stands at ${stands}`;
    return { ...verdict, lost: verdict.lost + 1, examples: [...verdict.examples, example] };
  }

  /** Makes a broker lead both groups, however often that takes. */
  async lead(broker: number): Promise<void> {
    const { admin } = this.client;
    for (const [group, at] of [
      [this.group, { topic: TOPIC, partition: 0 }],
      [METADATA_GROUP, undefined],
    ] as const) {
      let error: unknown;
      for (let i = 0; ; i += 1) {
        if ((await this.leaderOf(group).catch(() => undefined)) === broker) break;
        if (i === HANDOVERS_MAX) {
          throw new Error(`broker ${broker} does not come to lead ${group}`, { cause: error });
        }
        await admin.transferLeadership(at, broker).catch((thrown: unknown) => {
          error = thrown;
        });
        await pause(POLL_MS);
      }
    }
  }

  /**
   * Stops the others one at a time: this broker must lead, serve everything and take more, with two
   * of three alive.
   */
  async serveFrom(broker: number): Promise<ReadVerdict[]> {
    const verdicts: ReadVerdict[] = [];
    for (const id of BROKERS) {
      if (id === broker) continue;
      const other = this.cluster.broker(id);
      await other.kill();
      verdicts.push(...(await this.serveAsLeader(broker)));
      other.start();
      await other.ready();
      await this.whenWhole();
    }
    return verdicts;
  }

  /**
   * Brokers hand leaderships back to whom they are rightfully: what counts is what was written and read
   * within one leadership of this broker, and everything else must be right as well.
   */
  private async serveAsLeader(broker: number): Promise<ReadVerdict[]> {
    const verdicts: ReadVerdict[] = [];
    for (let i = 0; i < TENURES_MAX; i += 1) {
      await this.lead(broker);
      const before = await this.tenure();
      await this.sendSome();
      verdicts.push(await this.judge());
      const after = await this.tenure();
      if (before.leader === broker && after.leader === broker && before.epoch === after.epoch) {
        return verdicts;
      }
    }
    throw new Error(`broker ${broker} did not stay the leader for long enough to serve`);
  }

  private async tenure(): Promise<{ readonly leader: number | undefined; readonly epoch: number }> {
    const { partitions } = await this.client.admin.describeTopic(TOPIC);
    return { leader: partitions[0]?.leader, epoch: partitions[0]?.leaderEpoch ?? 0 };
  }

  /** Kills all brokers at once, compares what they stored, and starts them again. */
  async compareStopped(groups: readonly number[]): Promise<Map<number, Comparison>> {
    const { brokers, dir } = this.cluster;
    await Promise.all(brokers.map((broker) => broker.kill()));
    const found = new Map<number, Comparison>();
    for (const group of groups) found.set(group, await compareReplicas(dir, BROKERS, group));
    for (const broker of brokers) broker.start();
    await Promise.all(brokers.map((broker) => broker.ready()));
    return found;
  }

  private async sendSome(): Promise<void> {
    const producer = this.client.producer({ lingerMs: 0 });
    for (let i = 0; i < SENDS_WITH_TWO; i += 1) await sendOne(producer, TOPIC, this.ledger);
    await producer.close();
  }

  private async controller(): Promise<number | undefined> {
    return (await this.client.admin.describeCluster()).controller;
  }
}
