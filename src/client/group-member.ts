import { deferred, type Deferred } from '../base/deferred.js';
import { BrokerError, type ErrorCode, type LeaderHint } from '../model/errors.js';
import type { Cancel, World } from '../ports/world.js';
import { backoffMs } from './backoff.js';
import type { ClusterView } from './cluster-view.js';
import type { ClientTransport, MembershipLink } from './connection.js';
import type {
  MemberAssignment,
  MemberRequest,
  MemberResponse,
  Subscription,
  TopicPartitions,
} from './group-types.js';
import type { BrokerAddress } from './types.js';

export interface MembershipOptions {
  readonly group: string;
  /** Chosen at random, and kept for all memberships of one consumer. */
  readonly memberId: string;
  readonly subscription: Subscription;
  /** Empty: not a static member. */
  readonly instanceId: string;
  readonly rack: string;
  readonly clientId: string;
  readonly assignor: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
}

export interface MembershipEvents {
  /** What the member may hold. What is new in it counts as held once this returns. */
  assigned(assignment: MemberAssignment): void;
  /** Evicted or fenced: nothing is held any more. The member joins anew by itself. */
  lost(error: BrokerError): void;
  /** The membership is over: the coordinator will never take it. */
  failed(error: BrokerError): void;
  /** True: silent for a session timeout, so that others may hold the member's partitions by now. */
  isolated(isIsolated: boolean): void;
  /** Everything held at this moment. */
  holding(): readonly TopicPartitions[];
}

export interface MembershipDeps {
  readonly transport: ClientTransport;
  readonly world: World;
  readonly view: ClusterView;
}

type Phase = 'joining' | 'joined' | 'leaving' | 'ended';

interface Sent {
  readonly sequence: number;
  readonly atMs: number;
}

const RECONNECT = { firstMs: 20, maxMs: 500 };
const HEARTBEAT_MS = 1_000;
/** A coordinator that does not answer within this time is given up for another. */
const ANSWER_MS = 5_000;
const LEAVE_MS = 5_000;
const EVICTED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNKNOWN_MEMBER',
  'FENCED_MEMBER_EPOCH',
]);

/**
 * One membership of a consumer group, over streams to whichever broker coordinates it: joins, sends
 * heartbeats on a timer of its own, hands on assignments, follows the coordinator when it moves, and
 * leaves. A stream that breaks costs nothing: the next one begins with what is held. It knows nothing
 * of records and commits.
 *
 * Invariants: at most one stream is open, and nothing an earlier one brought is acted upon; `epoch` is
 * 0 exactly while nothing may be held; after `failed`, or once it has left, no event follows.
 */
export class GroupMember {
  private readonly options: MembershipOptions;
  private readonly deps: MembershipDeps;
  private readonly events: MembershipEvents;
  private readonly joined: Deferred<undefined> = deferred();
  private readonly left: Deferred<undefined> = deferred();
  private phase: Phase = 'joining';
  private memberEpoch = 0;
  private link: MembershipLink | undefined;
  private isReady = false;
  /** Of the latest assignment taken in on this stream. */
  private version = 0;
  private sequence = 0;
  /** Requests of this stream that are not answered yet, the oldest first. */
  private unanswered: Sent[] = [];
  /** What is held may differ from the last report on this stream. */
  private isChanged = false;
  private leavesForAWhile = false;
  private leaveSequence = 0;
  private hint: BrokerAddress | undefined;
  /** Hints of terms up to this one were followed since the coordinator last answered. */
  private hintTerm = 0;
  private failures = 0;
  private trouble: BrokerError | undefined;
  private isIsolated = false;
  private heartbeatMs = HEARTBEAT_MS;
  private heartbeatTimer: Cancel | undefined;
  private answerTimer: Cancel | undefined;
  private isolationTimer: Cancel | undefined;
  private retryTimer: Cancel | undefined;
  private leaveTimer: Cancel | undefined;

  constructor(options: MembershipOptions, deps: MembershipDeps, events: MembershipEvents) {
    this.options = options;
    this.deps = deps;
    this.events = events;
    this.joined.promise.catch(() => undefined);
  }

  /** To be carried by commits; 0: the coordinator has not given this member a place yet. */
  get epoch(): number {
    return this.memberEpoch;
  }

