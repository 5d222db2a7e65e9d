import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../../../src/cli/processes.js';
import { drive, driverProgram, type Command, type Measured } from '../drive.js';
import type { Job } from '../driver/job.js';
import type { System } from '../system.js';
import { cacheFolder, type Durability, executable, onPath, type Peer } from './peer.js';
import { ServerProcess } from './server-process.js';

const SERVERS = 3;
const READY_MS_MAX = 60_000;
const DRIVER = fileURLToPath(new URL('nats-driver.ts', import.meta.url));
const INSTALL = 'scripts/bench/peers/install-nats.sh';

interface Ports {
  readonly client: number;
  readonly cluster: number;
  readonly http: number;
}

function configOf(
  name: string,
  dir: string,
  ports: readonly Ports[],
  own: Ports,
  durability: Durability,
): string {
  const routes = ports.map(({ cluster }) => `nats://127.0.0.1:${cluster}`);
  const sync = durability === 'fsync' ? ', sync_interval: always' : '';
  return `
server_name: ${name}
listen: "127.0.0.1:${own.client}"
http: "127.0.0.1:${own.http}"
jetstream { store_dir: ${JSON.stringify(path.join(dir, name))}${sync} }
cluster { name: bench, listen: "127.0.0.1:${own.cluster}", routes: ${JSON.stringify(routes)} }
`;
}

/** Three NATS servers with JetStream; each partition of a topic is a stream with three replicas. */
class NatsSystem implements System {
  readonly name: string;
  private readonly dir: string;
  private readonly servers: readonly ServerProcess[];
  private readonly bootstrap: string;

  private constructor(
    name: string,
    dir: string,
    servers: readonly ServerProcess[],
    ports: readonly Ports[],
  ) {
    this.name = name;
    this.dir = dir;
    this.servers = servers;
    this.bootstrap = ports.map(({ client }) => `127.0.0.1:${client}`).join(',');
  }

  static async start(program: string, name: string, durability: Durability): Promise<NatsSystem> {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-nats-'));
    const free = await freePorts('127.0.0.1', SERVERS * 3);
    const ports = Array.from({ length: SERVERS }, (_, i): Ports => {
      const [client = 0, cluster = 0, http = 0] = free.slice(i * 3);
      return { client, cluster, http };
    });
    const servers = ports.map((own, i) => {
      const server = `n${i + 1}`;
      const file = path.join(dir, `${server}.conf`);
      writeFileSync(file, configOf(server, dir, ports, own, durability));
      const logFile = path.join(dir, `${server}.log`);
      return new ServerProcess(program, ['-c', file], { logFile });
    });
    const system = new NatsSystem(name, dir, servers, ports);
    try {
      await Promise.all(
        servers.map((server, i) => server.until(() => isHealthy(ports[i]), READY_MS_MAX)),
      );
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  async create(topic: string, partitions: number): Promise<void> {
    await this.order({ kind: 'create', topic, partitions });
  }

  async drop(topic: string): Promise<void> {
    await this.order({ kind: 'drop', topic });
  }

  async run(job: Job): Promise<Measured> {
    const watched = this.servers.map(({ pid }, i) => ({ name: `server-${i + 1}`, pid }));
    return await drive(await this.command(job), watched);
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    rmSync(this.dir, { recursive: true, force: true });
  }

  private async order(order: {
    readonly kind: string;
    readonly topic: string;
    partitions?: number;
  }) {
    await drive(await this.command(order), []);
  }

  private async command(order: object): Promise<Command> {
    const program = await driverProgram('nats-driver', DRIVER);
    return {
      program: process.execPath,
      args: [program, this.bootstrap, JSON.stringify(order)],
      env: { NATS_CLIENT: path.join(cacheFolder('nats'), 'node_modules') },
    };
  }
}

async function isHealthy(ports: Ports | undefined): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${ports?.http ?? 0}/healthz`).then(
    (response) => response.ok,
    () => false,
  );
}

/** An fsync before every acknowledgement is a setting since 2.10. */
function hasSyncAlways(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 2 || (major === 2 && minor >= 10);
}

export function findNats(): Peer | { readonly absent: string } {
  const cache = cacheFolder('nats');
  const asked = process.env['NATS_SERVER'];
  const program = executable([
    ...(asked === undefined ? [] : [asked]),
    path.join(cache, 'bin/nats-server'),
    ...onPath('nats-server'),
  ]);
  if (program === undefined) return { absent: `NATS has no server here: ${INSTALL}` };
  if (!existsSync(path.join(cache, 'node_modules/@nats-io/jetstream'))) {
    return { absent: `NATS has no client here: ${INSTALL}` };
  }
  const told = execFileSync(program, ['--version'], { encoding: 'utf8' });
  const version = /v(\d+\.\d+\.\d+)/.exec(told)?.[1] ?? '0.0.0';
  const name = `NATS ${version}`;
  return {
    name,
    start: (durability) =>
      durability === 'fsync' && !hasSyncAlways(version)
        ? { absent: `${name} has no fsync before every acknowledgement: ${INSTALL} --newer` }
        : () => NatsSystem.start(program, `${name} ${durability}`, durability),
  };
}
