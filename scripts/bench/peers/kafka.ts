import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { freePorts } from '../../../src/cli/processes.js';
import { type Command, drive, type Measured } from '../drive.js';
import type { Job } from '../driver/job.js';
import type { System } from '../system.js';
import { cacheFolder, type Durability, executable, onPath, type Peer } from './peer.js';
import { ServerProcess } from './server-process.js';

const SERVERS = 3;
const READY_MS_MAX = 120_000;
/** Any cluster id will do: these clusters meet nobody. */
const CLUSTER_ID = 'bWlsbHJhY2UtYmVuY2gtMQ';
const INSTALL = 'scripts/bench/peers/install-kafka.sh';
/** What bin/kafka-server-start.sh sets. */
const SERVER_FLAGS = [
  ...['-Xms1G', '-Xmx1G', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20'],
  ...['-XX:InitiatingHeapOccupancyPercent=35', '-XX:+ExplicitGCInvokesConcurrent'],
];

interface Ports {
  readonly client: number;
  readonly controller: number;
}

/** Brokers and controllers in one, as a small cluster is run. */
function configOf(
  id: number,
  dir: string,
  ports: readonly Ports[],
  durability: Durability,
): string {
  const own = ports[id - 1];
  const voters = ports.map(({ controller }, i) => `${i + 1}@127.0.0.1:${controller}`).join(',');
  return [
    'process.roles=broker,controller',
    `node.id=${id}`,
    `controller.quorum.voters=${voters}`,
    'controller.listener.names=CONTROLLER',
    `listeners=PLAINTEXT://127.0.0.1:${own?.client ?? 0},CONTROLLER://127.0.0.1:${own?.controller ?? 0}`,
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name=PLAINTEXT',
    `log.dirs=${path.join(dir, `data-${id}`)}`,
    'default.replication.factor=3',
    'min.insync.replicas=2',
    'offsets.topic.replication.factor=3',
    'message.max.bytes=8388608',
    ...(durability === 'fsync' ? ['log.flush.interval.messages=1'] : []),
    '',
  ].join('\n');
}

/** Three Kafka servers with KRaft; a topic's records count as written with two of its three replicas. */
class KafkaSystem implements System {
  readonly name: string;
  private readonly dir: string;
  private readonly cache: string;
  private readonly java: string;
  private readonly ports: readonly Ports[];
  private servers: readonly ServerProcess[] = [];

  private constructor(name: string, java: string, cache: string, ports: readonly Ports[]) {
    this.name = name;
    this.java = java;
    this.cache = cache;
    this.ports = ports;
    this.dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-kafka-'));
  }

  static async start(
    java: string,
    cache: string,
    name: string,
    durability: Durability,
  ): Promise<KafkaSystem> {
    const free = await freePorts('127.0.0.1', SERVERS * 2);
    const ports = Array.from({ length: SERVERS }, (_, i): Ports => {
      const [client = 0, controller = 0] = free.slice(i * 2);
      return { client, controller };
    });
    const system = new KafkaSystem(name, java, cache, ports);
    try {
      await system.launch(durability);
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  async create(topic: string, partitions: number): Promise<void> {
    await drive(this.command({ kind: 'create', topic, partitions }), []);
  }

  async drop(topic: string): Promise<void> {
    await drive(this.command({ kind: 'drop', topic }), []);
  }

  async run(job: Job): Promise<Measured> {
    const watched = this.servers.map(({ pid }, i) => ({ name: `server-${i + 1}`, pid }));
    return await drive(this.command(job), watched);
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    rmSync(this.dir, { recursive: true, force: true });
  }

  private async launch(durability: Durability): Promise<void> {
    const libraries = path.join(this.cache, 'libs/*');
    const configs = this.ports.map((_, i) => {
      const file = path.join(this.dir, `server-${i + 1}.properties`);
      writeFileSync(file, configOf(i + 1, this.dir, this.ports, durability));
      return file;
    });
    const runs = (file: string, i: number, flags: readonly string[], args: readonly string[]) =>
      new ServerProcess(this.java, [...flags, '-cp', libraries, ...args, file], {
        logFile: path.join(this.dir, `server-${i + 1}.log`),
      });
    const format = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c'];
    const formatting = configs.map((file, i) => runs(file, i, [], format));
    // A folder is formatted once its process has ended and left this file.
    await Promise.all(
      formatting.map(async (server, i) => {
        const done = path.join(this.dir, `data-${i + 1}`, 'meta.properties');
        await server.ended(READY_MS_MAX);
        if (!existsSync(done)) throw new Error(`Kafka did not format its folder:\n${server.log()}`);
      }),
    );
    this.servers = configs.map((file, i) => runs(file, i, SERVER_FLAGS, ['kafka.Kafka']));
    await Promise.all(
      this.servers.map((server, i) =>
        server.until(() => accepts(this.ports[i]?.client ?? 0), READY_MS_MAX),
      ),
    );
  }

  private command(job: object): Command {
    const bootstrap = this.ports.map(({ client }) => `127.0.0.1:${client}`).join(',');
    const classes = [path.join(this.cache, 'classes'), path.join(this.cache, 'libs/*')];
    return {
      program: this.java,
      args: ['-cp', classes.join(path.delimiter), 'KafkaDriver', bootstrap, JSON.stringify(job)],
    };
  }
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (isOpen: boolean) => (): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', answer(true)).once('error', answer(false));
  });
}

export function findKafka(): Peer | { readonly absent: string } {
  const cache = cacheFolder('kafka');
  const java = executable(onPath('java'));
  const version = path.join(cache, 'version');
  if (java === undefined || !existsSync(version)) {
    return { absent: `Kafka is not here: ${INSTALL}` };
  }
  const name = `Kafka ${readFileSync(version, 'utf8').trim()}`;
  return {
    name,
    start: (durability) => () =>
      KafkaSystem.start(java, cache, `${name} ${durability}`, durability),
  };
}
