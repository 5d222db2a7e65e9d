import type { Measured } from '../drive.js';
import { MillraceSystem } from '../millrace.js';
import { ratesOf, ratiosOf, recordsPerSecond, type Scenario } from './scenario.js';
import { INCOMPRESSIBLE_LOAD, produceRun } from './throughput.js';

const ADDED_RTT_MS = 2;

export const S8: Scenario = {
  id: 'S8',
  about: 'S2 with 2 ms of added round trip on every link',
  run: async (bench) =>
    await bench.using(
      () => MillraceSystem.start({ delayMs: 0 }),
      async (system) => {
        const near: Measured[] = [];
        const far: Measured[] = [];
        for (let i = 1; i <= bench.sizes.runs; i += 1) {
          system.proxies?.setDelay(0);
          near.push(await produceRun(bench, system, `s8-${i}-0ms`, INCOMPRESSIBLE_LOAD));
          system.proxies?.setDelay(ADDED_RTT_MS / 2);
          far.push(await produceRun(bench, system, `s8-${i}-2ms`, INCOMPRESSIBLE_LOAD));
        }
        return {
          conditions: 'the same proxies hold bytes back for 1 ms each way, or not at all, in turn',
          figures: [
            {
              ...{ what: 'of that at 0 ms', unit: ' x', digits: 2 },
              values: ratiosOf(far.map(recordsPerSecond), near.map(recordsPerSecond)),
              goal: { atLeast: 0.8 },
            },
            { ...ratesOf(far), what: 'at 2 ms' },
            { ...ratesOf(near), what: 'at 0 ms' },
          ],
          parts: [
            { name: 'at 2 ms', measured: far },
            { name: 'at 0 ms', measured: near },
          ],
        };
      },
    ),
};
