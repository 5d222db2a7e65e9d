import type { Crc32c } from '../base/crc32c.js';
import { utf8Encode } from '../base/bytes.js';
import { deferred, type Deferred } from '../base/deferred.js';
import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import { BATCH_HEADER_BYTES, type Compression } from '../model/record-batch.js';
import { recordBytesMax } from '../model/record-batch-builder.js';
import type { RecordFields } from '../model/record.js';
import type { Cancel, World } from '../ports/world.js';
import {
  PartitionQueue,
  ProducerBatch,
  type BatchReport,
  type RecordGroup,
  type RecordMetadata,
  type Settler,
} from './accumulator.js';
import type { ClusterView } from './cluster-view.js';
import type { Codecs } from './compression/codecs.js';
import type { ClientTransport } from './connection.js';
import { StickyPartitioner, partitionForKey } from './partitioner.js';
import { ProducerIdentitySource } from './producer-identity.js';
import { Sender } from './sender.js';
import type { Acks, TopicInfo } from './types.js';

/** A record to be produced. Strings are written as UTF-8. */
export interface ProducerRecord {
  readonly topic: string;
  /** Absent: by the key's hash; without a key, wherever a batch is being filled. */
  readonly partition?: number | undefined;
  readonly key?: Uint8Array | string | undefined;
  /** Absent: a null value. */
  readonly value?: Uint8Array | string | undefined;
  readonly headers?: Readonly<Record<string, Uint8Array | string>> | undefined;
  /** Absent: now. */
  readonly timestampMs?: number | undefined;
}

export interface ProducerOptions {
  /** When a record counts as delivered. Default: quorum. */
  readonly acks?: Acks | undefined;
  /** Every record once and in order, whatever is retried. Default: true with acks quorum. */
  readonly idempotent?: boolean | undefined;
  /** A batch is sent when it has this many bytes. Default: 256 KiB. */
  readonly batchBytes?: number | undefined;
  /** ... or when its first record has waited this long. Default: 5. */
  readonly lingerMs?: number | undefined;
  readonly compression?: Compression | undefined;
  /** Batches of a partition on their way at a time; at most 5. Default: 5, or 1 without idempotence. */
  readonly inflightBatchesMax?: number | undefined;
  /** Records not yet acknowledged, in bytes; `send` waits for room beyond it. Default: 32 MiB. */
  readonly bufferBytesMax?: number | undefined;
  /** From `send` to the final answer, retries included. Default: 120,000. */
  readonly deliveryTimeoutMs?: number | undefined;
  /** One attempt. Default: 10,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Hears of every batch, delivered or not. */
  readonly onBatch?: ((report: BatchReport) => void) | undefined;
}

export interface ProducerDeps {
  readonly transport: ClientTransport;
  readonly world: World;
  readonly view: ClusterView;
  readonly codecs: Codecs;
  readonly crc32c: Crc32c;
}

export interface SendSummary {
  readonly records: number;
  /** Offsets of the first and the last record per partition. */
  readonly partitions: ReadonlyMap<number, { readonly first: number; readonly last: number }>;
}

/** A record that waits for its topic's metadata or for room. */
interface Waiting {
  readonly append: () => boolean;
  readonly bytes: number;
  readonly sinceMs: number;
  readonly reject: (error: BrokerError) => void;
  /** Called once it is in a batch or refused. */
  readonly done: (() => void)[];
}

interface TopicState {
  readonly name: string;
  info: TopicInfo | undefined;
  queues: (PartitionQueue | undefined)[];
  readonly sticky: StickyPartitioner;
  waiting: Waiting[];
  /** A batch is full at this size ... */
  batchBytes: number;
  /** ... but a single record may be as large as the topic allows. */
  batchBytesMax: number;
}

const SWEEP_MS = 100;
/** Beyond this much waiting for room, records are refused: the caller does not heed back-pressure. */
const WAITING_BYTES_MAX = 512 * 1024 * 1024;
/** A record's size is estimated from above: near the limit the broker decides. */
const ESTIMATE_SLACK = 64;
const MAX_BATCH_KEY = 'max.batch.bytes';

/**
 * Sends records in batches, keeping the order of each partition.
 *
 * Invariants: `bufferedBytes` is the sum over all unresolved batches; a record is admitted to a batch
 * only in the order of the calls for its topic; every record ends exactly once, delivered or failed.
 * Errors say whether the record is definitely not appended (`outcome` none) or may be (unknown).
 */
