import { deferred } from '../base/deferred.js';
import type { PeerSetting } from '../config/schema.js';
import { MillraceClient, type ClientOptions } from '../client/index.js';
import { settledWithin } from '../client/settled-within.js';
import { systemWorld } from '../client/system-world.js';
import type { CreatedTopic, CreateTopicRequest } from '../client/types.js';
import type { BrokerPorts } from '../main/start-broker.js';
import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import type { ClusterPlan } from './options.js';
import { Network } from './split-peers.js';
import { TestBroker } from './test-broker.js';
import { TestClock, type TestWorld } from './test-clock.js';

const HOST = '127.0.0.1';
const POLL_MS = 2;
const DISK_MS_MAX = 60_000;
const SKEW_MS_MAX = 10 * 366 * 24 * 3_600_000;
/** Clients may deliver what they have for this long, on the machine's clock, when the cluster closes. */
const CLIENTS_CLOSE_MS = 1_000;
const CLIENTS_GIVE_UP_MS = 100;
const CLIENTS_GIVE_UP_TRIES = 20;

/** A client's options that are not the cluster's to give. */
export type TestClientOptions = Omit<ClientOptions, 'bootstrap' | 'world' | 'transport'>;

interface OpenClient {
  readonly client: MillraceClient;
  readonly world: TestWorld;
}

/**
 * A cluster of real brokers in this process, with their disks in memory and faults at a test's
 * command. Made by `startCluster`. Everything it has open is closed by `close()`, or by leaving the
 * scope of an `await using`.
 *
 * Invariants: brokers are numbered from 1 on and keep their data and their addresses over every kill and
 * restart; nothing is shared with other clusters of the process.
 */
export class TestCluster implements AsyncDisposable {
  /** The time that its brokers and clients live in. */
  readonly clock = new TestClock();
  private readonly plan: ClusterPlan;
  private readonly network = new Network();
  private readonly brokers: readonly TestBroker[];
  private readonly clients: OpenClient[] = [];
  private questions: MillraceClient | undefined;
  private closing: Promise<void> | undefined;

  private constructor(plan: ClusterPlan) {
    this.plan = plan;
    const around = { clock: this.clock, network: this.network, log: plan.log };
    this.brokers = plan.configs.map((config) => new TestBroker(config, around));
  }

