import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, closeSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const ENDS_WITH_PARENT = fileURLToPath(new URL('ends-with-parent.cjs', import.meta.url));
const READY_POLL_MS = 10;

export interface Ports {
  readonly client: number;
  readonly peer: number;
  readonly http: number;
}

/** How a broker's process differs from the plain command line's. */
export interface BrokerRun {
  /** Before the script, for Node itself. */
  readonly nodeArgs?: readonly string[];
  /** Run in place of the command line's own script, with the same arguments; may be sent messages. */
  readonly script?: string;
  /** In addition to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * One real broker process of a cluster that a script owns; ended by its own process id only. It does not
 * outlive the script, even one that is killed.
 */
export class BrokerProcess {
  readonly id: number;
  readonly ports: Ports;
  readonly dir: string;
  private readonly configFile: string;
  private readonly logFile: string;
  /** Takes effect with the next start. */
  run: BrokerRun;
  /** How often it was ended outright. */
  sigkills = 0;
  private child: ChildProcess | undefined;
  private exited: Promise<void> = Promise.resolve();
  private told: ((message: unknown) => void) | undefined;

  constructor(options: {
    readonly id: number;
    readonly ports: Ports;
    readonly dir: string;
    readonly config: Readonly<Record<string, unknown>>;
    readonly run?: BrokerRun;
  }) {
    this.id = options.id;
    this.ports = options.ports;
    this.dir = options.dir;
    this.run = options.run ?? {};
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
    const { nodeArgs = [], script = CLI, env } = this.run;
    const threads = String(Math.max(16, os.cpus().length * 4));
    const child = spawn(
      process.execPath,
      ['--require', ENDS_WITH_PARENT, ...nodeArgs, script, 'broker', '--config', this.configFile],
      {
        stdio: ['ignore', log, log, 'ipc'],
        env: { ...process.env, UV_THREADPOOL_SIZE: threads, ...env },
      },
    );
    closeSync(log);
    this.child = child;
    if (this.told !== undefined) child.on('message', this.told);
    this.exited = new Promise((resolve) => {
      child.once('exit', () => {
        this.child = undefined;
        resolve();
      });
    });
  }

  /** Resolves once the process is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (this.child !== undefined && signal === 'SIGKILL') this.sigkills += 1;
    this.child?.kill(signal);
    await this.exited;
  }

  /** To the script that runs in place of the command line's. */
  send(message: object): void {
    this.child?.send(message, () => undefined);
  }

  /** What that script says, in this life and later ones. To be set once. */
  onMessage(told: (message: unknown) => void): void {
    this.told = told;
    this.child?.on('message', told);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid, signal);
  }

  /** Resolves once the broker says it is ready; rejects after the deadline or if it ended. */
  async ready(deadlineMs = 120_000): Promise<void> {
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