export class Producer {
  private readonly deps: ProducerDeps;
  private readonly sender: Sender;
  private readonly topics = new Map<string, TopicState>();
  private readonly active = new Set<PartitionQueue>();
  private readonly isIdempotent: boolean;
  private readonly window: number;
  private readonly batchBytes: number;
  private readonly lingerMs: number;
  private readonly bufferBytesMax: number;
  private readonly deliveryTimeoutMs: number;
  private readonly hasCodec: boolean;
  private readonly onBatch: ((report: BatchReport) => void) | undefined;
  private readonly unlisten: Cancel;
  private sweeper: Cancel | undefined;
  private bufferedBytes = 0;
  private waitingBytes = 0;
  private isClosing = false;

  constructor(options: ProducerOptions, deps: ProducerDeps) {
    this.deps = deps;
    const acks = options.acks ?? 'quorum';
    this.isIdempotent = options.idempotent ?? acks === 'quorum';
    this.window = options.inflightBatchesMax ?? (this.isIdempotent ? 5 : 1);
    this.batchBytes = options.batchBytes ?? 256 * 1024;
    this.lingerMs = options.lingerMs ?? 5;
    this.bufferBytesMax = options.bufferBytesMax ?? 32 * 1024 * 1024;
    this.deliveryTimeoutMs = options.deliveryTimeoutMs ?? 120_000;
    this.hasCodec = (options.compression ?? 'none') !== 'none';
    this.onBatch = options.onBatch;
    const requestTimeoutMs = options.requestTimeoutMs ?? 10_000;
    check(!this.isIdempotent || acks === 'quorum', 'an idempotent producer needs acks quorum');
    check(this.window >= 1 && this.window <= 5, 'inflightBatchesMax must be 1 to 5');
    check(
      this.batchBytes > 0 && this.batchBytes <= LIMITS.batchBytesMax,
      'batchBytes out of range',
    );
    check(this.lingerMs >= 0, 'lingerMs must not be negative');
    check(this.bufferBytesMax > 0, 'bufferBytesMax must be positive');
    check(
      this.deliveryTimeoutMs > 0 && this.deliveryTimeoutMs <= LIMITS.deliveryTimeoutMsMax,
      `deliveryTimeoutMs must be 1 to ${LIMITS.deliveryTimeoutMsMax}`,
    );
    check(
      requestTimeoutMs > 0 && requestTimeoutMs <= LIMITS.requestDeadlineMsMax,
      `requestTimeoutMs must be 1 to ${LIMITS.requestDeadlineMsMax}`,
    );
    this.sender = new Sender(
      {
        acks,
        isIdempotent: this.isIdempotent,
        compression: options.compression ?? 'none',
        requestTimeoutMs,
        deliveryTimeoutMs: this.deliveryTimeoutMs,
      },
      {
        ...deps,
        identities: new ProducerIdentitySource(deps.view, requestTimeoutMs),
        settled: (queue, batch, report) => this.settled(queue, batch, report),
      },
    );
    this.unlisten = deps.view.onChange({
      leaderChanged: (topic, partition) => {
        const queue = this.topics.get(topic)?.queues[partition];
        if (queue !== undefined) this.sender.leaderChanged(queue);
      },
      topicReplaced: (topic) => this.topicReplaced(topic),
    });
  }

  /**
   * Produces one record; resolves once it is delivered as `acks` says. Calls for one partition are
   * delivered in their order, whether or not the caller awaits each.
   */
  send(record: ProducerRecord): Promise<RecordMetadata> {
    const promise = new Promise<RecordMetadata>((resolve, reject) => {
      this.admit(record, { resolve, reject }, undefined, reject, undefined);
    });
    // A caller who does not look must not bring the process down; whoever awaits still gets it.
    promise.catch(() => undefined);
    return promise;
  }

  /**
   * Takes a record in without a promise of its own: `onBatch`, or the group, hears of it. Returns
   * undefined if there was room, else a promise to await before the next call.
   */
  enqueue(record: ProducerRecord, group?: RecordGroup): Promise<void> | undefined {
    const gate = new Gate();
    const isIn = this.admit(
      record,
      undefined,
      group,
      (error) => gate.refuse(error),
      () => gate.open(),
    );
    if (isIn) return undefined;
    const waiting = gate.wait();
    waiting.catch(() => undefined);
    return waiting;
  }

