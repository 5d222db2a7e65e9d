import type { BrokerError } from '../model/errors.js';
import {
  addressKey,
  type ClientTransport,
  type FetchCall,
  type FetchedPartition,
} from './connection.js';
import type { LeaderStream, PartitionCursor } from './partition-cursor.js';
import type { BrokerAddress } from './types.js';

/** What one leader, or the replica that is read in its place, is to be asked for. */
export interface LeaderShare {
  readonly address: BrokerAddress;
  readonly cursors: PartitionCursor[];
}

export interface LeaderStreamsOptions {
  readonly transport: ClientTransport;
  /** Of all partitions together. */
  readonly prefetchBytesMax: number;
  readonly partitionBytesMax: number;
  /** Undefined: leaders alone answer. */
  readonly maxStalenessMs: number | undefined;
  /** Whoever says nothing of a partition for so long is taken for unable to serve it. Undefined: nobody. */
  readonly unavailableTimeoutMs: number | undefined;
  received(stream: LeaderStream, fetched: readonly FetchedPartition[]): void;
  /** The stream ended by itself and is none of these any more. */
  fell(stream: LeaderStream, error: BrokerError): void;
}

/**
 * The broker says something at least this often, records or not. Every idle reader costs it that much,
 * while a connection without a living broker at its end is noticed by gRPC's own pings; followers,
 * which may fall behind unnoticed, are to say more often that they did not.
 */
const LEADER_WAIT_MS = 5_000;
const FOLLOWER_WAIT_MS = 1_000;
/** However short a reader's patience, brokers are not asked to say more often that there is nothing. */
const WAIT_MS_MIN = 100;
/** On top of that. */
const SILENCE_MS = 3_000;
/** gRPC reads some sixteen responses ahead of a stream that is paused: what it holds is bounded by this. */
const RESPONSE_BYTES_MAX = 1024 * 1024;
const RESPONSE_BYTES_MIN = 64 * 1024;
/** Of the bytes to fetch ahead, one response has at most this part. */
const RESPONSES_AHEAD = 16;

/** The open fetch streams, at most one to each broker. */
export class LeaderStreams {
  private readonly options: LeaderStreamsOptions;
  private readonly maxBytes: number;
  private readonly maxWaitMs: number;
  private readonly streams = new Map<string, LeaderStream>();
  private isHeldBack = false;

  constructor(options: LeaderStreamsOptions) {
    this.options = options;
    const { maxStalenessMs, unavailableTimeoutMs = Infinity } = options;
    const waitMs = maxStalenessMs === undefined ? LEADER_WAIT_MS : FOLLOWER_WAIT_MS;
    // A partition that is idle is not to be taken for one that cannot be read.
    const patienceMs = Math.max(WAIT_MS_MIN, Math.floor(unavailableTimeoutMs / 2));
    this.maxWaitMs = Math.min(waitMs, patienceMs);
    const share = Math.ceil(options.prefetchBytesMax / RESPONSES_AHEAD);
    this.maxBytes = Math.min(RESPONSE_BYTES_MAX, Math.max(RESPONSE_BYTES_MIN, share));
  }

  /** Opens and closes streams so that exactly these cursors are read. */
  align(shares: Iterable<LeaderShare>, nowMs: number): void {
    const wanted = new Map<string, LeaderShare>();
    for (const share of shares) wanted.set(addressKey(share.address), share);
    for (const [key, stream] of this.streams) {
      if (!wanted.has(key)) this.end(stream);
    }
    for (const [key, share] of wanted) {
      const stream = this.streams.get(key);
      const isComplete =
        stream?.isOverfull === false && share.cursors.every((c) => c.stream === stream);
      if (isComplete) continue;
      if (stream !== undefined) this.end(stream);
      this.open(key, share, nowMs);
    }
  }

  /** While held back nothing is taken, and flow control holds the brokers back, too. */
  hold(isHeldBack: boolean, nowMs: number): void {
    this.isHeldBack = isHeldBack;
    for (const stream of this.streams.values()) {
      if (isHeldBack) {
        stream.link.pause();
      } else {
        stream.lastHeardMs = nowMs;
        stream.link.resume();
      }
    }
  }

  /** Streams on which nothing was heard for too long, now ended. */
  endSilent(nowMs: number): LeaderStream[] {
    const silent = [...this.streams.values()].filter(
      (s) => nowMs - s.lastHeardMs >= this.maxWaitMs + SILENCE_MS,
    );
    for (const stream of silent) this.end(stream);
    return silent;
  }

  close(): void {
    for (const stream of [...this.streams.values()]) this.end(stream);
  }

  private end(stream: LeaderStream): void {
    stream.link.close();
    this.streams.delete(addressKey(stream.address));
  }

  private open(key: string, { address, cursors }: LeaderShare, nowMs: number): void {
    const partitions = cursors.map((c) => ({
      topic: c.topic,
      partition: c.partition,
      topicId: c.topicId,
      offset: c.nextFetch,
      maxBytes: this.options.partitionBytesMax,
      leaderEpoch: c.leaderEpoch,
    }));
    const { maxStalenessMs } = this.options;
    const call: FetchCall = {
      ...{ partitions, maxBytes: this.maxBytes, maxWaitMs: this.maxWaitMs },
      ...(maxStalenessMs === undefined ? undefined : { allowFollower: true, maxStalenessMs }),
    };
    const link = this.options.transport.openFetch(address, call, {
      response: (fetched) => this.options.received(stream, fetched),
      closed: (error) => {
        this.streams.delete(key);
        this.options.fell(stream, error);
      },
    });
    const stream: LeaderStream = { address, link, lastHeardMs: nowMs, isOverfull: false };
    for (const cursor of cursors) cursor.stream = stream;
    this.streams.set(key, stream);
    if (this.isHeldBack) link.pause();
  }
}