  /** Why the coordinator is not reached, or does not take the member; undefined: it answers. */
  get lastError(): BrokerError | undefined {
    return this.trouble;
  }

  /** Resolves once the coordinator has taken the member in; rejects if it never will. */
  async start(): Promise<void> {
    if (this.link === undefined && this.retryTimer === undefined) this.connect();
    await this.joined.promise;
  }

  /** Tells the coordinator at once what is held now: others wait for what was released. */
  report(): void {
    this.isChanged = true;
    if (this.isReady && this.phase === 'joined') this.heartbeat();
  }

  /** Gives everything up. For a while: a static member keeps its place for its session timeout. */
  async leave(isForAWhile: boolean): Promise<void> {
    if (this.phase === 'ended') return;
    if (this.phase !== 'leaving') {
      const hasJoined = this.phase === 'joined' || this.unanswered.length > 0;
      this.phase = 'leaving';
      this.leavesForAWhile = isForAWhile;
      this.heartbeatTimer?.();
      if (!hasJoined) this.end();
      else {
        // Nobody waits longer for a coordinator that is not there; the session timeout does the rest.
        this.leaveTimer = this.deps.world.timers.after(LEAVE_MS, () => this.end());
        if (this.isReady) this.sendLeave();
      }
    }
    await this.left.promise;
  }

  private connect(): void {
    this.retryTimer = undefined;
    if (this.phase === 'ended') return;
    const { view, transport } = this.deps;
    const to = this.hint ?? (this.failures === 0 ? view.brokers.controller() : undefined);
    this.hint = undefined;
    const address = to ?? view.brokers.next();
    const link = transport.openMembership(address, {
      ready: () => {
        if (this.link === link) this.join();
      },
      response: (response) => {
        if (this.link === link) this.received(response);
      },
      closed: (error) => {
        if (this.link !== link) return;
        if (error.code === 'BROKER_UNAVAILABLE') view.brokers.markDown(address);
        this.fell(error);
      },
    });
    this.link = link;
  }

  private join(): void {
    const { memberId, subscription, ...rest } = this.options;
    this.isReady = true;
    this.version = 0;
    this.isChanged = false;
    this.send({
      kind: 'join',
      ...rest,
      memberId,
      subscription,
      sequence: this.nextSequence(),
      memberEpoch: this.memberEpoch,
      owned: this.memberEpoch === 0 ? [] : this.events.holding(),
    });
    if (this.phase === 'leaving') this.sendLeave();
  }

  private heartbeat(): void {
    const owned = this.isChanged ? this.events.holding() : undefined;
    this.isChanged = false;
    this.send({
      kind: 'heartbeat',
      sequence: this.nextSequence(),
      memberEpoch: this.memberEpoch,
      assignmentVersion: this.version,
      owned,
    });
    this.scheduleHeartbeat();
  }

  private sendLeave(): void {
    this.leaveSequence = this.nextSequence();
    const isTemporary = this.leavesForAWhile;
    this.send({ kind: 'leave', sequence: this.leaveSequence, isTemporary });
  }

  private nextSequence(): number {
    this.sequence += 1;
    return this.sequence;
  }

  private send(request: MemberRequest): void {
    const atMs = this.deps.world.clock.monotonicMs();
    this.unanswered.push({ sequence: request.sequence, atMs });
    this.link?.send(request);
    if (this.answerTimer === undefined) this.awaitAnswer();
  }

  private scheduleHeartbeat(): void {
    this.heartbeatTimer?.();
    this.heartbeatTimer = this.deps.world.timers.after(this.heartbeatMs, () => this.heartbeat());
  }

  /** Watches over the oldest request without an answer. */
  private awaitAnswer(): void {
    this.answerTimer?.();
    this.answerTimer = undefined;
    const [oldest] = this.unanswered;
    if (oldest === undefined) return;
    const limitMs = Math.min(ANSWER_MS, Math.max(250, this.options.sessionTimeoutMs / 3));
    const leftMs = oldest.atMs + limitMs - this.deps.world.clock.monotonicMs();
    this.answerTimer = this.deps.world.timers.after(Math.max(1, leftMs), () => {
      this.answerTimer = undefined;
      this.fell(new BrokerError('BROKER_UNAVAILABLE', 'the coordinator does not answer'));
    });
  }

