import { fork, type ChildProcess } from 'node:child_process';

import type { FromMember, MemberSettings, ToMember } from './group-protocol.js';

export interface MemberEvents {
  told(message: FromMember): void;
  /** It ended, and nobody had asked for that, or not in good order. */
  failed(how: string): void;
}

/**
 * The process of one member of a consumer group. Invariant: however and whenever it ends, `ended`
 * resolves, so that nobody waits for a process that is gone.
 */
export class MemberProcess {
  readonly ended: Promise<void>;
  private readonly child: ChildProcess;
  private isGone = false;
  private isKilled = false;
  private isStopping = false;

  constructor(worker: string, settings: MemberSettings, events: MemberEvents) {
    const child = fork(worker, [JSON.stringify(settings)], {
      stdio: ['ignore', 2, 2, 'ipc'],
      execArgv: [],
    });
    this.child = child;
    child.on('message', (message: FromMember) => events.told(message));
    this.ended = new Promise<void>((resolve) => {
      const end = (how: string, isInOrder: boolean): void => {
        if (this.isGone) return;
        this.isGone = true;
        if (!this.isKilled && !isInOrder) events.failed(how);
        resolve();
      };
      child.once('exit', (code, signal) => {
        end(signal ?? `exit ${code}`, this.isStopping && code === 0);
      });
      child.on('error', (error) => {
        // Of a process that runs, it is a message or a signal that failed.
        if (child.pid === undefined) end(error.message, false);
      });
    });
  }

  /** Nothing happens if it is ending. */
  send(message: ToMember): void {
    if (message.kind === 'stop') this.isStopping = true;
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (!this.isGone) this.child.kill(signal);
  }

  /** False: it was gone already. */
  async kill(): Promise<boolean> {
    if (this.isGone) return false;
    this.isKilled = true;
    this.child.kill('SIGKILL');
    await this.ended;
    return true;
  }

  /** Lets it commit, leave and end, and kills it if that takes too long. */
  async stop(withinMs: number): Promise<void> {
    this.send({ kind: 'stop' });
    const timer = setTimeout(() => void this.kill(), withinMs);
    await this.ended;
    clearTimeout(timer);
  }
}
