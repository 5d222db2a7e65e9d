import type { Crc32c } from '../base/crc32c.js';
import { deferred } from '../base/deferred.js';
import { BrokerError } from '../model/errors.js';
import type { Cancel, World } from '../ports/world.js';
import { AbortWatch, abortable, cancelled, isAborted, type Abortable } from './abort.js';
import type {
  BatchReport,
  PartitionQueue,
  ProducerBatch,
  RecordGroup,
  RecordMetadata,
} from './accumulator.js';
import { checkArgument } from './check-argument.js';
import type { ClusterView } from './cluster-view.js';
import type { Codecs } from './compression/codecs.js';
import {
  ownBatchOf,
  type AppendedRecords,
  type ConditionalAppend,
  type KeyedAppend,
} from './conditional-append.js';
import type { ClientTransport } from './connection.js';
import { ProducerIdentitySource } from './producer-identity.js';
import {
  settingsOf,
  type ProducerOptions,
  type ProducerSettings,
  type SendSummary,
} from './producer-options.js';
import { encoderOf, type Encode } from './record-coding.js';
import type { ProducerRecord, RecordData, TopicRecord } from './records.js';
import { RecordIntake } from './record-intake.js';
import { Sender } from './sender.js';
import type { Refused } from './waiting-line.js';

export interface ProducerDeps {
  readonly transport: ClientTransport;
  readonly world: World;
  readonly view: ClusterView;
  readonly codecs: Codecs;
  readonly crc32c: Crc32c;
}

/** Who hears of a record without a promise of its own, and who may call it off. */
interface Heard {
  readonly group: RecordGroup | undefined;
  readonly signal: AbortSignal | undefined;
}

const NO_OPTIONS: Abortable = {};
const NOBODY: Heard = { group: undefined, signal: undefined };
const SWEEP_MS = 100;
/**
 * A caller that never waits for anything else gives the event loop a turn after this much, so that
 * batches leave and answers arrive while it goes on: about a millisecond of its work.
 */
const TURN_BYTES = 256 * 1024;

/**
 * Sends records in batches, keeping the order of each partition.
 *
 * Invariants: every record ends exactly once, delivered or failed; errors say whether it is definitely
 * not appended (`outcome` none) or may be (unknown).
 */
export class Producer<K = RecordData, V = RecordData> {
  private readonly encode: Encode<K, V>;
  private readonly aborts = new AbortWatch();
  private readonly deps: ProducerDeps;
  private readonly settings: ProducerSettings;
  private readonly intake: RecordIntake;
  private readonly sender: Sender;
  private readonly unlisten: Cancel;
  private sweeper: Cancel | undefined;
  /** Taken in since the event loop had its last turn. */
  private bytesThisTurn = 0;
  private isClosing = false;

  /** @internal */
  constructor(options: ProducerOptions<K, V>, deps: ProducerDeps) {
    this.deps = deps;
    this.encode = encoderOf(options);
    this.settings = settingsOf(options);
    const { requestTimeoutMs } = this.settings;
    this.sender = new Sender(this.settings, {
      ...deps,
      identities: new ProducerIdentitySource(deps.view, requestTimeoutMs),
      settled: (queue, batch, report) => this.settled(queue, batch, report),
    });
    this.intake = new RecordIntake(this.settings, {
      world: deps.world,
      view: deps.view,
      closed: (queue, batch) => this.sender.closed(queue, batch),
      failed: (queue, error) => this.sender.failAll(queue, error),
      busy: () => this.startSweeping(),
    });
    this.unlisten = deps.view.onChange({
      leaderChanged: (topic, partition) => {
        const queue = this.intake.queue(topic, partition);
        if (queue !== undefined) this.sender.leaderChanged(queue);
      },
      topicReplaced: (topic) => this.intake.topicReplaced(topic),
    });
  }

  /**
   * Produces one record; resolves once it is delivered as `acks` says. Calls for one partition are
   * delivered in their order, whether or not the caller awaits each. Aborted while it waits for room,
   * a record is withdrawn (the error's outcome is `none`); later it goes on, and is only not waited for.
   */
  send(record: ProducerRecord<K, V>, options: Abortable = NO_OPTIONS): Promise<RecordMetadata> {
    const settler = deferred<RecordMetadata>();
    const { promise } = settler;
    const listeners = { settler, group: undefined };
    const { signal } = options;
    try {
      this.assertOpen();
      if (signal?.aborted === true) throw cancelled(signal, 'none');
      const encoded = this.encode(record.topic, record);
      let withdraw: (() => boolean) | undefined;
      if (!this.intake.take(record.topic, encoded, listeners)) {
        withdraw = this.intake.wait(record.topic, encoded, listeners, settler);
      }
      if (signal !== undefined) this.heed(signal, promise, withdraw, settler);
    } catch (thrown) {
      settler.reject(BrokerError.from(thrown));
    }
    // A caller who does not look must not bring the process down; whoever awaits still gets it.
    promise.catch(() => undefined);
    return promise;
  }

