import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CommandError } from './io.js';
import { isBrokerRunning, isPortFree, signal, spawnBroker } from './processes.js';

/** One broker of a local cluster, as the state file has it. */
export interface LocalBroker {
  readonly id: number;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly httpPort: number;
  readonly configFile: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly pidFile: string;
}

interface State {
  readonly version: 1;
  readonly brokers: readonly LocalBroker[];
}

export interface Layout {
  readonly brokers: number;
  readonly ports: readonly {
    readonly client: number;
    readonly peer: number;
    readonly http: number;
  }[];
  /** Settings of every broker beside its identity and ports. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export type BrokerHealth = 'ready' | 'starting' | 'stopped';

const HOST = '127.0.0.1';
const READY_MS = 60_000;
const STOP_MS = 20_000;
const POLL_MS = 20;
const STATE_FILE = 'cluster.json';

/**
 * A cluster of broker processes on this machine, described by files in one directory: cluster.json,
 * a config, a pid file and a log per broker, and their data. Any later process can take it over by
 * the directory alone. Processes are only ever touched by the id in their pid file, after a check
 * that it is still theirs.
 */
export class LocalCluster {
  readonly dir: string;
  readonly brokers: readonly LocalBroker[];

  private constructor(dir: string, brokers: readonly LocalBroker[]) {
    this.dir = dir;
    this.brokers = brokers;
  }

  /** The cluster of that directory; undefined if there is none yet. */
  static open(dir: string): LocalCluster | undefined {
    let text: string;
    try {
      text = readFileSync(path.join(dir, STATE_FILE), 'utf8');
    } catch {
      return undefined;
    }
    try {
      const state = JSON.parse(text) as { version: number; brokers: readonly LocalBroker[] };
      if (state.version === 1) return new LocalCluster(dir, state.brokers);
    } catch {
      // Said below.
    }
    throw new CommandError(`${path.join(dir, STATE_FILE)} is not a local cluster's state`);
  }

  static mustOpen(dir: string): LocalCluster {
    const cluster = LocalCluster.open(dir);
    if (cluster !== undefined) return cluster;
    throw new CommandError(`no local cluster in ${dir}: millrace local start makes one`);
  }

  /** Writes the files of a new cluster; starts nothing. */
  static create(dir: string, layout: Layout): LocalCluster {
    mkdirSync(dir, { recursive: true });
    const founders = layout.ports.map((p, i) => ({ id: i + 1, host: HOST, peerPort: p.peer }));
    const brokers = layout.ports.map((p, i): LocalBroker => {
      const name = `broker-${i + 1}`;
      return {
        id: i + 1,
        clientPort: p.client,
        peerPort: p.peer,
        httpPort: p.http,
        configFile: path.join(dir, `${name}.json`),
        dataDir: path.join(dir, name),
        logFile: path.join(dir, `${name}.log`),
        pidFile: path.join(dir, `${name}.pid`),
      };
    });
    for (const b of brokers) {
      const config = {
        ...layout.settings,
        brokerId: b.id,
        dataDir: b.dataDir,
        host: HOST,
        clientPort: b.clientPort,
        peerPort: b.peerPort,
        httpPort: b.httpPort,
        founders,
      };
      writeFileSync(b.configFile, `${JSON.stringify(config, undefined, 2)}\n`);
    }
    const state: State = { version: 1, brokers };
    const file = path.join(dir, STATE_FILE);
    // Complete or not there at all: a cluster without its ports could not be stopped.
    writeFileSync(`${file}.new`, `${JSON.stringify(state, undefined, 2)}\n`);
    renameSync(`${file}.new`, file);
    return new LocalCluster(dir, brokers);
  }

  /** Takes the files of a cluster away that never ran. */
  forget(): void {
    for (const b of this.brokers) rmSync(b.configFile, { force: true });
    rmSync(path.join(this.dir, STATE_FILE), { force: true });
  }

  get bootstrap(): string {
    return this.brokers.map((b) => `${HOST}:${b.clientPort}`).join(',');
  }

  broker(id: number): LocalBroker {
    const broker = this.brokers.find((b) => b.id === id);
    if (broker !== undefined) return broker;
    const ids = this.brokers.map((b) => b.id).join(', ');
    throw new CommandError(`no broker ${id} here: there are ${ids}`);
  }

