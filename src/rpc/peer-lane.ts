import {
  Channel,
  Client,
  credentials,
  status,
  type ClientDuplexStream,
  type StatusObject,
} from '@grpc/grpc-js';
import { LIMITS } from '../model/limits.js';
import type { Counter, Logger } from '../ports/telemetry.js';
import type { PeerAddress, PeerMessage } from '../ports/transport.js';
import { channelOptions, formatAddress, type ChannelTuning } from './channel.js';
import { serializeGathered, type GatheredBytes } from './gathered-bytes.js';
import { encodeMessages, messageBytesBound } from './message-codec.js';
import { callMetadata, type PeerIdentity } from './peer-metadata.js';
import { protoTypes } from './proto.js';
import { errorFromStatus } from './status.js';

/** The first attempt after a break is at once; then the delays double from here to the maximum. */
const REDIAL_FIRST_MS = 100;
const REDIAL_MAX_MS = 1_000;
/** A stream that broke sooner than this counts as a failed attempt, so that redialling slows down. */
const SETTLED_MS = 1_000;
/** Longer than a connection and a stream take to open, even through a slow link. */
const OPEN_WITHIN_MS = 3_000;

export const PEER_TUNING: ChannelTuning = {
  messageBytesMax: LIMITS.peerMessageBytesMax,
  keepaliveTimeMs: 2_000,
  keepaliveTimeoutMs: 4_000,
  reconnectBackoffMs: { first: REDIAL_FIRST_MS, max: REDIAL_MAX_MS },
};

/** Number of an Envelope's one field. */
const ENVELOPE_FIELD = 1;
/** Its tag and length, at most. */
const ENVELOPE_OVERHEAD_BYTES = 6;

export interface LaneCounters {
  readonly sentBytes: Counter;
  readonly sentEnvelopes: Counter;
  readonly droppedMessages: Counter;
}

export interface LaneOptions {
  readonly kind: 'Control' | 'Bulk';
  readonly peer: PeerAddress;
  readonly identity: PeerIdentity;
  readonly queueBytesMax: number;
  /** Bytes given to the stream that have not left yet; the rest waits here, to be sent together. */
  readonly inflightBytesMax: number;
  readonly counters: LaneCounters;
  readonly log: Logger;
  opened(): void;
  /** The stream, or an attempt to open it, ended. */
  broke(wasOpen: boolean): void;
}

type Call = ClientDuplexStream<GatheredBytes, unknown>;

/**
 * One long-lived stream to one peer, on a connection of its own, reopened whenever it breaks.
 * Owned by a PeerLink. Invariants: the queue holds at most queueBytesMax; messages leave in the order
 * they were offered; nothing is written while the stream has more than inflightBytesMax waiting, so
 * that what waits is packed into larger envelopes.
 */
export class PeerLane {
  private readonly options: LaneOptions;
  private queue: PeerMessage[] = [];
  private queuedBytes = 0;
  private inflightBytes = 0;
  private channel: Channel | undefined;
  private call: Call | undefined;
  private isOpen = false;
  private isStopped = false;
  private openedAt = 0;
  private redialMs = 0;
  private redialTimer: NodeJS.Timeout | undefined;

  constructor(options: LaneOptions) {
    this.options = options;
  }

  get open(): boolean {
    return this.isOpen;
  }

