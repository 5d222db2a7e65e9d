import type { BrokerError } from '../model/errors.js';
import type { Cancel, World } from '../ports/world.js';
import type { PartitionQueue, ProducerBatch } from './accumulator.js';
import { backoffMs } from './backoff.js';
import {
  addressKey,
  type ClientTransport,
  type ProduceAnswer,
  type ProduceCall,
  type ProduceLink,
} from './connection.js';
import type { BrokerAddress } from './types.js';

/** A batch on its way over one link. */
export interface Attempt {
  readonly queue: PartitionQueue;
  readonly batch: ProducerBatch;
  readonly sentMs: number;
}

export interface LinkHandlers {
  answer(attempt: Attempt, answer: ProduceAnswer): void;
  /** The link broke while this attempt was out. */
  lost(attempt: Attempt, error: BrokerError): void;
  /** The link has room (again). */
  ready(queue: PartitionQueue): void;
  /** The link could not be opened, or broke, while this queue wanted it. */
  unavailable(queue: PartitionQueue, address: BrokerAddress, error: BrokerError): void;
}

/** Below the broker's own bounds for one stream (model/limits.ts), so that it never throttles us. */
const INFLIGHT_BYTES_MAX = 48 * 1024 * 1024;
const INFLIGHT_MAX = 2_048;
const RECONNECT = { firstMs: 25, maxMs: 1_000 };

/**
 * The produce stream to one broker: opened when a queue wants it, opened again with back-off while
 * one still does.
 *
 * Invariant: an attempt stands in `inflight` until it is answered, lost or abandoned, exactly once.
 */
export class BrokerLink {
  readonly address: BrokerAddress;
  private readonly transport: ClientTransport;
  private readonly world: World;
  private readonly handlers: LinkHandlers;
  private readonly inflight = new Map<number, Attempt>();
  private readonly waiting = new Set<PartitionQueue>();
  private link: ProduceLink | undefined;
  private isReady = false;
  private isFull = false;
  private inflightBytes = 0;
  private failures = 0;
  private retry: Cancel | undefined;
  private isClosed = false;

  constructor(
    address: BrokerAddress,
    transport: ClientTransport,
    world: World,
    handlers: LinkHandlers,
  ) {
    this.address = address;
    this.transport = transport;
    this.world = world;
    this.handlers = handlers;
  }

  /** Room for a batch right now? If not, the queue is called back when there is. */
  admits(queue: PartitionQueue, bytes: number): boolean {
    const hasRoom =
      this.isReady &&
      !this.isFull &&
      this.inflight.size < INFLIGHT_MAX &&
      (this.inflight.size === 0 || this.inflightBytes + bytes <= INFLIGHT_BYTES_MAX);
    if (hasRoom) return true;
    this.waiting.add(queue);
    if (this.link === undefined && this.retry === undefined) this.connect();
    return false;
  }

  send(call: ProduceCall, attempt: Attempt): void {
    this.inflight.set(call.correlationId, attempt);
    this.inflightBytes += call.batch.length;
    if (this.link?.send(call) === false) this.isFull = true;
  }

  /** Forgets a batch's attempt: its answer, if one comes, is not waited for any more. */
  abandon(batch: ProducerBatch): boolean {
    for (const [id, attempt] of this.inflight) {
      if (attempt.batch !== batch) continue;
      this.forget(id, attempt);
      // Later: whoever abandons it is amid changing its queue.
      if (this.waiting.size > 0) this.world.timers.defer(() => this.wake());
      return true;
    }
    return false;
  }

  oldest(): Attempt | undefined {
    for (const attempt of this.inflight.values()) return attempt;
    return undefined;
  }

  /** Gives the stream up: everything on it is lost, its outcome unknown. */
  breakOff(error: BrokerError): void {
    this.link?.close();
    this.fell(error);
  }

  close(): void {
    this.isClosed = true;
    this.retry?.();
    this.retry = undefined;
    this.link?.close();
    this.link = undefined;
  }

  private connect(): void {
    this.retry = undefined;
    if (this.isClosed) return;
    this.link = this.transport.openProduce(this.address, {
      ready: () => {
        this.isReady = true;
        this.isFull = false;
        this.wake();
      },
      answer: (answer) => {
        this.failures = 0;
        const attempt = this.inflight.get(answer.correlationId);
        if (attempt !== undefined) {
          this.forget(answer.correlationId, attempt);
          this.handlers.answer(attempt, answer);
        }
        this.wake();
      },
      drained: () => {
        this.isFull = false;
        this.wake();
      },
      closed: (error) => this.fell(error),
    });
  }

  private fell(error: BrokerError): void {
    this.link = undefined;
    this.isReady = false;
    this.failures += 1;
    const lost = [...this.inflight.values()];
    this.inflight.clear();
    this.inflightBytes = 0;
    const delayMs = backoffMs(RECONNECT, this.failures, this.world.random);
    this.retry = this.world.timers.after(delayMs, () => {
      this.retry = undefined;
      if (this.waiting.size > 0) this.wake();
    });
    for (const attempt of lost) this.handlers.lost(attempt, error);
    for (const queue of [...this.waiting]) this.handlers.unavailable(queue, this.address, error);
  }

  /** Every queue that waited tries again; those that still find no room come back by themselves. */
  private wake(): void {
    if (this.waiting.size === 0 || this.isClosed) return;
    const woken = [...this.waiting];
    this.waiting.clear();
    for (const queue of woken) this.handlers.ready(queue);
  }

  private forget(id: number, attempt: Attempt): void {
    this.inflight.delete(id);
    this.inflightBytes -= attempt.batch.bytes?.length ?? 0;
  }
}

/** All produce streams of one producer, by broker address. */
export class ProducerLinks {
  private readonly links = new Map<string, BrokerLink>();
  private readonly create: (address: BrokerAddress) => BrokerLink;

  constructor(create: (address: BrokerAddress) => BrokerLink) {
    this.create = create;
  }

  at(address: BrokerAddress): BrokerLink {
    const key = addressKey(address);
    let link = this.links.get(key);
    if (link === undefined) {
      link = this.create(address);
      this.links.set(key, link);
    }
    return link;
  }

  all(): BrokerLink[] {
    return [...this.links.values()];
  }

  close(): void {
    for (const link of this.links.values()) link.close();
    this.links.clear();
  }
}
