import type { Crc32c } from '../base/crc32c.js';
import { deferred, type Deferred } from '../base/deferred.js';
import { BrokerError, type ErrorCode } from '../model/errors.js';
import type { RawBatch } from '../model/record.js';
import type { Cancel, World } from '../ports/world.js';
import type { ClusterView } from './cluster-view.js';
import {
  addressKey,
  partitionKey,
  type ClientTransport,
  type FetchedPartition,
} from './connection.js';
import { FetchFailures } from './fetch-failures.js';
import { FetchIntake } from './fetch-intake.js';
import { LeaderStreams, type LeaderShare } from './leader-streams.js';
import { NearestReplicas, type NearestOptions } from './nearest-replicas.js';
import type { LeaderStream, PartitionCursor } from './partition-cursor.js';
import { Prefetched } from './prefetched.js';
import type { OutOfRangePolicy } from './read-options.js';
import type { TopicPartition } from './types.js';

export interface FetcherOptions {
  /** Bytes fetched ahead of the application, over all partitions. */
  readonly prefetchBytesMax: number;
  readonly partitionBytesMax: number;
  readonly onOutOfRange: OutOfRangePolicy;
  /** Give up a partition that could not be read for this long. */
  readonly unavailableTimeoutMs: number | undefined;
  readonly management: Management | undefined;
  /** Undefined: leaders alone are read from. */
  readonly nearest: NearestOptions | undefined;
}

/** Others say what is read: having nothing to read is no end, and a deleted topic is their affair. */
export interface Management {
  /** Is nothing to come that is not there yet? */
  isComplete(): boolean;
}

export interface FetcherDeps {
  readonly transport: ClientTransport;
  readonly world: World;
  readonly view: ClusterView;
  readonly crc32c: Crc32c;
}

const SWEEP_MS = 250;
const GONE: ReadonlySet<ErrorCode> = new Set(['UNKNOWN_TOPIC', 'UNKNOWN_PARTITION']);

/**
 * Keeps one fetch stream per broker for the cursors it is given, follows leaders (or reads the nearest
 * replicas, from which it falls back to the leaders), and holds the batches until they are taken. When
 * the application is slow the streams are paused, and HTTP/2 flow control holds the brokers back.
 */
export class Fetcher {
  private readonly options: FetcherOptions;
  private readonly deps: FetcherDeps;
  private readonly cursors = new Map<string, PartitionCursor>();
  private readonly streams: LeaderStreams;
  private readonly prefetched = new Prefetched();
  private readonly failures: FetchFailures;
  private readonly nearest: NearestReplicas | undefined;
  private readonly intake: FetchIntake;
  private readonly unlisten: Cancel;
  private isHeldBack = false;
  private isDue = false;
  private closed = false;
  private readonly closing = deferred<undefined>();
  private halted = false;
  private raised: Error | undefined;
  private sweeper: Cancel | undefined;
  /** Until the first cursor that was refused may be tried again. */
  private retryTimer: Cancel | undefined;
  private waker: Deferred<undefined> | undefined;

