import type { Crc32c } from '../base/crc32c.js';
import { invariant } from '../base/assert.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { Snapshot } from '../ports/log-store.js';
import type { Logger, Telemetry } from '../ports/telemetry.js';
import type {
  PeerAddress,
  PeerCaller,
  PeerCallHandler,
  PeerDirectory,
  PeerMessage,
  SnapshotHeader,
  Transport,
  TransportHandlers,
} from '../ports/transport.js';
import { formatAddress } from './channel.js';
import { PeerConnections } from './peer-caller.js';
import type { LaneCounters } from './peer-lane.js';
import { PeerLink } from './peer-link.js';
import { callMetadata, type PeerIdentity } from './peer-metadata.js';
import { PeerServer } from './peer-server.js';
import { SnapshotSender } from './snapshot-stream.js';

const SHUTDOWN_GRACE_MS = 200;

export interface PeerTransportOptions {
  readonly identity: PeerIdentity;
  readonly snapshotBytesPerSecondMax: number;
  readonly crc32c: Crc32c;
  readonly telemetry: Telemetry;
}

/**
 * Everything between brokers: Raft messages, snapshots and calls. Owned by the composition root, which
 * listens before anyone else is told the port. Links to all known peers are kept open from start() on.
 * Invariants: a link exists for exactly the peers of the directory; handlers are called only between
 * start() and stop().
 */
export class PeerTransport implements Transport, PeerDirectory, PeerCaller {
  private readonly options: PeerTransportOptions;
  private readonly log: Logger;
  private readonly counters: LaneCounters;
  private readonly server: PeerServer;
  private readonly connections: PeerConnections;
  private readonly snapshotSender: SnapshotSender;
  private readonly callHandlers = new Map<string, PeerCallHandler>();
  private readonly links = new Map<BrokerId, PeerLink>();
  private peers: ReadonlyMap<BrokerId, PeerAddress> = new Map();
  private handlers: TransportHandlers | undefined;
  private isStopped = false;

  constructor(options: PeerTransportOptions) {
    this.options = options;
    const { identity, crc32c, telemetry } = options;
    this.log = telemetry.log.child({ part: 'peers' });
    const { metrics } = telemetry;
    this.counters = {
      sentBytes: metrics.counter('peer_sent_bytes_total', 'Raft messages sent, bytes'),
      sentEnvelopes: metrics.counter(
        'peer_sent_envelopes_total',
        'Envelopes of Raft messages sent',
      ),
      droppedMessages: metrics.counter(
        'peer_dropped_messages_total',
        'Raft messages dropped: no link or no room in its queue',
      ),
    };
    this.connections = new PeerConnections(identity);
    this.snapshotSender = new SnapshotSender({
      bytesPerSecondMax: options.snapshotBytesPerSecondMax,
      crc32c,
    });
    this.server = new PeerServer({
      identity,
      crc32c,
      log: this.log,
      receivedBytes: metrics.counter('peer_received_bytes_total', 'Raft messages received, bytes'),
      events: {
        isListening: () => this.handlers !== undefined && !this.isStopped,
        messages: (from, messages) => this.handlers?.messages(from, messages),
        snapshot: (from, header, state) => this.takeSnapshot(from, header, state),
        call: (method, from, body) => this.answer(method, from, body),
        streamOpened: (from) => this.links.get(from)?.peerArrived(),
        streamBroke: (from) => this.links.get(from)?.suspectLoss(),
      },
    });
  }

  /** Resolves with the port (given or, for 0, chosen); rejects if it cannot be bound. */
  listen(host: string, port: number): Promise<number> {
    return this.server.listen(host, port);
  }

  start(handlers: TransportHandlers): void {
    invariant(this.handlers === undefined, 'the transport is started once');
    this.handlers = handlers;
    this.updateLinks();
  }

  /** Calls that peers wait for may go on for graceMs. Idempotent. */
  async stop(graceMs = SHUTDOWN_GRACE_MS): Promise<void> {
    if (this.isStopped) return;
    this.isStopped = true;
    for (const link of this.links.values()) link.stop();
    this.links.clear();
    this.connections.stop();
    await this.server.stop(graceMs);
  }