  /** Like `enqueue`, for a record that is nothing but source[start, end) as its value. */
  enqueueValue(
    to: { readonly topic: string; readonly partition?: number | undefined },
    source: Uint8Array,
    start: number,
    end: number,
  ): Promise<void> | undefined {
    const state = this.topics.get(to.topic);
    if (state !== undefined && state.waiting.length === 0 && !this.isClosing) {
      if (this.appendValue(state, to.partition, source, start, end)) return undefined;
    }
    return this.enqueue({ ...to, value: source.subarray(start, end) });
  }

  /** Produces many records of one topic; resolves once all are delivered. */
  async sendMany(
    topic: string,
    records: Iterable<Omit<ProducerRecord, 'topic'>>,
  ): Promise<SendSummary> {
    const done = deferred<undefined>();
    const partitions = new Map<number, { first: number; last: number }>();
    let total = 0;
    let open = 1;
    let error: BrokerError | undefined;
    const leave = (count: number): void => {
      open -= count;
      if (open === 0) done.resolve(undefined);
    };
    const group: RecordGroup = {
      admitted: () => (open += 1),
      settled: (count, report) => {
        error ??= report.error;
        if (report.error === undefined) extend(partitions, report);
        leave(count);
      },
    };
    try {
      for (const record of records) {
        total += 1;
        const room = this.enqueue({ ...record, topic }, group);
        if (room !== undefined) await room;
      }
    } finally {
      leave(1);
      await done.promise;
    }
    if (error !== undefined) throw error;
    return { records: total, partitions };
  }

  /** Sends what is gathered at once, and resolves when every record given so far has ended. */
  async flush(): Promise<void> {
    const last = [...this.topics.values()].flatMap((t) => t.waiting.slice(-1));
    await Promise.all(last.map(async (w) => new Promise<void>((r) => w.done.push(r))));
    const pending: Promise<void>[] = [];
    for (const queue of this.active) {
      for (const batch of queue.batches) pending.push(whenSettled(batch));
      if (queue.open === undefined) continue;
      pending.push(whenSettled(queue.open));
      queue.open.isDue = true;
    }
    for (const queue of [...this.active]) this.closeDue(queue);
    await Promise.all(pending);
  }

  /** Refuses new records, delivers those it has, then closes its streams. Idempotent. */
  async close(): Promise<void> {
    this.isClosing = true;
    await this.flush();
    this.unlisten();
    this.sweeper?.();
    this.sweeper = undefined;
    this.sender.close();
  }

  /** Records given and not yet ended, in bytes. */
  get pendingBytes(): number {
    return this.bufferedBytes + this.waitingBytes;
  }

  // ---- Admission ----

  /** Appends the record, or lets it wait. False if it waits or was refused. */
  private admit(
    record: ProducerRecord,
    settler: Settler | undefined,
    group: RecordGroup | undefined,
    reject: (error: BrokerError) => void,
    admitted: (() => void) | undefined,
  ): boolean {
    try {
      if (this.isClosing) throw new BrokerError('SHUTTING_DOWN', 'the producer is closed');
      const fields = fieldsOf(record);
      const bytes = recordBytesMax(fields);
      const state = this.topicState(record.topic);
      const append = (): boolean => this.append(state, record, fields, bytes, settler, group);
      if (state.waiting.length === 0 && append()) return true;
      if (this.waitingBytes + bytes > WAITING_BYTES_MAX) {
        const text = `more than ${WAITING_BYTES_MAX} bytes wait for room: await send`;
        throw new BrokerError('THROTTLED', text);
      }
      const sinceMs = this.deps.world.clock.monotonicMs();
      const done = admitted === undefined ? [] : [admitted];
      state.waiting.push({ append, bytes, sinceMs, reject, done });
      this.waitingBytes += bytes;
      this.startSweeping();
    } catch (thrown) {
      reject(BrokerError.from(thrown));
    }
    return false;
  }

  /** False if there is no room or no metadata yet; throws if the record can never be sent. */
  private append(
    state: TopicState,
    record: ProducerRecord,
    fields: RecordFields,
    bytes: number,
    settler: Settler | undefined,
    group: RecordGroup | undefined,
  ): boolean {
    const batch = this.batchFor(state, record.partition, fields.key, bytes);
    if (batch === undefined) return false;
    const before = batch.builder.bytes;
    if (settler !== undefined) batch.settlers.push({ index: batch.count, settler });
    if (group !== undefined) {
      group.admitted();
      batch.groups.set(group, (batch.groups.get(group) ?? 0) + 1);
    }
    batch.builder.append(fields, record.timestampMs ?? this.deps.world.clock.nowMs());
    this.bufferedBytes += batch.builder.bytes - before;
    return true;
  }