  /**
   * Compare and append: appends these records together, at once, if the partition's log ends at the
   * expected offset, and otherwise nothing: EXPECTATION_FAILED then says in `facts.logEndOffset` where
   * it ended. Linearizable, also under changes of leaders: of all who expect an offset, one gets it.
   * Records given before go first, those given later wait for the outcome. Aborted, it ends as `send` does.
   *
   * With a key, the same by key: only if the last record of the key has the expected offset; a refusal
   * says in `facts.keyOffset` which it has.
   */
  appendIf(
    append: ConditionalAppend<K, V> | KeyedAppend<K, V>,
    { signal }: Abortable = NO_OPTIONS,
  ): Promise<AppendedRecords> {
    const settler = deferred<AppendedRecords>();
    const { promise } = settler;
    try {
      this.assertOpen();
      if (signal?.aborted === true) throw cancelled(signal, 'none');
      checkArgument(this.settings.isIdempotent, 'appendIf needs an idempotent producer');
      const withdraw = this.intake.takeAlone(ownBatchOf(this.encodeAll(append), settler));
      if (signal !== undefined) this.heed(signal, promise, withdraw, settler);
    } catch (thrown) {
      settler.reject(BrokerError.from(thrown));
    }
    promise.catch(() => undefined);
    return promise;
  }

  /**
   * Takes a record in without a promise of its own: `onBatch` hears of it. Returns undefined if the
   * caller may go on, else a promise to await before the next call: there is no room yet, or the event
   * loop needs a turn. Aborted before there is room, it rejects, and the record is withdrawn.
   */
  enqueue(
    record: ProducerRecord<K, V>,
    options: Abortable = NO_OPTIONS,
  ): Promise<void> | undefined {
    const { signal } = options;
    const heard = signal === undefined ? NOBODY : { group: undefined, signal };
    return this.enter(record.topic, record, heard);
  }

  /** Like `enqueue`, for a record that is nothing but source[start, end) as its value: no serde is asked. */
  enqueueValue(
    to: { readonly topic: string; readonly partition?: number | undefined },
    source: Uint8Array,
    start: number,
    end: number,
  ): Promise<void> | undefined {
    try {
      this.assertOpen();
      if (this.intake.takeValue(to, source, start, end)) return this.turn(end - start);
    } catch (thrown) {
      return refused(thrown);
    }
    const record = { partition: to.partition, value: source.subarray(start, end) };
    return this.enterEncoded(to.topic, record, NOBODY);
  }

  /**
   * Produces many records of one topic; resolves once all are delivered. Aborted, it takes no more of
   * them; those that it has taken go on, and are only not waited for.
   */
  async sendMany(
    topic: string,
    records: Iterable<TopicRecord<K, V>>,
    { signal }: Abortable = {},
  ): Promise<SendSummary> {
    return await abortable(signal, async () => await this.sendAll(topic, records, signal));
  }

