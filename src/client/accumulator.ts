import { invariant } from '../base/assert.js';
import type { Crc32c } from '../base/crc32c.js';
import type { BrokerError } from '../model/errors.js';
import { SEQUENCE_LIMIT, type Compression } from '../model/record-batch.js';
import {
  NO_PRODUCER,
  RecordBatchBuilder,
  type BuilderMemory,
  stampProducer,
  type ProducerStamp,
} from '../model/record-batch-builder.js';
import type { Cancel } from '../ports/world.js';
import type { ProducerIdentity } from './types.js';

/** What became of one record. */
export interface RecordMetadata {
  readonly topic: string;
  readonly partition: number;
  /** -1 with acks none. */
  readonly offset: number;
  /** The leader's time of the append. */
  readonly appendTimeMs: number;
  /** Leadership under which it was acknowledged. */
  readonly leaderEpoch: number;
  /** Broker that acknowledged it. */
  readonly brokerId: number;
  /** -1: not idempotent. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly sequence: number;
}

/** What became of one batch. */
export interface BatchReport {
  readonly topic: string;
  readonly partition: number;
  readonly records: number;
  /** As sent; 0 if it never was. */
  readonly bytes: number;
  readonly baseOffset: number;
  readonly leaderEpoch: number;
  readonly attempts: number;
  /** From the first record's arrival to the answer. */
  readonly elapsedMs: number;
  readonly isDuplicate: boolean;
  readonly error: BrokerError | undefined;
}

/** Many records that are waited for together. */
export interface RecordGroup {
  /** One more of its records is in a batch. */
  joined(): void;
  settled(records: number, report: BatchReport): void;
}

export interface Settler {
  resolve(metadata: RecordMetadata): void;
  reject(error: BrokerError): void;
}

export type BatchState = 'queued' | 'inflight';

/**
 * Records of one partition that travel together.
 *
 * Invariants: `baseSequence` is given when the batch is closed and changes only under another
 * producer epoch, and only if `maybeAppended` is false. `bytes` is set once sealed.
 */
export class ProducerBatch {
  readonly createdMs: number;
  readonly builder: RecordBatchBuilder;
  readonly settlers: { readonly index: number; readonly settler: Settler }[] = [];
  readonly groups: { readonly group: RecordGroup; records: number }[] = [];
  readonly whenSettled: (() => void)[] = [];
  /** Set: it is appended only if its first record gets this offset, and travels alone. */
  expectedOffset: number | undefined;
  /** The same by key: only if the last offset of its key is this one. */
  expectedKeyOffset: number | undefined;
  /** The topic takes it only as it is. */
  isPlain = false;
  state: BatchState = 'queued';
  /** Linger is over, or somebody flushes. */
  isDue = false;
  lingerTimer: Cancel | undefined;
  baseSequence = -1;
  stamp: ProducerStamp = NO_PRODUCER;
  /** The codec is still at work. */
  isCompressing = false;
  compressed: { readonly codec: Compression; readonly records: Uint8Array } | undefined;
  bytes: Uint8Array | undefined;
  attempts = 0;
  /** Not to be sent before this time. */
  notBeforeMs = 0;
  /** Some attempt may have appended it: it must never be sent under another sequence. */
  maybeAppended = false;
  lastError: BrokerError | undefined;

  constructor(createdMs: number, initialBytes: number, memory?: BuilderMemory) {
    this.createdMs = createdMs;
    this.builder = new RecordBatchBuilder(initialBytes, memory);
  }

  get isConditional(): boolean {
    return this.expectedOffset !== undefined || this.expectedKeyOffset !== undefined;
  }

  get count(): number {
    return this.builder.count;
  }

  /** Delivered by its only attempt, and known to nobody else any more: its memory may serve another. */
  recycle(): void {
    invariant(this.attempts === 1, 'another attempt may still read it');
    this.bytes = undefined;
    this.builder.recycle();
  }

