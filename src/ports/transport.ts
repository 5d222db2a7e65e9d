import type { BrokerId, RaftGroupId, Term } from '../model/ids.js';
import type { Message, RepairTarget } from '../raft/message.js';
import type { Snapshot } from './log-store.js';
import type { SnapshotMeta } from '../raft/io.js';

/** A Raft message with the group it belongs to. */
export interface GroupMessage {
  readonly group: RaftGroupId;
  readonly message: Message;
}

/**
 * What a broker says at intervals to another with which groups sleep: that it lives, and which ones of
 * those it leads sleep, as a digest. Instead of heartbeats of each of them.
 */
export interface Pulse {
  readonly kind: 'pulse';
  readonly from: BrokerId;
  readonly to: BrokerId;
  /** Drawn as the broker started: another number is another life. */
  readonly boot: number;
  /** Of the groups that the sender leads, and of which the receiver is a member. */
  readonly asleep: SleepDigest;
  /** The last pulses of the receiver did not say what is true here. */
  readonly disagrees: boolean;
}

/** Of a set of groups, each in the term it fell asleep in. */
export interface SleepDigest {
  readonly count: number;
  /** Of the hashes of (group, term), modulo 2^32. */
  readonly sum: number;
}

/** A pulse speaks of all groups, and belongs to none. */
export interface PulseMessage {
  readonly group: undefined;
  readonly message: Pulse;
}

export type PeerMessage = GroupMessage | PulseMessage;

export interface SnapshotHeader {
  readonly group: RaftGroupId;
  /** The term the sender leads in. */
  readonly term: Term;
  readonly meta: SnapshotMeta;
  readonly repairTarget: RepairTarget | undefined;
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
