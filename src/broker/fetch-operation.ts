import { BrokerError } from '../model/errors.js';
import { offset, type BrokerId, type Term } from '../model/ids.js';
import { Timeout } from './deadlines.js';
import type { FollowerVerdict } from './follower-reads.js';
import type { LogReader, ReadBatches } from './log-reader.js';
import type { PartitionReplica } from './partition-replica.js';
import type { Purgatory } from './purgatory.js';
import type { FetchedPartition, FetchPartition, FetchResult } from './types.js';
import type { ReplicaWaiter } from './waiters.js';

/** How a replica that does not lead answers one partition of a fetch. */
export interface AsFollower {
  judge(): FollowerVerdict;
  refusal(): BrokerError;
}

/** One partition of a fetch: where it is read, or why it cannot be. */
export interface FetchSlot {
  readonly request: FetchPartition;
  readonly replica: PartitionReplica | undefined;
  /** Undefined: only a leader may answer. */
  readonly follower?: AsFollower | undefined;
  error: BrokerError | undefined;
}

export interface FetchBounds {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  /** Slot to begin with: nobody is always served last. */
  readonly firstSlot: number;
}

/** A leader that nobody follows steps down sooner. */
const CONFIRM_MS = 5_000;

interface Attempt {
  readonly results: (FetchedPartition | undefined)[];
  bytes: number;
  hasError: boolean;
}

const NO_BATCHES: readonly Uint8Array[] = [];

/**
 * One fetch on this broker: reads, and if that is not enough, waits in the purgatory until commits or
 * a change of leadership make another read worth it, or its time is up.
 *
 * Invariants: settles exactly once; while it waits it is registered with each of its replicas, and
 * otherwise with none.
 */
export class FetchOperation extends Timeout implements ReplicaWaiter {
  private readonly self: BrokerId;
  private readonly slots: readonly FetchSlot[];
  private readonly bounds: FetchBounds;
  private readonly purgatory: Purgatory;
  private readonly settle: (result: FetchResult) => void;
  private readonly fail: (error: unknown) => void;
  private isWaiting = false;
  private isOver = false;
  /** The next read is the last, whatever it finds. */
  private isLast: boolean;
  private hasWaited = false;
  private foundBytes = 0;
  /** Bytes ever applied to each slot's partition at the last read; -1: it was not ready. */
  private marks: number[] = [];

  constructor(
    options: {
      readonly self: BrokerId;
      readonly slots: readonly FetchSlot[];
      readonly bounds: FetchBounds;
      readonly purgatory: Purgatory;
    },
    settle: (result: FetchResult) => void,
    fail: (error: unknown) => void,
  ) {
    super();
    this.self = options.self;
    this.slots = options.slots;
    this.bounds = options.bounds;
    this.purgatory = options.purgatory;
    this.settle = settle;
    this.fail = fail;
    this.isLast = options.bounds.maxWaitMs <= 0;
  }

  /** Reads at once, in this turn if the entries are in memory. */
  attempt(): void {
    const attempt: Attempt = { results: [], bytes: 0, hasError: false };
    // Before the first read: what is committed while reads are on their way counts as progress.
    this.marks = this.slots.map(markOf);
    this.collect(attempt, 0);
  }

  progressed(): void {
    if (!this.isWaiting || !this.isWorthAnotherRead()) return;
    this.leave();
    this.attempt();
  }

  override timedOut(): void {
    this.isLast = true;
    if (!this.isWaiting) return;
    this.leave();
    this.attempt();
  }

  /** Ends it with this error for every partition, or for the call if it asked for none. */
  cancel(error: BrokerError): void {
    if (this.isOver) return;
    this.leave();
    this.end();
    this.fail(error);
  }

  private collect(attempt: Attempt, from: number): void {
    for (let i = from; i < this.slots.length; i += 1) {
      const at = (i + this.bounds.firstSlot) % this.slots.length;
      const slot = this.slots[at];
      if (slot === undefined) continue;
      const read = this.readSlot(slot, attempt);
      if (!(read instanceof Promise)) {
        this.note(attempt, at, read);
        continue;
      }
      read.then(
        (result) => {
          this.note(attempt, at, result);
          this.collect(attempt, i + 1);
        },
        (thrown: unknown) => {
          this.note(attempt, at, failed(slot.request, readFailure(thrown)));
          this.collect(attempt, i + 1);
        },
      );
      return;
    }
    this.conclude(attempt);
  }

  private note(attempt: Attempt, at: number, result: FetchedPartition): void {
    attempt.results[at] = result;
    if (result.error !== undefined) attempt.hasError = true;
    for (const batch of result.batches) attempt.bytes += batch.length;
  }

  private readSlot(
    slot: FetchSlot,
    attempt: Attempt,
    isConfirmed = false,
  ): FetchedPartition | Promise<FetchedPartition> {
    const { request, replica } = slot;
    if (slot.error !== undefined) return failed(request, slot.error);
    const term = replica?.leaderTerm;
    const reader = replica?.reader;
    if (replica === undefined || term === undefined || reader === undefined) {
      const { follower } = slot;
      if (follower !== undefined && replica !== undefined && reader !== undefined) {
        const verdict = follower.judge();
        if (verdict.kind !== 'serve') {
          return failed(request, verdict.kind === 'refuse' ? verdict.error : undefined);
        }
        return this.read({ request, replica, reader, term: verdict.leaderEpoch }, attempt);
      }
      const mayWait = replica?.isUnsettled === true && !this.isLast;
      return failed(request, mayWait ? undefined : replica?.redirect());
    }
    const error = replica.readError(request.offset, request.leaderEpoch, term);
    const { machine } = replica;
    const isBeyond = error?.code === 'OFFSET_OUT_OF_RANGE' || error?.code === 'LOG_TRUNCATED';
    if (isBeyond && request.offset >= machine.logStartOffset) {
      if (!isConfirmed) return this.readConfirmed(slot, replica, attempt);
    }
    if (error !== undefined) return failed(request, error);
    return this.read({ request, replica, reader, term }, attempt);
  }

