import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import { recordBytesMax } from '../model/record-batch-builder.js';
import { BATCH_HEADER_BYTES } from '../model/record-batch.js';
import type { RecordFields } from '../model/record.js';
import type { World } from '../ports/world.js';
import { PartitionQueue, ProducerBatch, type Settler } from './accumulator.js';
import { BatchMemory } from './batch-memory.js';
import type { ClusterView } from './cluster-view.js';
import { IntakeTopics, type IntakeTopic } from './intake-topics.js';
import { partitionForKey } from './partitioner.js';
import type { ProducerSettings } from './producer-options.js';
import { fieldsOf } from './record-fields.js';
import type { TopicRecord } from './records.js';
import { TurnClock } from './turn-clock.js';
import type { TopicInfo } from './types.js';
import type { Listeners, Refused, Waiting } from './waiting-line.js';

/** A batch that no other records join. */
export interface OwnBatch {
  readonly topic: string;
  /** Undefined: where its key belongs. */
  readonly partition: number | undefined;
  readonly key: Uint8Array | undefined;
  readonly expectedOffset: number | undefined;
  readonly expectedKeyOffset: number | undefined;
  readonly records: readonly {
    readonly fields: RecordFields;
    readonly timestampMs?: number | undefined;
  }[];
  /** At most, without the batch's header. */
  readonly bytes: number;
  readonly settler: Settler;
}

export interface IntakeDeps {
  readonly world: World;
  readonly view: ClusterView;
  /** A batch is complete and stands in its queue. */
  closed(queue: PartitionQueue, batch: ProducerBatch): void;
  /** The topic is gone: whatever the queue holds ends with this error. */
  failed(queue: PartitionQueue, error: BrokerError): void;
  /** Something is gathered or waits: timeouts are to be looked after. */
  busy(): void;
}

/** Beyond this much waiting for room, records are refused: the caller does not heed back-pressure. */
const WAITING_BYTES_MAX = 512 * 1024 * 1024;
/** A record's size is estimated from above: near the limit the broker decides. */
const ESTIMATE_SLACK = 64;
/** Bounds a record without key and headers beside its value. */
const PLAIN_OVERHEAD_MAX = 40;
/**
 * With so many batches on their way, another one that is due waits until one of them has ended, and goes
 * on gathering: what a batch costs hardly depends on its size, and the brokers are at work as it is.
 */
const UNDER_WAY_MAX = 3;
/** But no longer than this: those on their way may be held up by a leader that is none of its own. */
const HELD_MS_MAX = 5;
const NO_LISTENERS: Listeners = { settler: undefined, group: undefined };

/**
 * The way from records to closed batches: chooses partitions, gathers, closes what is full or due, and
 * makes callers wait while the topic is not known or the buffer is full.
 *
 * Invariants: `bufferedBytes` is the sum over all unresolved batches; a record enters a batch only in
 * the order of the calls for its topic; nothing is allocated for a record that finds room.
 */
export class RecordIntake {
  /** Queues that hold anything. */
  readonly active = new Set<PartitionQueue>();
  private readonly settings: ProducerSettings;
  private readonly deps: IntakeDeps;
  private readonly memory = new BatchMemory();
  private readonly topics: IntakeTopics;
  private readonly stamps: TurnClock;
  /** Closed and not ended. */
  private readonly unresolved = new Set<ProducerBatch>();
  /** Due, and waiting for others to be answered; the longest waiting first. */
  private readonly held = new Map<PartitionQueue, ProducerBatch>();
  private bufferedBytes = 0;

  constructor(settings: ProducerSettings, deps: IntakeDeps) {
    this.settings = settings;
    this.deps = deps;
    this.topics = new IntakeTopics(settings, deps.view, deps.world);
    this.stamps = new TurnClock(deps.world);
  }

  /** Records given and not yet ended, in bytes. */
  get pendingBytes(): number {
    return this.bufferedBytes + this.topics.waitingBytes;
  }

  get isIdle(): boolean {
    return this.active.size === 0 && this.topics.waitingBytes === 0;
  }

  queue(topic: string, partition: number): PartitionQueue | undefined {
    return this.topics.get(topic)?.queues[partition];
  }

