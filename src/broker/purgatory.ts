import type { BrokerError } from '../model/errors.js';
import type { Deadlines, Timeout } from './deadlines.js';

/** A fetch that waits. */
export interface Waiting extends Timeout {
  cancel(error: BrokerError): void;
}

/**
 * Fetches that wait for records. Each is registered with the replicas it reads, which wake it; here
 * they are counted, given their deadline, and ended when the broker stops.
 *
 * Invariant: never more than waitersMax.
 */
export class Purgatory {
  private readonly deadlines: Deadlines;
  private readonly waitersMax: number;
  private readonly waiting = new Set<Waiting>();

  constructor(deadlines: Deadlines, waitersMax: number) {
    this.deadlines = deadlines;
    this.waitersMax = waitersMax;
  }

  get size(): number {
    return this.waiting.size;
  }

  /** False: it is full. */
  enter(operation: Waiting, maxWaitMs: number): boolean {
    if (this.waiting.size >= this.waitersMax) return false;
    this.waiting.add(operation);
    this.deadlines.add(operation, maxWaitMs);
    return true;
  }

  exit(operation: Waiting): void {
    this.deadlines.cancel(operation);
    this.waiting.delete(operation);
  }

  endAll(error: BrokerError): void {
    for (const operation of [...this.waiting]) operation.cancel(error);
  }
}
