import { deferred } from '../base/deferred.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex } from '../model/ids.js';
import type { Membership } from '../model/membership.js';
import type { Cancel, Timers } from '../ports/world.js';

/** A promise that is settled once: by its event, or by its deadline. */
class Waiter {
  readonly promise: Promise<void>;
  readonly #outcome = deferred<undefined>();
  readonly #cancel: Cancel;
  #isSettled = false;

  constructor(timers: Timers, deadlineMs: number, expired: () => BrokerError) {
    this.promise = this.#outcome.promise;
    this.#cancel = timers.after(deadlineMs, () => this.end(expired()));
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  end(error?: BrokerError): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#cancel();
    if (error === undefined) this.#outcome.resolve(undefined);
    else this.#outcome.reject(error);
  }
}

interface MembershipWait {
  readonly waiter: Waiter;
  readonly from: LogIndex;
  readonly target: Pick<Membership, 'voters' | 'learners'>;
  /** Set on stepping down: once applied to here without the final membership, the outcome is open. */
  decidedAt: LogIndex | undefined;
}

/**
 * Callers of one life of one replica that wait for something rarer than a proposal: read barriers,
 * membership changes, leadership transfers.
 *
 * Invariant: every promise given out is settled by its event, its deadline, or the end of this life.
 */
export class Waiters {
  readonly #timers: Timers;
  readonly #asked = new Map<number, Waiter>();
  #reached: { readonly waiter: Waiter; readonly index: LogIndex }[] = [];
  #memberships: MembershipWait[] = [];
  #transfers: Waiter[] = [];
  #tokens = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  barrier(deadlineMs: number): { readonly token: number; readonly promise: Promise<void> } {
    const token = ++this.#tokens;
    const waiter = new Waiter(this.#timers, deadlineMs, () => {
      this.#asked.delete(token);
      return new BrokerError('DEADLINE_EXCEEDED', 'leadership was not confirmed in time');
    });
    this.#asked.set(token, waiter);
    return { token, promise: waiter.promise };
  }

  barrierReached(token: number, index: LogIndex, applied: LogIndex): void {
    const waiter = this.#asked.get(token);
    if (waiter === undefined) return;
    this.#asked.delete(token);
    if (index <= applied) waiter.end();
    else this.#reached.push({ waiter, index });
  }

  barrierFailed(token: number): void {
    const waiter = this.#asked.get(token);
    this.#asked.delete(token);
    waiter?.end(new BrokerError('NOT_LEADER', 'leadership went away before it was confirmed'));
  }

  membership(
    from: LogIndex,
    target: Pick<Membership, 'voters' | 'learners'>,
    deadlineMs: number,
  ): Promise<void> {
    const waiter = new Waiter(
      this.#timers,
      deadlineMs,
      () => new BrokerError('DEADLINE_EXCEEDED', 'the membership change is not committed yet'),
    );
    this.#memberships.push({ waiter, from, target, decidedAt: undefined });
    return waiter.promise;
  }

  membershipApplied(index: LogIndex, membership: Membership): void {
    if (this.#memberships.length === 0) return;
    for (const wait of this.#memberships) {
      if (index >= wait.from && isExactly(membership, wait.target)) wait.waiter.end();
    }
    this.#sweep();
  }

  transfer(deadlineMs: number): Promise<void> {
    const waiter = new Waiter(
      this.#timers,
      deadlineMs,
      () => new BrokerError('TRANSFER_FAILED', 'no other member took over in time'),
    );
    this.#transfers = this.#transfers.filter((t) => !t.isSettled);
    this.#transfers.push(waiter);
    return waiter.promise;
  }

  get hasTransfers(): boolean {
    return this.#transfers.some((t) => !t.isSettled);
  }

  transferEnded(to: BrokerId | undefined): void {
    const error =
      to === undefined ? new BrokerError('TRANSFER_FAILED', 'the leader gave it up') : undefined;
    for (const waiter of this.#transfers) waiter.end(error);
    this.#transfers = [];
  }

  /** Leadership in its term is over; what is below `committedNext` will still be applied here. */
  steppedDown(committedNext: number, applied: LogIndex): void {
    for (const wait of this.#memberships) wait.decidedAt ??= (committedNext - 1) as LogIndex;
    this.applied(applied);
  }

  applied(index: LogIndex): void {
    if (this.#reached.length > 0) {
      for (const r of this.#reached) if (r.index <= index) r.waiter.end();
      this.#reached = this.#reached.filter((r) => !r.waiter.isSettled);
    }
    if (this.#memberships.length === 0) return;
    for (const wait of this.#memberships) {
      if (wait.decidedAt === undefined || wait.decidedAt > index) continue;
      wait.waiter.end(new BrokerError('UNKNOWN_OUTCOME', 'leadership went away during the change'));
    }
    this.#sweep();
  }

  endAll(error: BrokerError): void {
    const all = [...this.#asked.values(), ...this.#transfers];
    all.push(...this.#reached.map((r) => r.waiter), ...this.#memberships.map((m) => m.waiter));
    this.#asked.clear();
    this.#reached = [];
    this.#memberships = [];
    this.#transfers = [];
    for (const waiter of all) waiter.end(error);
  }

  #sweep(): void {
    this.#memberships = this.#memberships.filter((m) => !m.waiter.isSettled);
  }
}

/** The membership is final (not joint) and has exactly these members. */
export function isExactly(
  membership: Membership,
  target: Pick<Membership, 'voters' | 'learners'>,
): boolean {
  return (
    membership.votersOutgoing.length === 0 &&
    membership.learnersNext.length === 0 &&
    isSameSet(membership.voters, target.voters) &&
    isSameSet(membership.learners, target.learners)
  );
}

function isSameSet(a: readonly BrokerId[], b: readonly BrokerId[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}