  /** Puts the record into a batch; false if it has to wait. Throws if it can never be sent. */
  take(topic: string, record: TopicRecord, listeners = NO_LISTENERS): boolean {
    const fields = fieldsOf(record);
    const state = this.topics.of(topic);
    if (!state.waiting.isEmpty) return false;
    return this.append(state, record, fields, recordBytesMax(fields), listeners);
  }

  /** {@link take} for a record that is nothing but source[start, end) as its value. */
  takeValue(
    to: { readonly topic: string; readonly partition?: number | undefined },
    source: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const state = this.topics.of(to.topic);
    if (!state.waiting.isEmpty) return false;
    const batch = this.batchFor(state, to.partition, undefined, end - start + PLAIN_OVERHEAD_MAX);
    if (batch === undefined) return false;
    const before = batch.builder.bytes;
    batch.builder.appendValue(source, start, end, this.stamps.nowMs());
    this.bufferedBytes += batch.builder.bytes - before;
    return true;
  }

  /**
   * Takes the record as soon as there is room; `taken` is called then. The result withdraws it if it
   * still waits: true then, and nothing of it will be sent.
   */
  wait(
    topic: string,
    record: TopicRecord,
    listeners: Listeners,
    refused: Refused,
    taken?: () => void,
  ): () => boolean {
    const fields = fieldsOf(record);
    const bytes = recordBytesMax(fields);
    const sinceMs = this.deps.world.clock.monotonicMs();
    const state = this.topics.of(topic);
    const admit = (): boolean => this.append(state, record, fields, bytes, listeners, sinceMs);
    return this.enqueue(state, { bytes, sinceMs, admit, refused, taken });
  }

  /**
   * Makes a batch of its own of these records, behind everything given before, and closes it. The
   * result withdraws it if it has to wait for room. Throws if it can never be sent.
   */
  takeAlone(own: OwnBatch): (() => boolean) | undefined {
    const state = this.topics.of(own.topic);
    if (state.waiting.isEmpty && this.appendAlone(state, own)) return undefined;
    const { bytes, settler: refused } = own;
    const sinceMs = this.deps.world.clock.monotonicMs();
    const admit = (): boolean => this.appendAlone(state, own, sinceMs);
    return this.enqueue(state, { bytes, sinceMs, admit, refused, taken: undefined });
  }

  private enqueue(state: IntakeTopic, waiting: Waiting): () => boolean {
    if (this.topics.waitingBytes + waiting.bytes > WAITING_BYTES_MAX) {
      const text = `more than ${WAITING_BYTES_MAX} bytes wait for room: await send`;
      throw new BrokerError('THROTTLED', text);
    }
    const withdraw = state.waiting.push(waiting);
    this.deps.busy();
    return withdraw;
  }

  /** Resolves once everything that waits now has found room, was refused or withdrawn. */
  async admitted(): Promise<void> {
    await Promise.all([...this.topics.all()].map(async (t) => await t.waiting.passed()));
  }

  /** No news of topics is wanted any more. Idempotent. */
  close(): void {
    this.topics.close();
  }

  /** Refuses everything that waits. */
  refuseAll(error: BrokerError): void {
    for (const state of this.topics.all()) state.waiting.refuse(() => error);
  }

  /** Closes what is gathered, as far as windows allow; the rest follows as soon as they do. */
  closeAll(): void {
    for (const queue of this.active) if (queue.open !== undefined) queue.open.isDue = true;
    for (const queue of [...this.active]) this.closeDue(queue);
  }

  /** A batch has ended. */
  release(queue: PartitionQueue, batch: ProducerBatch): void {
    this.unresolved.delete(batch);
    if (this.held.get(queue) === batch) this.held.delete(queue);
    this.bufferedBytes -= batch.builder.bytes - BATCH_HEADER_BYTES;
    if (queue.isEmpty) this.active.delete(queue);
  }

  /** Uses the room that a batch of this queue left. */
  goOn(queue: PartitionQueue): void {
    this.closeDue(queue);
    this.closeHeld();
    if (this.topics.waitingBytes > 0) for (const state of this.topics.all()) state.waiting.admit();
  }

  /** Refuses what has waited since before the given time. */
  refuseLate(beforeMs: number): void {
    for (const state of this.topics.all()) {
      state.waiting.refuse(() => this.lateness(state), beforeMs);
    }
  }

