import type { Crc32c } from '../base/crc32c.js';
import { BrokerError } from '../model/errors.js';
import { COMPRESSION_CODES, type Compression } from '../model/record-batch.js';
import type { World } from '../ports/world.js';
import type { BatchReport, PartitionQueue, ProducerBatch, RecordMetadata } from './accumulator.js';
import { RETRY_BACKOFF, backoffMs } from './backoff.js';
import type { ClusterView } from './cluster-view.js';
import type { Codecs } from './compression/codecs.js';
import { addressKey, type ClientTransport, type ProduceAnswer } from './connection.js';
import type { ProducerIdentitySource } from './producer-identity.js';
import { BrokerLink, ProducerLinks, type Attempt } from './producer-links.js';
import type { Acks, BrokerAddress } from './types.js';

export interface SenderOptions {
  readonly acks: Acks;
  readonly isIdempotent: boolean;
  readonly compression: Compression;
  readonly requestTimeoutMs: number;
  readonly deliveryTimeoutMs: number;
}

export interface SenderDeps {
  readonly transport: ClientTransport;
  readonly world: World;
  readonly view: ClusterView;
  readonly identities: ProducerIdentitySource;
  readonly codecs: Codecs;
  readonly crc32c: Crc32c;
  /** A batch left its queue, resolved one way or the other; everyone who waits for it was told. */
  settled(queue: PartitionQueue, batch: ProducerBatch, report: BatchReport): void;
}

/** A request without an answer for this long makes us ask who leads now. */
const STALL_MS = 1_000;
const OVERTIME_MS = 2_000;
const TOPIC_CHECK_ATTEMPTS = 5;
/** Asking for a producer id has tried for long by itself before it fails: it is asked again like after so many attempts. */
const RENEW_ATTEMPT = 6;

/**
 * Brings closed batches to their leaders: in order, without gaps, each once.
 *
 * How the order holds: sequences are given when a batch is closed and kept over every retry, the
 * broker takes them only one after the other, and repetitions are recognised. When the broker's
 * record of this producer does not fit any more (it expired, or a batch was given up), a new epoch
 * starts: batches that are definitely not appended get new sequences, and those that may be are
 * reported as of unknown outcome. None of the latter is ever sent under another sequence.
 */
export class Sender {
  private readonly options: SenderOptions;
  private readonly deps: SenderDeps;
  private readonly links: ProducerLinks;
  /** Queues whose new identity is being asked for, or will be after a pause. */
  private readonly renewing = new Set<PartitionQueue>();
  private nextCorrelationId = 1;

  constructor(options: SenderOptions, deps: SenderDeps) {
    this.options = options;
    this.deps = deps;
    this.links = new ProducerLinks(
      (address) =>
        new BrokerLink(address, deps.transport, deps.world, {
          answer: (attempt, answer) => this.answered(attempt, answer),
          lost: (attempt, error) => this.lost(attempt, error),
          ready: (queue) => this.drain(queue),
          unavailable: (queue, at, error) => this.unavailable(queue, at, error),
        }),
    );
  }

  close(): void {
    this.links.close();
  }

  /** A batch was closed: compress it if asked to, then send what can be sent. */
  closed(queue: PartitionQueue, batch: ProducerBatch): void {
    if (this.options.compression !== 'none' && !batch.isPlain) this.compress(queue, batch);
    this.drain(queue);
  }

  /** Sends what the window, the link, back-off and codecs let go, strictly in order. */
  drain(queue: PartitionQueue): void {
    if (queue.batches.length === 0) return;
    if (queue.isRenewing) {
      this.maybeRenew(queue);
      return;
    }
    const leader = this.deps.view.leader(queue.topic, queue.partition);
    if (leader === undefined) {
      this.deps.view.seek(queue.topic, queue.partition, -1);
      return;
    }
    const nowMs = this.deps.world.clock.monotonicMs();
    const link = this.links.at(leader.address);
    const count = queue.sendable;
    for (let i = 0; i < count; i += 1) {
      const batch = queue.batches[i] as ProducerBatch;
      if (batch.state === 'inflight') continue;
      if (batch.notBeforeMs > nowMs) {
        this.retryAt(queue, batch.notBeforeMs - nowMs);
        return;
      }
      if (!this.isSealed(queue, batch)) return;
      if (!link.admits(queue, batch.bytes?.length ?? 0)) return;
      this.send(queue, batch, link, nowMs);
    }
  }

