import { invariant } from '../base/assert.js';
import { setI64, viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import type { ProposeOutcome, RaftGroup } from '../host/raft-group.js';
import { BrokerError } from '../model/errors.js';
import { offset, type Offset, type Term } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import {
  checkProducedBatch,
  stampBatch,
  stampLogAppendTime,
  type RecordBatchHeader,
} from '../model/record-batch.js';
import { ABSENT, keyedRecords, onlyKeyOf, type KeyedRecord } from '../partition/last-offsets.js';
import type { PartitionState } from '../partition/partition-state.js';
import { ProducerOverlay } from '../partition/producer-overlay.js';
import type { Cancel, World } from '../ports/world.js';
import { keyErrorOfPlain } from './key-check.js';
import type { KeyComparison } from './key-comparison.js';
import type { AppendTenure, PendingProduce } from './pending-produce.js';
import {
  expectationFailed,
  keyExpectationFailed,
  producerError,
  throttled,
} from './produce-refusals.js';
import type { TopicSettings } from '../metadata/topic-config.js';

/** Produces of one partition that may wait for a leader to become ready. */
const WAITING_MAX = 4_096;
/** How long they wait: elections take less, and without a quorum the client should know. */
const UNSETTLED_WAIT_MS = 2_000;
/** A transfer that is under way ends within a few round trips, or fails. */
const TRANSFER_POLL_MS = 5;

export interface AppenderDeps {
  readonly world: World;
  readonly crc32c: Crc32c;
  readonly state: PartitionState;
  settings(): TopicSettings;
  /** Why the broker takes no records at the moment; undefined: it does. */
  refusal(): BrokerError | undefined;
  /** Who should be asked instead. */
  redirect(): BrokerError;
  /** What is known of keys, for a leadership that begins. */
  compareKeys(resume: (waiting: readonly PendingProduce[]) => void): KeyComparison;
}

/** A batch that may be appended. */
interface Valid {
  readonly header: RecordBatchHeader;
  /** Where the topic compares by key. */
  readonly keys: readonly KeyedRecord[] | undefined;
}

/** One leadership that has become ready, from its first append to its end. */
class Tenure implements AppendTenure {
  readonly term: Term;
  readonly group: RaftGroup;
  readonly overlay = new ProducerOverlay<PendingProduce>();
  readonly state: PartitionState;
  readonly keys: KeyComparison;
  /** Offset of the next record to be appended. Invariant: highWatermark <= logEnd. */
  logEnd: Offset;
  /** The batch at the log's end, while it is in flight. */
  last: PendingProduce | undefined;
  isOver = false;

  constructor(term: Term, group: RaftGroup, state: PartitionState, keys: KeyComparison) {
    this.term = term;
    this.keys = keys;
    this.group = group;
    this.state = state;
    this.logEnd = state.highWatermark;
  }

  settled(pending: PendingProduce): void {
    if (this.isOver) return;
    if (pending.producerId >= 0) this.overlay.applied(pending.producerId, pending);
    if (this.last === pending) this.last = undefined;
  }

  lost(): void {
    this.isOver = true;
    this.overlay.clear();
    this.last = undefined;
  }

  logStartOffset(): Offset {
    return this.state.logStartOffset;
  }
}

/**
 * The leader's way into one partition's log: validates, stamps offset and epoch, and proposes, all in
 * one synchronous turn (CORRECTNESS 19, 28).
 *
 * Invariants: a batch is stamped with the offset at which the core appends it, because nothing else
 * appends batches and a tenure begins only when everything before it is applied; when a tenure ends,
 * everything it had in flight is forgotten here, and its outcome is unknown or told by its entry.
 * Produces are appended in the order in which they came.
 */
export class PartitionAppender {
  private readonly deps: AppenderDeps;
  private tenure: Tenure | undefined;
  /** Nobody is known to lead, or this replica does and is not ready: produces wait. */
  private isUnsettled = true;
  private waiting: PendingProduce[] = [];
  private giveUp: Cancel | undefined;
  private poll: Cancel | undefined;

  constructor(deps: AppenderDeps) {
    this.deps = deps;
  }

  /** Of the leadership that is ready here. */
  get term(): Term | undefined {
    return this.tenure?.term;
  }

  /** Who leads may be settled soon, and it may be this replica. */
  get unsettled(): boolean {
    return this.tenure === undefined && this.isUnsettled;
  }

  get logEnd(): Offset | undefined {
    return this.tenure?.logEnd;
  }

  begin(term: Term, group: RaftGroup): void {
    this.end();
    const keys = this.deps.compareKeys((waiting) => this.resume(waiting));
    this.tenure = new Tenure(term, group, this.deps.state, keys);
    this.isUnsettled = false;
    this.drain();
  }

  /** Leadership is gone, or not there yet; `isUnsettled`: it may well come. */
  step(isUnsettled: boolean): void {
    this.end();
    this.isUnsettled = isUnsettled;
    if (!isUnsettled) this.flush((pending) => pending.refuse(this.deps.redirect()));
  }

  stop(error: BrokerError): void {
    this.end();
    this.isUnsettled = false;
    this.poll?.();
    this.flush((pending) => pending.refuse(error));
  }

  submit(pending: PendingProduce): void {
    if (this.waiting.length === 0 && this.tenure !== undefined) {
      if (!this.append(this.tenure, pending)) this.wait(pending);
    } else if (this.waiting.length > 0 || this.isUnsettled) {
      this.wait(pending);
    } else {
      pending.refuse(this.deps.redirect());
    }
  }

  private wait(pending: PendingProduce): void {
    if (this.waiting.length >= WAITING_MAX) {
      pending.refuse(throttled('too many produces wait for the partition to have a leader'));
      return;
    }
    this.waiting.push(pending);
    pending.startDeadline();
    this.giveUp ??= this.deps.world.timers.after(UNSETTLED_WAIT_MS, () => {
      this.giveUp = undefined;
      this.flush((late) => late.refuse(this.deps.redirect()));
    });
  }

  private drain(): void {
    const waiting = this.waiting;
    for (let i = 0; i < waiting.length; i += 1) {
      const pending = waiting[i];
      if (pending?.batch === undefined) continue;
      const tenure = this.tenure;
      if (tenure === undefined || !this.append(tenure, pending)) {
        this.waiting = waiting.slice(i);
        return;
      }
    }
    this.flush(() => undefined);
  }

  private flush(each: (pending: PendingProduce) => void): void {
    this.giveUp?.();
    this.giveUp = undefined;
    const waiting = this.waiting;
    this.waiting = [];
    for (const pending of waiting) if (pending.batch !== undefined) each(pending);
  }

  private end(): void {
    const { tenure } = this;
    if (tenure === undefined) return;
    tenure.lost();
    this.tenure = undefined;
    for (const pending of tenure.keys.forget()) if (pending.batch !== undefined) this.wait(pending);
  }

  /** They have waited for the keys: everything else is looked at anew. */
  private resume(waiting: readonly PendingProduce[]): void {
    for (const pending of waiting) if (pending.batch !== undefined) this.submit(pending);
  }

  /** False: it has to wait. Otherwise it is appended, or answered. */
  private append(tenure: Tenure, pending: PendingProduce): boolean {
    if (tenure.isOver) return false;
    const batch = pending.batch;
    invariant(batch !== undefined, 'a batch is appended once');
    const valid = this.validate(tenure, pending, batch);
    if (valid === undefined) return true;
    const { header, keys } = valid;
    let crc: number | undefined;
    if (this.deps.settings().timestampType === 'append') {
      crc = viewOf(batch).getUint32(17);
      const timeMs = Math.max(this.deps.world.clock.nowMs(), this.deps.state.timeMs);
      stampLogAppendTime(batch, timeMs, this.deps.crc32c);
    }
    const baseOffset = tenure.logEnd;
    stampBatch(batch, { baseOffset, leaderEpoch: tenure.term });
    const outcome = tenure.group.propose({ kind: 'batch', payload: batch }, pending);
    if (!outcome.accepted) {
      unstamp(batch, header, crc);
      return this.refused(pending, outcome);
    }
    invariant(outcome.id.term === tenure.term, 'a tenure appends in its own term', {
      ...outcome.id,
      term: tenure.term,
    });
    tenure.logEnd = offset(baseOffset + header.recordsCount);
    tenure.last = pending;
    if (keys !== undefined) tenure.keys.note(keys, baseOffset);
    const { producerId } = header;
    if (producerId >= 0) tenure.overlay.append(header, pending);
    pending.appended({ tenure, baseOffset, timeMs: outcome.timeMs, producerId });
    return true;
  }

  /** Undefined: it may not be appended now, and the produce has got its answer, or will get it. */
  private validate(tenure: Tenure, pending: PendingProduce, batch: Uint8Array): Valid | undefined {
    const refuse = (error: BrokerError): void => pending.endAfter(tenure.last, { error });
    let header: RecordBatchHeader;
    try {
      header = checkProducedBatch(batch, {
        batchBytesMax: this.deps.settings().maxBatchBytes,
        crc32c: this.deps.crc32c,
      });
    } catch (error) {
      refuse(BrokerError.from(error));
      return undefined;
    }
    const isIdempotent = header.producerId >= 0;
    const { expectedKeyOffset: expectedKey } = pending;
    const isConditional = pending.expectedOffset !== undefined || expectedKey !== undefined;
    if ((isIdempotent || isConditional) && pending.acks !== 'quorum') {
      const who = isIdempotent ? 'an idempotent producer' : 'an expected offset';
      refuse(new BrokerError('INVALID_ARGUMENT', `${who} requires acks quorum`));
      return undefined;
    }
    if (isIdempotent) {
      if (!this.validateProducer(tenure, pending, header)) return undefined;
    } else {
      const full = this.deps.refusal();
      if (full !== undefined) {
        refuse(full);
        return undefined;
      }
    }
    const keyError =
      this.deps.settings().compaction && (pending.keyError ?? keyErrorOfPlain(header, batch));
    if (keyError !== undefined) {
      refuse(keyError);
      return undefined;
    }
    if (pending.expectedOffset !== undefined && pending.expectedOffset !== tenure.logEnd) {
      this.contest(tenure, pending, expectationFailed(pending.expectedOffset, tenure.logEnd));
      return undefined;
    }
    try {
      const keys = this.keysOf(tenure, pending, { header, batch });
      if (expectedKey === undefined) return { header, keys };
      return this.compareKey(tenure, pending, { header, keys }) ? { header, keys } : undefined;
    } catch (error) {
      refuse(BrokerError.from(error));
      return undefined;
    }
  }

  /** Undefined where the topic does not compare by key. Throws on a batch whose keys cannot be seen. */
  private keysOf(
    tenure: Tenure,
    pending: PendingProduce,
    { header, batch }: { readonly header: RecordBatchHeader; readonly batch: Uint8Array },
  ): readonly KeyedRecord[] | undefined {
    if (this.deps.settings().comparesByKey) return keyedRecords(header, batch);
    // From here on, batches go into the log of which a table would know nothing.
    this.resume(tenure.keys.forget());
    if (pending.expectedKeyOffset === undefined) return undefined;
    const text = 'an expected offset of a key needs a topic with compare.by.key = true';
    throw new BrokerError('INVALID_ARGUMENT', text);
  }

  /**
   * Whether the key stands where the batch expects it; a produce of which that cannot be said yet waits
   * for the keys. Behind an append of the key that is in flight it is appended like any other: lost
   * with it, or standing behind it.
   */
  private compareKey(tenure: Tenure, pending: PendingProduce, { header, keys }: Valid): boolean {
    if (pending.expectedOffset !== undefined) {
      throw new BrokerError(
        'INVALID_ARGUMENT',
        'a batch expects the offset of the log or of a key',
      );
    }
    const key = onlyKeyOf(header, keys ?? []);
    if (key === undefined) {
      const text = 'all records of a batch that expects the offset of a key must have that key';
      throw new BrokerError('INVALID_ARGUMENT', text);
    }
    if (!tenure.keys.isReady) {
      const refusal = tenure.keys.wait(pending, tenure.logEnd);
      if (refusal !== undefined) throw refusal;
      return false;
    }
    const expected = pending.expectedKeyOffset ?? ABSENT;
    const last = tenure.keys.lastOf(key);
    if (last === expected) return true;
    this.contest(tenure, pending, keyExpectationFailed(expected, last));
    return false;
  }

  /**
   * The log does not end where the batch expects it to. Before it says so, this leader makes sure that
   * it is true: that it still leads, or another may have gone on from an earlier end, and that its own
   * log's end is committed, or it may yet be lost and the expectation come true (CORRECTNESS 29). So it
   * is with a key: what the log holds of it is committed with the log's end.
   */
  private contest(tenure: Tenure, pending: PendingProduce, refusal: BrokerError): void {
    const { logEnd, last } = tenure;
    pending.contested();
    tenure.group.readBarrier(pending.timeoutMs).then(
      () => {
        const isCommitted = this.deps.state.highWatermark >= logEnd;
        if (tenure.isOver) pending.refuse(this.deps.redirect());
        else pending.refuseAfter(isCommitted ? undefined : last, refusal);
      },
      (thrown: unknown) => {
        const isLate = BrokerError.from(thrown).code === 'DEADLINE_EXCEEDED';
        if (isLate) pending.timedOut();
        else pending.refuse(this.deps.redirect());
      },
    );
  }

  private validateProducer(
    tenure: Tenure,
    pending: PendingProduce,
    header: RecordBatchHeader,
  ): boolean {
    const { state, world } = this.deps;
    const verdict = tenure.overlay.check(state.producers, header, {
      nowMs: Math.max(world.clock.nowMs(), state.timeMs),
      keptMs: LIMITS.deliveryTimeoutMsMax,
    });
    // What is in the log already takes no room. What comes after a refused batch is refused like it.
    const full = this.deps.refusal();
    if (verdict.kind === 'inFlight') {
      pending.endWith(verdict.token, tenure.last ?? verdict.token);
    } else if (verdict.kind === 'duplicate') {
      pending.endAfter(tenure.last, pending.repeated(verdict.batch, tenure));
    } else if (full !== undefined) {
      pending.endAfter(tenure.last, { error: full });
    } else if (verdict.kind === 'accept') {
      return true;
    } else {
      pending.endAfter(tenure.last, { error: producerError(verdict, header) });
    }
    return false;
  }

  private refused(
    pending: PendingProduce,
    outcome: Extract<ProposeOutcome, { accepted: false }>,
  ): boolean {
    switch (outcome.reason) {
      case 'transferring':
        this.poll ??= this.deps.world.timers.after(TRANSFER_POLL_MS, () => {
          this.poll = undefined;
          this.drain();
        });
        return false;
      case 'tailFull':
        pending.refuse(throttled('the partition has too much that is not committed yet'));
        return true;
      case 'notLeader':
      case 'unavailable':
        pending.refuse(this.deps.redirect());
        return true;
      case 'membershipBusy':
      case 'invalidMembership':
        pending.refuse(
          new BrokerError('INTERNAL', `batch refused: ${outcome.reason}`, { outcome: 'none' }),
        );
        return true;
    }
  }
}

/**
 * Gives a refused batch back as it came: whoever sent it may send the same bytes again. `crc` is what
 * it was before the time of the append was stamped, if that was.
 */
function unstamp(batch: Uint8Array, header: RecordBatchHeader, crc: number | undefined): void {
  const view = viewOf(batch);
  setI64(view, 0, 0);
  view.setInt32(12, header.leaderEpoch);
  if (crc === undefined) return;
  view.setInt16(21, header.attributes);
  setI64(view, 35, header.maxTimestamp);
  view.setUint32(17, crc);
}