  setPeers(peers: readonly PeerAddress[]): void {
    const { self } = this.options.identity;
    this.peers = new Map(peers.filter(({ id }) => id !== self).map((peer) => [peer.id, peer]));
    this.connections.retain(
      new Set([...this.peers.values()].map(({ host, port }) => formatAddress(host, port))),
    );
    this.updateLinks();
  }

  send(to: BrokerId, messages: readonly PeerMessage[]): readonly PeerMessage[] {
    for (const { message } of messages) {
      invariant(message.from === this.options.identity.self, 'a broker speaks for itself', {
        from: message.from,
      });
      invariant(message.to === to, 'a message goes to whom it names', { to, names: message.to });
    }
    const link = this.links.get(to);
    if (link !== undefined) return link.send(messages);
    this.counters.droppedMessages.add(messages.length);
    return messages;
  }

  /** Whether both streams to the peer are open. */
  isUp(peer: BrokerId): boolean {
    return this.links.get(peer)?.isUp ?? false;
  }

  async sendSnapshot(to: BrokerId, header: SnapshotHeader, snapshot: Snapshot): Promise<void> {
    const peer = this.mustKnow(to);
    const metadata = callMetadata(this.options.identity, to);
    const client = this.connections.snapshotClient(peer);
    await this.snapshotSender.send(client, metadata, header, snapshot);
  }

  async call(
    to: BrokerId | PeerAddress,
    method: string,
    body: Uint8Array,
    options: { readonly deadlineMs: number },
  ): Promise<Uint8Array> {
    const { self } = this.options.identity;
    if (to === self) return this.answer(method, self, body);
    if (this.isStopped) throw new BrokerError('SHUTTING_DOWN', 'this broker is stopping');
    if (body.length > LIMITS.peerCallBytesMax) {
      throw new BrokerError('INVALID_ARGUMENT', `${method}: ${body.length} bytes are too many`);
    }
    const peer = typeof to === 'number' ? this.mustKnow(to) : to;
    const deadlineMs = Math.min(options.deadlineMs, LIMITS.requestDeadlineMsMax);
    return this.connections.call(peer, method, body, deadlineMs);
  }

  handle(method: string, handler: PeerCallHandler): void {
    invariant(!this.callHandlers.has(method), 'a method has one handler', { method });
    this.callHandlers.set(method, handler);
  }

  private async answer(
    method: string,
    from: BrokerId | undefined,
    body: Uint8Array,
  ): Promise<Uint8Array> {
    const handler = this.callHandlers.get(method);
    if (handler === undefined) throw new BrokerError('UNSUPPORTED', `no method "${method}"`);
    return handler(from, body);
  }

  private async takeSnapshot(
    from: BrokerId,
    header: SnapshotHeader,
    state: Uint8Array,
  ): Promise<void> {
    if (this.handlers === undefined || this.isStopped) {
      throw new BrokerError('SHUTTING_DOWN', 'this broker is stopping');
    }
    await this.handlers.snapshot(from, header, state);
  }

  private mustKnow(id: BrokerId): PeerAddress {
    const peer = this.peers.get(id);
    if (peer === undefined) {
      throw new BrokerError('BROKER_UNAVAILABLE', `no address is known for broker ${id}`);
    }
    return peer;
  }

  /** Makes the links what the directory says; an address that changed gets a new link. */
  private updateLinks(): void {
    if (this.handlers === undefined || this.isStopped) return;
    for (const [id, link] of this.links) {
      const peer = this.peers.get(id);
      if (peer?.host === link.peer.host && peer.port === link.peer.port) continue;
      link.stop();
      this.links.delete(id);
    }
    for (const peer of this.peers.values()) {
      if (!this.links.has(peer.id)) this.openLink(peer);
    }
  }

  private openLink(peer: PeerAddress): void {
    const link = new PeerLink({
      peer,
      identity: this.options.identity,
      counters: this.counters,
      log: this.log,
      connectionLost: () => {
        if (!this.isStopped) this.handlers?.connectionLost(peer.id);
      },
    });
    this.links.set(peer.id, link);
    link.start();
  }
}