  /** Gives up what is overdue and looks after links that stopped answering. */
  sweep(queues: Iterable<PartitionQueue>): void {
    const nowMs = this.deps.world.clock.monotonicMs();
    for (const queue of queues) {
      for (const batch of [...queue.batches, ...(queue.open === undefined ? [] : [queue.open])]) {
        if (nowMs - batch.createdMs < this.options.deliveryTimeoutMs) break;
        this.expire(queue, batch);
      }
    }
    for (const link of this.links.all()) {
      const oldest = link.oldest();
      if (oldest === undefined) continue;
      const ageMs = nowMs - oldest.sentMs;
      if (ageMs > this.options.requestTimeoutMs + OVERTIME_MS) {
        const text = `no answer within ${this.options.requestTimeoutMs} ms`;
        link.breakOff(new BrokerError('DEADLINE_EXCEEDED', text));
      } else if (ageMs > STALL_MS) {
        const { topic, partition } = oldest.queue;
        this.deps.view.seek(topic, partition, this.epochOf(oldest.queue));
      }
    }
  }

  /** A later leadership is known: what is on its way elsewhere is sent again to the new leader. */
  leaderChanged(queue: PartitionQueue): void {
    const leader = this.deps.view.leader(queue.topic, queue.partition);
    if (leader === undefined) return;
    const link = this.links.at(leader.address);
    if (this.options.isIdempotent && queue.inflight > 0) {
      for (const other of this.links.all()) {
        if (other === link) continue;
        for (const batch of queue.batches) {
          if (batch.state !== 'inflight' || !other.abandon(batch)) continue;
          batch.maybeAppended = true;
          this.requeue(queue, batch, 0);
        }
      }
    }
    for (const batch of queue.batches) batch.notBeforeMs = 0;
    this.drain(queue);
  }

  failAll(queue: PartitionQueue, error: BrokerError): void {
    const open = queue.open;
    for (const batch of [...queue.batches]) this.giveUp(queue, batch, error);
    if (open !== undefined) this.giveUp(queue, open, error);
  }

  private isSealed(queue: PartitionQueue, batch: ProducerBatch): boolean {
    if (queue.seal(batch, this.deps.crc32c)) return true;
    if (this.options.isIdempotent && queue.identity === undefined) {
      queue.isRenewing = true;
      this.maybeRenew(queue);
    }
    return false;
  }

  private send(queue: PartitionQueue, batch: ProducerBatch, link: BrokerLink, nowMs: number): void {
    batch.state = 'inflight';
    batch.attempts += 1;
    queue.inflight += 1;
    const leftMs = batch.createdMs + this.options.deliveryTimeoutMs - nowMs;
    const call = {
      correlationId: this.nextCorrelationId,
      topic: queue.topic,
      partition: queue.partition,
      topicId: queue.topicId,
      acks: this.options.acks,
      batch: batch.bytes as Uint8Array,
      expectedOffset: batch.expectedOffset,
      expectedKeyOffset: batch.expectedKeyOffset,
      timeoutMs: Math.max(1, Math.ceil(Math.min(this.options.requestTimeoutMs, leftMs))),
    };
    this.nextCorrelationId += 1;
    link.send(call, { queue, batch, sentMs: nowMs });
  }

  private answered(attempt: Attempt, answer: ProduceAnswer): void {
    const { queue, batch } = attempt;
    if (answer.error === undefined) {
      this.deps.view.settle(queue.topic, queue.partition);
      this.deps.view.retries.succeeded();
      this.succeed(queue, batch, answer);
    } else {
      this.refused(queue, batch, answer.error);
    }
    this.drain(queue);
  }