  /** The process that runs this broker; undefined if none does. */
  pidOf(broker: LocalBroker): number | undefined {
    let pid: number;
    try {
      pid = Number(readFileSync(broker.pidFile, 'utf8').trim());
    } catch {
      return undefined;
    }
    if (!Number.isSafeInteger(pid)) return undefined;
    return isBrokerRunning(pid, broker.configFile) ? pid : undefined;
  }

  /** Starts those that do not run. Returns which those were. */
  async start(brokers: readonly LocalBroker[] = this.brokers): Promise<readonly LocalBroker[]> {
    const missing = brokers.filter((b) => this.pidOf(b) === undefined);
    for (const b of missing) await checkPorts(b);
    for (const b of missing) {
      const pid = spawnBroker(b.configFile, b.logFile);
      writeFileSync(b.pidFile, `${pid}\n`);
    }
    return missing;
  }

  /** Resolves once these brokers say that they are ready; rejects with the log's last line if one ends. */
  async ready(brokers: readonly LocalBroker[] = this.brokers): Promise<void> {
    const giveUpAtMs = performance.now() + READY_MS;
    await Promise.all(
      brokers.map(async (b) => {
        while ((await this.health(b)) !== 'ready') {
          if (this.pidOf(b) === undefined) {
            throw new CommandError(`broker ${b.id} ended: ${lastLine(b.logFile)} (${b.logFile})`);
          }
          if (performance.now() > giveUpAtMs) {
            throw new CommandError(
              `broker ${b.id} is not ready after ${READY_MS / 1_000} s; see ${b.logFile}`,
            );
          }
          await pause(POLL_MS);
        }
      }),
    );
  }

  async health(broker: LocalBroker): Promise<BrokerHealth> {
    if (this.pidOf(broker) === undefined) return 'stopped';
    try {
      const url = `http://${HOST}:${broker.httpPort}/health/ready`;
      const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      return response.ok ? 'ready' : 'starting';
    } catch {
      return 'starting';
    }
  }

  /** Asks them to end and waits until they have; what does not end in time is killed. */
  async stop(brokers: readonly LocalBroker[] = this.brokers): Promise<void> {
    await Promise.all(
      brokers.map(async (b) => {
        const pid = this.pidOf(b);
        if (pid !== undefined) {
          signal(pid, 'SIGTERM');
          if (!(await this.gone(b, STOP_MS))) {
            signal(pid, 'SIGKILL');
            await this.gone(b, STOP_MS);
          }
        }
        rmSync(b.pidFile, { force: true });
      }),
    );
  }

  /** kill -9, and waits until the process is gone. Returns its id. */
  async kill(broker: LocalBroker): Promise<number> {
    const pid = this.pidOf(broker);
    if (pid === undefined) throw new CommandError(`broker ${broker.id} does not run`);
    signal(pid, 'SIGKILL');
    await this.gone(broker, STOP_MS);
    rmSync(broker.pidFile, { force: true });
    return pid;
  }

  private async gone(broker: LocalBroker, withinMs: number): Promise<boolean> {
    const giveUpAtMs = performance.now() + withinMs;
    while (this.pidOf(broker) !== undefined) {
      if (performance.now() > giveUpAtMs) return false;
      await pause(POLL_MS);
    }
    return true;
  }
}

async function checkPorts(broker: LocalBroker): Promise<void> {
  for (const key of ['clientPort', 'peerPort', 'httpPort'] as const) {
    if (await isPortFree(HOST, broker[key])) continue;
    throw new CommandError(
      `port ${broker[key]} (${key} of broker ${broker.id}) is in use: stop what uses it, or choose other ports with --client-port, --peer-port and --http-port in another --dir`,
    );
  }
}

/** What a broker said last, in one short line. */
function lastLine(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trimEnd();
  } catch {
    return 'it left no log';
  }
  const line = text.slice(text.lastIndexOf('\n') + 1);
  try {
    const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } };
    return [msg, err?.message].filter((part) => part !== undefined).join(': ');
  } catch {
    return line.slice(0, 300);
  }
}
