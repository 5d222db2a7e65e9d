import { BrokerError, type ErrorCode } from '../model/errors.js';
import { brokerId, METADATA_GROUP, term, type BrokerId } from '../model/ids.js';
import type { PeerCaller } from '../ports/transport.js';
import type { Cancel, World } from '../ports/world.js';
import type { AddressBook } from './address-book.js';
import { CONTROLLER_OPS, READS, type CommitAnswer, type CommitRequest } from './controller-ops.js';
import { Backoff, Deadline, within } from './deadline.js';
import { callPeer, handlePeer, type Codec, type PeerOp } from './peer-op.js';
import type { LeaderTable } from './types.js';

export type ControllerOpName = keyof typeof CONTROLLER_OPS;
type Ops = typeof CONTROLLER_OPS;
type RequestOf<K extends ControllerOpName> = CodecValue<Ops[K]['request']>;
export type AnswerOf<K extends ControllerOpName> = CodecValue<Ops[K]['answer']>;
type CodecValue<C> = C extends Codec<infer Value> ? Value : never;

/** What the metadata leader can be asked for; rejects with NOT_LEADER anywhere else. */
export type ControllerHandlers = {
  readonly [K in ControllerOpName]: (request: RequestOf<K>) => Promise<AnswerOf<K>>;
};

/** After these the same request may be put to the metadata leader again. */
const RETRIED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'LEADER_UNKNOWN',
  'BROKER_UNAVAILABLE',
  'UNKNOWN_OUTCOME',
  'DEADLINE_EXCEEDED',
  'NO_QUORUM',
  'REPLICA_FENCED',
  'SHUTTING_DOWN',
  'THROTTLED',
  // One stray broker, or an address that is another's by now, says nothing about this one.
  'WRONG_CLUSTER',
]);
/** No word of the asked broker itself: whether it is of this cluster stays open. */
const SAYS_NOTHING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BROKER_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'UNKNOWN_OUTCOME',
]);
/** The attempt may have been carried out all the same. */
const MAYBE_DONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BROKER_UNAVAILABLE',
  'UNKNOWN_OUTCOME',
  'DEADLINE_EXCEEDED',
  'NO_QUORUM',
  'REPLICA_FENCED',
]);
const ATTEMPT_MS = 3_000;
const RETRY_FIRST_MS = 20;
const RETRY_LAST_MS = 400;
const COMMIT_ATTEMPT_MS = 5_000;

export interface LinkOptions<Answer> {
  /** Longer than usual, where the leader itself waits for something. */
  readonly attemptMs?: number;
  /**
   * An error that means success if an earlier attempt may have been carried out: returns the answer
   * then, else undefined.
   */
  readonly settle?: (error: BrokerError) => Answer | undefined;
  /** What an answer that refuses some of it comes to if an earlier attempt may have been carried out. */
  readonly inDoubt?: (answer: Answer) => Answer;
}

export interface ControllerLinkDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly peers: PeerCaller;
  readonly leaders: LeaderTable;
  readonly book: AddressBook;
  readonly handlers: ControllerHandlers;
  /** Told to join the cluster of others: it is not to found or run one that they are not of. */
  readonly isGuest: boolean;
}

/**
 * Carries requests to the metadata leader, wherever it is, through leader changes and until the
 * deadline. Every request is safe to repeat; the options say what a repeated one may come back with.
 *
 * Invariant: a change is called "not done" only if no attempt at it may have been carried out.
 */
export class ControllerLink {
  readonly #deps: ControllerLinkDeps;
  #nextCandidate = 0;
  #isStopped = false;
  /** How often a metadata leader has said that it is ready. */
  #readyCount = 0;
  /** Of requests that wait for their next attempt. */
  readonly #wakes = new Set<() => void>();
  readonly #unlisten: Cancel;

  constructor(deps: ControllerLinkDeps) {
    this.#deps = deps;
    this.#unlisten = deps.leaders.onReady((groupId) => {
      if (groupId !== METADATA_GROUP) return;
      this.#readyCount += 1;
      for (const wake of [...this.#wakes]) wake();
    });
    for (const name of Object.keys(CONTROLLER_OPS) as ControllerOpName[]) serve(deps, name);
  }

