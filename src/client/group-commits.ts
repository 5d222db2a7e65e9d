import { deferred } from '../base/deferred.js';
import { BrokerError, type ErrorCode } from '../model/errors.js';
import type { World } from '../ports/world.js';
import { onAbort } from './abort.js';
import { RETRY_BACKOFF, backoffMs } from './backoff.js';
import type { ClusterView } from './cluster-view.js';
import { partitionKey } from './connection.js';
import type { MemberIdentity } from './group-types.js';
import { settledWithin } from './settled-within.js';
import type { OffsetToCommit } from './types.js';
import { unanswered } from './unanswered.js';

/** Nothing to wait for: the topic was deleted. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['UNKNOWN_TOPIC', 'UNKNOWN_PARTITION']);

/** Commits that may stand in line, the one under way included; applications need not await theirs. */
const COMMITS_MAX = 1_000;
const THROTTLED_MS = 100;

export interface CommitTerms {
  readonly member: () => MemberIdentity;
  /** Counted from now on, standing in line included. */
  readonly deadlineMs: number;
  /**
   * Aborted: another commit takes this one's place, so that it is not begun, or not tried again; an
   * attempt that is under way is awaited.
   */
  readonly stop?: AbortSignal | undefined;
}

/**
 * Commits for one group, one request after the other, each with a number of its own: neither a retry
 * of an earlier commit nor an attempt held up in a broker can overtake a later one of the same consumer.
 * Invariant: none stands in line longer than its deadline says.
 */
export class CommitQueue {
  private readonly view: ClusterView;
  private readonly world: World;
  private readonly group: string;
  private tail: Promise<unknown> = Promise.resolve();
  private length = 0;
  private sequence = 0;

  constructor(view: ClusterView, world: World, group: string) {
    this.view = view;
    this.world = world;
    this.group = group;
  }

  /**
   * Commits what `offsets` says once it is this commit's turn. Resolves when all are committed;
   * rejects with the reason for the first partition that was refused. Its outcome is unknown unless
   * it is certain that nothing at all was committed. THROTTLED: too many stand in line.
   */
  async commit(offsets: () => readonly OffsetToCommit[], terms: CommitTerms): Promise<void> {
    const { clock, timers } = this.world;
    if (this.length >= COMMITS_MAX) {
      const text = `${COMMITS_MAX} commits of this consumer are waiting`;
      throw new BrokerError('THROTTLED', text, { retryAfterMs: THROTTLED_MS });
    }
    const endMs = clock.monotonicMs() + terms.deadlineMs;
    const before = this.tail;
    const over = deferred<undefined>();
    // Its place is kept although it may not wait for it: the next one follows those before.
    this.tail = before.then(async () => await over.promise).finally(() => (this.length -= 1));
    this.length += 1;
    try {
      if (!(await settledWithin(timers, before, terms.deadlineMs))) {
        const text = `earlier commits were not over within ${terms.deadlineMs} ms`;
        throw new BrokerError('DEADLINE_EXCEEDED', text, { outcome: 'none' });
      }
      if (terms.stop?.aborted === true) return;
      const due = offsets();
      if (due.length > 0) await this.send(due, terms, endMs);
    } finally {
      over.resolve(undefined);
    }
  }

  private async send(
    offsets: readonly OffsetToCommit[],
    { member, stop }: CommitTerms,
    endMs: number,
  ): Promise<void> {
    const { clock, random } = this.world;
    const identity = member();
    this.sequence += 1;
    const commitSequence = this.sequence;
    const isGivenUp = (): boolean => stop?.aborted === true;
    let refusal: BrokerError | undefined;
    let open = offsets;
    /** Whatever is said later, some are committed, or may be. */
    let isMaybeTaken = false;
    for (let attempt = 1; ; attempt += 1) {
      const request = { group: this.group, member: identity, commitSequence, offsets: open };
      const deadlineMs = Math.max(1, endMs - clock.monotonicMs());
      const answers = await this.view
        .commitOffsets(request, { deadlineMs, retryUnknown: true, stop })
        .catch((thrown: unknown) => {
          throw isMaybeTaken ? BrokerError.from(thrown).inDoubt() : thrown;
        });
      const found = new Map(answers.map((a) => [partitionKey(a.topic, a.partition), a]));
      let passing: BrokerError | undefined;
      const again: OffsetToCommit[] = [];
      for (const o of open) {
        const answer = found.get(partitionKey(o.topic, o.partition));
        const error = answer === undefined ? unanswered(o) : answer.error;
        if (error?.outcome !== 'none') isMaybeTaken = true;
        if (error === undefined) continue;
        if (error.retriable && !FINAL.has(error.code)) {
          passing = error;
          again.push(o);
        } else {
          refusal ??= error;
        }
      }
      open = again;
      if (passing === undefined) break;
      const waitMs = backoffMs(RETRY_BACKOFF, attempt, random);
      const isLate = clock.monotonicMs() + waitMs >= endMs;
      if (!isLate) await this.pause(waitMs, stop);
      if (isLate || isGivenUp()) {
        refusal ??= passing;
        break;
      }
    }
    if (refusal === undefined) return;
    throw isMaybeTaken ? refusal.inDoubt() : refusal;
  }

  /** Shorter if the commit is given up. */
  private async pause(ms: number, stop: AbortSignal | undefined): Promise<void> {
    if (stop?.aborted === true) return;
    const over = deferred<undefined>();
    const end = (): void => over.resolve(undefined);
    const cancel = this.world.timers.after(ms, end);
    const unlisten = onAbort(stop, end);
    await over.promise;
    unlisten();
    cancel();
  }
}

/** The partition is another member's by now, or nobody's: nothing of it is ours to commit. */
export function isFenced(error: BrokerError): boolean {
  return FENCED.has(error.code) || FINAL.has(error.code);
}

const FENCED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNKNOWN_MEMBER',
  'FENCED_MEMBER_EPOCH',
  'STALE_MEMBER_EPOCH',
]);