  private async sendAll(
    topic: string,
    records: Iterable<TopicRecord<K, V>>,
    signal: AbortSignal | undefined,
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
      joined: () => (open += 1),
      settled: (count, report) => {
        error ??= report.error;
        if (report.error === undefined) extend(partitions, report);
        leave(count);
      },
    };
    const heard = { group, signal };
    try {
      for (const record of records) {
        if (isAborted(signal)) break;
        total += 1;
        const later = this.enter(topic, record, heard);
        if (later !== undefined) await later;
      }
    } finally {
      leave(1);
      await done.promise;
    }
    if (error !== undefined) throw error;
    return { records: total, partitions };
  }

  /** Sends what is gathered at once, and resolves when every record given so far has ended. */
  async flush({ signal }: Abortable = {}): Promise<void> {
    await abortable(signal, async () => {
      await this.intake.admitted();
      const pending: Promise<void>[] = [];
      for (const queue of this.intake.active) {
        for (const batch of queue.batches) pending.push(whenSettled(batch));
        if (queue.open !== undefined) pending.push(whenSettled(queue.open));
      }
      this.intake.closeAll();
      await Promise.all(pending);
    });
  }

  /**
   * Refuses new records, delivers those it has, then closes its streams. Idempotent. Aborted, it rejects
   * and closes at once: what is not delivered yet ends with SHUTTING_DOWN, or UNKNOWN_OUTCOME if it may
   * have been appended.
   */
  async close(options: Abortable = {}): Promise<void> {
    this.isClosing = true;
    try {
      await this.flush(options);
    } finally {
      // Nothing is left, unless it was aborted.
      const error = new BrokerError('SHUTTING_DOWN', 'the producer was closed before it was sent');
      this.intake.refuseAll(error);
      for (const queue of [...this.intake.active]) this.sender.failAll(queue, error);
      this.unlisten();
      this.intake.close();
      this.sweeper?.();
      this.sweeper = undefined;
      this.sender.close();
    }
  }

  /** Records given and not yet ended, in bytes. */
  get pendingBytes(): number {
    return this.intake.pendingBytes;
  }

  private encodeAll(
    append: ConditionalAppend<K, V> | KeyedAppend<K, V>,
  ): ConditionalAppend | KeyedAppend {
    const { topic } = append;
    if (!('expectedKeyOffset' in append)) {
      return { ...append, records: append.records.map((record) => this.encode(topic, record)) };
    }
    const { key } = append;
    const records = append.records.map((record) => this.encode(topic, { ...record, key }));
    // Whatever the serializer made of it, all have the same.
    return { ...append, key: (records[0]?.key ?? key) as RecordData, records };
  }

  private enter(topic: string, record: TopicRecord<K, V>, heard: Heard): Promise<void> | undefined {
    let encoded: TopicRecord;
    try {
      encoded = this.encode(topic, record);
    } catch (thrown) {
      return refused(thrown);
    }
    return this.enterEncoded(topic, encoded, heard);
  }

  private enterEncoded(
    topic: string,
    record: TopicRecord,
    { group, signal }: Heard,
  ): Promise<void> | undefined {
    const listeners = { settler: undefined, group };
    try {
      this.assertOpen();
      if (signal?.aborted === true) throw cancelled(signal, 'none');
      if (this.intake.take(topic, record, listeners)) return this.turn(record.value?.length ?? 0);
      const room = deferred<undefined>();
      room.promise.catch(() => undefined);
      const taken = (): void => room.resolve(undefined);
      const withdraw = this.intake.wait(topic, record, listeners, room, taken);
      if (signal !== undefined) this.heed(signal, room.promise, withdraw, room);
      return room.promise;
    } catch (thrown) {
      return refused(thrown);
    }
  }

  /** Rejects when the signal aborts before the promise is settled. */
  private heed(
    signal: AbortSignal,
    promise: Promise<unknown>,
    withdraw: (() => boolean) | undefined,
    refused: Refused,
  ): void {
    const unwatch = this.aborts.watch(signal, () => {
      refused.reject(cancelled(signal, withdraw?.() === true ? 'none' : 'unknown'));
    });
    promise.then(unwatch, unwatch);
  }

  /** After every so many bytes, a promise for the event loop's next turn. */
  private turn(bytes: number): Promise<void> | undefined {
    this.bytesThisTurn += bytes;
    if (this.bytesThisTurn < TURN_BYTES) return undefined;
    this.bytesThisTurn = 0;
    return new Promise((resolve) => this.deps.world.timers.defer(resolve));
  }

  private assertOpen(): void {
    if (this.isClosing) throw new BrokerError('SHUTTING_DOWN', 'the producer is closed');
  }

  private settled(queue: PartitionQueue, batch: ProducerBatch, report: BatchReport): void {
    this.intake.release(queue, batch);
    this.settings.onBatch?.(report);
    this.deps.view.hooks.onProduce?.(report);
    this.intake.goOn(queue);
  }

  private startSweeping(): void {
    this.sweeper ??= this.deps.world.timers.every(SWEEP_MS, () => this.sweep());
  }

  private sweep(): void {
    this.sender.sweep([...this.intake.active]);
    this.intake.refuseLate(this.deps.world.clock.monotonicMs() - this.settings.deliveryTimeoutMs);
    if (!this.intake.isIdle) return;
    this.sweeper?.();
    this.sweeper = undefined;
  }
}

function refused(thrown: unknown): Promise<void> {
  const refusal = Promise.reject(BrokerError.from(thrown));
  refusal.catch(() => undefined);
  return refusal;
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
