import { setTimeout as pause } from 'node:timers/promises';

import { type ClientOptions, MillraceClient } from '../../src/client/index.js';
import { cpuSeconds, memoryMebibytes } from '../bench/usage.js';
import { ScriptCluster } from '../lib/script-cluster.js';
import { CuttingProxy } from './cutting-proxy.js';
import type { Findings } from './findings.js';
import type { Load, Sizes } from './load.js';

const BROKERS = 3;

/**
 * Three real brokers, the clients that a load makes, and the books of what it costs. It owns all of
 * them: `stop` ends them, whatever became of the run.
 */
export class LoadStage {
  readonly cluster: ScriptCluster;
  readonly findings: Findings;
  readonly say: (text: string) => void;
  /** One before each broker's client port, if the load asked for them. */
  readonly proxies: readonly CuttingProxy[];
  private readonly atEnd: (() => unknown)[] = [];

  private constructor(
    cluster: ScriptCluster,
    proxies: readonly CuttingProxy[],
    findings: Findings,
    say: (text: string) => void,
  ) {
    this.cluster = cluster;
    this.proxies = proxies;
    this.findings = findings;
    this.say = say;
  }

  static async start(
    load: Load,
    sizes: Sizes,
    findings: Findings,
    say: (text: string) => void,
  ): Promise<LoadStage> {
    const proxies: CuttingProxy[] = [];
    const clientsThrough = async (port: number): Promise<number> => {
      const proxy = new CuttingProxy();
      proxies.push(proxy);
      return await proxy.listen(port);
    };
    const cluster = await ScriptCluster.start({
      brokers: BROKERS,
      config: { logLevel: 'warn', ...load.config?.(sizes) },
      ...(load.isProxied === true ? { clientsThrough } : {}),
    });
    return new LoadStage(cluster, proxies, findings, say);
  }

  /** Closed at the end of the run. */
  client(options: Omit<ClientOptions, 'bootstrap'> = {}): MillraceClient {
    const client = new MillraceClient({ bootstrap: this.cluster.bootstrap, ...options });
    this.onEnd(() => client.close({ signal: AbortSignal.timeout(5_000) }));
    return client;
  }

  onEnd(end: () => unknown): void {
    this.atEnd.push(end);
  }

  /** Own memory of each broker in MiB. */
  memory(): number[] {
    return this.cluster.brokers.map((broker) => memoryMebibytes(broker.pid).own);
  }

  noteMemory(when: string): void {
    this.findings.figure(`own memory of the brokers ${when}, MiB`, this.memory());
  }

  /** Runs it and books the CPU seconds of each broker over it. */
  async booked<T>(what: string, run: () => Promise<T>): Promise<T> {
    const { brokers } = this.cluster;
    const before = brokers.map((broker) => cpuSeconds(broker.pid));
    const result = await run();
    const used = brokers.map((broker, i) => cpuSeconds(broker.pid) - (before[i] ?? 0));
    this.findings.figure(`CPU seconds of the brokers, ${what}`, used);
    return result;
  }

  /** Waits for a condition, looking every `everyMs`; false if it does not come true in time. */
  async until(
    condition: () => boolean | Promise<boolean>,
    withinMs: number,
    everyMs = 20,
  ): Promise<boolean> {
    const giveUpAt = performance.now() + withinMs;
    for (;;) {
      if (await condition()) return true;
      if (performance.now() > giveUpAt) return false;
      await pause(everyMs);
    }
  }

  async stop(options: { readonly keep: boolean }): Promise<void> {
    for (const end of this.atEnd.splice(0).reverse()) {
      // What cannot be closed in order ends with its broker.
      await Promise.resolve(end()).catch(() => undefined);
    }
    await Promise.all(this.proxies.map(async (proxy) => await proxy.stop()));
    await this.cluster.stop(options);
  }
}