  private received(response: MemberResponse): void {
    this.failures = 0;
    this.trouble = undefined;
    this.hintTerm = 0;
    this.memberEpoch = response.memberEpoch;
    if (response.heartbeatIntervalMs > 0) this.heartbeatMs = response.heartbeatIntervalMs;
    if (response.sequence > 0) this.answered(response.sequence);
    if (this.phase === 'leaving') {
      if (this.leaveSequence > 0 && response.sequence === this.leaveSequence) this.end();
      return;
    }
    if (this.phase === 'joining') {
      this.phase = 'joined';
      this.joined.resolve(undefined);
    }
    if (this.heartbeatTimer === undefined) this.scheduleHeartbeat();
    const { assignment } = response;
    if (assignment === undefined || assignment.version <= this.version) return;
    this.version = assignment.version;
    this.events.assigned(assignment);
    this.report();
  }

  /** The coordinator heard us at the time when this request was sent, or later. */
  private answered(sequence: number): void {
    const sent = this.unanswered.find((s) => s.sequence === sequence);
    if (sent === undefined) return;
    this.unanswered = this.unanswered.filter((s) => s.sequence > sequence);
    this.awaitAnswer();
    this.isolationTimer?.();
    const { clock, timers } = this.deps.world;
    const leftMs = sent.atMs + this.options.sessionTimeoutMs - clock.monotonicMs();
    this.isolationTimer = timers.after(Math.max(0, leftMs), () => this.setIsolated(true));
    this.setIsolated(false);
  }

  private setIsolated(isIsolated: boolean): void {
    if (this.isIsolated === isIsolated || this.phase === 'leaving') return;
    this.isIsolated = isIsolated;
    this.events.isolated(isIsolated);
  }

  private fell(error: BrokerError): void {
    const isLeft = this.phase === 'leaving' && this.leaveSequence > 0 && !error.retriable;
    this.hangUp();
    this.trouble = error;
    if (this.phase === 'ended') return;
    if (EVICTED.has(error.code)) {
      if (this.phase === 'leaving') this.end();
      else this.evicted(error);
      return;
    }
    if (error.code === 'NOT_LEADER') {
      this.follow(error.facts.leader);
      return;
    }
    if (isLeft) this.end();
    else if (error.retriable) this.retryLater(error.facts.retryAfterMs ?? 0);
    else this.fail(error);
  }

  private evicted(error: BrokerError): void {
    const isNew = this.memberEpoch === 0;
    this.phase = 'joining';
    this.memberEpoch = 0;
    this.isolationTimer?.();
    if (isNew) {
      this.retryLater(0);
      return;
    }
    this.setIsolated(false);
    this.events.lost(error);
    // The application may have ended the membership when it heard of it.
    if (this.link === undefined && this.retryTimer === undefined) this.connect();
  }

  /** A hint of a later term is followed at once: terms only rise, so this cannot go round. */
  private follow(leader: LeaderHint | undefined): void {
    if (leader === undefined || leader.port === 0 || leader.term <= this.hintTerm) {
      this.retryLater(0);
      return;
    }
    this.hintTerm = leader.term;
    this.hint = { host: leader.host, port: leader.port };
    this.connect();
  }

  private retryLater(atLeastMs: number): void {
    this.failures += 1;
    const { timers, random } = this.deps.world;
    const delayMs = Math.max(atLeastMs, backoffMs(RECONNECT, this.failures, random));
    this.retryTimer = timers.after(delayMs, () => this.connect());
  }

  private fail(error: BrokerError): void {
    const wasLeaving = this.phase === 'leaving';
    this.joined.reject(error);
    this.end();
    if (!wasLeaving) this.events.failed(error);
  }

  private hangUp(): void {
    this.link?.close();
    this.link = undefined;
    this.isReady = false;
    this.unanswered = [];
    this.leaveSequence = 0;
    this.sequence = 0;
    this.heartbeatTimer?.();
    this.heartbeatTimer = undefined;
    this.answerTimer?.();
    this.answerTimer = undefined;
  }

  private end(): void {
    this.phase = 'ended';
    this.memberEpoch = 0;
    this.hangUp();
    this.isolationTimer?.();
    this.retryTimer?.();
    this.leaveTimer?.();
    this.left.resolve(undefined);
    this.joined.reject(new BrokerError('SHUTTING_DOWN', 'the member has left'));
  }
}