  private appendValue(
    state: TopicState,
    partition: number | undefined,
    source: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const batch = this.batchFor(state, partition, undefined, end - start + 40);
    if (batch === undefined) return false;
    const before = batch.builder.bytes;
    batch.builder.appendValue(source, start, end, this.deps.world.clock.nowMs());
    this.bufferedBytes += batch.builder.bytes - before;
    return true;
  }

  /** The open batch with room for `bytes` where the record belongs; closes the one that is full. */
  private batchFor(
    state: TopicState,
    explicit: number | undefined,
    key: Uint8Array | undefined,
    bytes: number,
  ): ProducerBatch | undefined {
    const info = state.info;
    if (info === undefined) return undefined;
    if (this.bufferedBytes > 0 && this.bufferedBytes + bytes > this.bufferBytesMax) {
      this.closeForRoom();
      return undefined;
    }
    const bytesMax = this.hasCodec ? LIMITS.batchBytesMax : state.batchBytesMax;
    if (bytes + BATCH_HEADER_BYTES > bytesMax + ESTIMATE_SLACK) {
      const text = `record of about ${bytes} bytes exceeds max.batch.bytes ${bytesMax}`;
      throw new BrokerError('BATCH_TOO_LARGE', text);
    }
    let queue = this.queueFor(state, info, explicit, key);
    let batch = queue.open;
    const isFull =
      batch !== undefined &&
      (batch.builder.bytes + bytes > state.batchBytes || batch.count >= LIMITS.recordsPerBatchMax);
    if (isFull) {
      this.closeBatch(queue, state);
      queue = this.queueFor(state, info, explicit, key);
      batch = queue.open;
    }
    return batch ?? this.openBatch(queue, state, bytes);
  }

  private queueFor(
    state: TopicState,
    info: TopicInfo,
    explicit: number | undefined,
    key: Uint8Array | undefined,
  ): PartitionQueue {
    const count = info.partitions.length;
    let partition: number;
    if (explicit !== undefined) {
      if (!Number.isInteger(explicit) || explicit < 0 || explicit >= count) {
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
        isIdempotent: this.isIdempotent,
        window: this.window,
      });
      state.queues[partition] = queue;
    }
    return queue;
  }

  private openBatch(queue: PartitionQueue, state: TopicState, bytes: number): ProducerBatch {
    const { world } = this.deps;
    const initial = Math.min(state.batchBytes, queue.lastBatchBytes + 256);
    const size = Math.max(initial, bytes + BATCH_HEADER_BYTES);
    const batch = new ProducerBatch(world.clock.monotonicMs(), size);
    queue.open = batch;
    this.active.add(queue);
    this.startSweeping();
    const due = (): void => {
      batch.isDue = true;
      this.closeDue(queue);
    };
    if (this.lingerMs === 0) world.timers.defer(due);
    else batch.lingerTimer = world.timers.after(this.lingerMs, due);
    return batch;
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

  private closeBatch(queue: PartitionQueue, state: TopicState): void {
    const batch = queue.close();
    state.sticky.batchClosed(queue.partition, state.info?.partitions.length ?? 1);
    this.sender.closed(queue, batch);
  }

  private settled(queue: PartitionQueue, batch: ProducerBatch, report: BatchReport): void {
    this.bufferedBytes -= batch.builder.bytes - BATCH_HEADER_BYTES;
    if (queue.isEmpty) this.active.delete(queue);
    this.onBatch?.(report);
    this.closeDue(queue);
    if (this.waitingBytes > 0) for (const state of this.topics.values()) this.admitWaiting(state);
  }

  private admitWaiting(state: TopicState): void {
    let next = state.waiting[0];
    let passed = 0;
    for (; next !== undefined; next = state.waiting[passed]) {
      try {
        if (!next.append()) break;
      } catch (thrown) {
        next.reject(BrokerError.from(thrown));
      }
      for (const done of next.done) done();
      passed += 1;
      this.waitingBytes -= next.bytes;
    }
    if (passed > 0) state.waiting.splice(0, passed);
  }

  // ---- Topics ----

  private topicState(name: string): TopicState {
    let state = this.topics.get(name);
    if (state === undefined) {
      state = {
        name,
        info: this.deps.view.topic(name),
        queues: [],
        sticky: new StickyPartitioner(this.deps.world.random),
        waiting: [],
        batchBytes: this.batchBytes,
        batchBytesMax: LIMITS.batchBytesDefault,
      };
      this.topics.set(name, state);
      if (state.info === undefined) void this.loadTopic(state);
      else this.useTopic(state, state.info);
    }
    return state;
  }

  /** Never rejects: those who wait for the topic are told. */
  private async loadTopic(state: TopicState): Promise<void> {
    try {
      this.useTopic(state, await this.deps.view.loadTopic(state.name, this.deliveryTimeoutMs));
    } catch (thrown) {
      // The next send asks again.
      if (this.topics.get(state.name) === state) this.topics.delete(state.name);
      this.rejectWaiting(state, BrokerError.from(thrown));
      return;
    }
    this.admitWaiting(state);
  }

  private useTopic(state: TopicState, info: TopicInfo): void {
    state.info = info;
    state.batchBytesMax = topicBatchBytesMax(info);
    state.batchBytes = Math.min(this.batchBytes, state.batchBytesMax);
  }

  private topicReplaced(name: string): void {
    const state = this.topics.get(name);
    if (state === undefined) return;
    this.topics.delete(name);
    const error = new BrokerError('UNKNOWN_TOPIC', `topic ${name} was deleted`);
    this.rejectWaiting(state, error);
    for (const queue of state.queues) if (queue !== undefined) this.sender.failAll(queue, error);
  }

  private rejectWaiting(state: TopicState, error: BrokerError): void {
    this.reject(state.waiting.splice(0), error);
  }

  private reject(waiting: readonly Waiting[], error: BrokerError): void {
    for (const w of waiting) {
      this.waitingBytes -= w.bytes;
      w.reject(error);
      for (const done of w.done) done();
    }
  }

  private startSweeping(): void {
    this.sweeper ??= this.deps.world.timers.every(SWEEP_MS, () => this.sweep());
  }

  private sweep(): void {
    this.sender.sweep([...this.active]);
    const beforeMs = this.deps.world.clock.monotonicMs() - this.deliveryTimeoutMs;
    for (const state of this.topics.values()) {
      const overdue = state.waiting.findIndex((w) => w.sinceMs >= beforeMs);
      const late = state.waiting.splice(0, overdue < 0 ? state.waiting.length : overdue);
      const text = `no room in the buffer for ${this.deliveryTimeoutMs} ms`;
      this.reject(late, new BrokerError('THROTTLED', text));
    }
    if (this.active.size > 0 || this.waitingBytes > 0) return;
    this.sweeper?.();
    this.sweeper = undefined;
  }
}

