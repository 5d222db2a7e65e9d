import type { BrokerError } from '../model/errors.js';
import type { RawBatch } from '../model/record.js';
import type { FetchLink } from './connection.js';
import type { BrokerAddress, TopicPartition } from './types.js';

/** A fetch stream from one leader, for the cursors that point at it. */
export interface LeaderStream {
  readonly address: BrokerAddress;
  readonly link: FetchLink;
  lastHeardMs: number;
  /** A partition that it still serves is not wanted from it any more: only a new call ends that. */
  isOverfull: boolean;
}

/**
 * One partition that is read.
 *
 * Invariants: position ≤ every buffered batch's last offset < nextFetch; batches in `buffered` follow
 * each other without a gap. `failure` holds until the next seek.
 */
export class PartitionCursor implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  topicId: string;
  /** Next offset to hand out. */
  position: number;
  /** Where the next fetched batch must start (the first may start before). */
  nextFetch: number;
  /** Do not read this offset or any after it. */
  end: number;
  leaderEpoch = 0;
  highWatermark = -1;
  logStartOffset = -1;
  isPaused = false;
  /** Whoever reads it has enough of it for now; kept apart from what the application paused. */
  isResting = false;
  /** Rises whenever what was fetched ahead is forgotten. */
  generation = 0;
  failure: BrokerError | undefined;
  lastError: BrokerError | undefined;
  /** Since when nothing good was heard. */
  silentSinceMs: number;
  failures = 0;
  /** Answers in a row that were damaged or had a gap. */
  spoilt = 0;
  notBeforeMs = 0;
  readonly buffered: RawBatch[] = [];
  stream: LeaderStream | undefined;

  constructor(at: TopicPartition, topicId: string, position: number, nowMs: number) {
    this.topic = at.topic;
    this.partition = at.partition;
    this.topicId = topicId;
    this.position = position;
    this.nextFetch = position;
    this.end = Infinity;
    this.silentSinceMs = nowMs;
  }

  /** Nothing of it is to be handed out at the moment. */
  get isQuiet(): boolean {
    return this.isPaused || this.isResting;
  }

  get wantsData(): boolean {
    return !this.isQuiet && this.failure === undefined && this.nextFetch < this.end;
  }

  /** No more is wanted of the stream, which goes on serving it until it is opened anew. */
  leaveStream(): void {
    if (this.stream !== undefined) this.stream.isOverfull = true;
    this.stream = undefined;
  }
}
