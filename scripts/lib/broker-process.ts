import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, closeSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const READY_POLL_MS = 10;

export interface Ports {
  readonly client: number;
  readonly peer: number;
  readonly http: number;
}

/** One real broker process of a cluster that a script owns; ended by its own process id only. */
export class BrokerProcess {
  readonly id: number;
  readonly ports: Ports;
  readonly dir: string;
  private readonly configFile: string;
  private readonly logFile: string;
  private readonly nodeArgs: readonly string[];
  private child: ChildProcess | undefined;
  private exited: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly id: number;
    readonly ports: Ports;
    readonly dir: string;
    readonly config: Readonly<Record<string, unknown>>;
    readonly nodeArgs?: readonly string[];
  }) {
    this.id = options.id;
    this.ports = options.ports;
    this.dir = options.dir;
    this.nodeArgs = options.nodeArgs ?? [];
    this.configFile = path.join(options.dir, `broker-${options.id}.json`);
    this.logFile = path.join(options.dir, `broker-${options.id}.log`);
    writeFileSync(this.configFile, JSON.stringify(options.config));
  }

  get isRunning(): boolean {
    return this.child !== undefined;
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error(`broker ${this.id} is not running`);
    return this.child.pid;
  }

  start(): void {
    if (this.child !== undefined) throw new Error(`broker ${this.id} is running already`);
    const log = openSync(this.logFile, 'a');
    const child = spawn(
      process.execPath,
      [...this.nodeArgs, CLI, 'broker', '--config', this.configFile],
      {
        stdio: ['ignore', log, log],
        env: { ...process.env, UV_THREADPOOL_SIZE: String(Math.max(16, os.cpus().length * 4)) },
      },
    );
    closeSync(log);
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.once('exit', () => {
        this.child = undefined;
        resolve();
      });
    });
  }

  /** Resolves once the process is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.child?.kill(signal);
    await this.exited;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid, signal);
  }

  /** Resolves once the broker says it is ready; rejects after the deadline or if it ended. */
  async ready(deadlineMs = 30_000): Promise<void> {
    const url = `http://127.0.0.1:${this.ports.http}/health/ready`;
    const giveUpAt = performance.now() + deadlineMs;
    for (;;) {
      if (!this.isRunning) throw new Error(`broker ${this.id} ended; see ${this.logFile}`);
      const isReady = await fetch(url, { signal: AbortSignal.timeout(1_000) }).then(
        (response) => response.ok,
        () => false,
      );
      if (isReady) return;
      if (performance.now() > giveUpAt) {
        throw new Error(
          `broker ${this.id} was not ready after ${deadlineMs} ms; see ${this.logFile}`,
        );
      }
      await pause(READY_POLL_MS);
    }
  }
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  });
  await Promise.all(
    servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
  );
  return ports;
}
