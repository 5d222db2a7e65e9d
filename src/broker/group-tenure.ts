import { invariant } from '../base/assert.js';
import type { RaftGroup } from '../host/raft-group.js';
import type { Rejection } from '../metadata/command.js';
import type { GroupMember } from '../metadata/consumer-group.js';
import type { GroupEvent } from '../metadata/group-event.js';
import type { MetadataDelta } from '../metadata/image.js';
import type { Assignors } from '../metadata/assignors/assignors.js';
import { METADATA_LIMITS } from '../metadata/limits.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import { planTarget } from '../metadata/plan-target.js';
import { BrokerError, type LeaderHint } from '../model/errors.js';
import type { Counter, Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import { CommandBatcher, type BatchApplied } from './command-batcher.js';
import { Deadlines } from './deadlines.js';
import { GroupAgeing } from './group-ageing.js';
import { roughBytesOf } from './group-event-size.js';
import { LivedClock } from './lived-clock.js';
import { MemberSession } from './member-session.js';
import { proposeCommand } from './propose.js';
import { TargetPlanner } from './target-planner.js';
import type { TopicPatterns } from './topic-patterns.js';

const TICK_MS = 500;
const EVICT_RETRY_MS = 1_000;
const EVENTS_WAITING_MAX = 50_000;

export interface GroupTenureDeps {
  readonly world: World;
  readonly state: MetadataState;
  readonly log: Logger;
  readonly patterns: TopicPatterns;
  readonly evictions: Counter;
  readonly targets: Counter;
  /** Groups without members that were idle for so long go; -1: none does. */
  readonly groupRetentionMs: number;
  readonly assignors: Assignors;
  /** Leader of the metadata group, as far as it is known. */
  hint(): LeaderHint | undefined;
  /** The session has taken in what its member has become. */
  followed(session: MemberSession): void;
}

/**
 * One leadership of the metadata group, as far as consumer groups go: keeps a session for every
 * member, evicts who is silent or late to release, and has targets planned for groups that changed.
 *
 * Invariants: sessions are those of the members as applied, and start with full timeouts; a session
 * that may time out has one deadline; nothing is begun after the end.
 */
export class GroupTenure {
  readonly group: RaftGroup;
  readonly #deps: GroupTenureDeps;
  /** By group and member. */
  readonly #sessions = new Map<string, Map<string, MemberSession>>();
  readonly #lived: LivedClock;
  readonly #deadlines: Deadlines;
  /** Groups that have changed and could not be followed yet. */
  readonly #unfollowed = new Set<string>();
  readonly #batcher: CommandBatcher<GroupEvent>;
  readonly #planner: TargetPlanner;
  readonly #ageing: GroupAgeing;
  readonly #cancelTick: Cancel;
  #isOver = false;

  constructor(group: RaftGroup, deps: GroupTenureDeps) {
    const { world, state, log } = deps;
    this.group = group;
    this.#deps = deps;
    this.#lived = new LivedClock(world.clock, TICK_MS * 2);
    this.#deadlines = new Deadlines(world);
    this.#batcher = new CommandBatcher<GroupEvent>({
      timers: world.timers,
      what: 'changes of groups',
      itemsPerCommandMax: METADATA_LIMITS.groupEventsPerCommandMax,
      itemsWaitingMax: EVENTS_WAITING_MAX,
      bytesOf: roughBytesOf,
      propose: (events) => this.#propose(events),
    });
    const { matcher: matches } = deps.patterns;
    this.#planner = new TargetPlanner({
      world,
      state,
      log,
      matches,
      plan: (one) => {
        const plan = planTarget(state, one, matches, deps.assignors);
        if (plan.problem !== undefined) log.error({ group: one.name }, plan.problem);
        return plan;
      },
      submit: (events) => {
        deps.targets.add(1);
        return this.submit(events);
      },
    });
    this.#ageing = new GroupAgeing(
      {
        limitMs: deps.groupRetentionMs,
        state,
        log,
        propose: (command) => proposeCommand(group, command, () => deps.hint()),
      },
      this.#lived.nowMs(),
    );
    this.#cancelTick = world.timers.every(TICK_MS, () => this.#tick());
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Follows all groups that there are. */
  begin(): void {
    this.groupsChanged([...this.#deps.state.consumerGroups.names()]);
    // Telling members of a group may have ended the tenure.
    if (!this.#isOver) this.#planner.markAll();
  }

  end(): void {
    this.#isOver = true;
    this.#cancelTick();
    this.#planner.stop();
    this.#deadlines.stop();
  }

  groupsChanged(names: readonly string[]): void {
    for (const name of names) {
      // Telling members of the one before may have ended the tenure.
      if (this.#isOver) return;
      const isRepeated = this.#unfollowed.delete(name);
      try {
        this.#sync(name);
      } catch (error) {
        // One group's failure must not reach the others, nor the metadata group that applies.
        this.#unfollowed.add(name);
        const facts = { group: name, err: error };
        if (!isRepeated) this.#deps.log.error(facts, 'a consumer group was not followed');
      }
    }
  }

  topicsChanged(delta: MetadataDelta): void {
    this.#planner.topicsChanged(delta);
  }

  /** Resolves once the events are applied: what was refused of each. */
  async submit(events: readonly GroupEvent[]): Promise<readonly (Rejection | undefined)[]> {
    return (await this.#batcher.submit(events)).refused;
  }

  sessionOf(group: string, memberId: string): MemberSession | undefined {
    return this.#sessions.get(group)?.get(memberId);
  }

  /** The member's session, begun now if it has none yet. */
  sessionFor(member: GroupMember, group: string): MemberSession {
    const { memberId } = member;
    const sessions = this.#sessions.get(group) ?? new Map<string, MemberSession>();
    this.#sessions.set(group, sessions);
    const known = sessions.get(memberId);
    if (known !== undefined) return known;
    const session = new MemberSession({
      group,
      memberId,
      nowMs: this.#lived.nowMs(),
      due: (one) => this.#check(one),
    });
    sessions.set(memberId, session);
    this.arm(session, member);
    return session;
  }

  heard(session: MemberSession): void {
    session.heardAtMs = this.#lived.nowMs();
  }

  /** Sets its deadline anew; not while it is being evicted. */
  arm(session: MemberSession, member: GroupMember): void {
    if (session.isEnding) return;
    this.#deadlines.cancel(session);
    this.#deadlines.add(session, this.#remainingMs(session, member).leastMs);
  }

  async #propose(events: readonly GroupEvent[]): Promise<BatchApplied> {
    const command = { kind: 'groupEvents', events } as const;
    const { result, ...at } = await proposeCommand(this.group, command, () => this.#deps.hint());
    invariant(result.kind === 'groupEventsApplied', 'group events are applied as such');
    return { ...at, refused: result.refused };
  }

  #tick(): void {
    this.#ageing.tick(this.#lived.nowMs());
    if (this.#unfollowed.size > 0) this.groupsChanged([...this.#unfollowed]);
  }

  /** Sessions are those of the group's members, and streams know what has become of them. */
  #sync(name: string): void {
    const group = this.#deps.state.consumerGroups.get(name);
    const sessions = this.#sessions.get(name);
    for (const session of [...(sessions?.values() ?? [])]) {
      if (group?.members.has(session.memberId) !== true) this.#drop(session);
    }
    if (group === undefined || group.members.size === 0) {
      this.#planner.forget(name);
      return;
    }
    const nowMs = this.#lived.nowMs();
    for (const member of group.members.values()) {
      const session = this.sessionFor(member, name);
      const before = session.revokingSinceMs();
      session.follow(member, nowMs);
      if (session.revokingSinceMs() !== before) this.arm(session, member);
      this.#deps.followed(session);
    }
    if (group.groupEpoch !== group.assignmentEpoch) this.#planner.mark(name);
  }

  #drop(session: MemberSession): void {
    const { group, memberId, endReason, stream } = session;
    const sessions = this.#sessions.get(group);
    sessions?.delete(memberId);
    if (sessions?.size === 0) this.#sessions.delete(group);
    this.#deadlines.cancel(session);
    session.detach();
    const why = endReason === '' ? 'another member took its place' : endReason;
    stream?.end(new BrokerError('UNKNOWN_MEMBER', `member ${memberId} was evicted: ${why}`));
  }

  #remainingMs(
    session: MemberSession,
    { profile }: GroupMember,
  ): { readonly leastMs: number; readonly sessionMs: number } {
    const nowMs = this.#lived.nowMs();
    const sessionMs = session.heardAtMs + profile.sessionTimeoutMs - nowMs;
    const since = session.revokingSinceMs();
    const revokingMs = since === undefined ? Infinity : since + profile.rebalanceTimeoutMs - nowMs;
    return { leastMs: Math.max(1, Math.min(sessionMs, revokingMs)), sessionMs };
  }

  /** The session's timer fired: its time may be up, or have been prolonged. */
  #check(session: MemberSession): void {
    const { group, memberId } = session;
    const member = this.#deps.state.consumerGroups.get(group)?.members.get(memberId);
    if (!this.#isCurrent(session) || member === undefined || session.isEnding) return;
    const { leastMs, sessionMs } = this.#remainingMs(session, member);
    if (leastMs > 1) {
      this.#deadlines.add(session, leastMs);
      return;
    }
    const { sessionTimeoutMs, rebalanceTimeoutMs } = member.profile;
    const why =
      sessionMs <= 1
        ? `it was silent for its session timeout of ${sessionTimeoutMs} ms`
        : `it did not release partitions within its rebalance timeout of ${rebalanceTimeoutMs} ms`;
    this.#evict(session, why);
  }

  #evict(session: MemberSession, why: string): void {
    const { group, memberId } = session;
    const { log, evictions } = this.#deps;
    session.isEnding = true;
    session.endReason = why;
    this.submit([{ kind: 'leave', group, memberId }]).then(
      ([refusal]) => {
        if (refusal !== undefined) {
          this.#stays(session, refusal.message);
          return;
        }
        evictions.add(1);
        log.info({ group, memberId, why }, 'evicted a member of a consumer group');
        this.#goesOn(session);
      },
      (error: unknown) => this.#stays(session, error),
    );
  }

  /**
   * A member that joined anew before its eviction was followed keeps the session, for a life of its own:
   * watched over like any other, from a full timeout on. One whose eviction could not be followed must
   * not find the session when it comes back: nothing would watch over it.
   */
  #goesOn(session: MemberSession): void {
    const { group, memberId } = session;
    const member = this.#deps.state.consumerGroups.get(group)?.members.get(memberId);
    if (!this.#isCurrent(session)) return;
    if (member === undefined) {
      this.#drop(session);
      return;
    }
    session.isEnding = false;
    session.endReason = '';
    this.heard(session);
    this.arm(session, member);
  }

  /** An eviction came to nothing: whether the member is still silent is looked at again. */
  #stays(session: MemberSession, reason: unknown): void {
    const { group, memberId } = session;
    this.#deps.log.debug({ group, memberId, err: reason }, 'an eviction was not committed');
    if (!this.#isCurrent(session)) return;
    session.isEnding = false;
    session.endReason = '';
    this.#deadlines.cancel(session);
    this.#deadlines.add(session, EVICT_RETRY_MS);
  }

  /** Neither its leadership nor its member's place has gone to another one. */
  #isCurrent(session: MemberSession): boolean {
    return !this.#isOver && this.sessionOf(session.group, session.memberId) === session;
  }
}
