import { invariant } from '../base/assert.js';
import { hexOf } from '../base/bytes.js';
import type { RaftGroup } from '../host/raft-group.js';
import type { GroupMember, MemberProfile } from '../metadata/consumer-group.js';
import {
  decideHeartbeat,
  decideJoin,
  decideLeave,
  type GroupDecision,
} from '../metadata/decide-consumer-group.js';
import type { GroupEvent } from '../metadata/group-event.js';
import type { MetadataDelta } from '../metadata/image.js';
import { METADATA_LIMITS } from '../metadata/limits.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import { planTarget } from '../metadata/plan-target.js';
import { BrokerError, type LeaderHint } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { Counter, Gauge, Logger, Metrics } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import { CommandBatcher, type BatchApplied } from './command-batcher.js';
import { Deadlines } from './deadlines.js';
import { roughBytesOf } from './group-event-size.js';
import { GroupStream, type GroupStreamOwner } from './group-stream.js';
import type {
  GroupHeartbeatRequest,
  JoinGroupRequest,
  LeaveGroupRequest,
  ParticipateRequest,
  Participation,
  ParticipationSink,
} from './group-types.js';
import { LivedClock } from './lived-clock.js';
import { changedProfile, profileOf } from './member-profile.js';
import { MemberSession } from './member-session.js';
import { notController, proposeCommand, raise } from './propose.js';
import { TargetPlanner } from './target-planner.js';
import { TopicPatterns } from './topic-patterns.js';
import { slotsOf } from './topic-slots.js';

const TICK_MS = 500;
const EVICT_RETRY_MS = 1_000;
const EVENTS_WAITING_MAX = 50_000;
/** From the opening of a stream until its first request. */
const FIRST_REQUEST_MS = 10_000;

/** One leadership of the metadata group, as far as consumer groups go. */
interface Tenure {
  readonly group: RaftGroup;
  readonly sessions: Map<string, Map<string, MemberSession>>;
  readonly lived: LivedClock;
  readonly deadlines: Deadlines;
  /** Groups that have changed and could not be followed yet. */
  readonly unfollowed: Set<string>;
  readonly batcher: CommandBatcher<GroupEvent>;
  readonly planner: TargetPlanner;
  readonly cancelTick: Cancel;
}

export interface GroupCoordinatorDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly state: MetadataState;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Leader of the metadata group, as far as it is known. */
  hint(): LeaderHint | undefined;
}

/**
 * Coordinates every consumer group while this broker leads the metadata group: turns what members say
 * into events of the metadata log, tells members what that made of them, and evicts who is silent.
 *
 * Invariants: members are told only what is applied; sessions are this tenure's own and start with
 * full timeouts; a member has one stream, the latest.
 */
export class GroupCoordinator implements GroupStreamOwner {
  readonly #deps: GroupCoordinatorDeps;
  readonly #patterns = new TopicPatterns();
  readonly #streams = new Set<GroupStream>();
  /** Of streams on which nothing has come yet. */
  readonly #firstRequests: Deadlines;
  readonly #connected: Gauge;
  readonly #evictions: Counter;
  readonly #targets: Counter;
  #tenure: Tenure | undefined;
  #isStopped = false;

