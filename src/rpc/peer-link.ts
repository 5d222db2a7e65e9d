import { LIMITS } from '../model/limits.js';
import type { Logger } from '../ports/telemetry.js';
import type { PeerAddress, PeerMessage } from '../ports/transport.js';
import { isBulkMessage } from './message-codec.js';
import { PeerLane, type LaneCounters } from './peer-lane.js';
import type { PeerIdentity } from './peer-metadata.js';
import { isConnectionRefused } from './peer-probe.js';

const CONTROL_INFLIGHT_BYTES = 256 * 1024;
const BULK_INFLIGHT_BYTES = 4 * 1024 * 1024;

export interface LinkOptions {
  readonly peer: PeerAddress;
  readonly identity: PeerIdentity;
  readonly counters: LaneCounters;
  readonly log: Logger;
  connectionLost(): void;
}

/**
 * Everything that goes to one peer: a control and a bulk stream on connections of their own, since
 * bytes that were written cannot be overtaken. Owned by PeerTransport. Tells when the peer's process
 * is gone: a stream in either direction broke and its port refuses connections; once per loss.
 */
export class PeerLink {
  private readonly options: LinkOptions;
  private readonly control: PeerLane;
  private readonly bulk: PeerLane;
  private isProbing = false;
  private isLost = false;
  private isStopped = false;

  constructor(options: LinkOptions) {
    this.options = options;
    const shared = {
      ...options,
      opened: (): void => {
        this.isLost = false;
      },
      broke: (wasOpen: boolean): void => {
        if (wasOpen) this.suspectLoss();
      },
    };
    this.control = new PeerLane({
      ...shared,
      kind: 'Control',
      queueBytesMax: LIMITS.peerControlQueueBytesMax,
      inflightBytesMax: CONTROL_INFLIGHT_BYTES,
    });
    this.bulk = new PeerLane({
      ...shared,
      kind: 'Bulk',
      queueBytesMax: LIMITS.peerBulkQueueBytesMax,
      inflightBytesMax: BULK_INFLIGHT_BYTES,
    });
  }

  get peer(): PeerAddress {
    return this.options.peer;
  }

  /** Both streams are open. */
  get isUp(): boolean {
    return this.control.open && this.bulk.open;
  }

  start(): void {
    this.control.start();
    this.bulk.start();
  }

  stop(): void {
    this.isStopped = true;
    this.control.stop();
    this.bulk.stop();
  }

  /** Returns what was dropped. */
  send(messages: readonly PeerMessage[]): readonly PeerMessage[] {
    const dropped: PeerMessage[] = [];
    for (const message of messages) {
      const lane = isBulkMessage(message.message) ? this.bulk : this.control;
      if (!lane.offer(message)) dropped.push(message);
    }
    this.control.flush();
    this.bulk.flush();
    return dropped;
  }

  /** The peer opened a stream to us: it is up. */
  peerArrived(): void {
    this.isLost = false;
    this.control.redialNow();
    this.bulk.redialNow();
  }

  /** A stream between us broke, whoever opened it. */
  suspectLoss(): void {
    if (this.isProbing || this.isLost || this.isStopped) return;
    this.isProbing = true;
    const { host, port } = this.peer;
    void isConnectionRefused(host, port).then((isRefused) => {
      this.isProbing = false;
      if (!isRefused || this.isLost || this.isStopped) return;
      this.isLost = true;
      this.options.log.info({ peer: this.peer.id }, 'peer is gone: it refuses connections');
      this.options.connectionLost();
    });
  }
}
