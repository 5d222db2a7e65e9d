import { BrokerError, type ErrorCode } from '../model/errors.js';
import { brokerId, term, type BrokerId, type RaftGroupId } from '../model/ids.js';
import type { World } from '../ports/world.js';
import { Backoff, Deadline, sleep } from './deadline.js';
import type { LeaderTable } from './types.js';

/** Nothing was done: the leader is elsewhere, or not to be reached. */
const RETRIED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'LEADER_UNKNOWN',
  'BROKER_UNAVAILABLE',
  'REPLICA_FENCED',
  'SHUTTING_DOWN',
]);

/** Asks one broker about its groups; one answer for each, in order. */
export type AskLeader<T> = (
  leader: BrokerId,
  groupIds: readonly RaftGroupId[],
  deadlineMs: number,
) => Promise<readonly (T | BrokerError)[]>;

/**
 * Brings questions about partitions to their leaders: one call to each broker, again for those that
 * turned out to be led elsewhere, until all are answered or the time is over.
 */
export class PartitionRouter {
  readonly #world: World;
  readonly #leaders: LeaderTable;

  constructor(world: World, leaders: LeaderTable) {
    this.#world = world;
    this.#leaders = leaders;
  }

  /** Every group asked for is in the answer. */
  async ask<T>(
    groupIds: readonly RaftGroupId[],
    deadlineMs: number,
    askLeader: AskLeader<T>,
  ): Promise<Map<RaftGroupId, T | BrokerError>> {
    const deadline = new Deadline(this.#world.clock, deadlineMs);
    const backoff = new Backoff(30, 300);
    const answers = new Map<RaftGroupId, T | BrokerError>();
    let open = [...new Set(groupIds)];
    for (;;) {
      await this.#round(open, deadline.remainingMs(), answers, askLeader);
      open = open.filter((groupId) => this.#isRetried(answers.get(groupId)));
      if (open.length === 0) return answers;
      const delayMs = backoff.nextMs();
      if (deadline.remainingMs() <= delayMs) return answers;
      await sleep(this.#world.timers, delayMs);
    }
  }

  async #round<T>(
    groupIds: readonly RaftGroupId[],
    deadlineMs: number,
    answers: Map<RaftGroupId, T | BrokerError>,
    askLeader: AskLeader<T>,
  ): Promise<void> {
    const byLeader = new Map<BrokerId, RaftGroupId[]>();
    for (const groupId of groupIds) {
      const leader = this.#leaders.leaderOf(groupId)?.leader;
      if (leader === undefined) {
        answers.set(groupId, new BrokerError('LEADER_UNKNOWN', 'no leader is known'));
        continue;
      }
      const ids = byLeader.get(leader) ?? [];
      ids.push(groupId);
      byLeader.set(leader, ids);
    }
    const calls = [...byLeader].map(async ([leader, ids]) => {
      const found = await askLeader(leader, ids, deadlineMs).catch((thrown: unknown) => {
        const error = BrokerError.from(thrown);
        return ids.map(() => error);
      });
      ids.forEach((groupId, at) => {
        const answer = found[at] ?? new BrokerError('INTERNAL', 'an answer is missing');
        if (answer instanceof BrokerError) this.#learnFrom(groupId, answer);
        answers.set(groupId, answer);
      });
    });
    await Promise.all(calls);
  }

  #isRetried(answer: unknown): boolean {
    return answer instanceof BrokerError && RETRIED.has(answer.code);
  }

  #learnFrom(groupId: RaftGroupId, error: BrokerError): void {
    const { leader } = error.facts;
    if (leader === undefined) return;
    this.#leaders.learn(groupId, brokerId(leader.brokerId), term(leader.term));
  }
}
