import type { BrokerId, LogIndex, RaftGroupId, Term } from '../model/ids.js';
import type { Message } from '../raft/message.js';
import type { Snapshot } from './log-store.js';
import type { SnapshotMeta } from '../raft/io.js';

/** A Raft message with the group it belongs to. */
export interface PeerMessage {
  readonly group: RaftGroupId;
  readonly message: Message;
}

export interface SnapshotHeader {
  readonly group: RaftGroupId;
  /** The term the sender leads in. */
  readonly term: Term;
  readonly meta: SnapshotMeta;
  readonly repairTarget: LogIndex | undefined;
}

export interface TransportHandlers {
  /** Messages of one peer, in the order it sent them. */
  messages(from: BrokerId, messages: readonly PeerMessage[]): void;
  /** A whole, checksummed snapshot. Resolves when it is installed or refused for good. */
  snapshot(from: BrokerId, header: SnapshotHeader, state: Uint8Array): Promise<void>;
  /** The peer's stream broke and an immediate reconnect was refused: its process is gone. */
  connectionLost(peer: BrokerId): void;
}

/** Fire-and-forget messages between brokers, over long-lived streams; loss and repetition are legal. */
export interface Transport {
  start(handlers: TransportHandlers): void;
  /** What belongs to one peer from one turn. Returns the messages it dropped (queue full, no link). */
  send(to: BrokerId, messages: readonly PeerMessage[]): readonly PeerMessage[];
  /** Streams a snapshot in throttled, checksummed chunks; resolves once the peer has taken it. */
  sendSnapshot(to: BrokerId, header: SnapshotHeader, snapshot: Snapshot): Promise<void>;
}

/** Where a peer can be reached; the metadata image and the start-up configuration tell. */
export interface PeerAddress {
  readonly id: BrokerId;
  readonly host: string;
  readonly port: number;
}

/** Tells the transport whom it may talk to. */
export interface PeerDirectory {
  setPeers(peers: readonly PeerAddress[]): void;
}

export type PeerCallHandler = (from: BrokerId | undefined, body: Uint8Array) => Promise<Uint8Array>;

/**
 * Request and response between brokers, for what is not Raft: forming a cluster, registering,
 * forwarding commands to the metadata leader. Errors travel as BrokerError.
 */
export interface PeerCaller {
  /** Rejects with BrokerError; DEADLINE_EXCEEDED after deadlineMs, BROKER_UNAVAILABLE if unreachable. */
  call(
    to: BrokerId | PeerAddress,
    method: string,
    body: Uint8Array,
    options: { readonly deadlineMs: number },
  ): Promise<Uint8Array>;
  handle(method: string, handler: PeerCallHandler): void;
}
