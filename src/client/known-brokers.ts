import { BrokerError } from '../model/errors.js';
import type { World } from '../ports/world.js';
import { addressKey } from './connection.js';
import type { BrokerAddress, BrokerInfo, Metadata } from './types.js';

const DOWN_MS = 1_000;

/**
 * Whom a client may ask: the brokers of the last answer, and the bootstrap list. They take turns, those
 * that did not answer a moment ago left out as long as there are others.
 */
export class KnownBrokers {
  private readonly world: World;
  private readonly bootstrap: readonly BrokerAddress[];
  private readonly downUntil = new Map<string, number>();
  private brokers: readonly BrokerInfo[] = [];
  private controllerId: number | undefined;
  private turn: number;

  constructor(world: World, bootstrap: readonly BrokerAddress[]) {
    if (bootstrap.length === 0) {
      throw new BrokerError('INVALID_ARGUMENT', 'no bootstrap address was given');
    }
    this.world = world;
    this.bootstrap = bootstrap;
    this.turn = world.random.u32() % bootstrap.length;
  }

  /** As last heard; none: not heard yet. */
  get all(): readonly BrokerInfo[] {
    return this.brokers;
  }

  /** How many addresses there are to ask. */
  get count(): number {
    return this.addresses().length;
  }

  learn({ brokers, controller }: Metadata): void {
    if (brokers.length > 0) this.brokers = brokers;
    if (controller !== undefined) this.controllerId = controller;
  }

  /** Do not ask this broker for a while, if others are there. */
  markDown(address: BrokerAddress): void {
    this.downUntil.set(addressKey(address), this.world.clock.monotonicMs() + DOWN_MS);
  }

  /** The broker that led the metadata group when last heard of, if it is not known to be down. */
  controller(): BrokerAddress | undefined {
    const broker = this.brokers.find((b) => b.id === this.controllerId && !b.isFenced);
    if (broker === undefined) return undefined;
    const address = { host: broker.host, port: broker.port };
    return this.isDown(address) ? undefined : address;
  }

  /** The next one in turn. */
  next(): BrokerAddress {
    const all = this.addresses();
    for (let i = 0; i < all.length; i += 1) {
      const address = all[(this.turn + i) % all.length] as BrokerAddress;
      if (!this.isDown(address)) {
        this.turn = (this.turn + i + 1) % all.length;
        return address;
      }
    }
    this.turn = (this.turn + 1) % all.length;
    return all[this.turn] as BrokerAddress;
  }

  /** Every address worth asking: the brokers of the last answer, then the bootstrap list. */
  private addresses(): readonly BrokerAddress[] {
    const seen = new Set<string>();
    const all: BrokerAddress[] = [];
    for (const address of [...this.brokers.filter((b) => !b.isFenced), ...this.bootstrap]) {
      const key = addressKey(address);
      if (seen.has(key)) continue;
      seen.add(key);
      all.push({ host: address.host, port: address.port });
    }
    return all;
  }

  private isDown(address: BrokerAddress): boolean {
    const upAtMs = this.downUntil.get(addressKey(address)) ?? 0;
    return upAtMs > this.world.clock.monotonicMs();
  }
}
