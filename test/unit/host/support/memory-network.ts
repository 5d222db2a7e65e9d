import type { BrokerId } from '../../../../src/model/ids.js';
import type { Snapshot } from '../../../../src/ports/log-store.js';
import type {
  PeerMessage,
  SnapshotHeader,
  Transport,
  TransportHandlers,
} from '../../../../src/ports/transport.js';
import type { World } from '../../../../src/ports/world.js';

/** Links between brokers of one process: one millisecond long, cut and healed at will. */
export class MemoryNetwork {
  readonly calls: { readonly from: BrokerId; readonly to: BrokerId; readonly count: number }[] = [];
  snapshotsSent = 0;
  /** Set to refuse snapshots. */
  snapshotError: Error | undefined;
  readonly #world: World;
  readonly #handlers = new Map<BrokerId, TransportHandlers>();
  readonly #isolated = new Set<BrokerId>();

  constructor(world: World) {
    this.#world = world;
  }

  transport(self: BrokerId): Transport {
    return {
      start: (handlers) => {
        this.#handlers.set(self, handlers);
      },
      send: (to, messages) => this.#send(self, to, messages),
      sendSnapshot: (to, header, snapshot) => this.#sendSnapshot(self, to, header, snapshot),
    };
  }

  isolate(id: BrokerId): void {
    this.#isolated.add(id);
  }
  heal(id: BrokerId): void {
    this.#isolated.delete(id);
  }

  /** The broker's process is gone; with `isNoticed`, its peers see their streams close. */
  remove(id: BrokerId, isNoticed: boolean): void {
    this.#handlers.delete(id);
    if (isNoticed) for (const handlers of this.#handlers.values()) handlers.connectionLost(id);
  }

  deliver(from: BrokerId, to: BrokerId, messages: readonly PeerMessage[]): void {
    this.#handlers.get(to)?.messages(from, messages);
  }

  #isCut(from: BrokerId, to: BrokerId): boolean {
    return this.#isolated.has(from) || this.#isolated.has(to) || !this.#handlers.has(to);
  }

  #send(from: BrokerId, to: BrokerId, messages: readonly PeerMessage[]): readonly PeerMessage[] {
    this.calls.push({ from, to, count: messages.length });
    if (this.#isCut(from, to)) return messages;
    this.#world.timers.after(1, () => {
      if (!this.#isCut(from, to)) this.deliver(from, to, messages);
    });
    return [];
  }

  async #sendSnapshot(
    from: BrokerId,
    to: BrokerId,
    header: SnapshotHeader,
    snapshot: Snapshot,
  ): Promise<void> {
    this.snapshotsSent += 1;
    if (this.snapshotError !== undefined) throw this.snapshotError;
    await new Promise<void>((resolve) => this.#world.timers.after(5, resolve));
    const handlers = this.#handlers.get(to);
    if (handlers === undefined || this.#isCut(from, to)) throw new Error('no link');
    await handlers.snapshot(from, header, snapshot.state);
  }
}