  start(): void {
    this.dial();
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.redialTimer);
    this.hangUp();
  }

  /** Takes the message, or says that there is no room or no link. */
  offer(message: PeerMessage): boolean {
    const bytes = messageBytesBound(message.message);
    const fits =
      this.queuedBytes + bytes <= this.options.queueBytesMax &&
      bytes + ENVELOPE_OVERHEAD_BYTES <= LIMITS.peerMessageBytesMax;
    if (!this.isOpen || !fits) {
      this.options.counters.droppedMessages.add(1);
      return false;
    }
    this.queue.push(message);
    this.queuedBytes += bytes;
    return true;
  }

  /** Sends what was offered, as far as the stream takes it. */
  flush(): void {
    while (
      this.isOpen &&
      this.queue.length > 0 &&
      this.inflightBytes < this.options.inflightBytesMax
    ) {
      this.write(encodeMessages(this.takeEnvelope()).asField(ENVELOPE_FIELD));
    }
  }

  /** The peer gave a sign of life: do not wait for the next attempt. */
  redialNow(): void {
    if (this.redialTimer === undefined) return;
    clearTimeout(this.redialTimer);
    this.dial();
  }

  private takeEnvelope(): PeerMessage[] {
    let count = 0;
    let bytes = 0;
    for (const { message } of this.queue) {
      const more = messageBytesBound(message);
      if (count > 0 && bytes + more > LIMITS.peerEnvelopeBytes) break;
      if (count === LIMITS.peerEnvelopeMessagesMax) break;
      count += 1;
      bytes += more;
    }
    this.queuedBytes -= bytes;
    if (count < this.queue.length) return this.queue.splice(0, count);
    const all = this.queue;
    this.queue = [];
    return all;
  }

  private write(envelope: GatheredBytes): void {
    const call = this.call;
    if (call === undefined) return;
    this.inflightBytes += envelope.length;
    this.options.counters.sentBytes.add(envelope.length);
    this.options.counters.sentEnvelopes.add(1);
    call.write(envelope, () => {
      if (call !== this.call) return;
      this.inflightBytes -= envelope.length;
      this.flush();
    });
  }

  private dial(): void {
    this.redialTimer = undefined;
    const { peer, identity, kind } = this.options;
    const address = formatAddress(peer.host, peer.port);
    const insecure = credentials.createInsecure();
    const options = channelOptions(PEER_TUNING);
    const channel = new Channel(address, insecure, options);
    const client = new Client(address, insecure, { ...options, channelOverride: channel });
    const definition = protoTypes().Peer.service[kind];
    const call: Call = client.makeBidiStreamRequest<GatheredBytes, unknown>(
      definition.path,
      serializeGathered,
      (bytes) => definition.responseDeserialize(bytes),
      callMetadata(identity, peer.id),
      {},
    );
    this.channel = channel;
    this.call = call;
    const patience = setTimeout(() => call.cancel(), OPEN_WITHIN_MS);
    call.once('metadata', () => {
      clearTimeout(patience);
      if (call === this.call) this.becomeOpen();
    });
    // Every call ends with a status, whether or not it is an error.
    call.once('status', (ending: StatusObject) => {
      clearTimeout(patience);
      if (call === this.call) this.becomeBroken(ending);
    });
    call.on('error', () => undefined);
    call.resume();
  }

  private becomeOpen(): void {
    this.isOpen = true;
    this.openedAt = performance.now();
    this.options.opened();
  }

  private becomeBroken(ending: StatusObject): void {
    const wasOpen = this.isOpen;
    if (wasOpen && performance.now() - this.openedAt >= SETTLED_MS) this.redialMs = 0;
    this.hangUp();
    if (this.isStopped) return;
    this.logEnding(ending);
    this.redialTimer = setTimeout(() => this.dial(), this.redialMs);
    this.redialMs = Math.min(Math.max(REDIAL_FIRST_MS, this.redialMs * 2), REDIAL_MAX_MS);
    this.options.broke(wasOpen);
  }

  private logEnding(ending: StatusObject): void {
    const { log, kind, peer } = this.options;
    const reason = errorFromStatus(ending, { isWrite: false });
    const facts = { peer: peer.id, stream: kind, code: reason.code, reason: reason.message };
    const isRoutine = ending.code === status.OK || reason.code === 'BROKER_UNAVAILABLE';
    if (isRoutine) log.debug(facts, 'peer stream ended');
    else log.warn(facts, 'peer refused the stream');
  }

  private hangUp(): void {
    const { call, channel } = this;
    this.options.counters.droppedMessages.add(this.queue.length);
    this.call = undefined;
    this.channel = undefined;
    this.isOpen = false;
    this.queue = [];
    this.queuedBytes = 0;
    this.inflightBytes = 0;
    call?.cancel();
    channel?.close();
  }
}