  constructor(deps: GroupCoordinatorDeps) {
    this.#deps = deps;
    const { world, metrics } = deps;
    this.#firstRequests = new Deadlines(world);
    this.#connected = metrics.gauge(
      'group_members_connected',
      'Streams of members of consumer groups to this broker',
    );
    this.#evictions = metrics.counter(
      'group_evictions_total',
      'Members evicted by this broker: silent, or late to release',
    );
    this.#targets = metrics.counter(
      'group_targets_total',
      'Target assignments that this broker computed',
    );
  }

  activate(group: RaftGroup): void {
    this.deactivate();
    if (this.#isStopped) return;
    const tenure = this.#begin(group);
    this.#tenure = tenure;
    this.groupsChanged([...this.#deps.state.consumerGroups.names()]);
    // Telling members of a group may have ended the tenure.
    if (this.#tenure === tenure) tenure.planner.markAll();
  }

  #begin(group: RaftGroup): Tenure {
    const { world, state, log } = this.#deps;
    const lived = new LivedClock(world.clock, TICK_MS * 2);
    const batcher = new CommandBatcher<GroupEvent>({
      timers: world.timers,
      what: 'changes of groups',
      itemsPerCommandMax: METADATA_LIMITS.groupEventsPerCommandMax,
      itemsWaitingMax: EVENTS_WAITING_MAX,
      bytesOf: roughBytesOf,
      propose: (events) => this.#propose(group, events),
    });
    const { matcher: matches } = this.#patterns;
    const planner = new TargetPlanner({
      world,
      state,
      log,
      matches,
      plan: (one) => planTarget(state, one, matches),
      submit: async (events) => {
        this.#targets.add(1);
        return (await batcher.submit(events)).refused;
      },
    });
    const tenure: Tenure = {
      group,
      sessions: new Map(),
      unfollowed: new Set(),
      lived,
      deadlines: new Deadlines(world),
      batcher,
      planner,
      cancelTick: world.timers.every(TICK_MS, () => this.#tick(tenure)),
    };
    return tenure;
  }

  async #propose(group: RaftGroup, events: readonly GroupEvent[]): Promise<BatchApplied> {
    const hint = (): LeaderHint | undefined => this.#deps.hint();
    const { result, ...at } = await proposeCommand(group, { kind: 'groupEvents', events }, hint);
    invariant(result.kind === 'groupEventsApplied', 'group events are applied as such');
    return { ...at, refused: result.refused };
  }

  #tick(tenure: Tenure): void {
    tenure.lived.nowMs();
    if (tenure.unfollowed.size > 0) this.groupsChanged([...tenure.unfollowed]);
  }

  deactivate(): void {
    const tenure = this.#tenure;
    if (tenure === undefined) return;
    this.#tenure = undefined;
    tenure.cancelTick();
    tenure.planner.stop();
    tenure.deadlines.stop();
    for (const stream of [...this.#streams]) stream.end(this.#elsewhere());
  }

  /** Ends every stream, and takes no more. */
  stop(): void {
    this.#isStopped = true;
    this.deactivate();
    const error = new BrokerError('SHUTTING_DOWN', 'this broker is shutting down');
    for (const stream of [...this.#streams]) stream.end(error);
    this.#firstRequests.stop();
  }

  /** The metadata was applied up to a later entry, and these groups have changed. */
  groupsChanged(names: readonly string[]): void {
    const tenure = this.#tenure;
    if (tenure === undefined) return;
    for (const name of names) {
      const isRepeated = tenure.unfollowed.delete(name);
      try {
        this.#sync(tenure, name);
      } catch (error) {
        // One group's failure must not reach the others, nor the metadata group that applies.
        tenure.unfollowed.add(name);
        const facts = { group: name, err: error };
        if (!isRepeated) this.#deps.log.error(facts, 'a consumer group was not followed');
      }
      // Telling members of it may have ended the tenure.
      if (this.#tenure !== tenure) return;
    }
  }

  topicsChanged(delta: MetadataDelta): void {
    this.#tenure?.planner.topicsChanged(delta);
  }

  participate(sink: ParticipationSink, clientHost: string): Participation {
    const { groupStreamsMax } = LIMITS;
    const stream = new GroupStream(sink, this, clientHost);
    this.#streams.add(stream);
    this.#firstRequests.add(stream, FIRST_REQUEST_MS);
    this.#connected.set(this.#streams.size);
    if (this.#isStopped) {
      stream.end(new BrokerError('SHUTTING_DOWN', 'this broker is shutting down'));
    } else if (this.#streams.size > groupStreamsMax) {
      stream.end(
        new BrokerError('THROTTLED', `more than ${groupStreamsMax} members are connected`),
      );
    }
    return stream;
  }

  sessionOf(group: string, memberId: string): MemberSession | undefined {
    return this.#tenure?.sessions.get(group)?.get(memberId);
  }

  /** For changes that do not come from members. Resolves once it is applied. */
  async submit(event: GroupEvent): Promise<void> {
    await this.#submit(this.#mustLead(), { kind: 'events', events: [event] });
  }

  // ---- Streams ----

  serve(stream: GroupStream, request: ParticipateRequest): Promise<void> {
    this.#firstRequests.cancel(stream);
    const { session } = stream;
    if (request.kind === 'join') {
      if (session === undefined) return this.#join(stream, request);
      throw new BrokerError('INVALID_ARGUMENT', 'a stream has one join');
    }
    if (session === undefined) {
      throw new BrokerError('INVALID_ARGUMENT', 'the first request of a stream is a join');
    }
    return request.kind === 'heartbeat'
      ? this.#heartbeat(session, stream, request)
      : this.#leave(session, stream, request);
  }

  streamOver(stream: GroupStream): void {
    this.#firstRequests.cancel(stream);
    this.#streams.delete(stream);
    this.#connected.set(this.#streams.size);
    if (stream.session?.stream === stream) stream.session.detach();
  }

  drained(stream: GroupStream): void {
    const { session } = stream;
    if (session !== undefined) this.#push(session);
  }

  async #join(stream: GroupStream, request: JoinGroupRequest): Promise<void> {
    const tenure = this.#mustLead();
    const { state, world } = this.#deps;
    const { group } = request;
    const profile = profileOf(request);
    this.#checkPattern(profile);
    const memberId = request.memberId || hexOf(world.random.bytes(16));
    const owned = slotsOf(state, request.owned);
    const { memberEpoch } = request;
    const decision = decideJoin(
      state,
      { group, memberId, memberEpoch, owned, profile },
      (id) => tenure.sessions.get(group)?.get(id)?.stream !== undefined,
    );
    await this.#submit(tenure, decision);
    if (stream.isOver) return;
    const member = this.#mustBeMember(group, memberId);
    const session = this.#session(tenure, member, group);
    const before = session.stream;
    session.detach();
    before?.end(new BrokerError('FENCED_MEMBER_EPOCH', 'the member has opened another stream'));
    session.attach(stream, owned);
    session.heardAtMs = tenure.lived.nowMs();
    // Not only prolonged: it may have joined with shorter timeouts.
    if (!session.isEnding) this.#arm(tenure, session, member);
    this.#answer(session, request.sequence);
  }

  async #heartbeat(
    session: MemberSession,
    stream: GroupStream,
    request: GroupHeartbeatRequest,
  ): Promise<void> {
    const tenure = this.#mustLead();
    const { group, memberId } = session;
    const { memberEpoch, assignmentVersion } = request;
    const member = this.#mustBeMember(group, memberId);
    if (assignmentVersion > session.version) {
      throw new BrokerError(
        'INVALID_ARGUMENT',
        `assignment_version ${assignmentVersion} was not sent yet`,
      );
    }
    const profile = changedProfile(member.profile, request);
    if (profile !== undefined) this.#checkPattern(profile);
    const owned =
      request.owned === undefined ? session.owned : slotsOf(this.#deps.state, request.owned);
    const decision = decideHeartbeat(member, { group, memberEpoch, owned, profile }, (slot) =>
      session.knewOfRevoking(slot, assignmentVersion),
    );
    session.heardAtMs = tenure.lived.nowMs();
    await this.#submit(tenure, decision);
    if (stream.isOver || session.stream !== stream) return;
    session.owned = owned;
    this.#answer(session, request.sequence);
  }

  async #leave(
    session: MemberSession,
    stream: GroupStream,
    { sequence, isTemporary }: LeaveGroupRequest,
  ): Promise<void> {
    const tenure = this.#mustLead();
    const { group, memberId } = session;
    const member = this.#mustBeMember(group, memberId);
    const decision = decideLeave(member, { group, isTemporary });
    session.heardAtMs = tenure.lived.nowMs();
    // From here on the stream hears of this answer alone.
    session.detach();
    await this.#submit(tenure, decision);
    const heartbeatIntervalMs = 0;
    stream.send({
      sequence,
      memberId,
      memberEpoch: member.epoch,
      assignment: undefined,
      heartbeatIntervalMs,
    });
    stream.end(undefined);
  }

  #checkPattern({ pattern }: MemberProfile): void {
    const problem = pattern === '' ? undefined : this.#patterns.problem(pattern);
    if (problem !== undefined) throw new BrokerError('INVALID_SUBSCRIPTION', problem);
  }

  async #submit(tenure: Tenure, decision: GroupDecision): Promise<void> {
    if (decision.kind === 'rejected') raise(decision);
    if (decision.events.length > 0) {
      const { refused } = await tenure.batcher.submit(decision.events);
      for (const refusal of refused) {
        if (refusal !== undefined) raise(refusal);
      }
    }
    if (this.#tenure !== tenure) throw this.#elsewhere();
  }

  #answer(session: MemberSession, sequence: number): void {
    const { state } = this.#deps;
    const group = state.consumerGroups.get(session.group);
    const member = group?.members.get(session.memberId);
    if (group === undefined || member === undefined) return;
    const { assignmentEpoch } = group;
    session.stream?.send(session.respond(member, { sequence, image: state, assignmentEpoch }));
  }

  /** Tells the member what is new, unless it has yet to take what was sent. */
  #push(session: MemberSession): void {
    const member = this.#member(session.group, session.memberId);
    if (member === undefined || session.stream?.isFlowing !== true) return;
    if (session.hasNews(member)) this.#answer(session, 0);
  }

  // ---- Sessions ----

  /** Sessions are those of the group's members, and streams know what has become of them. */
  #sync(tenure: Tenure, name: string): void {
    const group = this.#deps.state.consumerGroups.get(name);
    const sessions = tenure.sessions.get(name);
    for (const session of [...(sessions?.values() ?? [])]) {
      if (group?.members.has(session.memberId) !== true) this.#drop(tenure, session);
    }
    if (group === undefined || group.members.size === 0) {
      tenure.planner.forget(name);
      return;
    }
    const nowMs = tenure.lived.nowMs();
    for (const member of group.members.values()) {
      const session = this.#session(tenure, member, name);
      const before = session.revokingSinceMs();
      session.follow(member, nowMs);
      const hasNewTime = session.revokingSinceMs() !== before;
      if (hasNewTime && !session.isEnding) this.#arm(tenure, session, member);
      this.#push(session);
    }
    if (group.groupEpoch !== group.assignmentEpoch) tenure.planner.mark(name);
  }

  #session(tenure: Tenure, member: GroupMember, group: string): MemberSession {
    const { memberId } = member;
    const sessions = tenure.sessions.get(group) ?? new Map<string, MemberSession>();
    tenure.sessions.set(group, sessions);
    const known = sessions.get(memberId);
    if (known !== undefined) return known;
    const session = new MemberSession({
      group,
      memberId,
      nowMs: tenure.lived.nowMs(),
      due: (one) => this.#check(tenure, one),
    });
    sessions.set(memberId, session);
    this.#arm(tenure, session, member);
    return session;
  }

  #drop(tenure: Tenure, session: MemberSession): void {
    const { group, memberId, endReason, stream } = session;
    const sessions = tenure.sessions.get(group);
    sessions?.delete(memberId);
    if (sessions?.size === 0) tenure.sessions.delete(group);
    tenure.deadlines.cancel(session);
    session.detach();
    const why = endReason === '' ? 'another member took its place' : endReason;
    stream?.end(new BrokerError('UNKNOWN_MEMBER', `member ${memberId} was evicted: ${why}`));
  }

  #arm(tenure: Tenure, session: MemberSession, member: GroupMember): void {
    tenure.deadlines.cancel(session);
    tenure.deadlines.add(session, this.#remainingMs(tenure, session, member).leastMs);
  }

  #remainingMs(
    tenure: Tenure,
    session: MemberSession,
    { profile }: GroupMember,
  ): { readonly leastMs: number; readonly sessionMs: number } {
    const nowMs = tenure.lived.nowMs();
    const sessionMs = session.heardAtMs + profile.sessionTimeoutMs - nowMs;
    const since = session.revokingSinceMs();
    const revokingMs = since === undefined ? Infinity : since + profile.rebalanceTimeoutMs - nowMs;
    return { leastMs: Math.max(1, Math.min(sessionMs, revokingMs)), sessionMs };
  }

  /** The session's timer fired: its time may be up, or have been prolonged. */
  #check(tenure: Tenure, session: MemberSession): void {
    const member = this.#member(session.group, session.memberId);
    if (!this.#isCurrent(session) || member === undefined || session.isEnding) return;
    const { leastMs, sessionMs } = this.#remainingMs(tenure, session, member);
    if (leastMs > 1) {
      tenure.deadlines.add(session, leastMs);
      return;
    }
    const { sessionTimeoutMs, rebalanceTimeoutMs } = member.profile;
    const why =
      sessionMs <= 1
        ? `it was silent for its session timeout of ${sessionTimeoutMs} ms`
        : `it did not release partitions within its rebalance timeout of ${rebalanceTimeoutMs} ms`;
    this.#evict(tenure, session, why);
  }

  #evict(tenure: Tenure, session: MemberSession, why: string): void {
    const { group, memberId } = session;
    const { log } = this.#deps;
    session.isEnding = true;
    session.endReason = why;
    tenure.batcher.submit([{ kind: 'leave', group, memberId }]).then(
      ({ refused: [refusal] }) => {
        if (refusal !== undefined) {
          this.#stays(tenure, session, refusal.message);
          return;
        }
        this.#evictions.add(1);
        log.info({ group, memberId, why }, 'evicted a member of a consumer group');
      },
      (error: unknown) => this.#stays(tenure, session, error),
    );
  }

  /** An eviction came to nothing: whether the member is still silent is looked at again. */
  #stays(tenure: Tenure, session: MemberSession, reason: unknown): void {
    const { group, memberId } = session;
    this.#deps.log.debug({ group, memberId, err: reason }, 'an eviction was not committed');
    if (!this.#isCurrent(session)) return;
    session.isEnding = false;
    session.endReason = '';
    tenure.deadlines.cancel(session);
    tenure.deadlines.add(session, EVICT_RETRY_MS);
  }

  /** Neither its leadership nor its member's place has gone to another one. */
  #isCurrent(session: MemberSession): boolean {
    return this.sessionOf(session.group, session.memberId) === session;
  }

  // ---- Helpers ----

  #member(group: string, memberId: string): GroupMember | undefined {
    return this.#deps.state.consumerGroups.get(group)?.members.get(memberId);
  }

  #mustBeMember(group: string, memberId: string): GroupMember {
    const member = this.#member(group, memberId);
    if (member !== undefined) return member;
    throw new BrokerError('UNKNOWN_MEMBER', `member ${memberId} is not in group ${group}`);
  }

  #mustLead(): Tenure {
    if (this.#tenure?.group.isLeaderReady() === true) return this.#tenure;
    throw this.#elsewhere();
  }

  #elsewhere(): BrokerError {
    const hint = this.#deps.hint();
    return notController(hint?.brokerId === this.#deps.self ? undefined : hint);
  }
}
