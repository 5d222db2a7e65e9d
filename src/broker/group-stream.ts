import { BrokerError } from '../model/errors.js';
import type {
  ParticipateRequest,
  ParticipateResponse,
  Participation,
  ParticipationSink,
} from './group-types.js';
import { Timeout } from './deadlines.js';
import type { MemberSession, MemberStream } from './member-session.js';

/** Requests that may wait for the one before them; a member waits for answers, so it needs few. */
const REQUESTS_WAITING_MAX = 64;

export interface GroupStreamOwner {
  /** Serves one request and answers it. What it throws ends the stream. */
  serve(stream: GroupStream, request: ParticipateRequest): Promise<void>;
  /** The stream is over, whoever ended it. Called once. */
  streamOver(stream: GroupStream): void;
  drained(stream: GroupStream): void;
}

/**
 * One member's stream: requests are served one after another, in order. Times
 * out if it brings none.
 *
 * Invariants: the sink is ended once, and nothing is sent after that; the queue is bounded.
 */
export class GroupStream extends Timeout implements Participation, MemberStream {
  readonly #sink: ParticipationSink;
  readonly #owner: GroupStreamOwner;
  readonly clientHost: string;
  #queue: ParticipateRequest[] = [];
  #isServing = false;
  #isFinished = false;
  #isOver = false;
  #isClogged = false;
  /** Since its join was answered. */
  session: MemberSession | undefined;

  constructor(sink: ParticipationSink, owner: GroupStreamOwner, clientHost: string) {
    super();
    this.#sink = sink;
    this.#owner = owner;
    this.clientHost = clientHost;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The member takes what is sent. */
  get isFlowing(): boolean {
    return !this.#isClogged && !this.#isOver;
  }

  override timedOut(): void {
    this.end(new BrokerError('DEADLINE_EXCEEDED', 'the stream brought no join'));
  }

  request(request: ParticipateRequest): void {
    if (this.#isOver) return;
    if (this.#queue.length >= REQUESTS_WAITING_MAX) {
      this.end(new BrokerError('THROTTLED', 'too many requests of the member wait'));
      return;
    }
    this.#queue.push(request);
    if (this.#isServing) return;
    this.#isServing = true;
    void this.#serve();
  }

  drained(): void {
    this.#isClogged = false;
    if (!this.#isOver) this.#owner.drained(this);
  }

  finished(): void {
    this.#isFinished = true;
    if (!this.#isServing) this.end(undefined);
  }

  closed(): void {
    this.end(undefined);
  }

  /** A stream that fails is over: what failed there must not reach whoever had something to say. */
  send(response: ParticipateResponse): void {
    if (this.#isOver) return;
    try {
      if (!this.#sink.send(response)) this.#isClogged = true;
    } catch (thrown) {
      this.end(BrokerError.from(thrown));
    }
  }

  end(error: BrokerError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#queue = [];
    this.#owner.streamOver(this);
    this.#sink.end(error);
  }

  async #serve(): Promise<void> {
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        await this.#owner.serve(this, next);
      }
    } catch (thrown) {
      this.end(BrokerError.from(thrown));
    } finally {
      this.#isServing = false;
      if (this.#isFinished) this.end(undefined);
    }
  }
}