  /** What it was waited for in vain. */
  private lateness({ name, info }: IntakeTopic): BrokerError {
    const { deliveryTimeoutMs } = this.settings;
    return info === undefined
      ? new BrokerError(
          'BROKER_UNAVAILABLE',
          `no broker said within ${deliveryTimeoutMs} ms where topic ${name} is`,
        )
      : new BrokerError('THROTTLED', `no room in the buffer for ${deliveryTimeoutMs} ms`);
  }

  /** The name now stands for another topic, or for none. */
  topicReplaced(name: string): void {
    const state = this.topics.forget(name);
    if (state === undefined) return;
    const error = new BrokerError('UNKNOWN_TOPIC', `topic ${name} was deleted`);
    state.waiting.refuse(() => error);
    for (const queue of state.queues) if (queue !== undefined) this.deps.failed(queue, error);
  }

  // ---- Into a batch ----

  private append(
    state: IntakeTopic,
    record: TopicRecord,
    fields: RecordFields,
    bytes: number,
    listeners: Listeners,
    sinceMs?: number,
  ): boolean {
    const batch = this.batchFor(state, record.partition, fields.key, bytes, sinceMs);
    if (batch === undefined) return false;
    const before = batch.builder.bytes;
    const { settler, group } = listeners;
    if (settler !== undefined) batch.settlers.push({ index: batch.count, settler });
    if (group !== undefined) batch.join(group);
    batch.builder.append(fields, record.timestampMs ?? this.stamps.nowMs());
    this.bufferedBytes += batch.builder.bytes - before;
    return true;
  }

  /** The open batch with room for `bytes` where the record belongs; closes the one that is full. */
  private batchFor(
    state: IntakeTopic,
    explicit: number | undefined,
    key: Uint8Array | undefined,
    bytes: number,
    sinceMs?: number,
  ): ProducerBatch | undefined {
    const info = state.info;
    if (info === undefined) return undefined;
    if (!this.hasRoom(bytes)) return undefined;
    this.mustFit(state, bytes, 'record');
    for (;;) {
      const queue = this.queueFor(state, info, explicit, key);
      const batch = queue.open;
      if (batch === undefined) return this.openBatch(queue, state, bytes, sinceMs);
      const { builder } = batch;
      const bytesMax = queue.isBusy ? state.batchBytesBusy : state.batchBytes;
      const hasRoom =
        builder.bytes + bytes <= bytesMax && builder.count < LIMITS.recordsPerBatchMax;
      if (hasRoom) return batch;
      // Records without a key then go to another partition, whose batch may be full too.
      this.closeBatch(queue, state);
    }
  }

  /** The whole of a batch with an expected offset; false if it has to wait. */
  private appendAlone(state: IntakeTopic, own: OwnBatch, sinceMs?: number): boolean {
    const { info } = state;
    if (info === undefined || !this.hasRoom(own.bytes)) return false;
    this.mustFit(state, own.bytes, 'batch');
    const queue = this.queueFor(state, info, own.partition, own.key);
    if (queue.open !== undefined) this.closeBatch(queue, state);
    const batch = this.openBatch(queue, state, own.bytes, sinceMs);
    batch.expectedOffset = own.expectedOffset;
    batch.expectedKeyOffset = own.expectedKeyOffset;
    batch.settlers.push({ index: 0, settler: own.settler });
    const before = batch.builder.bytes;
    const nowMs = this.deps.world.clock.nowMs();
    for (const { fields, timestampMs } of own.records) {
      batch.builder.append(fields, timestampMs ?? nowMs);
    }
    this.bufferedBytes += batch.builder.bytes - before;
    this.closeBatch(queue, state);
    return true;
  }

  private hasRoom(bytes: number): boolean {
    const { bufferBytesMax } = this.settings;
    if (this.bufferedBytes === 0 || this.bufferedBytes + bytes <= bufferBytesMax) return true;
    this.closeForRoom();
    return false;
  }

  private mustFit(state: IntakeTopic, bytes: number, what: 'record' | 'batch'): void {
    const hasCodec = this.settings.compression !== 'none' && !state.isPlain;
    const bytesMax = hasCodec ? LIMITS.batchBytesMax : state.batchBytesMax;
    if (bytes + BATCH_HEADER_BYTES <= bytesMax + ESTIMATE_SLACK) return;
    const limit = hasCodec
      ? 'the largest batch of any topic,'
      : `max.batch.bytes of ${state.name},`;
    const text = `${what} of about ${bytes} bytes exceeds ${limit} ${bytesMax}`;
    throw new BrokerError('BATCH_TOO_LARGE', text);
  }