  private refused(queue: PartitionQueue, batch: ProducerBatch, error: BrokerError): void {
    batch.lastError = error;
    if (error.outcome === 'unknown') batch.maybeAppended = true;
    const epoch = this.epochOf(queue);
    switch (error.code) {
      case 'NOT_LEADER': {
        const isNews = this.deps.view.learn(queue.topic, queue.partition, error.facts.leader);
        if (!isNews) this.deps.view.seek(queue.topic, queue.partition, epoch);
        this.requeue(queue, batch, isNews ? 0 : this.retryDelay(batch));
        return;
      }
      case 'OUT_OF_ORDER_SEQUENCE':
      case 'UNKNOWN_PRODUCER':
      case 'PRODUCER_FENCED':
        this.outOfSequence(queue, batch, error);
        return;
      case 'EXPECTATION_FAILED':
        this.elsewhere(queue, batch, error);
        return;
      case 'UNKNOWN_TOPIC':
      case 'UNKNOWN_PARTITION':
        this.requeue(queue, batch, this.retryDelay(batch));
        if (batch.attempts % TOPIC_CHECK_ATTEMPTS === 0) void this.checkTopic(queue);
        return;
      default:
        break;
    }
    const mayRepeat = this.options.isIdempotent || error.outcome === 'none';
    if (!error.retriable || !mayRepeat) {
      // The topic may take less than it did: what comes next is to fit.
      if (error.code === 'BATCH_TOO_LARGE') void this.deps.view.refresh(queue.topic);
      this.giveUp(queue, batch, error);
      return;
    }
    // Throttled, the broker itself says when to come again.
    const isThrottled = error.code === 'THROTTLED';
    if (!isThrottled) this.deps.view.seek(queue.topic, queue.partition, epoch);
    const delayMs = isThrottled ? this.backoff(batch) : this.retryDelay(batch);
    this.requeue(queue, batch, Math.max(delayMs, error.facts.retryAfterMs ?? 0));
  }

  private lost(attempt: Attempt, error: BrokerError): void {
    const { queue, batch } = attempt;
    batch.maybeAppended = true;
    batch.lastError = error;
    this.deps.view.seek(queue.topic, queue.partition, this.epochOf(queue));
    if (this.options.isIdempotent) this.requeue(queue, batch, 0);
    else
      this.giveUp(
        queue,
        batch,
        new BrokerError('UNKNOWN_OUTCOME', error.message, {}, { cause: error }),
      );
    this.drain(queue);
  }

  private unavailable(queue: PartitionQueue, at: BrokerAddress, error: BrokerError): void {
    this.deps.view.brokers.markDown(at);
    const head = queue.batches[0];
    if (head === undefined) return;
    head.lastError ??= error;
    const leader = this.deps.view.leader(queue.topic, queue.partition);
    if (leader?.address.host === at.host && leader.address.port === at.port) {
      this.deps.view.seek(queue.topic, queue.partition, leader.epoch);
    } else {
      this.drain(queue);
    }
  }

  private succeed(queue: PartitionQueue, batch: ProducerBatch, answer: ProduceAnswer): void {
    const isFirst = queue.remove(batch);
    if (!isFirst) return;
    for (const { index, settler } of batch.settlers) {
      settler.resolve(metadataOf(queue, batch, answer, index));
    }
    this.settle(queue, batch, answer, undefined);
    if (batch.attempts === 1 && this.deps.transport.copiesBatches === true) batch.recycle();
  }

  /** The batch ends here. What it is told: not appended only if no attempt may have been. */
  private giveUp(queue: PartitionQueue, batch: ProducerBatch, cause: BrokerError): void {
    for (const link of batch.state === 'inflight' ? this.links.all() : []) {
      if (link.abandon(batch)) batch.maybeAppended = true;
    }
    if (!queue.remove(batch)) return;
    let error = cause;
    if (batch.maybeAppended && cause.outcome === 'none') {
      const text = `may or may not have been appended; at last: ${cause.message}`;
      error = new BrokerError('UNKNOWN_OUTCOME', text, {}, { cause });
    }
    for (const { settler } of batch.settlers) settler.reject(error);
    this.settle(queue, batch, undefined, error);
  }

