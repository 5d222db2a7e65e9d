import { Prng } from '../../src/base/prng.js';
import type { Peers } from '../../src/main/start-broker.js';
import type { BrokerId } from '../../src/model/ids.js';
import type { Snapshot } from '../../src/ports/log-store.js';
import type {
  PeerAddress,
  PeerCallHandler,
  PeerMessage,
  SnapshotHeader,
  TransportHandlers,
} from '../../src/ports/transport.js';

/** What happens to Raft messages on their way out, each by itself; shares are 0 to 1. */
export interface MessageFaults {
  /** Sent again, up to `heldMsMax` later. */
  readonly repeatedShare: number;
  /** Held back for up to `heldMsMax`, so that later ones overtake it. */
  readonly heldShare: number;
  readonly lostShare: number;
  readonly heldMsMax: number;
}

export interface MessageCounts {
  readonly sent: number;
  readonly repeated: number;
  readonly held: number;
  readonly lost: number;
}

export const NO_FAULTS: MessageFaults = {
  repeatedShare: 0,
  heldShare: 0,
  lostShare: 0,
  heldMsMax: 0,
};

/** In the broker's environment: the ports to take in place of the peers' own, as JSON pairs. */
export const DETOURS_VARIABLE = 'CHAOS_DETOURS';

/** What the script sends: the faults from now on. It is told of the counts since the order before. */
export interface FaultsOrder {
  readonly faults: MessageFaults;
}
export interface FaultsAnswer {
  readonly counts: MessageCounts;
}

/**
 * The wires of one broker under test: peers are reached at ports that proxies stand at, and Raft's
 * messages may be repeated, held back or lost, which a network may do with datagrams. What TCP carries in
 * order cannot be reordered below the messages: HTTP/2 would break first.
 */
export class FaultyPeers implements Peers {
  private faults = NO_FAULTS;
  private counts = { sent: 0, repeated: 0, held: 0, lost: 0 };
  private readonly inner: Peers;
  private readonly detours: ReadonlyMap<number, number>;
  private readonly prng: Prng;

  /** Detours: by the port of a peer, the port to take in its place. */
  constructor(inner: Peers, detours: ReadonlyMap<number, number>, seed: number) {
    this.inner = inner;
    this.detours = detours;
    this.prng = new Prng(seed);
  }

  /** The faults from now on; returns what came of those before. */
  order(faults: MessageFaults): MessageCounts {
    const { counts } = this;
    this.faults = faults;
    this.counts = { sent: 0, repeated: 0, held: 0, lost: 0 };
    return counts;
  }

  start(handlers: TransportHandlers): void {
    this.inner.start(handlers);
  }

  send(to: BrokerId, messages: readonly PeerMessage[]): readonly PeerMessage[] {
    this.counts.sent += messages.length;
    const now: PeerMessage[] = [];
    for (const message of messages) {
      const { repeatedShare, heldShare, lostShare } = this.faults;
      if (this.prng.chance(lostShare)) {
        this.counts.lost += 1;
        continue;
      }
      if (this.prng.chance(repeatedShare)) {
        this.counts.repeated += 1;
        this.later(to, message);
      }
      if (this.prng.chance(heldShare)) {
        this.counts.held += 1;
        this.later(to, message);
      } else now.push(message);
    }
    return now.length === 0 ? [] : this.inner.send(to, now);
  }

  async sendSnapshot(to: BrokerId, header: SnapshotHeader, snapshot: Snapshot): Promise<void> {
    await this.inner.sendSnapshot(to, header, snapshot);
  }

  setPeers(peers: readonly PeerAddress[]): void {
    this.inner.setPeers(peers.map((peer) => this.detour(peer)));
  }

  async call(
    to: BrokerId | PeerAddress,
    method: string,
    body: Uint8Array,
    options: { readonly deadlineMs: number },
  ): Promise<Uint8Array> {
    const whom = typeof to === 'number' ? to : this.detour(to);
    return await this.inner.call(whom, method, body, options);
  }

  handle(method: string, handler: PeerCallHandler): void {
    this.inner.handle(method, handler);
  }

  private later(to: BrokerId, message: PeerMessage): void {
    const ms = 1 + this.prng.int(Math.max(1, this.faults.heldMsMax));
    setTimeout(() => void this.inner.send(to, [message]), ms);
  }

  private detour(peer: PeerAddress): PeerAddress {
    return { ...peer, port: this.detours.get(peer.port) ?? peer.port };
  }
}
