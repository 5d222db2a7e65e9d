import type { BrokerId, RaftGroupId } from '../model/ids.js';
import type { Clock } from '../ports/world.js';
import type { Message, PreVoteRequest } from '../raft/message.js';

/** Enough for the groups of a broker that starts; the oldest go first. */
const GROUPS_MAX = 4_096;

interface Kept {
  readonly request: PreVoteRequest;
  readonly untilMs: number;
}

/**
 * Requests for pre-votes that came before their replica was open here: a group's first campaign begins
 * where its replica opens first. Answered once it opens, they save the campaigner another attempt. A
 * pre-vote promises nothing, so that a late one does no harm.
 *
 * Invariants: the latest request of each candidate, none older than `patienceMs` is given out; at most
 * GROUPS_MAX groups.
 */
export class EarlyRequests {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #byGroup = new Map<RaftGroupId, Map<BrokerId, Kept>>();

  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** False: it is of a kind that is of no use later. */
  keep(group: RaftGroupId, message: Message): boolean {
    if (message.kind !== 'preVoteRequest') return false;
    const requests = this.#byGroup.get(group) ?? new Map<BrokerId, Kept>();
    const untilMs = this.#clock.monotonicMs() + this.#patienceMs;
    requests.set(message.from, { request: message, untilMs });
    // To the end: the order is that of the last request.
    this.#byGroup.delete(group);
    this.#byGroup.set(group, requests);
    this.#forgetOld();
    return true;
  }

  /** Those of a replica that is open now. */
  take(group: RaftGroupId): PreVoteRequest[] {
    const requests = this.#byGroup.get(group);
    if (requests === undefined) return [];
    this.#byGroup.delete(group);
    const nowMs = this.#clock.monotonicMs();
    return [...requests.values()].filter((k) => k.untilMs >= nowMs).map((k) => k.request);
  }

  get groups(): number {
    return this.#byGroup.size;
  }

  #forgetOld(): void {
    if (this.#byGroup.size <= GROUPS_MAX) return;
    const [oldest] = this.#byGroup.keys();
    if (oldest !== undefined) this.#byGroup.delete(oldest);
  }
}
