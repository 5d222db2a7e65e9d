import { BrokerError } from '../model/errors.js';
import type { BrokerId, Offset, Term } from '../model/ids.js';
import type { ProposalObserver } from '../host/raft-group.js';
import type { ByteBudget } from './budget.js';
import type { Logger } from '../ports/telemetry.js';
import { Timeout, type Deadlines } from './deadlines.js';
import type { Acks, ProduceResult } from './types.js';

/** What all produces of a broker share. */
export interface ProduceContext {
  readonly self: BrokerId;
  readonly deadlines: Deadlines;
  readonly budget: ByteBudget;
  /** For what leaders know of keys. */
  readonly keyBudget: ByteBudget;
  readonly log: Logger;
}

/**
 * Tells a client what became of its batch. Whoever answers is amid changes of a replica's state: what
 * goes wrong in telling is this request's own trouble.
 */
export function answerSafely(
  context: ProduceContext,
  done: (result: ProduceResult) => void,
  result: ProduceResult,
): void {
  try {
    done(result);
  } catch (error) {
    context.log.error({ err: error }, 'a produce could not be answered');
  }
}

/** The leadership an append belongs to, as far as its batches need to know. */
export interface AppendTenure {
  readonly term: Term;
  /** The batch is applied, while this tenure still stands or after it. */
  settled(pending: PendingProduce): void;
  /** The batch's fate is unknown: this leadership ended, even if nobody has said so yet. */
  lost(): void;
  logStartOffset(): Offset;
}

/** Where a batch stands in the log. */
export interface AppendPlace {
  readonly tenure: AppendTenure;
  readonly baseOffset: Offset;
  readonly timeMs: number;
  /** -1: not idempotent. */
  readonly producerId: number;
}

/**
 * What a produce asks of the leader. `expectedOffset`: the offset that it must get, if it matters.
 */
export interface AskedProduce {
  readonly batch: Uint8Array;
  readonly acks: Acks;
  readonly expectedOffset?: number | undefined;
  /** The last offset that the batch's key must have; -1: none. */
  readonly expectedKeyOffset?: number | undefined;
  readonly timeoutMs: number;
}

/**
 * One produce from its arrival to its end: it is its own observer of the proposal, its own deadline,
 * and what a repetition of its batch waits for. So an append costs one object.
 *
 * Invariants: `done` is called exactly once; the budget gets its bytes back exactly once, when the
 * batch is committed, lost or refused, which may be after the answer; followers end when it does.
 */
export class PendingProduce extends Timeout implements ProposalObserver {
  readonly acks: Acks;
  readonly expectedOffset: number | undefined;
  readonly expectedKeyOffset: number | undefined;
  readonly timeoutMs: number;
  /** What a look at the records has found; undefined: nothing is wrong with their keys. */
  keyError: BrokerError | undefined;
  private readonly context: ProduceContext;
  private readonly done: (result: ProduceResult) => void;
  private readonly bytes: number;
  private heldBatch: Uint8Array | undefined;
  private place: AppendPlace | undefined;
  /** Set while it only waits for its turn to be answered. */
  private verdict: ProduceResult | undefined;
  private original: PendingProduce | undefined;
  private followers: PendingProduce[] | undefined;
  /** Its expectation does not hold, if what the leader compared it with is confirmed. */
  private isContested = false;
  /** Before it can be appended, or judged. */
  private waitsFor = 'the partition had a leader that is ready';
  private isAnswered = false;
  private isEnded = false;

  /** The caller has taken the batch's bytes out of the budget. */
  constructor(
    context: ProduceContext,
    request: AskedProduce,
    done: (result: ProduceResult) => void,
  ) {
    super();
    this.context = context;
    this.heldBatch = request.batch;
    this.bytes = request.batch.length;
    this.acks = request.acks;
    this.expectedOffset = request.expectedOffset;
    this.expectedKeyOffset = request.expectedKeyOffset;
    this.timeoutMs = request.timeoutMs;
    this.done = done;
  }

  /** Until it is appended; undefined afterwards and once it was refused. */
  get batch(): Uint8Array | undefined {
    return this.heldBatch;
  }

  get producerId(): number {
    return this.place?.producerId ?? -1;
  }

  /** It is not appended until the leader has read the keys of the log. */
  waitForKeys(): void {
    this.waitsFor = 'the leader had read the keys of the partition';
    this.startDeadline();
  }

  startDeadline(): void {
    if (this.link === undefined) this.context.deadlines.add(this, this.timeoutMs);
  }

  /** The proposal was accepted: the log has the batch from now on. */
  appended(place: AppendPlace): void {
    this.heldBatch = undefined;
    this.place = place;
    if (this.acks === 'none') this.answer(this.success(-1, false));
    else this.startDeadline();
  }

