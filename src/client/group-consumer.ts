import { hexOf } from '../base/bytes.js';
import { BrokerError } from '../model/errors.js';
import type { Cancel } from '../ports/world.js';
import { abortable, isAborted, onAbort, overOrAborted, type Abortable } from './abort.js';
import type { BatchView } from './batch-view.js';
import { checkArgument } from './check-argument.js';
import { partitionKey } from './connection.js';
import { GroupCallbacks, partitionsOf } from './group-callbacks.js';
import { isFenced } from './group-commits.js';
import { GroupHoldings, type Held } from './group-holdings.js';
import { GroupMember } from './group-member.js';
import { GroupOffsets, ignore } from './group-offsets.js';
import { GroupRun, type RecordHandler, type RunOptions } from './group-run.js';
import { settingsOf, type GroupConsumerOptions, type GroupSettings } from './group-options.js';
import type { MemberIdentity } from './group-types.js';
import type { StartAt } from './offset-lookup.js';
import { PartitionConsumer, type ConsumerDeps } from './partition-consumer.js';
import type { CurrentBatch } from './record-reader.js';
import type { ConsumedBatch, ConsumedRecord } from './records.js';
import { settledWithin } from './settled-within.js';
import type { CommittedOffset, OffsetToCommit, TopicPartition } from './types.js';

export type { GroupConsumerOptions } from './group-options.js';
export type { RecordHandler, RunOptions } from './group-run.js';

/** How long closing waits for the application to be done with what it has in hand, and with onRevoked. */
const DRAIN_MS = 5_000;
/** The same for handlers of a run, if they have not timed out by then: they end by themselves. */
const RUN_DRAIN_MS = 30_000;
/** Of the time to give partitions up: kept for their commit. */
const COMMIT_SHARE = 0.2;
/** A processing timeout is over; a last commit is not waited for much longer. */
const LAST_COMMIT_MS = 5_000;
const WATCH_MS = 1_000;

/**
 * Reads the partitions that its group's coordinator gives it, each in order, at least once: a record
 * counts as processed when the loop comes back for the next one, and only what was processed is
 * committed, every few seconds, when a partition moves to another member, and on close. Members come
 * and go without a pause for partitions that stay where they are.
 *
 * One loop at a time reads, over records or over batches. Leaving a loop loses nothing, but leaves the
 * last record (or batch) uncommitted until the next read or an explicit commit.
 *
 * An application that does not come back within the processing timeout loses its partitions to other
 * members: its next read rejects with PROCESSING_TIMEOUT, the read after that joins anew.
 *
 * Invariants: nothing is handed out of a partition once its release has begun, nor while the
 * coordinator was silent for a session timeout; one membership at a time is joining, in or leaving.
 */
export class GroupConsumer<K = Uint8Array, V = Uint8Array> extends PartitionConsumer<K, V> {
  /** Names this member to the coordinator; chosen at random. */
  readonly memberId: string;
  private readonly options: GroupConsumerOptions<K, V>;
  private readonly settings: GroupSettings;
  private readonly holdings: GroupHoldings;
  private readonly callbacks: GroupCallbacks;
  private readonly offsets: GroupOffsets;
  private member: GroupMember | undefined;
  private running: GroupRun<K, V> | undefined;
  /** An earlier membership that is not over yet. */
  private leaving: Promise<void> = Promise.resolve();
  private closing: Promise<void> | undefined;
  /** Since when this member has no place in its group; undefined while it has. */
  private outsideSinceMs: number | undefined;
  /** Since when the application is not waiting for records; undefined while it is. */
  private awaySinceMs: number | undefined;
  private readonly timers: Cancel[] = [];
  private readonly onAbort = (): void => void this.close().catch(() => undefined);