  /** As far as it is committed here; `term` is the leadership that is answered for. */
  private read(
    from: {
      readonly request: FetchPartition;
      readonly replica: PartitionReplica;
      readonly reader: LogReader;
      readonly term: Term;
    },
    attempt: Attempt,
  ): FetchedPartition | Promise<FetchedPartition> {
    const { request, reader, term } = from;
    const { machine } = from.replica;
    const known = machine.highWatermark;
    // A read from disk takes a while and gives what is committed by then: the watermark that goes
    // with it is the later one.
    const found = ({ batches, nextOffset }: ReadBatches): FetchedPartition => ({
      topic: request.topic,
      partition: request.partition,
      error: undefined,
      batches,
      highWatermark: Math.max(known, machine.highWatermark),
      logStartOffset: machine.logStartOffset,
      // So may the leadership be: a reader is never beyond the end of the epoch that it is told.
      leaderEpoch: Math.max(term, machine.epochs.last ?? 0),
      nextOffset,
    });
    const bytesMax = Math.min(this.bounds.maxBytes - attempt.bytes, request.maxBytes);
    if (bytesMax <= 0) {
      return found({ batches: [], bytes: 0, nextOffset: offset(request.offset) });
    }
    const atLeastOne = attempt.bytes === 0;
    const read = reader.read(offset(request.offset), { bytesMax, atLeastOne });
    return read instanceof Promise ? read.then(found) : found(read);
  }

  /**
   * What lies beyond the end here may be committed under a leader that this replica has not heard of,
   * and "out of range" would have the reader start anew: it is said only by whom a quorum follows.
   */
  private async readConfirmed(
    slot: FetchSlot,
    replica: PartitionReplica,
    attempt: Attempt,
  ): Promise<FetchedPartition> {
    try {
      await replica.group?.readBarrier(CONFIRM_MS);
    } catch {
      return failed(slot.request, replica.redirect());
    }
    return this.readSlot(slot, attempt, true);
  }

  private conclude(attempt: Attempt): void {
    if (this.isOver) return;
    const isEnough = attempt.bytes >= Math.min(this.bounds.minBytes, this.bounds.maxBytes);
    if (isEnough || attempt.hasError || this.isLast) {
      this.end();
      const partitions = this.slots.flatMap((slot, i) => {
        const result = attempt.results[i];
        const isUnknown = result === undefined || result.leaderEpoch === 0;
        if (!isUnknown || result?.error !== undefined) return [result];
        const isFollower = slot.follower !== undefined && slot.replica?.leaderTerm === undefined;
        // It may yet become current enough: nothing is to be said of it now.
        if (isFollower && !this.isLast) return [];
        // Not known who leads, and no time left to wait for it.
        const error = isFollower ? slot.follower.refusal() : slot.replica?.redirect();
        return [failed(slot.request, error)];
      });
      this.settle({ partitions, brokerId: this.self });
      return;
    }
    this.foundBytes = attempt.bytes;
    this.wait();
  }

  private wait(): void {
    if (!this.hasWaited) {
      this.hasWaited = true;
      if (!this.purgatory.enter(this, this.bounds.maxWaitMs)) {
        this.end();
        const message = 'too many fetches wait for records on this broker';
        this.fail(new BrokerError('THROTTLED', message, { retryAfterMs: 100 }));
        return;
      }
    }
    this.isWaiting = true;
    for (const { replica } of this.slots) replica?.wait(this);
    // Something may have been committed while the last read was on its way.
    if (this.isWorthAnotherRead()) this.progressed();
  }

  private isWorthAnotherRead(): boolean {
    let bytes = this.foundBytes;
    for (const [i, slot] of this.slots.entries()) {
      const before = this.marks[i] ?? -1;
      const now = markOf(slot);
      const isHopeless = slot.replica?.isUnsettled !== true && !this.mayFollow(slot);
      if (before === -1 ? now !== -1 || isHopeless : now === -1) return true;
      bytes += Math.max(0, now) - Math.max(0, before);
    }
    return bytes > 0 && bytes >= this.bounds.minBytes;
  }

  /** It is worth waiting until the follower is current enough. */
  private mayFollow({ follower }: FetchSlot): boolean {
    return follower !== undefined && follower.judge().kind === 'wait';
  }

  private leave(): void {
    if (!this.isWaiting) return;
    this.isWaiting = false;
    for (const { replica } of this.slots) replica?.stopWaiting(this);
  }

  private end(): void {
    this.isOver = true;
    if (this.hasWaited) this.purgatory.exit(this);
  }
}

function markOf({ replica, follower }: FetchSlot): number {
  if (replica === undefined) return -1;
  const isReady = replica.leaderTerm !== undefined || follower?.judge().kind === 'serve';
  return isReady ? replica.machine.index.bytesTotal : -1;
}

/** Without an error: nothing is known yet. */
function failed(request: FetchPartition, error: BrokerError | undefined): FetchedPartition {
  return {
    topic: request.topic,
    partition: request.partition,
    error,
    batches: NO_BATCHES,
    highWatermark: error?.facts.highWatermark ?? -1,
    logStartOffset: error?.facts.logStartOffset ?? -1,
    leaderEpoch: 0,
    nextOffset: request.offset,
  };
}

/** A store that cannot read is being reopened: the client finds a leader that can. */
function readFailure(thrown: unknown): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  const message = 'the replica cannot be read at the moment';
  return new BrokerError('REPLICA_FENCED', message, { outcome: 'none' }, { cause: thrown });
}
