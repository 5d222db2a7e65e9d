import {
  Metadata,
  Server,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import { MalformedBytesError } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { Counter, Logger } from '../ports/telemetry.js';
import type { PeerMessage, SnapshotHeader } from '../ports/transport.js';
import type { CallRequest__Output } from './gen/millrace/peer/v1/CallRequest.js';
import type { CallResponse } from './gen/millrace/peer/v1/CallResponse.js';
import type { Envelope__Output } from './gen/millrace/peer/v1/Envelope.js';
import type { Nothing } from './gen/millrace/peer/v1/Nothing.js';
import type { SnapshotChunk__Output } from './gen/millrace/peer/v1/SnapshotChunk.js';
import type { SnapshotResult } from './gen/millrace/peer/v1/SnapshotResult.js';
import { listenOn, serverOptions, type Listener } from './grpc-server.js';
import { decodeMessages } from './message-codec.js';
import { RECORDS_PREFIX } from './peer-caller.js';
import { PEER_TUNING } from './peer-lane.js';
import { checkCaller, checkSender, type PeerIdentity } from './peer-metadata.js';
import { protoTypes } from './proto.js';
import { SnapshotReceiver } from './snapshot-stream.js';
import { statusOf } from './status.js';

type EnvelopeStream = ServerDuplexStream<Envelope__Output, Nothing>;

/** What the server's owner does with what arrives. */
export interface PeerServerEvents {
  /** Streams are refused until the owner wants messages. */
  isListening(): boolean;
  messages(from: BrokerId, messages: readonly PeerMessage[]): void;
  snapshot(from: BrokerId, header: SnapshotHeader, state: Uint8Array): Promise<void>;
  call(method: string, from: BrokerId | undefined, body: Uint8Array): Promise<Uint8Array>;
  streamOpened(from: BrokerId): void;
  streamBroke(from: BrokerId): void;
}

export interface PeerServerOptions {
  readonly identity: PeerIdentity;
  readonly events: PeerServerEvents;
  readonly crc32c: Crc32c;
  readonly receivedBytes: Counter;
  readonly log: Logger;
}

/**
 * The peer port: its own gRPC server, which knows the Peer service and nothing else. Owned by
 * PeerTransport. Invariants: nothing is handed over that did not come from a broker of this cluster
 * that meant this broker; a peer has at most one stream of each kind (a newer one ends the older).
 */
export class PeerServer {
  private readonly options: PeerServerOptions;
  private readonly server: Server;
  private listener: Listener | undefined;
  private readonly snapshots: SnapshotReceiver;
  private readonly streams = new Map<string, EnvelopeStream>();
  /** Counted apart: fetches that wait must not keep heartbeats and registrations out. */
  private readonly recordCalls = { underWay: 0 };
  private readonly otherCalls = { underWay: 0 };

  constructor(options: PeerServerOptions) {
    this.options = options;
    this.snapshots = new SnapshotReceiver(options.crc32c);
    this.server = new Server(serverOptions(PEER_TUNING));
    this.server.addService(protoTypes().Peer.service, {
      Control: (stream: EnvelopeStream) => this.accept('Control', stream),
      Bulk: (stream: EnvelopeStream) => this.accept('Bulk', stream),
      InstallSnapshot: (
        call: ServerReadableStream<SnapshotChunk__Output, SnapshotResult>,
        done: sendUnaryData<SnapshotResult>,
      ) => answer(this.install(call), done),
      Call: (
        call: ServerUnaryCall<CallRequest__Output, CallResponse>,
        done: sendUnaryData<CallResponse>,
      ) => answer(this.call(call), done),
    });
  }

  /** Resolves with the port; rejects if it cannot be bound. */
  async listen(host: string, port: number): Promise<number> {
    this.listener = await listenOn(this.server, { host, port }, this.options.log);
    return this.listener.port;
  }

  async stop(graceMs: number): Promise<void> {
    for (const stream of this.streams.values()) stream.end();
    await this.listener?.stop(graceMs);
  }

  private accept(kind: 'Control' | 'Bulk', stream: EnvelopeStream): void {
    let from: BrokerId;
    try {
      from = this.checkedSender(stream.metadata);
    } catch (error) {
      refuse(stream, error);
      return;
    }
    const key = `${kind} ${from}`;
    const older = this.streams.get(key);
    this.streams.set(key, stream);
    older?.end();
    // Tells the sender that its stream is accepted.
    stream.sendMetadata(new Metadata());
    stream.on('data', (envelope: Envelope__Output) => this.take(stream, from, envelope));
    let isOver = false;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      stream.end();
      if (this.streams.get(key) !== stream) return;
      this.streams.delete(key);
      this.options.events.streamBroke(from);
    };
    for (const event of ['end', 'cancelled', 'error', 'close']) stream.on(event, over);
    this.options.events.streamOpened(from);
  }

  private take(stream: EnvelopeStream, from: BrokerId, envelope: Envelope__Output): void {
    let messages: readonly PeerMessage[];
    try {
      const ends = { from, to: this.options.identity.self };
      messages = decodeMessages(envelope.messages, ends);
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error;
      this.options.log.warn(
        { peer: from, reason: error.message },
        'peer sent a malformed envelope',
      );
      refuse(stream, new BrokerError('INVALID_ARGUMENT', error.message));
      return;
    }
    this.options.receivedBytes.add(envelope.messages.length);
    this.options.events.messages(from, messages);
  }

  private async install(
    call: ServerReadableStream<SnapshotChunk__Output, SnapshotResult>,
  ): Promise<SnapshotResult> {
    const from = this.checkedSender(call.metadata);
    try {
      const { header, state } = await this.snapshots.receive(call);
      await this.options.events.snapshot(from, header, state);
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error;
      throw new BrokerError('INVALID_ARGUMENT', `snapshot header: ${error.message}`);
    }
    return {};
  }

  private async call(
    call: ServerUnaryCall<CallRequest__Output, CallResponse>,
  ): Promise<CallResponse> {
    const { method, body } = call.request;
    const from = checkCaller(this.options.identity, call.metadata, method);
    const calls = method.startsWith(RECORDS_PREFIX) ? this.recordCalls : this.otherCalls;
    if (calls.underWay >= LIMITS.peerCallsMax) {
      throw new BrokerError('THROTTLED', `already serving ${calls.underWay} calls of peers`);
    }
    calls.underWay += 1;
    try {
      return { body: await this.options.events.call(method, from, body) };
    } finally {
      calls.underWay -= 1;
    }
  }

  private checkedSender(metadata: Metadata): BrokerId {
    const from = checkSender(this.options.identity, metadata);
    if (!this.options.events.isListening()) {
      throw new BrokerError('BROKER_UNAVAILABLE', 'starting');
    }
    return from;
  }
}

function refuse(stream: EnvelopeStream, error: unknown): void {
  stream.emit('error', statusOf(error));
}

function answer<T>(outcome: Promise<T>, done: sendUnaryData<T>): void {
  outcome.then(
    (value) => done(null, value),
    (error: unknown) => done(statusOf(error)),
  );
}
