import { invariant } from '../base/assert.js';
import { Prng } from '../base/prng.js';
import type { BrokerId, Incarnation, Term } from '../model/ids.js';
import { TERM_LIMIT } from '../model/ids.js';
import type { EntryId } from '../model/log-entry.js';
import type { RaftConfig } from './config.js';
import type { HardState, Persist, RaftInit, Ready, Role } from './io.js';
import type { Message } from './message.js';
import { RaftLog } from './raft-log.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
/** While the disk is stuck, what waits for it is bounded; more is dropped, as a network may. */
const HELD_MESSAGES_MAX = 256;

/** Effects collected between two calls of ready(). */
export type Effects = Mutable<{
  [
    K in 'catchUpReads' | 'snapshotsToSend' | 'barriersReached' | 'barriersFailed'
  ]: Ready[K][number][];
}>;

/**
 * What is true of a replica in every role: term, vote, log, and the effects that wait to be taken.
 * Owned by RaftCore; the roles work on it.
 *
 * Invariants: term never falls; votedFor changes within a term only from undefined; a message that
 * speaks for the present term does not leave before that term and vote are durable.
 */
export class Replica {
  readonly self: BrokerId;
  readonly incarnation: Incarnation;
  readonly config: RaftConfig;
  readonly log: RaftLog;
  readonly random: Prng;
  /** What the log was known to hold before it was damaged; candidates must cover it. */
  readonly watermark: EntryId;
  readonly rankSalt: number;
  role: Role = 'follower';
  leader: BrokerId | undefined = undefined;
  effects: Effects = noEffects();
  /** Messages refused because no correct peer sends them. */
  implausibleCount = 0;
  /** Elected into the present term although committed entries may be lost. */
  mayHaveLost = false;

  private isTailLost: boolean;
  private hardState: HardState;
  private isHardStateDirty = false;
  /** The ticket that wrote the hard state last. */
  private hardStateTicket = 0;
  private nextTicket = 1;
  private doneTicket = 0;
  private outbox: Message[] = [];
  /** Wait, in order, for `ticket`. */
  private held: { readonly ticket: number; readonly message: Message }[] = [];

  constructor(init: RaftInit, config: RaftConfig) {
    invariant(init.hardState.term < TERM_LIMIT, 'terms stay below the limit', {
      ...init.hardState,
    });
    invariant(init.last.term <= init.hardState.term, 'the term is not behind the log', {
      last: init.last,
      term: init.hardState.term,
    });
    this.self = init.self;
    this.incarnation = init.incarnation;
    this.config = config;
    this.log = new RaftLog(init);
    this.random = new Prng(init.seed);
    this.watermark = init.watermark;
    this.rankSalt = init.rankSalt ?? 0;
    this.hardState = init.hardState;
    this.isTailLost = init.lostTail ?? false;
  }

  get term(): Term {
    return this.hardState.term;
  }
  get votedFor(): BrokerId | undefined {
    return this.hardState.votedFor;
  }
  get needsRepair(): boolean {
    return this.hardState.needsRepair;
  }
  get isHardStateDurable(): boolean {
    return !this.isHardStateDirty && this.hardStateTicket <= this.doneTicket;
  }
  /** Needs repair, and what it has is the sound beginning of what it had. */
  get lostTail(): boolean {
    return this.needsRepair && this.isTailLost;
  }
  /**
   * A damaged or non-voting replica never asks for votes (CORRECTNESS.md 26); one that lost only its
   * unsynced end does, and needs everybody's (27).
   */
  get mayCampaign(): boolean {
    return (!this.needsRepair || this.isTailLost) && this.log.mayBeVoter(this.self);
  }
  hasPersist(): boolean {
    return this.isHardStateDirty || this.log.hasUnstaged;
  }
  get hasMessages(): boolean {
    return this.outbox.length > 0;
  }
  get heldCount(): number {
    return this.held.length;
  }

  enterTerm(term: Term): void {
    invariant(term > this.term, 'terms only rise', { term, own: this.term });
    invariant(term < TERM_LIMIT, 'terms stay below the limit', { term });
    // What was promised for the old term and has not left yet interests nobody any more.
    this.held = [];
    this.mayHaveLost = false;
    this.write({ term, votedFor: undefined, needsRepair: this.needsRepair });
  }

  vote(candidate: BrokerId): void {
    if (this.votedFor === candidate) return;
    invariant(this.votedFor === undefined, 'one vote a term', {
      term: this.term,
      votedFor: this.votedFor,
      candidate,
    });
    this.write({ ...this.hardState, votedFor: candidate });
  }

  endRepair(): void {
    invariant(this.needsRepair, 'only a damaged replica is repaired');
    this.isTailLost = false;
    this.write({ ...this.hardState, needsRepair: false });
  }

  /** Sends as soon as term, vote and repair state are durable; nearly always that is at once. */
  send(message: Message): void {
    if (this.isHardStateDurable) this.outbox.push(message);
    else if (this.held.length < HELD_MESSAGES_MAX) {
      this.held.push({ ticket: this.hardStateDueTicket, message });
    }
  }

  /** For what promises nothing: pre-vote requests and their answers. */
  sendUnconditionally(message: Message): void {
    this.outbox.push(message);
  }

  takeMessages(): readonly Message[] {
    const messages = this.outbox;
    this.outbox = [];
    return messages;
  }

  takeEffects(): Effects {
    const effects = this.effects;
    this.effects = noEffects();
    return effects;
  }

  /** Turns everything unwritten into writes, in order. */
  takePersists(): readonly Persist[] {
    if (!this.hasPersist()) return [];
    const persists: Persist[] = [];
    const install = this.log.stageInstall(this.nextTicket);
    if (install !== undefined) {
      persists.push({
        ticket: this.nextTicket,
        hardState: this.takeHardState(),
        append: undefined,
        install,
      });
      this.nextTicket++;
    }
    if (this.hasPersist()) {
      const append = this.log.stageAppend(this.nextTicket);
      persists.push({
        ticket: this.nextTicket,
        hardState: this.takeHardState(),
        append,
        install: undefined,
      });
      this.nextTicket++;
    }
    return persists;
  }

  persisted(ticket: number): void {
    invariant(ticket < this.nextTicket, 'only given tickets complete', { ticket });
    if (ticket <= this.doneTicket) return;
    this.doneTicket = ticket;
    this.log.persisted(ticket);
    let released = 0;
    for (const { ticket: needed, message } of this.held) {
      if (needed > ticket) break;
      this.outbox.push(message);
      released++;
    }
    if (released > 0) this.held.splice(0, released);
  }

  private get hardStateDueTicket(): number {
    return this.isHardStateDirty ? this.nextTicket : this.hardStateTicket;
  }

  private write(hardState: HardState): void {
    this.hardState = hardState;
    this.isHardStateDirty = true;
  }

  private takeHardState(): HardState | undefined {
    if (!this.isHardStateDirty) return undefined;
    this.isHardStateDirty = false;
    this.hardStateTicket = this.nextTicket;
    return this.hardState;
  }
}

function noEffects(): Effects {
  return { catchUpReads: [], snapshotsToSend: [], barriersReached: [], barriersFailed: [] };
}