/** Makes a promise only if somebody has to wait. */
class Gate {
  private room: Deferred<undefined> | undefined;
  private refusal: BrokerError | undefined;

  open(): void {
    this.room?.resolve(undefined);
  }

  refuse(error: BrokerError): void {
    this.refusal = error;
    this.room?.reject(error);
  }

  async wait(): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal;
    this.room = deferred<undefined>();
    await this.room.promise;
  }
}

function check(holds: boolean, text: string): void {
  if (!holds) throw new BrokerError('INVALID_ARGUMENT', text);
}

function topicBatchBytesMax(info: TopicInfo): number {
  const set = Number(info.config[MAX_BATCH_KEY]);
  return Number.isSafeInteger(set) && set > 0 ? set : LIMITS.batchBytesDefault;
}

function bytesOf(value: unknown, what: string): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return utf8Encode(value);
  check(value instanceof Uint8Array, `a record's ${what} must be bytes or a string`);
  return value as Uint8Array;
}

function fieldsOf(record: ProducerRecord): RecordFields {
  const at = record.timestampMs;
  check(at === undefined || (Number.isInteger(at) && Math.abs(at) < 2 ** 50), 'bad timestampMs');
  const fields = { key: bytesOf(record.key, 'key'), value: bytesOf(record.value, 'value') };
  if (record.headers === undefined) return fields;
  const entries = Object.entries(record.headers);
  check(entries.length <= LIMITS.recordHeadersMax, `more than ${LIMITS.recordHeadersMax} headers`);
  const headers = entries.map(([key, value]) => ({ key, value: bytesOf(value, 'header') }));
  return { ...fields, headers };
}

function extend(
  partitions: Map<number, { first: number; last: number }>,
  report: BatchReport,
): void {
  const last = report.baseOffset + report.records - 1;
  const known = partitions.get(report.partition);
  if (known === undefined) {
    partitions.set(report.partition, { first: report.baseOffset, last });
  } else {
    known.first = Math.min(known.first, report.baseOffset);
    known.last = Math.max(known.last, last);
  }
}

async function whenSettled(batch: ProducerBatch): Promise<void> {
  await new Promise<void>((resolve) => batch.whenSettled.push(resolve));
}