  constructor(options: FetcherOptions, deps: FetcherDeps) {
    this.options = options;
    this.deps = deps;
    this.streams = new LeaderStreams({
      transport: deps.transport,
      prefetchBytesMax: options.prefetchBytesMax,
      partitionBytesMax: options.partitionBytesMax,
      maxStalenessMs: options.nearest?.maxStalenessMs,
      unavailableTimeoutMs: options.unavailableTimeoutMs,
      received: (stream, fetched) => this.received(stream, fetched),
      fell: (stream, error) => this.fell(stream, error),
    });
    const { world, view, crc32c } = deps;
    const changed = (): void => this.schedule();
    const fail = this.fail.bind(this);
    this.failures = new FetchFailures(options.onOutOfRange, { world, view, fail, changed });
    if (options.nearest !== undefined) {
      this.nearest = new NearestReplicas(options.nearest, { world, view, changed });
    }
    const { prefetched, failures, nearest } = this;
    this.intake = new FetchIntake({
      ...{ world, view, crc32c, prefetched, failures, nearest, changed },
    });
    this.unlisten = deps.view.onChange({
      leaderChanged: (topic, partition) => {
        const cursor = this.cursors.get(partitionKey(topic, partition));
        if (cursor !== undefined) cursor.notBeforeMs = 0;
        this.schedule();
      },
      topicReplaced: (topic) => {
        for (const cursor of this.cursors.values()) {
          if (cursor.topic !== topic) continue;
          this.fail(cursor, new BrokerError('UNKNOWN_TOPIC', `topic ${topic} was deleted`));
        }
      },
    });
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Resolves when it is closed. */
  get whenClosed(): Promise<undefined> {
    return this.closing.promise;
  }

  /** Nothing more is fetched ahead until some of it is taken. */
  get isFull(): boolean {
    return this.isHeldBack;
  }

  /** Hands out nothing at the moment. */
  get isHalted(): boolean {
    return this.halted;
  }

  /** Hands out nothing until told to go on; fetches ahead meanwhile. */
  halt(isHalted: boolean): void {
    this.halted = isHalted;
    const nowMs = this.deps.world.clock.monotonicMs();
    for (const cursor of this.cursors.values()) cursor.silentSinceMs = nowMs;
    this.wake();
  }

  /** Whoever reads next, or is waiting now, gets this error, once. */
  raise(error: Error): void {
    this.raised = error;
    this.wake();
  }

  rethrow(): void {
    const { raised } = this;
    this.raised = undefined;
    if (raised !== undefined) throw raised;
  }

  /** Resolves when something happened that readers may want to know. */
  async changed(): Promise<void> {
    this.waker ??= deferred<undefined>();
    await this.waker.promise;
  }

  all(): PartitionCursor[] {
    return [...this.cursors.values()];
  }

  get(at: TopicPartition): PartitionCursor | undefined {
    return this.cursors.get(partitionKey(at.topic, at.partition));
  }

  /** Reads exactly these from now on. */
  assign(cursors: readonly PartitionCursor[]): void {
    for (const cursor of this.cursors.values()) this.drop(cursor);
    this.cursors.clear();
    this.add(cursors);
  }

  /** Reads these as well; the others are not disturbed. */
  add(cursors: readonly PartitionCursor[]): void {
    // Closed while the start was looked up: nothing may be begun that nobody would end.
    if (this.closed) return;
    const nowMs = this.deps.world.clock.monotonicMs();
    for (const cursor of cursors) {
      const before = this.get(cursor);
      if (before !== undefined && before !== cursor) this.drop(before);
      cursor.silentSinceMs = nowMs;
      this.cursors.set(partitionKey(cursor.topic, cursor.partition), cursor);
    }
    this.sweeper ??= this.deps.world.timers.every(SWEEP_MS, () => this.sweep());
    this.schedule();
    this.wake();
  }

  /** Reads this one no more; from now on nothing of it is handed out. */
  remove(cursor: PartitionCursor): void {
    if (this.get(cursor) !== cursor) return;
    this.drop(cursor);
    this.cursors.delete(partitionKey(cursor.topic, cursor.partition));
    this.schedule();
    this.wake();
  }

  /** Forgets what was fetched ahead and goes on at `offset`. */
  seek(cursor: PartitionCursor, offset: number): void {
    this.drop(cursor);
    // What was read under that leader says nothing about another place.
    if (offset !== cursor.position || cursor.failure !== undefined) cursor.leaderEpoch = 0;
    cursor.position = offset;
    cursor.nextFetch = offset;
    cursor.failure = undefined;
    cursor.notBeforeMs = 0;
    cursor.silentSinceMs = this.deps.world.clock.monotonicMs();
    this.schedule();
    this.wake();
  }

  /**
   * What was fetched ahead is forgotten, and fetched again after the pause: kept, it could hold all
   * the room there is, and then no other partition would be read any more.
   */
  pause(cursor: PartitionCursor): void {
    cursor.isPaused = true;
    this.quieten(cursor);
  }

  /** The same for a reader that has enough of it for now. */
  rest(cursor: PartitionCursor): void {
    cursor.isResting = true;
    this.quieten(cursor);
  }

  private quieten(cursor: PartitionCursor): void {
    this.drop(cursor);
    cursor.nextFetch = cursor.position;
    this.schedule();
    this.wake();
  }

  resume(cursor: PartitionCursor): void {
    cursor.isPaused = false;
    this.goOn(cursor);
  }

  /** The reader has room for it again. */
  endRest(cursor: PartitionCursor): void {
    if (!cursor.isResting) return;
    cursor.isResting = false;
    this.goOn(cursor);
  }

  private goOn(cursor: PartitionCursor): void {
    cursor.silentSinceMs = this.deps.world.clock.monotonicMs();
    // A batch that was already on its way to the caller counts.
    cursor.nextFetch = Math.max(cursor.nextFetch, cursor.position);
    this.schedule();
    this.wake();
  }

  /** Ends the cursor until it is sought anew; `take` throws the error. */
  fail(cursor: PartitionCursor, error: BrokerError): void {
    this.drop(cursor);
    cursor.failure = error;
    this.schedule();
    this.wake();
  }

  /**
   * The next batch, waiting for one; undefined once closed or every cursor is at its end, or when the
   * signal has aborted and {@link wake} was called.
   */
  async take(
    signal?: AbortSignal,
  ): Promise<{ cursor: PartitionCursor; batch: RawBatch } | undefined> {
    for (;;) {
      if (this.closed || signal?.aborted === true) return undefined;
      this.rethrow();
      if (!this.halted) {
        const next = this.prefetched.shift();
        this.regulate();
        if (next !== undefined) return next;
        if (!this.hasMore()) return undefined;
      }
      await this.changed();
    }
  }

  /** The next batch of this cursor, if one was fetched. */
  takeOf(cursor: PartitionCursor): RawBatch | undefined {
    const batch = this.prefetched.shiftOf(cursor);
    this.regulate();
    return batch;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.closing.resolve(undefined);
    this.unlisten();
    this.sweeper?.();
    this.retryTimer?.();
    this.nearest?.close();
    this.streams.close();
    for (const cursor of this.cursors.values()) {
      this.deps.view.settle(cursor.topic, cursor.partition);
    }
    this.wake();
  }

  /** Is anything to come? Throws the failure of a cursor that would have to bring it. */
  private hasMore(): boolean {
    const { management } = this.options;
    let hasMore = management?.isComplete() === false;
    for (const cursor of this.cursors.values()) {
      const { failure } = cursor;
      const isGone = failure !== undefined && GONE.has(failure.code) && management !== undefined;
      if (failure !== undefined && !cursor.isQuiet && !isGone) throw failure;
      if (isGone) continue;
      if (cursor.nextFetch < cursor.end || cursor.buffered.length > 0) hasMore = true;
    }
    return hasMore;
  }

  /** Takes a cursor off its stream and forgets what was fetched ahead for it. */
  private drop(cursor: PartitionCursor): void {
    cursor.leaveStream();
    this.nearest?.forget(cursor);
    cursor.generation += 1;
    this.prefetched.forget(cursor);
    this.deps.view.settle(cursor.topic, cursor.partition);
    this.regulate();
  }

  /** Readers look again whether there is something for them. */
  wake(): void {
    this.waker?.resolve(undefined);
    this.waker = undefined;
  }

  /** Pauses all streams while too much is held, resumes when half of it is gone. */
  private regulate(): void {
    const { prefetchBytesMax } = this.options;
    const { bytes } = this.prefetched;
    const isTooMuch = this.isHeldBack ? bytes > prefetchBytesMax / 2 : bytes >= prefetchBytesMax;
    if (isTooMuch === this.isHeldBack) return;
    this.isHeldBack = isTooMuch;
    const nowMs = this.deps.world.clock.monotonicMs();
    this.streams.hold(isTooMuch, nowMs);
    for (const cursor of this.cursors.values()) cursor.silentSinceMs = nowMs;
  }

  /** Brings the streams in line with the cursors, once per turn. */
  private schedule(): void {
    if (this.isDue || this.closed) return;
    this.isDue = true;
    this.deps.world.timers.defer(() => {
      this.isDue = false;
      if (!this.closed) this.reconcile();
    });
  }

  private reconcile(): void {
    this.failures.nextRound();
    const nowMs = this.deps.world.clock.monotonicMs();
    const shares = new Map<string, LeaderShare>();
    let retryAtMs = Infinity;
    for (const cursor of this.cursors.values()) {
      if (!cursor.wantsData) continue;
      if (cursor.notBeforeMs > nowMs) {
        retryAtMs = Math.min(retryAtMs, cursor.notBeforeMs);
        continue;
      }
      const near = this.nearest?.choose(cursor);
      const address = near ?? this.deps.view.leader(cursor.topic, cursor.partition)?.address;
      if (address === undefined) {
        this.deps.view.seek(cursor.topic, cursor.partition, -1);
        continue;
      }
      const key = addressKey(address);
      const { stream } = cursor;
      // Whoever served it before may well go on doing so.
      const isElsewhere = stream !== undefined && addressKey(stream.address) !== key;
      if (isElsewhere && this.nearest !== undefined) cursor.leaveStream();
      const share = shares.get(key) ?? { address, cursors: [] };
      share.cursors.push(cursor);
      shares.set(key, share);
    }
    this.streams.align(shares.values(), nowMs);
    this.retryAt(retryAtMs, nowMs);
  }

  /** Reconciles again at that time; a cursor that waits is never without a timer. */
  private retryAt(atMs: number, nowMs: number): void {
    this.retryTimer?.();
    this.retryTimer =
      atMs === Infinity
        ? undefined
        : this.deps.world.timers.after(atMs - nowMs, () => this.schedule());
  }

  private received(stream: LeaderStream, fetched: readonly FetchedPartition[]): void {
    stream.lastHeardMs = this.deps.world.clock.monotonicMs();
    for (const part of fetched) {
      const cursor = this.cursors.get(partitionKey(part.topic, part.partition));
      if (cursor?.stream === stream) this.intake.take(cursor, stream, part);
    }
    this.regulate();
    this.wake();
  }

  private fell(stream: LeaderStream, error: BrokerError): void {
    if (error.code === 'BROKER_UNAVAILABLE') this.deps.view.brokers.markDown(stream.address);
    for (const cursor of this.cursors.values()) {
      if (cursor.stream === stream) this.intake.fell(cursor, stream, error);
    }
    this.wake();
  }

  private sweep(): void {
    const nowMs = this.deps.world.clock.monotonicMs();
    if (this.isHeldBack) return;
    for (const stream of this.streams.endSilent(nowMs)) {
      this.fell(stream, new BrokerError('BROKER_UNAVAILABLE', 'the broker fell silent'));
    }
    for (const cursor of this.cursors.values()) this.intake.leaveSilentFollower(cursor, nowMs);
    const limit = this.options.unavailableTimeoutMs;
    if (limit === undefined || this.halted) return;
    for (const cursor of this.cursors.values()) {
      if (!cursor.wantsData || nowMs - cursor.silentSinceMs < limit) continue;
      const last = cursor.lastError;
      const text = `${cursor.topic}/${cursor.partition} could not be read for ${limit} ms`;
      this.fail(
        cursor,
        new BrokerError(
          'DEADLINE_EXCEEDED',
          last === undefined ? `${text}: no leader is known` : `${text}: ${last.message}`,
          {},
          { cause: last },
        ),
      );
    }
  }
}
