import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

import { freePorts } from '../../src/cli/processes.js';
import { BrokerProcess, type BrokerRun, type Ports } from './broker-process.js';

/** Real broker processes on 127.0.0.1 with data in a temporary folder, for chaos and benchmarks. */
export class ScriptCluster {
  readonly dir: string;
  /** In the order of their ids, which begin with 1. */
  readonly brokers: readonly BrokerProcess[];

  /** What clients connect to. */
  readonly bootstrap: readonly string[];

  /** A script that fails must not leave brokers behind. */
  private readonly killAtExit = (): void => {
    for (const broker of this.brokers) if (broker.isRunning) process.kill(broker.pid, 'SIGKILL');
  };

  private constructor(
    dir: string,
    brokers: readonly BrokerProcess[],
    bootstrap: readonly string[],
  ) {
    this.dir = dir;
    this.brokers = brokers;
    this.bootstrap = bootstrap;
    process.once('exit', this.killAtExit);
  }

  /** Starts the brokers and waits until they are one cluster. */
  static async start(options: {
    readonly brokers: number;
    /** Clients and peers reach a broker's port at the port this gives: a proxy stands there. */
    readonly seenThrough?: (port: number) => Promise<number>;
    /** The same for clients alone: peers reach each other directly. */
    readonly clientsThrough?: (port: number, id: number) => Promise<number>;
    readonly config?: Readonly<Record<string, unknown>>;
    readonly dir?: string;
    readonly nodeArgs?: readonly string[];
    /** How the process of each broker differs; told all their ports and where its data will be. */
    readonly run?: (id: number, ports: readonly Ports[], dataDir: string) => Promise<BrokerRun>;
  }): Promise<ScriptCluster> {
    const dir = options.dir ?? mkdtempSync(path.join(os.tmpdir(), 'millrace-cluster-'));
    mkdirSync(dir, { recursive: true });
    const free = await freePorts('127.0.0.1', options.brokers * 3);
    const ports: Ports[] = Array.from({ length: options.brokers }, (_, i) => ({
      client: free[i * 3] ?? 0,
      peer: free[i * 3 + 1] ?? 0,
      http: free[i * 3 + 2] ?? 0,
    }));
    const seen = options.seenThrough ?? ((port: number) => Promise.resolve(port));
    const seenByClients = options.clientsThrough ?? seen;
    const advertised = await Promise.all(
      ports.map(async (p, i) => ({
        client: await seenByClients(p.client, i + 1),
        peer: await seen(p.peer),
      })),
    );
    const founders = advertised.map((p, i) => ({ id: i + 1, host: '127.0.0.1', peerPort: p.peer }));
    const dataDirOf = (id: number): string => path.join(dir, `data-${id}`);
    const runs = await Promise.all(
      ports.map(async (_, i) => await options.run?.(i + 1, ports, dataDirOf(i + 1))),
    );
    const brokers = ports.map(
      (p, i) =>
        new BrokerProcess({
          id: i + 1,
          ports: p,
          dir,
          run: {
            ...(options.nodeArgs === undefined ? {} : { nodeArgs: options.nodeArgs }),
            ...runs[i],
          },
          config: {
            brokerId: i + 1,
            dataDir: dataDirOf(i + 1),
            host: '127.0.0.1',
            clientPort: p.client,
            peerPort: p.peer,
            httpPort: p.http,
            advertisedClientPort: advertised[i]?.client ?? p.client,
            advertisedPeerPort: advertised[i]?.peer ?? p.peer,
            founders,
            ...options.config,
          },
        }),
    );
    const bootstrap = advertised.map((p) => `127.0.0.1:${p.client}`);
    const cluster = new ScriptCluster(dir, brokers, bootstrap);
    try {
      for (const broker of brokers) broker.start();
      await Promise.all(brokers.map((broker) => broker.ready()));
    } catch (error) {
      await cluster.stop({ keep: true });
      throw error;
    }
    return cluster;
  }

  broker(id: number): BrokerProcess {
    const broker = this.brokers[id - 1];
    if (broker === undefined) throw new Error(`no broker ${id}`);
    return broker;
  }

  /** Starts one more broker, which joins the others with a disk of its own; resolves once it serves. */
  async add(options: {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly run?: BrokerRun;
  }): Promise<BrokerProcess> {
    const [client = 0, peer = 0, http = 0] = await freePorts('127.0.0.1', 3);
    const id = this.brokers.length + 1;
    const broker = new BrokerProcess({
      id,
      ports: { client, peer, http },
      dir: this.dir,
      ...(options.run === undefined ? {} : { run: options.run }),
      config: {
        brokerId: id,
        dataDir: path.join(this.dir, `data-${id}`),
        host: '127.0.0.1',
        clientPort: client,
        peerPort: peer,
        httpPort: http,
        seeds: this.brokers.map((b) => ({ id: b.id, host: '127.0.0.1', peerPort: b.ports.peer })),
        ...options.config,
      },
    });
    (this.brokers as BrokerProcess[]).push(broker);
    broker.start();
    await broker.ready();
    return broker;
  }

  /** Ends every process and, unless told to keep them, deletes data and logs. */
  async stop(options: { readonly keep?: boolean } = {}): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.kill('SIGKILL')));
    process.off('exit', this.killAtExit);
    if (options.keep !== true) rmSync(this.dir, { recursive: true, force: true });
  }
}
