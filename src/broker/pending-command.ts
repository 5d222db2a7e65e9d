import { deferred, type Deferred } from '../base/deferred.js';
import type { ProposalObserver } from '../host/raft-group.js';
import { BrokerError } from '../model/errors.js';
import type { CommandResult } from '../partition/command.js';
import { Timeout, type Deadlines } from './deadlines.js';

/** A partition command on its way, with its deadline. */
export class PendingCommand extends Timeout implements ProposalObserver {
  private readonly deadlines: Deadlines;
  private readonly deferred: Deferred<CommandResult> = deferred();

  constructor(deadlines: Deadlines, deadlineMs: number) {
    super();
    this.deadlines = deadlines;
    deadlines.add(this, deadlineMs);
    // A command that was refused is never awaited.
    this.deferred.promise.catch(() => undefined);
  }

  get result(): Promise<CommandResult> {
    return this.deferred.promise;
  }

  committed(result: unknown): void {
    this.deadlines.cancel(this);
    this.deferred.resolve(result as CommandResult);
  }

  failed(): void {
    this.deadlines.cancel(this);
    this.deferred.reject(
      new BrokerError('UNKNOWN_OUTCOME', 'leadership ended before the command was committed'),
    );
  }

  override timedOut(): void {
    this.deferred.reject(
      new BrokerError('DEADLINE_EXCEEDED', 'the command was not committed before the deadline'),
    );
  }
}