  /** The next record is one of the group's. Runs of one group are the rule: they share an item. */
  join(group: RecordGroup): void {
    group.joined();
    const last = this.groups[this.groups.length - 1];
    if (last?.group === group) last.records += 1;
    else this.groups.push({ group, records: 1 });
  }
}

/** One that is being written, and one that is written next. */
const BUSY_BATCHES = 2;

export interface QueueOptions {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
  readonly isIdempotent: boolean;
  /** Batches that may be on their way at a time. */
  readonly window: number;
}

/**
 * The unresolved batches of one partition: the open one that records go into, and the closed ones in
 * the order of their sequences.
 *
 * Invariants: only the first `window` closed batches may be in flight, so that a broker that
 * remembers five batches recognises every repetition; sequences of closed batches follow each other
 * without a gap, except where a batch was given up. While a batch with an expected offset is on its
 * way, no other is: those behind it are not even sealed.
 */
export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
  readonly window: number;
  readonly batches: ProducerBatch[] = [];
  open: ProducerBatch | undefined;
  identity: ProducerIdentity | undefined;
  inflight = 0;
  /** Waiting for a new producer epoch: nothing is sent. */
  isRenewing = false;
  retryTimer: Cancel | undefined;
  /** Bytes of the last closed batch: the next one is likely to get as large. */
  lastBatchBytes = 4_096;
  private readonly isIdempotent: boolean;
  private nextSequence = 0;

  constructor(options: QueueOptions) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.topicId = options.topicId;
    this.window = options.window;
    this.isIdempotent = options.isIdempotent;
  }

  get isEmpty(): boolean {
    return this.batches.length === 0 && this.open === undefined;
  }

  /** Enough is on its way to keep the leader at work: what comes next may wait for more. */
  get isBusy(): boolean {
    return this.batches.length >= BUSY_BATCHES;
  }

  /** How many of the first closed batches may be on their way. */
  get sendable(): number {
    const count = Math.min(this.window, this.batches.length);
    for (let i = 0; i < count; i += 1) {
      if (this.batches[i]?.isConditional === true) return Math.max(i, 1);
    }
    return count;
  }

  /** Moves the open batch to the closed ones and gives it its sequence. */
  close(): ProducerBatch {
    const batch = this.open;
    invariant(batch !== undefined && batch.count > 0, 'only an open batch with records is closed');
    this.open = undefined;
    batch.lingerTimer?.();
    batch.lingerTimer = undefined;
    this.lastBatchBytes = batch.builder.bytes;
    if (this.isIdempotent) this.assignSequence(batch);
    this.batches.push(batch);
    return batch;
  }

  /** Ready to be put on the wire? Seals it if all that needs is there. */
  seal(batch: ProducerBatch, crc32c: Crc32c): boolean {
    if (batch.bytes !== undefined) return true;
    if (batch.isCompressing) return false;
    if (this.isIdempotent) {
      if (this.identity === undefined) return false;
      batch.stamp = { ...this.identity, baseSequence: batch.baseSequence };
    }
    batch.bytes = batch.builder.finish(batch.stamp, crc32c, batch.compressed);
    return true;
  }

  /** Takes a resolved batch out. False if it already was. */
  remove(batch: ProducerBatch): boolean {
    if (batch === this.open) {
      this.open = undefined;
      batch.lingerTimer?.();
      return true;
    }
    const at = this.batches.indexOf(batch);
    if (at < 0) return false;
    this.batches.splice(at, 1);
    if (batch.state === 'inflight') this.inflight -= 1;
    return true;
  }

  /** The first batch was refused for its expected offset, and used up no sequence. */
  yieldSequence(refused: ProducerBatch): void {
    invariant(refused === this.batches[0], 'a batch with an expected offset travels alone');
    invariant(!refused.maybeAppended, 'the sequence of a batch that may be appended is used up');
    if (!this.isIdempotent) return;
    this.nextSequence = refused.baseSequence;
    for (const batch of this.batches.slice(1)) {
      invariant(batch.bytes === undefined, 'what stands behind an expected offset is not sealed');
      this.assignSequence(batch);
    }
  }

  /** Goes on under a new epoch: every closed batch, none of which may be appended, from 0 on. */
  renew(identity: ProducerIdentity, crc32c: Crc32c): void {
    this.identity = identity;
    this.nextSequence = 0;
    for (const batch of this.batches) {
      invariant(!batch.maybeAppended, 'a batch that may be appended never gets another sequence');
      invariant(batch.state === 'queued', 'nothing is on its way when sequences change');
      this.assignSequence(batch);
      if (batch.bytes === undefined) continue;
      batch.stamp = { ...identity, baseSequence: batch.baseSequence };
      batch.bytes = batch.bytes.slice();
      stampProducer(batch.bytes, batch.stamp, crc32c);
    }
  }

  private assignSequence(batch: ProducerBatch): void {
    batch.baseSequence = this.nextSequence;
    this.nextSequence = (this.nextSequence + batch.count) % SEQUENCE_LIMIT;
  }
}
