import { BrokerError } from '../model/errors.js';
import type { World } from '../ports/world.js';
import { RETRY_BACKOFF, backoffMs } from './backoff.js';
import type { ClusterView } from './cluster-view.js';
import type { PartitionCursor } from './partition-cursor.js';
import type { OutOfRangePolicy } from './read-options.js';

interface FailuresDeps {
  readonly world: World;
  readonly view: ClusterView;
  /** It cannot be read any more. */
  fail(cursor: PartitionCursor, error: BrokerError): void;
  /** When or where it is to be read has changed. */
  changed(): void;
}

/** Answers that are damaged or have a gap this often in a row are not the network's fault. */
const SPOILT_MAX = 5;
const TOPIC_CHECK_MS = 10_000;

/**
 * Says what becomes of partitions that could not be read: that they are asked for again, when, and
 * whether after another leader, or that they fail. Invariant: whatever is not failed is asked for again.
 */
export class FetchFailures {
  private readonly onOutOfRange: OutOfRangePolicy;
  private readonly deps: FailuresDeps;
  /** What the budget of retries gave those that failed since the streams were last brought in line. */
  private retryMs: number | undefined;

  constructor(onOutOfRange: OutOfRangePolicy, deps: FailuresDeps) {
    this.onOutOfRange = onOutOfRange;
    this.deps = deps;
  }

  /** The streams are brought in line: who fails from now on is asked for again at another time. */
  nextRound(): void {
    this.retryMs = undefined;
  }

  /** It was read. */
  overcome(cursor: PartitionCursor): void {
    if (cursor.failures > 0) this.deps.view.retries.succeeded();
    cursor.failures = 0;
    cursor.spoilt = 0;
    cursor.lastError = undefined;
  }

  /** Nothing came of it: whoever leads is asked again, or whoever leads next. */
  unreached(cursor: PartitionCursor, error: BrokerError): void {
    failedOnceMore(cursor, error);
    this.seekLeader(cursor);
    this.retryLater(cursor, 0);
  }

  /** The bytes are damaged or do not follow: read again, but not for ever. */
  spoilt(cursor: PartitionCursor, error: BrokerError): void {
    cursor.spoilt += 1;
    if (cursor.spoilt < SPOILT_MAX) {
      this.unreached(cursor, error);
      return;
    }
    failedOnceMore(cursor, error);
    this.deps.fail(cursor, error);
  }

  /** The broker has said why it does not serve the partition. */
  refused(cursor: PartitionCursor, error: BrokerError): void {
    failedOnceMore(cursor, error);
    switch (error.code) {
      case 'NOT_LEADER':
      case 'STALE_REPLICA':
        // Learned of a later leadership: there at once (epochs only rise, so this cannot go round).
        if (this.deps.view.learn(cursor.topic, cursor.partition, error.facts.leader)) return;
        this.seekLeader(cursor);
        break;
      case 'OFFSET_OUT_OF_RANGE':
        this.outOfRange(cursor, error, this.onOutOfRange);
        return;
      case 'LOG_TRUNCATED':
        // Whoever goes on without a word where records are missing is told of this all the same.
        this.outOfRange(cursor, error, 'error');
        return;
      case 'UNKNOWN_TOPIC':
      case 'UNKNOWN_PARTITION':
        void this.checkTopic(cursor, error);
        break;
      default:
        if (!error.retriable) {
          this.deps.fail(cursor, error);
          return;
        }
        this.seekLeader(cursor);
    }
    this.retryLater(cursor, error.facts.retryAfterMs ?? 0);
  }

  private outOfRange(cursor: PartitionCursor, error: BrokerError, policy: OutOfRangePolicy): void {
    const { logStartOffset, highWatermark } = error.facts;
    const target = policy === 'beginning' ? logStartOffset : highWatermark;
    // What was fetched before is still in order and is handed out first, then the error.
    if (policy === 'error' || typeof target !== 'number') {
      if (cursor.buffered.length === 0) this.deps.fail(cursor, error);
      else this.retryLater(cursor, 0);
      return;
    }
    cursor.nextFetch = target;
    cursor.leaderEpoch = 0;
    if (cursor.buffered.length === 0) cursor.position = target;
    this.retryLater(cursor, 0);
  }

  /** Cursors that fail together are asked for together again: that is one retry. */
  private retryLater(cursor: PartitionCursor, atLeastMs: number): void {
    const { clock, random } = this.deps.world;
    this.retryMs ??= this.deps.view.retries.delayMs(RETRY_BACKOFF, cursor.failures);
    const ownMs = backoffMs(RETRY_BACKOFF, cursor.failures, random);
    const delayMs = Math.max(atLeastMs, ownMs, this.retryMs);
    cursor.notBeforeMs = clock.monotonicMs() + delayMs;
    this.deps.view.hooks.onRetry?.({
      ...{ kind: 'fetch', topic: cursor.topic, partition: cursor.partition },
      ...{ attempt: cursor.failures, delayMs, error: cursor.lastError },
    });
    this.deps.changed();
  }

  /** Deleted, or only unknown to a broker that lags behind? Never rejects. */
  private async checkTopic(cursor: PartitionCursor, error: BrokerError): Promise<void> {
    try {
      const info = await this.deps.view.reloadTopic(cursor.topic, TOPIC_CHECK_MS);
      if (cursor.partition >= info.partitions.length) this.deps.fail(cursor, error);
    } catch (thrown) {
      const failure = BrokerError.from(thrown);
      if (failure.code === 'UNKNOWN_TOPIC') this.deps.fail(cursor, failure);
    }
  }

  private seekLeader({ topic, partition }: PartitionCursor): void {
    const { view } = this.deps;
    view.seek(topic, partition, view.leader(topic, partition)?.epoch ?? -1);
  }
}

function failedOnceMore(cursor: PartitionCursor, error: BrokerError): void {
  cursor.failures += 1;
  cursor.lastError = error;
}
