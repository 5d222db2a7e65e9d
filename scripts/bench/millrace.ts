import { setTimeout as pause } from 'node:timers/promises';

import { MillraceClient, type TopicDescription } from '../../src/client/index.js';
import type { BrokerProcess } from '../lib/broker-process.js';
import { type DelayProxies, startDelayProxies } from '../lib/delay-proxy.js';
import { ScriptCluster } from '../lib/script-cluster.js';
import { bookOf, type Books, type Watched } from './books.js';
import { drive, type Measured, ownDriver } from './drive.js';
import type { Job } from './driver/job.js';
import type { System } from './system.js';

const LOOP_DELAY = /^millrace_nodejs_eventloop_lag_p99_seconds ([\d.e+-]+)$/m;
const MAX_BATCH_BYTES = 8 << 20;
const POLL_MS = 20;

/** Three broker processes of Millrace; the data is in a temporary folder and goes with them. */
export class MillraceSystem implements System {
  readonly name = 'Millrace';
  readonly cluster: ScriptCluster;
  /** Before every port, if the links were to have proxies. */
  readonly proxies: DelayProxies | undefined;
  private readonly client: MillraceClient;

  private constructor(cluster: ScriptCluster, proxies: DelayProxies | undefined) {
    this.cluster = cluster;
    this.proxies = proxies;
    this.client = new MillraceClient({ bootstrap: cluster.bootstrap });
  }

  static async start(
    options: {
      /** Set: every link has a proxy, which holds bytes back for so long each way. */
      readonly delayMs?: number;
      readonly config?: Readonly<Record<string, unknown>>;
    } = {},
  ): Promise<MillraceSystem> {
    const proxies = options.delayMs === undefined ? undefined : startDelayProxies(options.delayMs);
    try {
      const cluster = await ScriptCluster.start({
        brokers: 3,
        ...(options.config === undefined ? {} : { config: options.config }),
        ...(proxies === undefined
          ? {}
          : { seenThrough: (port: number): Promise<number> => proxies.before(port) }),
      });
      return new MillraceSystem(cluster, proxies);
    } catch (error) {
      proxies?.stop();
      throw error;
    }
  }

  async create(
    topic: string,
    partitions: number,
    config: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.client.admin.createTopic({
      ...{ topic, partitions, replicationFactor: 3 },
      config: { 'max.batch.bytes': String(MAX_BATCH_BYTES), ...config },
    });
  }

  async drop(topic: string): Promise<void> {
    await this.client.admin.deleteTopic(topic);
  }

  async describe(topic: string): Promise<TopicDescription> {
    return await this.client.admin.describeTopic(topic);
  }

  /** Waits until nothing is wrong with the topic's partitions; throws what still is when time is up. */
  async until(
    topic: string,
    wrongWith: (partitions: TopicDescription['partitions']) => string | undefined,
    withinMs: number,
  ): Promise<void> {
    const giveUpAt = performance.now() + withinMs;
    for (;;) {
      const wrong = wrongWith((await this.describe(topic)).partitions);
      if (wrong === undefined) return;
      if (performance.now() > giveUpAt) throw new Error(wrong);
      await pause(POLL_MS);
    }
  }

  async run(job: Job): Promise<Measured> {
    return await drive(await ownDriver(this.cluster.bootstrap, job), this.watched());
  }

  /** What the brokers use while this runs. */
  async booked(run: () => Promise<unknown>): Promise<Books> {
    const booking = bookOf(this.watched());
    try {
      await booking.begin();
      await run();
      await booking.end();
      return booking.books();
    } finally {
      booking.close();
    }
  }

  async stop(): Promise<void> {
    await this.client.close({ signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    this.proxies?.stop();
    await this.cluster.stop();
  }

  private watched(): Watched[] {
    return this.cluster.brokers.map((broker) => ({
      name: `broker-${broker.id}`,
      pid: broker.pid,
      loopDelayP99Ms: () => loopDelayP99Ms(broker),
    }));
  }
}

/** A broker's metrics count from when they were read last. */
async function loopDelayP99Ms(broker: BrokerProcess): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${broker.ports.http}/metrics`);
  const seconds = Number(LOOP_DELAY.exec(await response.text())?.[1] ?? Number.NaN);
  return seconds * 1000;
}