  private settle(
    queue: PartitionQueue,
    batch: ProducerBatch,
    answer: ProduceAnswer | undefined,
    error: BrokerError | undefined,
  ): void {
    const report: BatchReport = {
      topic: queue.topic,
      partition: queue.partition,
      records: batch.count,
      bytes: batch.bytes?.length ?? 0,
      baseOffset: answer?.baseOffset ?? -1,
      leaderEpoch: answer?.leaderEpoch ?? 0,
      attempts: batch.attempts,
      elapsedMs: this.deps.world.clock.monotonicMs() - batch.createdMs,
      isDuplicate: answer?.isDuplicate ?? false,
      error,
    };
    for (const { group, records } of batch.groups) group.settled(records, report);
    for (const settled of batch.whenSettled) settled();
    if (queue.isEmpty) this.deps.view.settle(queue.topic, queue.partition);
    this.deps.settled(queue, batch, report);
  }

  private expire(queue: PartitionQueue, batch: ProducerBatch): void {
    const last = batch.lastError;
    const waited = `not acknowledged within ${this.options.deliveryTimeoutMs} ms`;
    const text = `${waited}; at last: ${last?.message ?? this.obstacle(queue)}`;
    const mayBe = batch.maybeAppended || batch.state === 'inflight';
    const code = mayBe
      ? 'DEADLINE_EXCEEDED'
      : last?.outcome === 'none'
        ? last.code
        : 'LEADER_UNKNOWN';
    const outcome = mayBe ? 'unknown' : 'none';
    this.giveUp(queue, batch, new BrokerError(code, text, { outcome }, { cause: last }));
    this.drain(queue);
  }

  /** Why a batch was not even tried. */
  private obstacle(queue: PartitionQueue): string {
    const leader = this.deps.view.leader(queue.topic, queue.partition);
    if (leader === undefined) return `no leader of ${queue.topic}/${queue.partition} is known`;
    if (queue.isRenewing) return 'the cluster gave no producer id';
    return `no answer from broker ${leader.brokerId} at ${addressKey(leader.address)}`;
  }

  private requeue(queue: PartitionQueue, batch: ProducerBatch, delayMs: number): void {
    if (batch.state === 'inflight') {
      batch.state = 'queued';
      queue.inflight -= 1;
    }
    batch.notBeforeMs = delayMs > 0 ? this.deps.world.clock.monotonicMs() + delayMs : 0;
    this.deps.view.hooks.onRetry?.({
      ...{ kind: 'produce', topic: queue.topic, partition: queue.partition },
      ...{ attempt: batch.attempts, delayMs, error: batch.lastError },
    });
  }

  /**
   * The broker's record of this producer does not fit. Behind others this only tells that one of
   * them was refused and goes first; at the head there is a gap that no retry closes.
   */
  private outOfSequence(queue: PartitionQueue, batch: ProducerBatch, error: BrokerError): void {
    const head = queue.batches[0];
    if (head !== batch) {
      this.requeue(queue, batch, head?.state === 'inflight' ? this.backoff(batch) : 0);
      return;
    }
    if (error.facts['expectedSequence'] === batch.baseSequence) {
      this.requeue(queue, batch, this.backoff(batch));
      return;
    }
    this.requeue(queue, batch, 0);
    queue.isRenewing = true;
  }

  /**
   * The log does not end where the batch has to stand, or the key's last record is another. If that is
   * behind the expected one, no earlier attempt that is still under way can be appended either, for
   * offsets never come back. Only a key that was to have no record may be without one again some day.
   */
  private elsewhere(queue: PartitionQueue, batch: ProducerBatch, error: BrokerError): void {
    const { logEndOffset = -1, keyOffset = -1 } = error.facts;
    const { expectedOffset = Infinity, expectedKeyOffset: expectedKey = -1 } = batch;
    const isOver = logEndOffset > expectedOffset || (expectedKey >= 0 && keyOffset > expectedKey);
    if (isOver) batch.maybeAppended = false;
    if (!batch.maybeAppended) queue.yieldSequence(batch);
    this.giveUp(queue, batch, error);
  }