  private queueFor(
    state: IntakeTopic,
    info: TopicInfo,
    explicit: number | undefined,
    key: Uint8Array | undefined,
  ): PartitionQueue {
    const count = info.partitions.length;
    let partition: number;
    if (explicit !== undefined) {
      if (!Number.isInteger(explicit) || explicit < 0 || explicit >= count) {
        // Unless it was added a moment ago: then the next record finds it.
        void this.deps.view.refresh(state.name);
        const text = `topic ${state.name} has partitions 0 to ${count - 1}, not ${explicit}`;
        throw new BrokerError('UNKNOWN_PARTITION', text);
      }
      partition = explicit;
    } else {
      partition = key === undefined ? state.sticky.pick(count) : partitionForKey(key, count);
    }
    let queue = state.queues[partition];
    if (queue === undefined) {
      queue = new PartitionQueue({
        topic: state.name,
        partition,
        topicId: info.topicId,
        isIdempotent: this.settings.isIdempotent,
        window: this.settings.window,
      });
      state.queues[partition] = queue;
    }
    return queue;
  }

  /** The time that its first record has waited already counts for it: its caller has one timeout. */
  private openBatch(
    queue: PartitionQueue,
    state: IntakeTopic,
    bytes: number,
    sinceMs = this.deps.world.clock.monotonicMs(),
  ): ProducerBatch {
    const { world } = this.deps;
    const { lingerMs } = this.settings;
    const bytesMax = queue.isBusy ? state.batchBytesBusy : state.batchBytes;
    const initial = Math.min(bytesMax, queue.lastBatchBytes + 256);
    const size = Math.max(initial, bytes + BATCH_HEADER_BYTES);
    const batch = new ProducerBatch(sinceMs, size, this.memory);
    batch.isPlain = state.isPlain;
    queue.open = batch;
    this.active.add(queue);
    this.deps.busy();
    const due = (): void => {
      if (this.unresolved.size < UNDER_WAY_MAX) this.becomeDue(queue, batch);
      else this.hold(queue, batch);
    };
    if (lingerMs === 0) world.timers.defer(due);
    else batch.lingerTimer = world.timers.after(lingerMs, due);
    return batch;
  }

  private becomeDue(queue: PartitionQueue, batch: ProducerBatch): void {
    batch.isDue = true;
    this.closeDue(queue);
  }

  private hold(queue: PartitionQueue, batch: ProducerBatch): void {
    // It was closed in the turn in which it was to be.
    if (queue.open !== batch) return;
    this.held.set(queue, batch);
    const { timers } = this.deps.world;
    batch.lingerTimer = timers.after(HELD_MS_MAX, () => this.becomeDue(queue, batch));
  }

  /** As many of those that wait as there is room for on the way. */
  private closeHeld(): void {
    for (const [queue, batch] of this.held) {
      if (this.unresolved.size >= UNDER_WAY_MAX) return;
      this.held.delete(queue);
      if (queue.open === batch) this.becomeDue(queue, batch);
    }
  }

  /** The buffer is full: what is gathered must go, or nobody would ever make room. */
  private closeForRoom(): void {
    for (const queue of this.active) {
      if (queue.open === undefined || queue.batches.length > 0) continue;
      queue.open.isDue = true;
      this.closeDue(queue);
    }
  }

  /** Closes a due batch, unless others still fill the window: then it goes on gathering. */
  private closeDue(queue: PartitionQueue): void {
    const batch = queue.open;
    if (batch?.isDue !== true || queue.batches.length >= queue.window) return;
    const state = this.topics.get(queue.topic);
    if (state !== undefined) this.closeBatch(queue, state);
  }

  private closeBatch(queue: PartitionQueue, state: IntakeTopic): void {
    const batch = queue.close();
    this.held.delete(queue);
    this.unresolved.add(batch);
    state.sticky.batchClosed(queue.partition, state.info?.partitions.length ?? 1);
    this.deps.closed(queue, batch);
  }
}
