import { hexOf } from '../base/bytes.js';
import type { RaftGroup } from '../host/raft-group.js';
import type { GroupMember, MemberProfile } from '../metadata/consumer-group.js';
import type { Assignors } from '../metadata/assignors/assignors.js';
import {
  decideHeartbeat,
  decideJoin,
  decideLeave,
  type GroupDecision,
} from '../metadata/decide-consumer-group.js';
import type { GroupEvent } from '../metadata/group-event.js';
import type { MetadataDelta } from '../metadata/image.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import { BrokerError, type LeaderHint } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { Counter, Gauge, Logger, Metrics } from '../ports/telemetry.js';
import type { World } from '../ports/world.js';
import { Deadlines } from './deadlines.js';
import { GroupStream, type GroupStreamOwner } from './group-stream.js';
import { GroupTenure } from './group-tenure.js';
import type {
  GroupHeartbeatRequest,
  JoinGroupRequest,
  LeaveGroupRequest,
  ParticipateRequest,
  Participation,
  ParticipationSink,
} from './group-types.js';
import { changedProfile, profileOf } from './member-profile.js';
import type { MemberSession } from './member-session.js';
import { notController, raise } from './propose.js';
import { TopicPatterns, type CompileExpression } from './topic-patterns.js';
import { slotsOf } from './topic-slots.js';

/** From the opening of a stream until its first request. */
const FIRST_REQUEST_MS = 10_000;

export interface GroupCoordinatorDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly state: MetadataState;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Groups without members that were idle for so long go, with their offsets; -1: none does. */
  readonly groupRetentionMs: number;
  readonly assignors: Assignors;
  /** Leader of the metadata group, as far as it is known. */
  readonly compileExpression: CompileExpression;
  hint(): LeaderHint | undefined;
}

/**
 * Coordinates every consumer group while this broker leads the metadata group: turns what members say
 * into events of the metadata log, and tells members what that made of them.
 *
 * Invariants: members are told only what is applied; a member has one stream, the latest; requests are
 * served within one tenure, or fail with it.
 */
export class GroupCoordinator implements GroupStreamOwner {
  readonly #deps: GroupCoordinatorDeps;
  readonly #patterns: TopicPatterns;
  readonly #streams = new Set<GroupStream>();
  /** Of streams on which nothing has come yet. */
  readonly #firstRequests: Deadlines;
  readonly #connected: Gauge;
  readonly #evictions: Counter;
  readonly #targets: Counter;
  #tenure: GroupTenure | undefined;
  #isStopped = false;

  constructor(deps: GroupCoordinatorDeps) {
    this.#deps = deps;
    const { world, metrics } = deps;
    this.#patterns = new TopicPatterns(deps.compileExpression);
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
    const { world, state, log, groupRetentionMs, assignors } = this.#deps;
    this.#tenure = new GroupTenure(group, {
      world,
      state,
      log,
      patterns: this.#patterns,
      evictions: this.#evictions,
      targets: this.#targets,
      groupRetentionMs,
      assignors,
      hint: () => this.#deps.hint(),
      followed: (session) => this.#push(session),
    });
    this.#tenure.begin();
  }

  deactivate(): void {
    const tenure = this.#tenure;
    if (tenure === undefined) return;
    this.#tenure = undefined;
    tenure.end();
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
    this.#tenure?.groupsChanged(names);
  }

  topicsChanged(delta: MetadataDelta): void {
    this.#tenure?.topicsChanged(delta);
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
    return this.#tenure?.sessionOf(group, memberId);
  }

  /**
   * For changes that do not come from members. Resolves once it is applied, and then whoever leads by
   * now: to say that this broker does not would be to say that the change was not made.
   */
  async submit(event: GroupEvent): Promise<void> {
    await carryOut(this.#mustLead(), { kind: 'events', events: [event] });
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
    const { state, world, assignors } = this.#deps;
    const { group } = request;
    const profile = profileOf(request);
    this.#checkPattern(profile);
    const memberId = request.memberId || hexOf(world.random.bytes(16));
    const owned = slotsOf(state, request.owned);
    const { memberEpoch } = request;
    const decision = decideJoin(
      state,
      { group, memberId, memberEpoch, owned, profile },
      (id) => tenure.sessionOf(group, id)?.stream !== undefined,
      assignors,
    );
    await this.#submit(tenure, decision);
    if (stream.isOver) return;
    const member = this.#mustBeMember(group, memberId);
    const session = tenure.sessionFor(member, group);
    const before = session.stream;
    session.detach();
    before?.end(new BrokerError('FENCED_MEMBER_EPOCH', 'the member has opened another stream'));
    session.attach(stream, owned);
    tenure.heard(session);
    // Not only prolonged: it may have joined with shorter timeouts.
    tenure.arm(session, member);
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
    const decision = decideHeartbeat(
      member,
      { group, memberEpoch, owned, profile },
      (slot) => session.knewOfRevoking(slot, assignmentVersion),
      this.#deps.assignors,
    );
    tenure.heard(session);
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
    tenure.heard(session);
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

  /** What members are told rests on what is led: with the leadership they go elsewhere. */
  async #submit(tenure: GroupTenure, decision: GroupDecision): Promise<void> {
    await carryOut(tenure, decision);
    if (tenure.isOver) throw this.#elsewhere();
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

  // ---- Helpers ----

  #member(group: string, memberId: string): GroupMember | undefined {
    return this.#deps.state.consumerGroups.get(group)?.members.get(memberId);
  }

  #mustBeMember(group: string, memberId: string): GroupMember {
    const member = this.#member(group, memberId);
    if (member !== undefined) return member;
    throw new BrokerError('UNKNOWN_MEMBER', `member ${memberId} is not in group ${group}`);
  }

  #mustLead(): GroupTenure {
    if (this.#tenure?.group.isLeaderReady() === true) return this.#tenure;
    throw this.#elsewhere();
  }

  #elsewhere(): BrokerError {
    const hint = this.#deps.hint();
    return notController(hint?.brokerId === this.#deps.self ? undefined : hint);
  }
}

async function carryOut(tenure: GroupTenure, decision: GroupDecision): Promise<void> {
  if (decision.kind === 'rejected') raise(decision);
  if (decision.events.length === 0) return;
  for (const refusal of await tenure.submit(decision.events)) {
    if (refusal !== undefined) raise(refusal);
  }
}
