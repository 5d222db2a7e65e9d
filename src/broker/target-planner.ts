import type { Rejection } from '../metadata/command.js';
import type { ConsumerGroupView } from '../metadata/consumer-group.js';
import type { GroupEvent } from '../metadata/group-event.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import { planTarget, type MatchPattern, type TargetEvent } from '../metadata/plan-target.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';

/** Wait between two targets of a group: half a millisecond for every member, up to this. */
const SPACING_MS_MAX = 500;
const RETRY_MS = 250;
/** Topics that come at a time are taken up together. */
const TOPICS_MS = 20;

export interface TargetPlannerDeps {
  readonly world: World;
  readonly state: MetadataState;
  readonly matches: MatchPattern;
  readonly log: Logger;
  submit(events: readonly GroupEvent[]): Promise<readonly (Rejection | undefined)[]>;
}

/**
 * Computes target assignments of groups whose members, subscriptions or topics changed; one group in
 * a turn, so that a large one does not keep the others waiting.
 *
 * Invariants: one target of a group is under way at a time; a group that changes meanwhile is looked
 * at again. A group in which much changes gets its targets at a distance, each for all that changed.
 */
export class TargetPlanner {
  readonly #deps: TargetPlannerDeps;
  readonly #waiting = new Set<string>();
  readonly #underWay = new Set<string>();
  /** Changed while a target of theirs was under way. */
  readonly #again = new Set<string>();
  readonly #notBefore = new Map<string, number>();
  #cancelTopics: Cancel | undefined;
  #isStopped = false;

  constructor(deps: TargetPlannerDeps) {
    this.#deps = deps;
  }

  mark(group: string): void {
    if (this.#isStopped || this.#waiting.has(group)) return;
    if (this.#underWay.has(group)) {
      this.#again.add(group);
      return;
    }
    this.#waiting.add(group);
    const { timers, clock } = this.#deps.world;
    const waitMs = (this.#notBefore.get(group) ?? 0) - clock.monotonicMs();
    if (waitMs <= 0) timers.defer(() => this.#plan(group));
    else timers.after(waitMs, () => this.#plan(group));
  }

  /** Topics, or where they live, have changed. */
  markAll(): void {
    if (this.#isStopped) return;
    this.#cancelTopics ??= this.#deps.world.timers.after(TOPICS_MS, () => {
      this.#cancelTopics = undefined;
      const { consumerGroups } = this.#deps.state;
      for (const name of consumerGroups.names()) {
        if ((consumerGroups.get(name)?.members.size ?? 0) > 0) this.mark(name);
      }
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTopics?.();
  }

  #plan(name: string): void {
    this.#waiting.delete(name);
    const { state, world, log } = this.#deps;
    const group = state.consumerGroups.get(name);
    if (this.#isStopped || group === undefined) {
      this.#notBefore.delete(name);
      return;
    }
    const target = this.#target(group);
    if (target === undefined) {
      this.#notBefore.delete(name);
      return;
    }
    const spacingMs = Math.min(SPACING_MS_MAX, group.members.size / 2);
    this.#underWay.add(name);
    this.#deps
      .submit([target])
      .then(
        ([refusal]) => {
          this.#notBefore.set(name, world.clock.monotonicMs() + spacingMs);
          if (refusal === undefined) return;
          log.debug({ group: name, reason: refusal.message }, 'a target came too late');
          this.#again.add(name);
        },
        (error: unknown) => {
          log.debug({ group: name, err: error }, 'a target was not committed');
          this.#notBefore.set(name, world.clock.monotonicMs() + RETRY_MS);
          this.#again.add(name);
        },
      )
      .finally(() => {
        this.#underWay.delete(name);
        if (this.#again.delete(name)) this.mark(name);
      })
      .catch(() => undefined);
  }

  /** An assignor that fails leaves its group as it is, and the broker running. */
  #target(group: ConsumerGroupView): TargetEvent | undefined {
    const { state, matches, log } = this.#deps;
    try {
      return planTarget(state, group, matches);
    } catch (error) {
      log.error({ group: group.name, err: error }, 'no target could be computed');
      return undefined;
    }
  }
}