  /** @internal */
  constructor(options: GroupConsumerOptions<K, V>, deps: ConsumerDeps) {
    const settings = settingsOf(options);
    super(settings, options, deps, {
      // Before the first epoch the coordinator is still thinking about who gets what.
      isComplete: () =>
        options.stopAtEnd === true && this.memberEpoch > 0 && this.holdings.isSettled,
    });
    this.options = options;
    this.settings = settings;
    this.memberId = hexOf(deps.world.random.bytes(16));
    const { view, world } = deps;
    this.callbacks = new GroupCallbacks(options, world, (error) => this.fetcher.raise(error));
    this.offsets = new GroupOffsets(options, settings, {
      ...{ view, world, lookup: this.lookup, callbacks: this.callbacks },
      holdings: () => this.holdings,
      member: () => this.identity(),
    });
    this.holdings = new GroupHoldings(
      { world, fetcher: this.fetcher, reader: this.reader },
      {
        startOf: async (held) => await this.offsets.startOf(held),
        assigned: async (held) => await this.callbacks.assigned(held, settings.rebalanceTimeoutMs),
        revoked: async (held, endMs) => await this.revoked(held, endMs),
        released: () => this.member?.report(),
        failed: (error) => this.fetcher.raise(error),
      },
      settings.rebalanceTimeoutMs,
    );
    if (options.signal?.aborted === true) this.onAbort();
    else options.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** Joins the group; the first read does it by itself. Resolves once the coordinator has agreed. */
  async start({ signal }: Abortable = {}): Promise<void> {
    await abortable(signal, async () => await this.joined());
  }

  private async joined(): Promise<void> {
    await this.leaving;
    const { timers } = this.deps.world;
    const { requestTimeoutMs } = this.settings;
    this.awaySinceMs ??= this.deps.world.clock.monotonicMs();
    const member = this.join();
    const joined = member.start();
    if (!(await settledWithin(timers, joined, requestTimeoutMs))) {
      throw unreachable(requestTimeoutMs, member.lastError);
    }
    await joined;
  }

  async *records({ signal }: Abortable = {}): AsyncGenerator<
    ConsumedRecord<K, V>,
    void,
    undefined
  > {
    this.holdings.enteredLoop();
    const unlisten = onAbort(signal, () => this.fetcher.wake());
    try {
      while (await this.advance(signal)) {
        const current = this.reader.open;
        const held = this.heldBy(current);
        if (current === undefined || held === undefined) continue;
        // While the body runs, the partition may be sought, paused or taken away.
        while (current === this.reader.open && !isAborted(signal)) {
          const record = this.nextRecord(current);
          if (record === undefined) break;
          this.handOut(held, record.offset);
          yield record;
        }
      }
    } finally {
      unlisten();
      this.holdings.leftLoop();
    }
  }

  batches({ signal }: Abortable = {}): AsyncGenerator<ConsumedBatch<K, V>, void, undefined> {
    return this.each(signal, (held) => {
      const batch = this.takeBatch();
      const first = batch?.records[0];
      if (first !== undefined) this.handOut(held, first.offset);
      return first && batch;
    });
  }

  views({ signal }: Abortable = {}): AsyncGenerator<BatchView, void, undefined> {
    return this.each(signal, (held) => {
      const view = this.reader.takeView();
      if (view !== undefined) this.handOut(held, view.offset(0));
      return view;
    });
  }

  private async *each<T>(
    signal: AbortSignal | undefined,
    take: (held: Held) => T | undefined,
  ): AsyncGenerator<T, void, undefined> {
    this.holdings.enteredLoop();
    const unlisten = onAbort(signal, () => this.fetcher.wake());
    try {
      while (await this.advance(signal)) {
        if (isAborted(signal)) break;
        const held = this.heldBy(this.reader.open);
        const taken = held && take(held);
        if (taken !== undefined) yield taken;
      }
    } finally {
      unlisten();
      this.holdings.leftLoop();
    }
  }

  /**
   * Calls the handler for every record, for up to `parallelism` records at a time: those of one partition
   * and key in order, one after the other, those of different keys side by side, and those without a key
   * as they come. What is committed of a partition never passes a record that is not done.
   *
   * Resolves when the consumer is closed, the signal aborts, or with `stopAtEnd` all was processed.
   * Rejects with what a handler threw, or with what a loop would have thrown. Then nothing new is begun, what is
   * running is waited for, and whoever reads next gets the first record of each partition that is not done,
   * and all after it.
   */
  async run(handler: RecordHandler<K, V>, options: RunOptions = {}): Promise<void> {
    checkArgument(this.running === undefined, 'a run is under way');
    const { fetcher, holdings, reader } = this;
    const run = new GroupRun(handler, options, {
      ...{ clock: this.deps.world.clock, fetcher, holdings, reader },
      advance: async (signal) => await this.advance(signal),
      heldBy: (current) => this.heldBy(current),
      nextRecord: (current) => this.nextRecord(current),
    });
    this.running = run;
    try {
      await run.run();
    } finally {
      this.running = undefined;
    }
  }

  /** Partitions this member holds. */
  assignment(): TopicPartition[] {
    return partitionsOf(this.holdings.all());
  }

  /** The epoch under which this member commits; 0: it is not in the group at the moment. */
  get memberEpoch(): number {
    return this.member?.epoch ?? 0;
  }

  private identity(): MemberIdentity {
    return { memberId: this.memberId, memberEpoch: this.memberEpoch };
  }

  /** Goes on reading a partition elsewhere; what is committed next follows. */
  async seek(at: TopicPartition, to: StartAt, { signal }: Abortable = {}): Promise<void> {
    const cursor = this.mustGet(at);
    const [offset] = await this.lookup.resolve([at], to, this.options.group, signal);
    const held = this.holdings.get(at);
    if (held?.cursor !== cursor) this.mustGet(at);
    if (held !== undefined) this.holdings.sought(held);
    this.reader.forget(cursor);
    this.fetcher.seek(cursor, offset ?? 0);
  }

  override pause(partitions?: readonly TopicPartition[]): void {
    super.pause(partitions);
    this.running?.look();
  }

  override resume(partitions?: readonly TopicPartition[]): void {
    super.resume(partitions);
    this.running?.look();
  }

  /**
   * Commits everything handed out so far, what is in hand included (but not what a run has not done), or
   * the given offsets. Rejects if a partition is not this member's any more.
   */
  async commit(offsets?: readonly OffsetToCommit[], { signal }: Abortable = {}): Promise<void> {
    const { requestTimeoutMs } = this.settings;
    const take = (): readonly OffsetToCommit[] => offsets ?? this.offsets.handedOutSoFar();
    const as = offsets === undefined ? undefined : this.identity();
    const terms = { deadlineMs: requestTimeoutMs, stop: signal, as };
    await abortable(signal, async () => await this.offsets.commit(take, terms));
  }

  /** The group's committed offsets for the assignment. */
  async committed({ signal }: Abortable = {}): Promise<readonly CommittedOffset[]> {
    return await this.lookup.committed(this.options.group, this.assignment(), signal);
  }

  /**
   * Ends every loop, waits a little for the record in hand, commits what was processed, and leaves the
   * group: for a while if it is a static member and `leave` is not set. Idempotent. Rejects, when all
   * that is done, if the last commit failed. Aborted, it is no longer waited for, but goes on.
   */
  async close(options: Abortable & { readonly leave?: boolean } = {}): Promise<void> {
    this.closing ??= this.shutDown(options.leave === true);
    const { closing } = this;
    closing.catch(ignore);
    await abortable(options.signal, async () => await closing);
  }

  // ---- Reading ----

  private async advance(signal: AbortSignal | undefined): Promise<boolean> {
    this.holdings.cameBack();
    this.awaySinceMs = undefined;
    await overOrAborted(signal, this.leaving);
    if (this.closing !== undefined) return false;
    if (isAborted(signal)) {
      this.awaySinceMs = this.deps.world.clock.monotonicMs();
      return false;
    }
    this.fetcher.rethrow();
    this.join();
    try {
      return await this.reader.advance(signal);
    } finally {
      this.awaySinceMs = this.deps.world.clock.monotonicMs();
    }
  }

  /** A record that cannot be deserialized is no reason to do the one before again. */
  private nextRecord(current: CurrentBatch): ConsumedRecord<K, V> | undefined {
    try {
      return this.reader.nextRecord(current);
    } catch (thrown) {
      this.holdings.cameBack();
      throw thrown;
    }
  }

  private takeBatch(): ConsumedBatch<K, V> | undefined {
    try {
      return this.reader.takeBatch();
    } catch (thrown) {
      this.holdings.cameBack();
      throw thrown;
    }
  }

  private heldBy(current: CurrentBatch | undefined): Held | undefined {
    if (current === undefined) return undefined;
    const held = this.holdings.heldBy(current.cursor);
    if (held === undefined) this.reader.forget(current.cursor);
    return held;
  }

  private handOut(held: Held, from: number): void {
    this.awaySinceMs = this.deps.world.clock.monotonicMs();
    this.holdings.handedOut(held, from);
  }

  protected mustGet(at: TopicPartition): NonNullable<Held['cursor']> {
    const cursor = this.holdings.get(at)?.cursor;
    if (cursor !== undefined) return cursor;
    const text = `partition ${partitionKey(at.topic, at.partition)} is not held by this member`;
    throw new BrokerError('INVALID_ARGUMENT', text);
  }

  // ---- Membership ----

  private join(): GroupMember {
    if (this.closing !== undefined) {
      throw new BrokerError('SHUTTING_DOWN', 'the consumer is closed');
    }
    if (this.member !== undefined) return this.member;
    const { group, rack = '', clientId = '', assignor = '', instanceId = '' } = this.options;
    const { subscription, sessionTimeoutMs, rebalanceTimeoutMs } = this.settings;
    const member = new GroupMember(
      {
        ...{ group, rack, clientId, assignor, instanceId },
        ...{ subscription, sessionTimeoutMs, rebalanceTimeoutMs },
        memberId: this.memberId,
      },
      this.deps,
      {
        assigned: (assignment) => {
          if (this.member === member && this.closing === undefined) {
            this.holdings.assign(assignment);
          }
          this.fetcher.wake();
        },
        lost: (error) => {
          if (this.member === member) this.lost(error);
        },
        failed: (error) => {
          if (this.member !== member) return;
          this.member = undefined;
          this.lost(error);
          this.fetcher.raise(error);
        },
        isolated: (isIsolated) => {
          if (this.member !== member) return;
          this.fetcher.halt(isIsolated);
          this.running?.hold(isIsolated);
        },
        holding: () => this.holdings.report(),
      },
    );
    this.member = member;
    member.start().catch(() => undefined);
    this.startTimers();
    return member;
  }

  private startTimers(): void {
    if (this.timers.length > 0) return;
    const { timers } = this.deps.world;
    const { autoCommitIntervalMs, processingTimeoutMs, isAutoCommitting } = this.settings;
    const shortestMs = Math.min(processingTimeoutMs, this.options.unavailableTimeoutMs ?? Infinity);
    const watchMs = Math.min(WATCH_MS, Math.max(10, shortestMs / 4));
    this.timers.push(timers.every(watchMs, () => this.watch()));
    if (!isAutoCommitting) return;
    this.timers.push(
      timers.every(autoCommitIntervalMs, () => void this.offsets.commitNowAndThen()),
    );
  }

  private watch(): void {
    if (this.closing !== undefined) return;
    // An epoch may have come without partitions: then there is nothing to wait for.
    if (this.options.stopAtEnd === true) this.fetcher.wake();
    this.watchMembership();
    this.watchProcessing();
  }

  /** Like a partition, a coordinator that cannot be reached for too long is an error, if one is set. */
  private watchMembership(): void {
    const nowMs = this.deps.world.clock.monotonicMs();
    const limitMs = this.options.unavailableTimeoutMs ?? Infinity;
    const { member } = this;
    if (member === undefined || member.epoch > 0) this.outsideSinceMs = undefined;
    else this.outsideSinceMs ??= nowMs;
    if (nowMs - (this.outsideSinceMs ?? nowMs) < limitMs) return;
    this.outsideSinceMs = undefined;
    this.fetcher.raise(unreachable(limitMs, member?.lastError));
  }

  private watchProcessing(): void {
    const { member, running } = this;
    const sinceMs = running === undefined ? this.awaySinceMs : running.busySinceMs;
    if (sinceMs === undefined || member === undefined) return;
    const { processingTimeoutMs } = this.settings;
    if (this.deps.world.clock.monotonicMs() - sinceMs < processingTimeoutMs) return;
    const what = running === undefined ? 'the application read nothing' : 'a handler was not done';
    const text = `${what} for ${processingTimeoutMs} ms (processingTimeoutMs)`;
    const error = new BrokerError('PROCESSING_TIMEOUT', `${text}: the member has left the group`);
    this.member = undefined;
    this.leaving = this.giveUp(member);
    this.lost(error);
    this.fetcher.raise(error);
  }

  /** Leaves with a last commit of what was processed, taken now. Never rejects. */
  private async giveUp(member: GroupMember): Promise<void> {
    const offsets = this.offsets.due(this.holdings.all());
    const as = { memberId: this.memberId, memberEpoch: member.epoch };
    if (this.settings.isAutoCommitting && offsets.length > 0) {
      this.offsets.makeWay();
      const terms = { as, deadlineMs: LAST_COMMIT_MS };
      await this.offsets.commit(() => offsets, terms).catch(ignore);
    }
    await member.leave(false);
  }

  private lost(error: BrokerError): void {
    const dropped = this.holdings.drop();
    this.fetcher.halt(false);
    this.running?.hold(false);
    if (dropped.length === 0) return;
    void this.callbacks.lost(dropped, error, this.settings.rebalanceTimeoutMs);
  }

  private async revoked(held: readonly Held[], endMs: number): Promise<void> {
    const { isAutoCommitting, rebalanceTimeoutMs } = this.settings;
    const { clock } = this.deps.world;
    const as = this.identity();
    const commitMs = isAutoCommitting ? rebalanceTimeoutMs * COMMIT_SHARE : 0;
    // It would wait for the coordinator, and what the application commits now would wait for it.
    this.offsets.makeWay();
    await this.callbacks.revoked(held, Math.max(1, endMs - commitMs - clock.monotonicMs()));
    if (!isAutoCommitting) return;
    this.offsets.makeWay();
    const deadlineMs = Math.max(1, endMs - clock.monotonicMs());
    await this.offsets.commitProcessed(() => held, { deadlineMs, as }).catch(ignore);
  }

  private async shutDown(isForGood: boolean): Promise<void> {
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.fetcher.close();
    this.lookup.close();
    this.callbacks.end();
    this.running?.stop();
    await this.leaving;
    const held = this.holdings.all();
    const runDrainMs = Math.min(RUN_DRAIN_MS, this.settings.processingTimeoutMs);
    await this.holdings.whenBack(held, this.running === undefined ? DRAIN_MS : runDrainMs);
    for (const cancel of this.timers) cancel();
    this.offsets.makeWay();
    await this.callbacks.revoked(held, DRAIN_MS);
    let failure: BrokerError | undefined;
    if (held.length > 0 && this.settings.isAutoCommitting) {
      const terms = { deadlineMs: this.settings.requestTimeoutMs };
      await this.offsets
        .commitProcessed(() => this.holdings.all(), terms)
        .catch((thrown: unknown) => {
          const error = BrokerError.from(thrown);
          if (!isFenced(error)) failure = error;
        });
    }
    this.holdings.drop();
    const isStatic = (this.options.instanceId ?? '') !== '';
    await this.member?.leave(isStatic && !isForGood);
    this.member = undefined;
    this.deps.closed?.();
    if (failure !== undefined) throw failure;
  }
}

function unreachable(withinMs: number, cause: BrokerError | undefined): BrokerError {
  const why = cause === undefined ? '' : `: ${cause.message}`;
  const text = `the group's coordinator gave this member no place within ${withinMs} ms${why}`;
  return new BrokerError('DEADLINE_EXCEEDED', text, {}, { cause });
}
