import { BrokerError, type ErrorCode } from '../model/errors.js';
import type { World } from '../ports/world.js';
import { RETRY_BACKOFF, backoffMs } from './backoff.js';
import type { ClusterView } from './cluster-view.js';
import type { MemberIdentity } from './group-types.js';
import type { OffsetToCommit } from './types.js';

/** Nothing to wait for: the topic was deleted. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['UNKNOWN_TOPIC', 'UNKNOWN_PARTITION']);

/**
 * Commits for one group, one request after the other: a retry of an earlier commit can never overtake
 * a later one of the same consumer.
 */
export class CommitQueue {
  private readonly view: ClusterView;
  private readonly world: World;
  private readonly group: string;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(view: ClusterView, world: World, group: string) {
    this.view = view;
    this.world = world;
    this.group = group;
  }

  /**
   * Commits what `offsets` says once it is this commit's turn. Resolves when all are committed;
   * rejects with the reason for the first partition that was refused. Its outcome is unknown unless
   * nothing at all was committed.
   */
  async commit(
    offsets: () => readonly OffsetToCommit[],
    member: () => MemberIdentity,
    deadlineMs: number,
  ): Promise<readonly OffsetToCommit[]> {
    const turn = this.tail.then(async () => {
      const due = offsets();
      if (due.length > 0) await this.send(due, member(), deadlineMs);
      return due;
    });
    this.tail = turn.catch(() => undefined);
    return await turn;
  }

  private async send(
    offsets: readonly OffsetToCommit[],
    member: MemberIdentity,
    deadlineMs: number,
  ): Promise<void> {
    const { clock, timers, random } = this.world;
    const endMs = clock.monotonicMs() + deadlineMs;
    let refusal: BrokerError | undefined;
    let open = offsets;
    const taken: OffsetToCommit[] = [];
    for (let attempt = 1; ; attempt += 1) {
      const answers = await this.view.call(
        'commitOffsets',
        { group: this.group, member, offsets: open },
        { deadlineMs: Math.max(1, endMs - clock.monotonicMs()), retryUnknown: true },
      );
      let passing: BrokerError | undefined;
      open = open.filter((o) => {
        const own = answers.find((a) => a.topic === o.topic && a.partition === o.partition);
        if (own?.error === undefined) {
          taken.push(o);
          return false;
        }
        const isPassing = own.error.retriable && !FINAL.has(own.error.code);
        if (isPassing) passing = own.error;
        else refusal ??= own.error;
        return isPassing;
      });
      if (passing === undefined) break;
      const waitMs = backoffMs(RETRY_BACKOFF, attempt, random);
      if (clock.monotonicMs() + waitMs >= endMs) {
        refusal ??= passing;
        break;
      }
      await new Promise<void>((resolve) => timers.after(waitMs, resolve));
    }
    if (refusal !== undefined) throw taken.length > 0 ? partial(refusal) : refusal;
  }
}

function partial(refusal: BrokerError): BrokerError {
  const facts = { ...refusal.facts, outcome: 'unknown' as const };
  return new BrokerError(refusal.code, refusal.message, facts, { cause: refusal });
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
