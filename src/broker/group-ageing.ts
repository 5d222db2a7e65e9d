import { memberlessGroups } from '../metadata/apply.js';
import type { Command } from '../metadata/command.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import type { Logger } from '../ports/telemetry.js';
import type { AppliedCommand } from './propose.js';

/** A group is dropped at most this part of its time too late. */
const STEPS = 24;
const STEP_MS_MAX = 3_600_000;
const NAMES_LOGGED_MAX = 100;

export interface GroupAgeingDeps {
  /** -1: groups never expire. */
  readonly limitMs: number;
  readonly state: MetadataState;
  readonly log: Logger;
  propose(command: Command): Promise<AppliedCommand>;
}

/**
 * Tells the metadata log, once in a while, how long this leadership has lasted, so that consumer groups
 * which nobody uses any more go (as Kafka's offsets do, KIP-211). What a leadership did not get to tell is
 * forgotten: groups may stay longer than they should, never shorter.
 *
 * Invariant: no span of time is told twice.
 */
export class GroupAgeing {
  readonly #deps: GroupAgeingDeps;
  readonly #stepMs: number;
  #toldMs: number;
  #isTelling = false;

  constructor(deps: GroupAgeingDeps, nowMs: number) {
    this.#deps = deps;
    this.#toldMs = nowMs;
    this.#stepMs = Math.max(1, Math.min(STEP_MS_MAX, Math.floor(deps.limitMs / STEPS)));
  }

  /** `nowMs`: time that this leadership lived through. */
  tick(nowMs: number): void {
    const { limitMs, state, log } = this.#deps;
    const elapsedMs = Math.floor(nowMs - this.#toldMs);
    if (limitMs < 0 || this.#isTelling || elapsedMs < this.#stepMs) return;
    this.#toldMs += elapsedMs;
    if (memberlessGroups(state).size === 0) return;
    this.#isTelling = true;
    this.#deps
      .propose({ kind: 'ageGroups', elapsedMs, limitMs })
      .then(
        ({ result }) => {
          if (result.kind !== 'groupsAged' || result.expired.length === 0) return;
          const groups = result.expired.slice(0, NAMES_LOGGED_MAX);
          const facts = { count: result.expired.length, groups, limitMs };
          log.info(facts, 'consumer groups that were idle for too long are gone');
        },
        (error: unknown) => log.debug({ err: error }, 'idle consumer groups were not aged'),
      )
      .finally(() => {
        this.#isTelling = false;
      })
      .catch(() => undefined);
  }
}
