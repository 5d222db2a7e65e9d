import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 50;
const LOG_TAIL_CHARACTERS = 2_000;

/** One server of a peer; ended by its own process id only. */
export class ServerProcess {
  private readonly child: ChildProcess;
  private readonly exited: Promise<void>;
  private readonly logFile: string;
  private hasExited = false;
  private readonly onExit = (): void => void this.child.kill('SIGKILL');

  constructor(
    program: string,
    args: readonly string[],
    options: { readonly logFile: string; readonly env?: Readonly<Record<string, string>> },
  ) {
    this.logFile = options.logFile;
    const log = openSync(options.logFile, 'a');
    this.child = spawn(program, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...options.env },
    });
    closeSync(log);
    this.exited = new Promise((resolve) => {
      const gone = (): void => {
        this.hasExited = true;
        resolve();
      };
      this.child.once('exit', gone);
      this.child.once('error', gone);
    });
    process.once('exit', this.onExit);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resolves once this says so; rejects with the end of the log if the server ends or takes too long. */
  async until(isReady: () => Promise<boolean>, deadlineMs: number): Promise<void> {
    const giveUpAt = performance.now() + deadlineMs;
    while (!(await isReady())) {
      if (this.hasExited || performance.now() > giveUpAt) {
        throw new Error(`a server did not become ready:\n${this.log()}`);
      }
      await pause(POLL_MS);
    }
  }

  /** Resolves once it has ended by itself; a program that takes too long is ended. */
  async ended(deadlineMs: number): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), deadlineMs);
    await this.exited;
    clearTimeout(timer);
    process.off('exit', this.onExit);
  }

  /** The end of what it has printed. */
  log(): string {
    return readFileSync(this.logFile, 'utf8').slice(-LOG_TAIL_CHARACTERS);
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
    process.off('exit', this.onExit);
  }
}
