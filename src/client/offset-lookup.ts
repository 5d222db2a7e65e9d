import { deferred } from '../base/deferred.js';
import { BrokerError } from '../model/errors.js';
import type { World } from '../ports/world.js';
import { abortable } from './abort.js';
import { checkArgument } from './check-argument.js';
import type { ClusterView } from './cluster-view.js';
import { partitionKey } from './connection.js';
import type { CommittedOffset, OffsetAt, OffsetQuery, TopicPartition } from './types.js';
import { mustAnswerAll, unanswered } from './unanswered.js';

/** Where to start reading a partition. */
export type StartAt =
  | 'beginning'
  | 'end'
  | { readonly offset: number }
  /** The first record that is not older. */
  | { readonly timestampMs: number }
  /** The last so many records. */
  | { readonly last: number }
  /** Where the consumer group stands; without a commit, there. */
  | { readonly committedOr: 'beginning' | 'end' };

export interface CommittedOr {
  readonly offset: number;
  /** False: nothing is committed, and this is the offset to take instead. */
  readonly isCommitted: boolean;
}

const RETRY = { firstMs: 50, maxMs: 1_000 };

/** Finds out which offsets a place to start means. Answers are linearizable. */
export class OffsetLookup {
  private readonly view: ClusterView;
  private readonly world: World;
  private readonly timeoutMs: number;
  private readonly closing = deferred<undefined>();
  private isClosed = false;

  constructor(view: ClusterView, world: World, timeoutMs: number) {
    this.view = view;
    this.world = world;
    this.timeoutMs = timeoutMs;
  }

  /** Nothing is asked again from now on: what waits to be ends with SHUTTING_DOWN. Idempotent. */
  close(): void {
    this.isClosed = true;
    this.closing.resolve(undefined);
  }

  /** The offsets that a place to start means, partition by partition. */
  async resolve(
    partitions: readonly TopicPartition[],
    to: StartAt,
    group: string | undefined,
    signal?: AbortSignal,
  ): Promise<number[]> {
    if (partitions.length === 0) return [];
    if (to === 'beginning') return await this.listOffsets(partitions, 'earliest', signal);
    if (to === 'end') return await this.listOffsets(partitions, 'latest', signal);
    if ('offset' in to) {
      checkArgument(Number.isSafeInteger(to.offset) && to.offset >= 0, 'offset must be 0 or more');
      return partitions.map(() => to.offset);
    }
    if ('timestampMs' in to) {
      return await this.listOffsets(partitions, { timestampMs: to.timestampMs }, signal);
    }
    if ('last' in to) {
      checkArgument(Number.isSafeInteger(to.last) && to.last >= 0, 'last must be 0 or more');
      const first = await this.listOffsets(partitions, 'earliest', signal);
      const end = await this.listOffsets(partitions, 'latest', signal);
      return end.map((e, i) => Math.max(first[i] ?? 0, e - to.last));
    }
    const starts = await this.committedOr(partitions, to.committedOr, group, signal);
    return starts.map(({ offset }) => offset);
  }

  /** The group's committed offsets of these partitions. */
  async committed(
    group: string | undefined,
    partitions: readonly TopicPartition[],
    signal?: AbortSignal,
  ): Promise<readonly CommittedOffset[]> {
    return await this.view.call(
      'fetchOffsets',
      { group: mustHaveGroup(group), partitions },
      { deadlineMs: this.timeoutMs, retryUnknown: true, signal },
    );
  }

  /** Only partitions without a commit are looked up elsewhere. */
  async committedOr(
    partitions: readonly TopicPartition[],
    or: 'beginning' | 'end',
    group: string | undefined,
    signal?: AbortSignal,
  ): Promise<CommittedOr[]> {
    const found = mustAnswerAll(partitions, await this.committed(group, partitions, signal));
    const open = partitions.filter((p) => found.get(keyOf(p))?.offset === undefined);
    const offsets = await this.resolve(open, or, group, signal);
    const elsewhere = new Map(open.map((p, i) => [keyOf(p), offsets[i] ?? 0]));
    return partitions.map((p) => {
      const committed = found.get(keyOf(p))?.offset;
      const offset = committed ?? elsewhere.get(keyOf(p)) ?? 0;
      return { offset, isCommitted: committed !== undefined };
    });
  }

  /** Sees everything acknowledged before the call. */
  private async listOffsets(
    partitions: readonly TopicPartition[],
    at: OffsetAt,
    signal?: AbortSignal,
  ): Promise<number[]> {
    const found = await this.find(partitions, at, signal);
    const late = partitions.filter((_, i) => found[i] === undefined);
    if (late.length === 0) return found.map((offset) => offset ?? 0);
    // No record is that late: the end of the partition is where such records will come. One that came
    // before the end was asked for is found now, and would be skipped otherwise.
    const ends = await this.find(late, 'latest', signal);
    const again = await this.find(late, at, signal);
    const offsets = new Map(late.map((p, i) => [keyOf(p), again[i] ?? ends[i] ?? 0]));
    return partitions.map((p, i) => found[i] ?? offsets.get(keyOf(p)) ?? 0);
  }

  /** Undefined: there is no such record. Asks again for those that failed. */
  private async find(
    partitions: readonly TopicPartition[],
    at: OffsetAt,
    signal?: AbortSignal,
  ): Promise<(number | undefined)[]> {
    const { clock } = this.world;
    const endMs = clock.monotonicMs() + this.timeoutMs;
    const found = new Map<string, number | undefined>();
    for (let attempt = 1; ; attempt += 1) {
      const open = partitions.filter((p) => !found.has(keyOf(p)));
      const queries = open.map(({ topic, partition }): OffsetQuery => ({ topic, partition, at }));
      const leftMs = Math.max(1, endMs - clock.monotonicMs());
      const answers = await this.view.call(
        'listOffsets',
        { queries, linearizable: true },
        { deadlineMs: leftMs, retryUnknown: true, signal },
      );
      let failure: BrokerError | undefined;
      for (const a of answers) {
        if (a.error !== undefined) failure = worse(failure, a.error);
        else found.set(keyOf(a), a.offset);
      }
      const missing = partitions.find((p) => !found.has(keyOf(p)));
      if (missing === undefined) return partitions.map((p) => found.get(keyOf(p)));
      failure ??= unanswered(missing);
      const waitMs = Math.min(this.view.retries.delayMs(RETRY, attempt), RETRY.maxMs);
      if (!failure.retriable || clock.monotonicMs() + waitMs >= endMs) throw failure;
      await abortable(signal, async () => await this.pause(waitMs));
    }
  }

  private async pause(ms: number): Promise<void> {
    const over = deferred<undefined>();
    const cancel = this.world.timers.after(ms, () => over.resolve(undefined));
    await Promise.race([over.promise, this.closing.promise]);
    cancel();
    if (this.isClosed) throw new BrokerError('SHUTTING_DOWN', 'the consumer was closed');
  }
}

/** Throws INVALID_ARGUMENT. */
export function mustHaveGroup(group: string | undefined): string {
  if (group !== undefined) return group;
  throw new BrokerError('INVALID_ARGUMENT', 'committed offsets need the option group');
}

function keyOf({ topic, partition }: TopicPartition): string {
  return partitionKey(topic, partition);
}

/** Of two errors, the one that asking again will not cure. */
function worse(a: BrokerError | undefined, b: BrokerError): BrokerError {
  return a === undefined || (a.retriable && !b.retriable) ? b : a;
}