  /** Once nothing is on its way: what may be appended ends as unknown, the rest starts over. */
  private maybeRenew(queue: PartitionQueue): void {
    if (!queue.isRenewing || queue.inflight > 0 || this.renewing.has(queue)) return;
    const unknown = queue.batches.find((b) => b.maybeAppended);
    if (unknown === undefined) {
      void this.renew(queue);
      return;
    }
    const cause = unknown.lastError;
    const text = `may or may not have been appended: the sequence broke off (${cause?.message ?? ''})`;
    this.giveUp(queue, unknown, new BrokerError('UNKNOWN_OUTCOME', text, {}, { cause }));
    this.maybeRenew(queue);
  }

  /** Gives the queue an identity later than it has, then sends on. Never rejects. */
  private async renew(queue: PartitionQueue): Promise<void> {
    this.renewing.add(queue);
    try {
      const identity = await this.deps.identities.get(queue.identity);
      queue.renew(identity, this.deps.crc32c);
      queue.isRenewing = false;
      this.renewing.delete(queue);
      this.drain(queue);
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      for (const batch of queue.batches) batch.lastError ??= error;
      if (!error.retriable) this.failAll(queue, error);
      const attempts = Math.max(RENEW_ATTEMPT, queue.batches[0]?.attempts ?? 0);
      this.deps.world.timers.after(this.deps.view.retries.delayMs(RETRY_BACKOFF, attempts), () => {
        this.renewing.delete(queue);
        this.drain(queue);
      });
    }
  }

  private async checkTopic(queue: PartitionQueue): Promise<void> {
    try {
      await this.deps.view.reloadTopic(queue.topic, this.options.requestTimeoutMs);
    } catch {
      // Unreachable: the batches are retried, and end by their own deadline. Deleted: the view told.
    }
  }

  private compress(queue: PartitionQueue, batch: ProducerBatch): void {
    const codec = this.options.compression;
    const records = batch.builder.records();
    batch.isCompressing = true;
    void this.deps.codecs.compress(codec, records).then(
      (compressed) => {
        batch.isCompressing = false;
        // Not worth it: readers would only pay for nothing.
        if (compressed.length < records.length) batch.compressed = { codec, records: compressed };
        this.drain(queue);
      },
      (thrown: unknown) => {
        batch.isCompressing = false;
        const text = `codec ${codec} (${COMPRESSION_CODES[codec]}) failed: ${BrokerError.from(thrown).message}`;
        this.giveUp(queue, batch, new BrokerError('UNSUPPORTED', text, {}, { cause: thrown }));
        this.drain(queue);
      },
    );
  }

  private retryAt(queue: PartitionQueue, delayMs: number): void {
    if (queue.retryTimer !== undefined) return;
    queue.retryTimer = this.deps.world.timers.after(delayMs, () => {
      queue.retryTimer = undefined;
      this.drain(queue);
    });
  }

  private backoff(batch: ProducerBatch): number {
    return backoffMs(RETRY_BACKOFF, batch.attempts, this.deps.world.random);
  }

  /** The same, as far as the client's budget of retries goes; a new leader ends it early. */
  private retryDelay(batch: ProducerBatch): number {
    return this.deps.view.retries.delayMs(RETRY_BACKOFF, batch.attempts);
  }

  private epochOf(queue: PartitionQueue): number {
    return this.deps.view.leader(queue.topic, queue.partition)?.epoch ?? -1;
  }
}

function metadataOf(
  queue: PartitionQueue,
  batch: ProducerBatch,
  answer: ProduceAnswer,
  index: number,
): RecordMetadata {
  return {
    topic: queue.topic,
    partition: queue.partition,
    offset: answer.baseOffset < 0 ? -1 : answer.baseOffset + index,
    appendTimeMs: answer.appendTimeMs,
    leaderEpoch: answer.leaderEpoch,
    brokerId: answer.brokerId,
    producerId: batch.stamp.producerId,
    producerEpoch: batch.stamp.producerEpoch,
    sequence: batch.baseSequence < 0 ? -1 : batch.baseSequence + index,
  };
}
