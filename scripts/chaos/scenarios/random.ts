import { Prng } from '../../../src/base/prng.js';
import type { Scenario, Stage } from '../scenario.js';
import { SCENARIOS } from './registry.js';

const BESIDE_CHANCE = 0.4;
/** Strikes that last as long as they are let. */
const STRIKE_SECONDS_MAX = 20;

/**
 * Strikes of other scenarios, drawn at random: one after another of those that take a broker, so that
 * never more than a minority is away (but for all at once), and beside some of them one that troubles
 * everybody a little.
 */
export function randomScenario(seed: number): Scenario {
  const prng = new Prng(seed);
  const alone = SCENARIOS.filter(({ random }) => random === 'alone');
  const beside = SCENARIOS.filter(({ random }) => random === 'beside');
  return {
    id: 'random',
    title: 'strikes drawn at random',
    needs: { peerLinks: true },
    slack: 5,
    strike: async (stage) => {
      const turn = prng.int(1_000);
      const first = prng.pick(alone);
      const fitting = beside.filter(
        ({ setsLinks }) => setsLinks !== true || first.setsLinks !== true,
      );
      const second = prng.chance(BESIDE_CHANCE) ? prng.pick(fitting) : undefined;
      stage.say(`${first.id}${second === undefined ? '' : ` beside ${second.id}`}`);
      const state = { isOver: false };
      const part = stage.part(STRIKE_SECONDS_MAX, () => state.isOver);
      const others = second === undefined ? Promise.resolve() : repeatedly(second, part, turn);
      try {
        await first.strike(
          stage.part(STRIKE_SECONDS_MAX, () => false),
          turn,
        );
        stage.count(`strikes of ${first.id}`);
      } finally {
        state.isOver = true;
        await others;
      }
    },
  };
}

async function repeatedly(scenario: Scenario, stage: Stage, first: number): Promise<void> {
  for (let turn = first; !stage.isOver(); turn += 1) {
    await scenario.strike(stage, turn);
    await stage.rest(scenario.everyMs ?? 0);
  }
  stage.count(`strikes of ${scenario.id}`);
}
