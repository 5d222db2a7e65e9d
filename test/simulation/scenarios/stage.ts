import { Prng } from '../../../src/base/prng.js';
import { brokerId, raftGroupId, topicId, type RaftGroupId } from '../../../src/model/ids.js';
import { membershipOf } from '../../../src/model/membership.js';
import type { BrokerServices } from '../../../src/broker/types.js';
import { BrokerApp } from '../broker-app.js';
import { ClientNet } from '../client-net.js';
import { SimCluster, type App } from '../cluster.js';
import { RaftApp, type Replica } from '../raft-app.js';
import { calmSwarm, type SwarmOptions } from '../swarm.js';
import { ms, Scheduler } from '../world.js';

/** Simulated time until a scenario's expectation counts as broken. */
const PATIENCE = 30_000;

/** A cluster on which a scenario plays: nothing goes wrong unless the scenario does it. */
abstract class Stage<A extends App> {
  readonly scheduler = new Scheduler();
  readonly prng = new Prng(1);
  abstract readonly cluster: SimCluster<A>;

  /** Lets simulated time pass until it holds; throws with what was awaited if it never does. */
  async until(what: string, holds: () => boolean, patienceMs = PATIENCE): Promise<void> {
    const { scheduler } = this;
    const isDone = await scheduler.run(scheduler.now + ms(patienceMs), holds);
    if (!isDone) throw new Error(`waited in vain: ${what}`);
  }

  async pass(delayMs: number): Promise<void> {
    await this.scheduler.run(this.scheduler.now + ms(delayMs));
  }

  /** Drives the world until a promise of code under test settles. */
  async result<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const done = (): void => {
      isSettled = true;
    };
    work.then(done, done);
    await this.until('an answer', () => isSettled);
    return work;
  }

  startAll(): void {
    for (const { id } of this.cluster.brokers) this.cluster.start(id);
  }

  /** Cuts a broker off from all others, both ways. */
  isolate(id: number): void {
    for (const other of this.cluster.brokers) {
      if (other.id === id) continue;
      this.cluster.network.cut(id, other.id);
      this.cluster.network.cut(other.id, id);
    }
  }
}

/** Raft groups alone: the production host with counting machines, all of them on all brokers. */
export class RaftStage extends Stage<RaftApp> {
  readonly cluster: SimCluster<RaftApp>;
  readonly acked: number[] = [];
  readonly failed: string[] = [];

  constructor(changes: Partial<SwarmOptions> = {}) {
    super();
    const swarm = calmSwarm(changes);
    const ids = Array.from({ length: swarm.brokers }, (_, at) => at + 1);
    const specs = Array.from({ length: swarm.groups }, (_, at) => ({
      groupId: raftGroupId(at + 1),
      topicId: topicId(String(at).padStart(32, '0')),
      topic: `topic-${at}`,
      partition: 0,
      bootstrap: membershipOf(ids),
    }));
    const { scheduler } = this;
    const oracleOf = (group: number) => this.cluster.oracle(group);
    this.cluster = new SimCluster(
      scheduler,
      this.prng,
      swarm,
      (boot) => new RaftApp(boot, { swarm, specs, oracleOf, scheduler }),
    );
  }

  replica(broker: number, group = 1): Replica | undefined {
    return this.cluster.broker(broker).app?.replicas.get(raftGroupId(group));
  }

  /** Brokers that lead the group, by their own account. */
  leaders(group = 1): number[] {
    const ids = this.cluster.brokers.map(({ id }) => id);
    return ids.filter((id) => this.replica(id, group)?.group?.isLeaderReady() === true);
  }

  async leader(group = 1): Promise<number> {
    await this.until('a leader', () => this.leaders(group).length === 1);
    return this.leaders(group)[0] ?? 0;
  }

  /** Whether the broker took the proposal; its end is noted in `acked` or `failed`. */
  propose(broker: number, text: string, group = 1): boolean {
    const outcome = this.replica(broker, group)?.group?.propose(
      { kind: 'command', payload: new TextEncoder().encode(text) },
      {
        committed: (_result, id) => {
          this.cluster.judge(() => this.cluster.oracle(group).acknowledges(id));
          this.acked.push(id.index);
        },
        failed: () => this.failed.push(text),
      },
    );
    return outcome?.accepted === true;
  }
}

/** Whole brokers, formed into a cluster. */
export class BrokerStage extends Stage<BrokerApp> {
  readonly cluster: SimCluster<BrokerApp>;
  readonly net: ClientNet;

  constructor(changes: Partial<SwarmOptions> = {}) {
    super();
    const swarm = calmSwarm(changes);
    const { scheduler } = this;
    const oracleOf = (group: number) => this.cluster.oracle(group);
    this.cluster = new SimCluster(
      scheduler,
      this.prng,
      swarm,
      (boot) => new BrokerApp(boot, { swarm, oracleOf, scheduler }),
    );
    this.net = new ClientNet(this.cluster, this.prng.fork(), { delayMax: 300, breakChance: 0 });
  }

  async form(): Promise<void> {
    this.startAll();
    await this.until('every broker ready', () =>
      this.cluster.alive().every(({ id }) => this.isReady(id)),
    );
  }

  /** A cluster that has formed, with one topic of one partition. */
  static async withTopic(topic: string): Promise<BrokerStage> {
    const stage = new BrokerStage();
    await stage.form();
    await stage.createTopic(topic);
    return stage;
  }

  isReady(id: number): boolean {
    return this.services(id)?.health().ready === true;
  }

  services(id: number): BrokerServices | undefined {
    return this.cluster.broker(id).app?.services;
  }

  ask<T>(id: number, serve: (services: BrokerServices) => Promise<T>): Promise<T> {
    return this.result(this.net.call(id, 10_000, serve));
  }

  async createTopic(topic: string, partitions = 1): Promise<void> {
    const request = {
      topic,
      partitions,
      replicationFactor: 3,
      config: new Map<string, string>(),
      noWait: false,
      timeoutMs: undefined,
    };
    await this.ask(1, (s) => s.admin.createTopic(request, { deadlineMs: 8_000 }));
  }

  /** The broker that leads a partition, by its own account. */
  async leaderOf(topic: string, partition = 0): Promise<number> {
    return this.leaderOfGroup(raftGroupId(this.groupOf(topic, partition)), topic);
  }

  /** The broker that leads the Raft group, by its own account. */
  async leaderOfGroup(id: RaftGroupId, what: string): Promise<number> {
    const leading = (): number | undefined =>
      this.cluster.alive().find(({ app }) => app?.groups.get(id)?.group.isLeaderReady() === true)
        ?.id;
    await this.until(`a leader of ${what}`, () => leading() !== undefined);
    return brokerId(leading() ?? 0);
  }

  groupOf(topic: string, partition = 0): number {
    for (const { disk } of this.cluster.brokers) {
      for (const { spec } of disk.replicas.values()) {
        if (spec.topic === topic && spec.partition === partition) return spec.groupId;
      }
    }
    throw new Error(`nobody has a replica of ${topic}`);
  }
}
