import type { Crc32c } from '../base/crc32c.js';
import { BrokerError } from '../model/errors.js';
import { splitBatches, type RawBatch } from '../model/record.js';
import type { World } from '../ports/world.js';
import type { ClusterView } from './cluster-view.js';
import type { FetchedPartition } from './connection.js';
import type { FetchFailures } from './fetch-failures.js';
import type { NearestReplicas } from './nearest-replicas.js';
import type { LeaderStream, PartitionCursor } from './partition-cursor.js';
import type { Prefetched } from './prefetched.js';

interface IntakeDeps {
  readonly world: World;
  readonly view: ClusterView;
  readonly crc32c: Crc32c;
  readonly prefetched: Prefetched;
  readonly failures: FetchFailures;
  /** Undefined: leaders alone are read from. */
  readonly nearest: NearestReplicas | undefined;
  /** When or where partitions are to be read may have changed. */
  changed(): void;
}

/**
 * Takes in what brokers say of the partitions that are read from them, also if that is nothing. Whatever
 * a replica other than the leader says that is not records sends the reader to the leader; what the
 * leader says is for {@link FetchFailures}.
 *
 * Invariant: batches of a partition are kept without a gap, each once.
 */
export class FetchIntake {
  private readonly deps: IntakeDeps;

  constructor(deps: IntakeDeps) {
    this.deps = deps;
  }

  /** What the stream that serves the partition says of it. */
  take(cursor: PartitionCursor, stream: LeaderStream, part: FetchedPartition): void {
    if (part.error === undefined) {
      this.takeIn(cursor, stream, part);
      return;
    }
    // The broker has ended its part of the stream.
    cursor.stream = undefined;
    if (!this.fellBack(cursor, stream, part.error)) this.deps.failures.refused(cursor, part.error);
  }

  /** The stream that served the partition has ended. */
  fell(cursor: PartitionCursor, stream: LeaderStream, error: BrokerError): void {
    const { failures, nearest } = this.deps;
    cursor.stream = undefined;
    if (this.fellBack(cursor, stream, error)) nearest?.avoidBroker(stream.address);
    else failures.unreached(cursor, error);
  }

  /** A replica that cannot catch up says nothing of the partition while it serves others. */
  leaveSilentFollower(cursor: PartitionCursor, nowMs: number): void {
    const { stream } = cursor;
    const isSilent = this.deps.nearest?.isSilent(cursor, nowMs) === true;
    if (!isSilent || !cursor.wantsData || stream === undefined) return;
    const text = `${cursor.topic}/${cursor.partition}: the replica says nothing`;
    const error = new BrokerError('STALE_REPLICA', text);
    if (this.fellBack(cursor, stream, error)) cursor.leaveStream();
  }

  /**
   * If it was not the leader who did not serve the partition, the leader is asked next, at once, and has
   * the last word. False: it was the leader.
   */
  private fellBack(cursor: PartitionCursor, from: LeaderStream, error: BrokerError): boolean {
    const { nearest, view } = this.deps;
    if (nearest?.isFollower(cursor, from.address) !== true) return false;
    nearest.avoid(cursor);
    const { topic, partition } = cursor;
    view.learn(topic, partition, error.facts.leader);
    const attempt = cursor.failures + 1;
    view.hooks.onRetry?.({ kind: 'fetch', topic, partition, attempt, delayMs: 0, error });
    this.deps.changed();
    return true;
  }

  private takeIn(cursor: PartitionCursor, stream: LeaderStream, part: FetchedPartition): void {
    const { world, view, crc32c, failures, nearest } = this.deps;
    const { address: broker } = stream;
    try {
      for (const batch of splitBatches(part.batches, crc32c)) this.keep(cursor, batch);
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      cursor.leaveStream();
      if (!this.fellBack(cursor, stream, error)) failures.spoilt(cursor, error);
      return;
    }
    const isFollower = nearest?.isFollower(cursor, broker) === true;
    if (isFollower) nearest.served(cursor, broker);
    cursor.highWatermark = this.endOf(cursor, stream, part);
    cursor.logStartOffset = part.logStartOffset;
    cursor.leaderEpoch = part.leaderEpoch;
    cursor.silentSinceMs = world.clock.monotonicMs();
    failures.overcome(cursor);
    view.hooks.onFetch?.({
      ...{ topic: cursor.topic, partition: cursor.partition, broker },
      ...{ bytes: part.batches.length, nextOffset: cursor.nextFetch },
      highWatermark: cursor.highWatermark,
    });
    view.settle(cursor.topic, cursor.partition);
    if (!cursor.wantsData) {
      cursor.leaveStream();
      this.deps.changed();
    }
  }

  /**
   * Replicas are not equally far: for one reader the end never goes back, unless somebody leads since who
   * says so. A broker that answers under another epoch than it is known to lead in may have been deposed.
   */
  private endOf(cursor: PartitionCursor, stream: LeaderStream, part: FetchedPartition): number {
    const { nearest, view } = this.deps;
    if (nearest === undefined) return part.highWatermark;
    const leads =
      view.leader(cursor.topic, cursor.partition)?.epoch === part.leaderEpoch &&
      !nearest.isFollower(cursor, stream.address);
    if (leads && part.leaderEpoch > cursor.leaderEpoch) return part.highWatermark;
    return Math.max(cursor.highWatermark, part.highWatermark);
  }

  private keep(cursor: PartitionCursor, batch: RawBatch): void {
    const { baseOffset, lastOffsetDelta } = batch.header;
    const next = baseOffset + lastOffsetDelta + 1;
    if (next <= cursor.nextFetch) return;
    if (baseOffset > cursor.nextFetch) {
      const text = `records ${cursor.nextFetch} to ${baseOffset - 1} are missing`;
      throw new BrokerError('DATA_DAMAGED', text, { topic: cursor.topic });
    }
    cursor.nextFetch = next;
    this.deps.prefetched.add(cursor, batch);
  }
}
