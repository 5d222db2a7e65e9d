import { Prng } from '../base/prng.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import type { Peers } from '../main/start-broker.js';
import type { Snapshot } from '../ports/log-store.js';
import type {
  PeerAddress,
  PeerCallHandler,
  PeerMessage,
  SnapshotHeader,
  TransportHandlers,
} from '../ports/transport.js';

/** Which brokers of a test cluster hear each other, and how much. Everyone does, unless it is split. */
export class Network {
  private sides: ReadonlyMap<number, number> | undefined;
  private lostShare = 0;
  private dice = new Prng(1);

  /** That share of Raft's messages is lost from now on; which ones, the seed decides. */
  lose(share: number, seed: number): void {
    this.lostShare = share;
    this.dice = new Prng(seed);
  }

  /** Whether the next message is lost. */
  isLost(): boolean {
    return this.lostShare > 0 && this.dice.chance(this.lostShare);
  }

  /** Brokers of different sides do not hear each other from now on. */
  split(sides: readonly (readonly number[])[]): void {
    const sideOf = new Map<number, number>();
    for (const [side, ids] of sides.entries()) for (const id of ids) sideOf.set(id, side);
    this.sides = sideOf;
  }

  heal(): void {
    this.sides = undefined;
    this.lostShare = 0;
  }

  hears(one: number, other: number): boolean {
    return this.sides === undefined || this.sides.get(one) === this.sides.get(other);
  }
}

/**
 * The wires of one broker, which a {@link Network} may cut. Over a split, Raft's messages are lost
 * without a word, also those under way; calls fail at once, and one whose answer is cut off ends as of
 * unknown outcome. The connections below stay up, so that a healed split is healed at once.
 */
export class SplitPeers implements Peers {
  private readonly inner: Peers;
  private readonly self: BrokerId;
  private readonly network: Network;

  constructor(inner: Peers, self: BrokerId, network: Network) {
    this.inner = inner;
    this.self = self;
    this.network = network;
  }

  start(handlers: TransportHandlers): void {
    this.inner.start({
      messages: (from, messages) => {
        if (this.hears(from)) handlers.messages(from, messages);
      },
      snapshot: async (from, header, state) => {
        this.assertHears(from);
        await handlers.snapshot(from, header, state);
      },
      connectionLost: (peer) => handlers.connectionLost(peer),
    });
  }

  send(to: BrokerId, messages: readonly PeerMessage[]): readonly PeerMessage[] {
    if (!this.hears(to)) return [];
    const kept = messages.filter(() => !this.network.isLost());
    // A loss is no refusal: nobody is told.
    return kept.length === 0 ? [] : this.inner.send(to, kept);
  }

  async sendSnapshot(to: BrokerId, header: SnapshotHeader, snapshot: Snapshot): Promise<void> {
    this.assertHears(to);
    await this.inner.sendSnapshot(to, header, snapshot);
  }

  setPeers(peers: readonly PeerAddress[]): void {
    this.inner.setPeers(peers);
  }

  async call(
    to: BrokerId | PeerAddress,
    method: string,
    body: Uint8Array,
    options: { readonly deadlineMs: number },
  ): Promise<Uint8Array> {
    const peer = typeof to === 'number' ? to : to.id;
    this.assertHears(peer);
    let answer: Uint8Array | undefined;
    try {
      answer = await this.inner.call(to, method, body, options);
    } catch (error) {
      if (this.hears(peer)) throw error;
    }
    if (answer !== undefined && this.hears(peer)) return answer;
    throw new BrokerError('UNKNOWN_OUTCOME', `the answer of broker ${peer} was lost in a split`);
  }

  handle(method: string, handler: PeerCallHandler): void {
    this.inner.handle(method, async (from, body) => {
      if (from !== undefined) this.assertHears(from);
      return await handler(from, body);
    });
  }

  private hears(peer: number): boolean {
    return this.network.hears(this.self, peer);
  }

  private assertHears(peer: number): void {
    if (this.hears(peer)) return;
    throw new BrokerError('BROKER_UNAVAILABLE', `the network is split from broker ${peer}`);
  }
}