  /** Ends it without an append. */
  refuse(error: BrokerError): void {
    this.end({ error });
  }

  /**
   * Ends it as a repetition of a batch that is committed. Its epoch is that of the leadership that
   * answers, as the broker is: an epoch has one broker that acknowledges in it.
   */
  repeated(
    at: { readonly baseOffset: Offset; readonly timeMs: number },
    tenure: AppendTenure,
  ): ProduceResult {
    return {
      baseOffset: at.baseOffset,
      appendTimeMs: at.timeMs,
      leaderEpoch: tenure.term,
      isDuplicate: true,
      logStartOffset: tenure.logStartOffset(),
      brokerId: this.context.self,
    };
  }

  /** Ends with this result, but not before `earlier`, which stands before it in the order of answers. */
  endAfter(earlier: PendingProduce | undefined, result: ProduceResult): void {
    if (earlier === undefined || this.acks !== 'quorum') {
      this.end(result);
      return;
    }
    this.verdict = result;
    this.follow(earlier);
  }

  /** A repetition of `original`, which is in flight: whatever becomes of it. */
  endWith(original: PendingProduce, last: PendingProduce): void {
    this.original = original;
    this.follow(last);
  }

  /** It is not appended, but that its expectation does not hold is still to be confirmed. */
  contested(): void {
    this.heldBatch = undefined;
    this.isContested = true;
    this.startDeadline();
  }

  /** Ends a contested one once `earlier` is committed; if that is lost, the refusal falls with it. */
  refuseAfter(earlier: PendingProduce | undefined, error: BrokerError): void {
    if (this.isEnded) return;
    if (earlier === undefined) {
      this.refuse(error);
      return;
    }
    this.verdict = { error };
    this.follow(earlier);
  }

  persisted(): void {
    if (this.acks === 'leader') this.answer(this.success(this.place?.baseOffset ?? -1, false));
  }

  committed(): void {
    this.place?.tenure.settled(this);
    this.end(this.success(this.place?.baseOffset ?? -1, false));
    this.endFollowers(true);
  }

  failed(): void {
    this.place?.tenure.lost();
    this.end({ error: unknownOutcome() });
    this.endFollowers(false);
  }

  override timedOut(): void {
    if (this.isContested) {
      const message = 'the deadline passed before a quorum confirmed where the log ends';
      this.end({ error: new BrokerError('DEADLINE_EXCEEDED', message, { outcome: 'none' }) });
      return;
    }
    if (this.heldBatch !== undefined && this.original === undefined) {
      const message = `the deadline passed before ${this.waitsFor}`;
      this.end({ error: new BrokerError('DEADLINE_EXCEEDED', message, { outcome: 'none' }) });
      return;
    }
    const message = 'the deadline passed before a quorum of replicas had the batch on disk';
    this.answer(this.verdict ?? { error: new BrokerError('DEADLINE_EXCEEDED', message) });
  }

  private follow(leader: PendingProduce): void {
    this.heldBatch = undefined;
    this.startDeadline();
    (leader.followers ??= []).push(this);
  }

  private endFollowers(isCommitted: boolean): void {
    const followers = this.followers;
    if (followers === undefined) return;
    this.followers = undefined;
    for (const follower of followers) {
      const original = follower.original;
      if (follower.isContested && !isCommitted) follower.end({ error: unsettled() });
      else if (original === undefined)
        follower.end(follower.verdict ?? { error: unknownOutcome() });
      else if (isCommitted) follower.end(original.success(original.place?.baseOffset ?? -1, true));
      else follower.end({ error: unknownOutcome() });
    }
  }

  private success(baseOffset: number, isDuplicate: boolean): ProduceResult {
    return {
      baseOffset,
      appendTimeMs: this.place?.timeMs ?? -1,
      leaderEpoch: this.place?.tenure.term ?? 0,
      isDuplicate,
      logStartOffset: this.place?.tenure.logStartOffset() ?? 0,
      brokerId: this.context.self,
    };
  }

  private end(result: ProduceResult): void {
    if (!this.isEnded) {
      this.isEnded = true;
      this.heldBatch = undefined;
      this.context.budget.release(this.bytes);
    }
    this.answer(result);
  }

  private answer(result: ProduceResult): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.context.deadlines.cancel(this);
    answerSafely(this.context, this.done, result);
  }
}

/** Where the log ends is no longer this leader's to say; whoever leads now can be asked. */
function unsettled(): BrokerError {
  return new BrokerError(
    'LEADER_UNKNOWN',
    'leadership ended before it was settled where the log ends: nothing was appended',
  );
}

function unknownOutcome(): BrokerError {
  return new BrokerError(
    'UNKNOWN_OUTCOME',
    'leadership ended before a quorum of replicas had the batch: it may have been appended or not',
  );
}
