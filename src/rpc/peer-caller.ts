import { Channel, connectivityState, credentials } from '@grpc/grpc-js';
import { BrokerError } from '../model/errors.js';
import type { PeerAddress } from '../ports/transport.js';
import { channelOptions, formatAddress } from './channel.js';
import type { PeerClient } from './gen/millrace/peer/v1/Peer.js';
import { PEER_TUNING } from './peer-lane.js';
import { callMetadata, type PeerIdentity } from './peer-metadata.js';
import { protoTypes } from './proto.js';
import { errorFromStatus } from './status.js';

interface Connection {
  readonly address: string;
  readonly channel: Channel;
  readonly client: PeerClient;
}

/** Methods of partitions: producing, fetching and what is asked of their leaders. */
export const RECORDS_PREFIX = 'partition.';

/**
 * Connections for calls and snapshots to peers, three an address, opened on first use. Owned by
 * PeerTransport. Calls have connections of their own, so that none waits behind entries or a snapshot;
 * and what runs the cluster has one apart from records, of which many may wait at a time.
 */
export class PeerConnections {
  private readonly identity: PeerIdentity;
  private readonly connections = new Map<string, Connection>();

  constructor(identity: PeerIdentity) {
    this.identity = identity;
  }

  snapshotClient(peer: PeerAddress): PeerClient {
    return this.connectionTo(peer, 'snapshots').client;
  }

  /**
   * BROKER_UNAVAILABLE means that the request never left. Once connected, a failure that the peer did
   * not explain is UNKNOWN_OUTCOME: it may have been carried out.
   */
  async call(
    peer: PeerAddress,
    method: string,
    body: Uint8Array,
    deadlineMs: number,
  ): Promise<Uint8Array> {
    const deadline = Date.now() + deadlineMs;
    const use = method.startsWith(RECORDS_PREFIX) ? 'records' : 'cluster';
    const { channel, client } = this.connectionTo(peer, use);
    await connected(channel, deadline, peer);
    return new Promise((resolve, reject) => {
      const metadata = callMetadata(this.identity, peer.id);
      client.call({ method, body }, metadata, { deadline }, (error, response) => {
        if (error !== null) reject(errorFromStatus(error, { isWrite: true }));
        else resolve(response?.body ?? new Uint8Array(0));
      });
    });
  }

  /** Closes connections to addresses that nobody has any longer. */
  retain(addresses: ReadonlySet<string>): void {
    for (const [key, { address, channel }] of this.connections) {
      if (addresses.has(address)) continue;
      channel.close();
      this.connections.delete(key);
    }
  }

  stop(): void {
    this.retain(new Set());
  }

  private connectionTo(peer: PeerAddress, use: 'records' | 'cluster' | 'snapshots'): Connection {
    const address = formatAddress(peer.host, peer.port);
    const key = `${use} ${address}`;
    const existing = this.connections.get(key);
    if (existing !== undefined) return existing;
    const insecure = credentials.createInsecure();
    const options = channelOptions(PEER_TUNING);
    const channel = new Channel(address, insecure, options);
    const client = new (protoTypes().Peer)(address, insecure, {
      ...options,
      channelOverride: channel,
    });
    const connection = { address, channel, client };
    this.connections.set(key, connection);
    return connection;
  }
}

/** Resolves when the channel is ready, rejects as soon as it fails to become so. */
async function connected(channel: Channel, deadline: number, peer: PeerAddress): Promise<void> {
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return;
    if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) {
      const address = formatAddress(peer.host, peer.port);
      throw new BrokerError(
        'BROKER_UNAVAILABLE',
        `cannot connect to broker ${peer.id} at ${address}`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      channel.watchConnectivityState(state, deadline, (error?: Error) => {
        if (error === undefined) resolve();
        else reject(new BrokerError('BROKER_UNAVAILABLE', `broker ${peer.id} does not answer`));
      });
    });
  }
}