  /** Resolves once all brokers are ready; rejects having closed what there was. */
  static async start(plan: ClusterPlan): Promise<TestCluster> {
    const cluster = new TestCluster(plan);
    try {
      await cluster.form();
      await cluster.ready();
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** Addresses of all brokers' client ports, as every client takes them: `host:port,host:port,…` */
  get bootstrap(): string {
    return this.brokers.map(({ ports }) => `${HOST}:${ports.clientPort}`).join(',');
  }

  /** Ascending; also those that are not running. */
  get brokerIds(): readonly number[] {
    return this.brokers.map(({ id }) => id);
  }

  /** Ascending; those that were neither killed nor stopped. */
  get runningBrokerIds(): readonly number[] {
    return this.brokers.filter(({ isRunning }) => isRunning).map(({ id }) => id);
  }

  /** Where a broker listens on 127.0.0.1: for clients, for its peers, for health and metrics. */
  ports(brokerId: number): BrokerPorts {
    return this.broker('ports', brokerId).ports;
  }

  /** A client that lives in the cluster's time, and is closed with it unless it was before. */
  client(options: TestClientOptions = {}): MillraceClient {
    this.assertOpen('client');
    const world = this.clock.world();
    const client = new MillraceClient({ ...options, bootstrap: this.bootstrap, world });
    this.clients.push({ client, world });
    return client;
  }

  /** Resolves once every partition has a leader. */
  async createTopic(
    topic: string,
    options: Omit<CreateTopicRequest, 'topic'> = {},
  ): Promise<CreatedTopic> {
    return await this.ask('createTopic').admin.createTopic({ ...options, topic });
  }

  /** The running broker that leads the partition and is ready to; waited for while there is none. */
  async leaderOf(topic: string, partition = 0): Promise<number> {
    const { admin } = this.ask('leaderOf');
    return await this.found(`a leader of ${topic}/${partition}`, async () => {
      const { partitions } = await admin.describeTopic(topic);
      const found = partitions.find((each) => each.partition === partition);
      if (found === undefined) {
        const text = `leaderOf: ${topic} has ${partitions.length} partitions, there is no ${partition}`;
        throw new BrokerError('UNKNOWN_PARTITION', text);
      }
      return found.error === undefined ? found.leader : undefined;
    });
  }

  /** The running broker that leads the metadata group, and so coordinates consumer groups. */
  async controller(): Promise<number> {
    const { admin } = this.ask('controller');
    return await this.found('a controller', async () => (await admin.describeCluster()).controller);
  }

  /**
   * Resolves once every broker that is running is part of the cluster, with its replicas open. Rejects
   * with DEADLINE_EXCEEDED, saying what each of them waits for.
   */
  async ready(withinMs: number = this.plan.readyWithinMs): Promise<void> {
    await this.until('every running broker to be ready', withinMs, () => {
      const running = this.brokers.filter(({ isRunning }) => isRunning);
      for (const broker of running) {
        const { live, reason } = broker.health();
        if (!live) throw new BrokerError('INTERNAL', `broker ${broker.id}: ${reason}`);
      }
      return running.every((broker) => broker.health().ready);
    });
  }

  /**
   * As `kill -9` of its process, at once: connections break, what was not yet durable is lost, the rest
   * is there after `restart`.
   */
  async kill(brokerId: number): Promise<void> {
    const broker = this.broker('kill', brokerId);
    if (await broker.kill()) return;
    throw invalid(`kill: broker ${brokerId} is not running`);
  }

  /** As SIGTERM: it hands its leaderships over and leaves. */
  async stop(brokerId: number): Promise<void> {
    const broker = this.broker('stop', brokerId);
    if (await broker.stop()) return;
    throw invalid(`stop: broker ${brokerId} is not running`);
  }

  /**
   * Starts a broker on what its disk holds, after stopping it if it runs. Resolves once it listens:
   * `ready()` waits for more, and takes a majority.
   */
  async restart(brokerId: number): Promise<void> {
    const broker = this.broker('restart', brokerId);
    await broker.start((own) => Promise.resolve(this.founders(brokerId, own)));
  }

  /**
   * Cuts the network between brokers: those of one side hear each other, and nobody else. Brokers that
   * are not named are one more side together. Clients reach them all. Replaces an earlier split.
   */
  split(...sides: readonly (readonly number[])[]): void {
    const named = sides.flat();
    for (const id of named) this.broker('split', id);
    const twice = named.find((id, at) => named.indexOf(id) !== at);
    if (twice !== undefined) throw invalid(`split: broker ${twice} is named twice`);
    const rest = this.brokerIds.filter((id) => !named.includes(id));
    const all = [...sides, rest].filter((side) => side.length > 0);
    if (all.length < 2) throw invalid('split: puts all brokers on one side');
    this.network.split(all);
  }

  /**
   * Loses that share of the Raft messages between brokers, 0 to 1, each by itself, until `heal()`. The
   * same seed loses the same ones of the same sequence of messages. Calls between brokers, and what
   * clients send, run over connections that repeat what is lost, and are not concerned.
   */
  drop(share: number, seed = 1): void {
    this.assertOpen('drop');
    if (!(share >= 0 && share <= 1)) throw invalid(`drop: want a share of 0 to 1, not ${share}`);
    if (!Number.isSafeInteger(seed))
      throw invalid(`drop: want a whole number as seed, not ${seed}`);
    this.network.lose(share, seed);
  }

  /**
   * Sets a broker's wall clock that far ahead of the cluster's, or behind if it is negative. Only what
   * is told the time of day is concerned (timestamps, retention): timers run on.
   */
  skewClock(brokerId: number, skewMs: number): void {
    const broker = this.broker('skewClock', brokerId);
    if (!Number.isSafeInteger(skewMs) || Math.abs(skewMs) > SKEW_MS_MAX) {
      throw invalid(`skewClock: want whole ms of at most ten years, not ${skewMs}`);
    }
    broker.skewMs = skewMs;
  }

  /** Ends a split, and the loss of messages. */
  heal(): void {
    this.network.heal();
  }

  /** Every write of this broker's disk takes so long to become durable from now on; 0: no time. */
  slowDisk(brokerId: number, writeMs: number): void {
    const broker = this.broker('slowDisk', brokerId);
    if (!Number.isFinite(writeMs) || writeMs < 0 || writeMs > DISK_MS_MAX) {
      throw invalid(`slowDisk: want 0 to ${DISK_MS_MAX} ms, not ${writeMs}`);
    }
    broker.disk.writeMs = writeMs;
  }

  /**
   * Closes its clients, which may deliver what they have while there are brokers to take it, then the
   * brokers. Leaves no timer, socket or anything else of its own behind. Idempotent.
   */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Starts all brokers together. */
  private async form(): Promise<void> {
    const everyone = deferred<readonly PeerSetting[]>();
    everyone.promise.catch(() => undefined);
    const listening: PeerSetting[] = [];
    const starts = this.brokers.map((broker) =>
      broker
        .start((own) => {
          listening.push({ id: broker.id, host: HOST, peerPort: own.peerPort });
          if (listening.length === this.brokers.length) everyone.resolve(listening);
          return everyone.promise;
        })
        .catch((error: unknown) => {
          everyone.reject(error);
          throw error;
        }),
    );
    const ends = await Promise.allSettled(starts);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /** Where everyone was last seen, the broker that starts now included. */
  private founders(starting: number, own: BrokerPorts): readonly PeerSetting[] {
    return this.brokers.map(({ id, ports }) => ({
      id,
      host: HOST,
      peerPort: (id === starting ? own : ports).peerPort,
    }));
  }

  private async closeAll(): Promise<void> {
    this.clock.release();
    this.heal();
    for (const { disk } of this.brokers) disk.writeMs = 0;
    const open = this.clients.map(({ client }) => client);
    if (this.questions !== undefined) open.push(this.questions);
    const closed = Promise.allSettled(open.map((client) => client.close()));
    const { timers } = systemWorld();
    let isClosed = await settledWithin(timers, closed, CLIENTS_CLOSE_MS);
    await Promise.all(this.brokers.map((broker) => broker.kill()));
    // What is left has nobody to go to: its time passes at once.
    for (let tries = 0; !isClosed && tries < CLIENTS_GIVE_UP_TRIES; tries += 1) {
      await this.clock.advance(LIMITS.deliveryTimeoutMsMax);
      isClosed = await settledWithin(timers, closed, CLIENTS_GIVE_UP_MS);
    }
    for (const { world } of this.clients) world.end();
  }

  /** Asks until a running broker is the answer. */
  private async found(what: string, ask: () => Promise<number | undefined>): Promise<number> {
    let answer: number | undefined;
    await this.until(what, this.plan.readyWithinMs, async () => {
      answer = await ask();
      return answer !== undefined && this.runningBrokerIds.includes(answer);
    });
    if (answer === undefined) throw new BrokerError('LEADER_UNKNOWN', `${what} was not found`);
    return answer;
  }

  private async until(
    what: string,
    withinMs: number,
    holds: () => boolean | Promise<boolean>,
  ): Promise<void> {
    const untilMs = performance.now() + withinMs;
    while (!(await holds())) {
      if (performance.now() > untilMs) {
        const states = this.brokers.map((each) => {
          const { ready, reason } = each.health();
          return `broker ${each.id}: ${ready ? 'ready' : reason}`;
        });
        const text = `waited ${withinMs} ms for ${what}; ${states.join(', ')}`;
        throw new BrokerError('DEADLINE_EXCEEDED', text);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** The cluster's own client, on the machine's time: its questions are no part of the test. */
  private ask(method: string): MillraceClient {
    this.assertOpen(method);
    const { readyWithinMs: timeoutMs } = this.plan;
    this.questions ??= new MillraceClient({ bootstrap: this.bootstrap, timeoutMs });
    return this.questions;
  }

  private broker(method: string, id: number): TestBroker {
    this.assertOpen(method);
    const broker = this.brokers.find((each) => each.id === id);
    if (broker === undefined) {
      throw invalid(`${method}: there is no broker ${id}, only ${this.brokerIds.join(', ')}`);
    }
    return broker;
  }

  private assertOpen(method: string): void {
    if (this.closing !== undefined) {
      throw new BrokerError('SHUTTING_DOWN', `${method}: the cluster is closed`);
    }
  }
}

function invalid(text: string): BrokerError {
  return new BrokerError('INVALID_ARGUMENT', text);
}