  /** Requests under way end with the attempt they are in. */
  stop(): void {
    this.#isStopped = true;
    this.#unlisten();
    for (const wake of [...this.#wakes]) wake();
  }

  async call<K extends ControllerOpName>(
    name: K,
    request: RequestOf<K>,
    deadlineMs: number,
    options: LinkOptions<AnswerOf<K>> = {},
  ): Promise<AnswerOf<K>> {
    const { world } = this.#deps;
    const deadline = new Deadline(world.clock, deadlineMs);
    const backoff = new Backoff(RETRY_FIRST_MS, RETRY_LAST_MS);
    let avoid: BrokerId | undefined;
    let maybeDone = false;
    let last: BrokerError | undefined;
    const kinship = new Kinship(this.#deps);
    while (!deadline.isOver) {
      if (this.#isStopped) throw stopped(maybeDone);
      const to = this.#target(avoid);
      const readyCount = this.#readyCount;
      const attemptMs = Math.min(deadline.remainingMs(), options.attemptMs ?? ATTEMPT_MS);
      try {
        const answer = await this.#attempt(name, request, to, attemptMs);
        return maybeDone ? (options.inDoubt?.(answer) ?? answer) : answer;
      } catch (thrown) {
        const error = BrokerError.from(thrown);
        const answer = maybeDone ? options.settle?.(error) : undefined;
        if (answer !== undefined) return answer;
        if (!RETRIED.has(error.code)) throw refused(error, maybeDone);
        kinship.heard(to, error);
        const isWrong = kinship.isOutvoted || (this.#deps.isGuest && kinship.isShunned);
        if (isWrong) throw refused(kinship.refusal() ?? error, maybeDone);
        maybeDone ||= !READS.has(name) && MAYBE_DONE.has(error.code);
        last = error;
        avoid = this.#learnFrom(error) ? undefined : to;
      }
      await this.#pause(readyCount, Math.min(backoff.nextMs(), deadline.remainingMs()));
      // Whoever failed may be the one that is ready since.
      if (readyCount !== this.#readyCount) avoid = undefined;
    }
    const refusal = kinship.refusal();
    if (refusal !== undefined && kinship.isShunned) throw refused(refusal, maybeDone);
    throw givenUp(last, deadlineMs, maybeDone);
  }

  /** Refusals come with the offsets that they are of. */
  commitOffsets(request: CommitRequest, deadlineMs: number): Promise<CommitAnswer> {
    return this.call('commitOffsets', request, deadlineMs, {
      attemptMs: COMMIT_ATTEMPT_MS,
      inDoubt: (answer) => ({
        ...answer,
        errors: answer.errors.map((error) => error?.inDoubt()),
      }),
    });
  }

  /** One attempt with the leader as known; for what is repeated anyway. */
  async once<K extends ControllerOpName>(
    name: K,
    request: RequestOf<K>,
    deadlineMs: number,
  ): Promise<AnswerOf<K>> {
    try {
      return await this.#attempt(name, request, this.#target(undefined), deadlineMs);
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      this.#learnFrom(error);
      throw error;
    }
  }

  /** Until a metadata leader says that it is ready, which it may have done since the count was read. */
  async #pause(readyCount: number, longestMs: number): Promise<void> {
    if (readyCount !== this.#readyCount) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel();
        this.#wakes.delete(wake);
        resolve();
      };
      const cancel = this.#deps.world.timers.after(longestMs, wake);
      this.#wakes.add(wake);
    });
  }

  #attempt<K extends ControllerOpName>(
    name: K,
    request: RequestOf<K>,
    to: BrokerId,
    attemptMs: number,
  ): Promise<AnswerOf<K>> {
    const { self, world, peers, handlers } = this.#deps;
    if (to !== self) return callPeer(peers, to, opOf(name), request, attemptMs);
    return within(world, attemptMs, 'the metadata leader', handlers[name](request));
  }

  /** The known leader; if it is not known or just failed, everyone in turn: they know better. */
  #target(avoid: BrokerId | undefined): BrokerId {
    const { self, leaders, book } = this.#deps;
    const known = leaders.leaderOf(METADATA_GROUP)?.leader;
    if (known !== undefined && known !== avoid) return known;
    const candidates = [self, ...book.peers().map((peer) => peer.id)];
    this.#nextCandidate += 1;
    return candidates[this.#nextCandidate % candidates.length] ?? self;
  }

  /** True: the error told of a leader that was not known before. */
  #learnFrom(error: BrokerError): boolean {
    const { leaders } = this.#deps;
    const { leader } = error.facts;
    if (leader === undefined) return false;
    const before = leaders.leaderOf(METADATA_GROUP);
    leaders.learn(METADATA_GROUP, brokerId(leader.brokerId), term(leader.term));
    return leaders.leaderOf(METADATA_GROUP) !== before;
  }
}

/**
 * What the brokers asked in one call say about whose cluster this is. Several may be wrong about it:
 * a broker with another cluster's data directory is refused by everyone, but refuses everyone, too.
 *
 * Invariant: `refusal` is undefined as soon as one other broker took this one for its own.
 */
class Kinship {
  readonly #deps: ControllerLinkDeps;
  readonly #strangers = new Map<BrokerId, BrokerError>();
  #hasKin = false;

