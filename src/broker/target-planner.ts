import type { Rejection } from '../metadata/command.js';
import type { ConsumerGroupView } from '../metadata/consumer-group.js';
import type { GroupEvent } from '../metadata/group-event.js';
import type { MetadataDelta } from '../metadata/image.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import type { Interest, MatchPattern, TargetEvent, TargetPlan } from '../metadata/plan-target.js';
import type { TopicId } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';

/** Wait between two targets of a group: half a millisecond for every member, up to this. */
const SPACING_MS_MAX = 500;
const RETRY_MS = 250;
/** Topics that come at a time are taken up together. */
const TOPICS_MS = 20;

export interface TargetPlannerDeps {
  readonly world: Pick<World, 'clock' | 'timers'>;
  readonly state: MetadataState;
  readonly matches: MatchPattern;
  readonly log: Logger;
  plan(group: ConsumerGroupView): TargetPlan;
  submit(events: readonly GroupEvent[]): Promise<readonly (Rejection | undefined)[]>;
}

/** One group's planning. */
interface Planning {
  stage: 'idle' | 'waiting' | 'underWay';
  /** It changed while a target was under way. */
  isOutdated: boolean;
  notBeforeMs: number;
  /** What its last target was computed from; undefined: anything may make another one due. */
  interest: Interest | undefined;
  cancelWait: Cancel | undefined;
}

/**
 * Computes target assignments of groups whose members, subscriptions or topics changed; one group in
 * a turn, so that a large one does not keep the others waiting.
 *
 * Invariants: one target of a group is under way at a time; a group that changes meanwhile is looked
 * at again. A group in which much changes gets its targets at a distance, each for all that changed.
 * Nothing is kept of groups that have no members.
 */
export class TargetPlanner {
  readonly #deps: TargetPlannerDeps;
  readonly #plannings = new Map<string, Planning>();
  /** Groups whose turn it is, in order. */
  readonly #ready = new Set<string>();
  #isTurnDue = false;
  #changedTopics = new Set<TopicId>();
  #haveBrokersChanged = false;
  #cancelTopics: Cancel | undefined;
  #isStopped = false;

  constructor(deps: TargetPlannerDeps) {
    this.#deps = deps;
  }

  /** Groups of which something is kept. */
  get size(): number {
    return this.#plannings.size;
  }

  mark(group: string): void {
    if (this.#isStopped) return;
    const planning = this.#plannings.get(group) ?? newPlanning();
    this.#plannings.set(group, planning);
    if (planning.stage === 'waiting') return;
    if (planning.stage === 'underWay') {
      planning.isOutdated = true;
      return;
    }
    planning.stage = 'waiting';
    const { timers, clock } = this.#deps.world;
    const waitMs = planning.notBeforeMs - clock.monotonicMs();
    if (waitMs <= 0) this.#beReady(group);
    else planning.cancelWait = timers.after(waitMs, () => this.#beReady(group));
  }

  markAll(): void {
    for (const name of this.#deps.state.consumerGroups.names()) this.mark(name);
  }

  /** The group is gone, or nobody is left in it. */
  forget(group: string): void {
    const planning = this.#plannings.get(group);
    // What is under way is forgotten when its outcome is known.
    if (planning === undefined || planning.stage === 'underWay') return;
    planning.cancelWait?.();
    this.#ready.delete(group);
    this.#plannings.delete(group);
  }

  /** Topics, or where they live, have changed: those groups are marked that it concerns. */
  topicsChanged({ isReset, topics, brokers }: MetadataDelta): void {
    if (this.#isStopped) return;
    if (isReset) {
      this.markAll();
      return;
    }
    for (const id of topics) this.#changedTopics.add(id);
    if (brokers.length > 0) this.#haveBrokersChanged = true;
    if (this.#changedTopics.size === 0 && !this.#haveBrokersChanged) return;
    this.#cancelTopics ??= this.#deps.world.timers.after(TOPICS_MS, () => this.#markConcerned());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTopics?.();
    for (const { cancelWait } of this.#plannings.values()) cancelWait?.();
    this.#plannings.clear();
    this.#ready.clear();
  }

  #hasMembers(group: string): boolean {
    return (this.#deps.state.consumerGroups.get(group)?.members.size ?? 0) > 0;
  }

  #markConcerned(): void {
    this.#cancelTopics = undefined;
    const { state, matches } = this.#deps;
    const ids = [...this.#changedTopics];
    const haveBrokersChanged = this.#haveBrokersChanged;
    this.#changedTopics = new Set();
    this.#haveBrokersChanged = false;
    const names = ids.flatMap((id) => state.topicsById.get(id)?.name ?? []);
    const known = new Map<string, boolean>();
    const matchesAny = (pattern: string): boolean => {
      const isMatch = known.get(pattern) ?? names.some(matches(pattern));
      known.set(pattern, isMatch);
      return isMatch;
    };
    for (const [group, { interest }] of this.#plannings) {
      const isConcerned =
        interest === undefined ||
        (haveBrokersChanged && interest.isInRacks) ||
        ids.some((id) => interest.topics.has(id)) ||
        names.some((name) => interest.names.has(name)) ||
        [...interest.patterns].some(matchesAny);
      if (isConcerned) this.mark(group);
    }
  }

  #beReady(group: string): void {
    this.#ready.add(group);
    this.#nextTurn();
  }

  #nextTurn(): void {
    if (this.#isTurnDue || this.#ready.size === 0) return;
    this.#isTurnDue = true;
    this.#deps.world.timers.defer(() => {
      this.#isTurnDue = false;
      const [group] = this.#ready;
      if (group !== undefined) this.#plan(group);
      this.#nextTurn();
    });
  }

  #plan(name: string): void {
    this.#ready.delete(name);
    const { state, log } = this.#deps;
    const group = state.consumerGroups.get(name);
    const planning = this.#plannings.get(name);
    if (planning === undefined) return;
    planning.stage = 'idle';
    planning.cancelWait = undefined;
    planning.interest = undefined;
    if (group === undefined || group.members.size === 0) {
      this.forget(name);
      return;
    }
    try {
      const { target, interest } = this.#deps.plan(group);
      planning.interest = interest;
      if (target === undefined) return;
      planning.stage = 'underWay';
      void this.#submit(planning, target, group.members.size);
    } catch (error) {
      // An assignor that fails leaves its group as it is, and the broker running.
      log.error({ group: name, err: error }, 'no target could be computed');
    }
  }

  async #submit(planning: Planning, target: TargetEvent, members: number): Promise<void> {
    const { log, world } = this.#deps;
    const { group } = target;
    let waitMs = Math.min(SPACING_MS_MAX, members / 2);
    let reason: unknown;
    try {
      const [refusal] = await this.#deps.submit([target]);
      reason = refusal?.message;
    } catch (error) {
      reason = error;
      waitMs = RETRY_MS;
    }
    const isOutdated = planning.isOutdated || reason !== undefined;
    planning.stage = 'idle';
    planning.isOutdated = false;
    planning.notBeforeMs = world.clock.monotonicMs() + waitMs;
    if (this.#isStopped) return;
    if (reason !== undefined) log.debug({ group, err: reason }, 'a target was not installed');
    if (!this.#hasMembers(group)) this.forget(group);
    else if (isOutdated) this.mark(group);
  }
}

function newPlanning(): Planning {
  return {
    stage: 'idle',
    isOutdated: false,
    notBeforeMs: 0,
    interest: undefined,
    cancelWait: undefined,
  };
}
