import { invariant } from '../base/assert.js';
import type { LogIndex, Term } from '../model/ids.js';
import type { EntryId, LogEntry } from '../model/log-entry.js';
import type { ProposalObserver } from './raft-group.js';

interface Pending {
  readonly id: EntryId;
  readonly observer: ProposalObserver;
}

/**
 * Who waits for which entry of one replica. A proposal is known by (term, index): the same index in
 * another term is somebody else's entry.
 *
 * Invariants: pending proposals ascend by index, and by term; each observer hears exactly one of
 * committed and failed, once; those in [head, told) have heard persisted, if it was theirs to hear.
 */
export class Proposals {
  /** What is before #head is done: emptied at once, so that nothing it holds stays in memory. */
  #pending: (Pending | undefined)[] = [];
  #head = 0;
  #told = 0;

  get size(): number {
    return this.#pending.length - this.#head;
  }

  add(id: EntryId, observer: ProposalObserver): void {
    const last = this.#pending[this.#pending.length - 1];
    invariant(last === undefined || last.id.index < id.index, 'proposals ascend', { id });
    this.#pending.push({ id, observer });
  }

  /** An append that ends at `last` is durable here. */
  persisted(last: EntryId): void {
    while (this.#told < this.#pending.length) {
      const pending = this.#pending[this.#told];
      if (pending === undefined || pending.id.index > last.index) return;
      // A completion of an older term's write says nothing about what replaced it.
      if (pending.id.term > last.term) return;
      this.#told += 1;
      if (pending.id.term === last.term) pending.observer.persisted?.();
    }
  }

  /** The next committed entry was applied: whoever waits for its slot learns what stands in it. */
  applied(entry: LogEntry, result: unknown): void {
    let pending = this.#pending[this.#head];
    while (pending !== undefined && pending.id.index <= entry.index) {
      this.#dropFirst();
      if (pending.id.index === entry.index && pending.id.term === entry.term) {
        pending.observer.committed(result, pending.id);
      } else {
        pending.observer.failed();
      }
      pending = this.#pending[this.#head];
    }
  }

  /**
   * Fails what was proposed in other terms than `term`. Proposals below `committedNext` are committed
   * and only wait to be applied: they keep their place and learn the truth.
   */
  failExceptTerm(term: Term | undefined, committedNext: LogIndex): void {
    this.#failWhere((p) => p.id.term !== term && p.id.index >= committedNext);
  }

  failAll(): void {
    this.#failWhere(() => true);
  }

  #failWhere(isLost: (pending: Pending) => boolean): void {
    const lost: Pending[] = [];
    const kept: Pending[] = [];
    let keptTold = 0;
    for (let at = this.#head; at < this.#pending.length; at++) {
      const pending = this.#pending[at];
      if (pending === undefined) continue;
      if (isLost(pending)) {
        lost.push(pending);
      } else {
        kept.push(pending);
        if (at < this.#told) keptTold += 1;
      }
    }
    if (lost.length === 0) return;
    this.#pending = kept;
    this.#head = 0;
    this.#told = keptTold;
    tellAll(lost);
  }

  #dropFirst(): void {
    this.#pending[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#pending.length) {
      this.#pending.length = 0;
      this.#head = 0;
    } else if (this.#head >= 4_096) {
      this.#pending = this.#pending.slice(this.#head);
      this.#told -= this.#head;
      this.#head = 0;
    }
    this.#told = Math.max(this.#told, this.#head);
    if (this.#pending.length === 0) this.#told = 0;
  }
}

/** Everybody hears of it, whatever the others do on hearing it. */
function tellAll(lost: readonly Pending[]): void {
  const errors: unknown[] = [];
  for (const pending of lost) {
    try {
      pending.observer.failed();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