  constructor(deps: ControllerLinkDeps) {
    this.#deps = deps;
  }

  heard(from: BrokerId, error: BrokerError): void {
    if (from === this.#deps.self || SAYS_NOTHING.has(error.code)) return;
    if (error.code === 'WRONG_CLUSTER') this.#strangers.set(from, error);
    else this.#hasKin = true;
  }

  /** More than half of all brokers, this one included, are of another cluster. */
  get isOutvoted(): boolean {
    const brokers = this.#deps.book.peers().length + 1;
    return !this.#hasKin && this.#strangers.size * 2 > brokers;
  }

  /** Nobody else is left who could be of this cluster. */
  get isShunned(): boolean {
    return !this.#hasKin && this.#strangers.size >= this.#deps.book.peers().length;
  }

  refusal(): BrokerError | undefined {
    if (this.#hasKin || this.#strangers.size === 0) return undefined;
    const [first, second] = this.#strangers.values();
    if (second === undefined) return first;
    const texts = [...this.#strangers.values()].map((error) => error.message);
    return new BrokerError('WRONG_CLUSTER', texts.join('; '));
  }
}

function serve(deps: ControllerLinkDeps, name: ControllerOpName): void {
  handlePeer(deps.peers, opOf(name), (request) => deps.handlers[name](request as never));
}

function opOf<K extends ControllerOpName>(name: K): PeerOp<RequestOf<K>, AnswerOf<K>> {
  return CONTROLLER_OPS[name] as unknown as PeerOp<RequestOf<K>, AnswerOf<K>>;
}

/** What was refused may be done all the same, by an attempt before the refused one. */
function refused(error: BrokerError, maybeDone: boolean): BrokerError {
  return maybeDone ? error.inDoubt() : error;
}

function stopped(maybeDone: boolean): BrokerError {
  const message = 'this broker is shutting down';
  return maybeDone
    ? new BrokerError('UNKNOWN_OUTCOME', `${message}; the metadata leader may have done it`)
    : new BrokerError('SHUTTING_DOWN', message);
}

/** What says "nothing was done" is passed on only where no attempt may have been carried out. */
function givenUp(
  last: BrokerError | undefined,
  deadlineMs: number,
  maybeDone: boolean,
): BrokerError {
  const why = last === undefined ? 'no time was left' : last.message;
  const waitedMs = Math.round(deadlineMs);
  if (last?.code === 'THROTTLED' && !maybeDone) return last;
  const noLeader =
    last === undefined ||
    last.code === 'LEADER_UNKNOWN' ||
    last.code === 'NOT_LEADER' ||
    last.code === 'WRONG_CLUSTER' ||
    last.code === 'BROKER_UNAVAILABLE';
  return noLeader
    ? new BrokerError(
        'NO_QUORUM',
        `no metadata leader answered within ${waitedMs} ms; does a majority of its voters run? (${why})`,
        {},
        { cause: last },
      )
    : new BrokerError(
        'DEADLINE_EXCEEDED',
        `the metadata leader did not finish within ${waitedMs} ms (${why})`,
        {},
        { cause: last },
      );
}
