import type { BrokerAddress, MetadataImage } from '../metadata/image.js';
import type { BrokerId } from '../model/ids.js';
import type { PeerAddress, PeerDirectory } from '../ports/transport.js';

/**
 * Where the other brokers can be reached. What a broker itself said since this one started wins over
 * the start-up configuration, which wins over the metadata (that may be from before a restart on
 * other ports); a registration applied since the start counts as the broker's own word.
 *
 * Invariant: the transport is told whenever the outcome changes, and only then.
 */
export class AddressBook {
  readonly #self: BrokerId;
  readonly #directory: PeerDirectory;
  readonly #configured = new Map<BrokerId, PeerAddress>();
  readonly #registered = new Map<BrokerId, PeerAddress>();
  readonly #told = new Map<BrokerId, PeerAddress>();
  #published = '';

  constructor(self: BrokerId, directory: PeerDirectory) {
    this.#self = self;
    this.#directory = directory;
  }

  /** Seeds whose ids are not known (0) are no peers yet: they make themselves known. */
  configure(peers: readonly PeerAddress[]): void {
    for (const peer of peers) {
      if (peer.id !== this.#self && peer.id >= 1) this.#configured.set(peer.id, peer);
    }
    this.#publish();
  }

  /** A broker named its own address. */
  heard(id: BrokerId, address: BrokerAddress): void {
    if (id === this.#self) return;
    this.#told.set(id, { id, host: address.peerHost, port: address.peerPort });
    this.#publish();
  }

  follow(image: MetadataImage): void {
    for (const { id, address } of image.brokers.values()) {
      if (id === this.#self) continue;
      this.#registered.set(id, { id, host: address.peerHost, port: address.peerPort });
    }
    this.#publish();
  }

  /** Everyone else, ascending by id. */
  peers(): PeerAddress[] {
    const all = new Map([...this.#registered, ...this.#configured, ...this.#told]);
    return [...all.values()].sort((a, b) => a.id - b.id);
  }

  #publish(): void {
    const peers = this.peers();
    const key = peers.map((peer) => `${peer.id}@${peer.host}:${peer.port}`).join(' ');
    if (key === this.#published) return;
    this.#published = key;
    this.#directory.setPeers(peers);
  }
}
