import { setTimeout as pause } from 'node:timers/promises';

import type { Books } from '../books.js';
import type { Measured } from '../drive.js';
import { MillraceSystem } from '../millrace.js';
import {
  type Bench,
  type Figure,
  MIB,
  ratesOf,
  ratiosOf,
  recordsPerSecond,
  type Scenario,
} from './scenario.js';
import { INCOMPRESSIBLE_LOAD, produceRun } from './throughput.js';

const TOPIC = 's9';

/** The goal is in MB. */
function megabytes(books: Books): number {
  return (largest(books.residentMebibytes) * MIB) / 1e6;
}

function largest(values: Readonly<Record<string, number>>): number {
  return Math.max(...Object.values(values));
}

/** Each run is a time of its own on the same cluster: there is nothing to begin anew. */
async function idleTimes(bench: Bench, system: MillraceSystem): Promise<Books[]> {
  const { runs, idleSeconds, settleSeconds, manyPartitions } = bench.sizes;
  await system.create(TOPIC, manyPartitions);
  await pause(settleSeconds * 1000);
  const times: Books[] = [];
  for (let i = 1; i <= runs; i += 1) {
    const books = await system.booked(() => pause(idleSeconds * 1000));
    times.push(books);
    bench.say(
      `s9-${i}: ${((largest(books.cpuSeconds) / idleSeconds) * 100).toFixed(1)} % of a core, ` +
        `${megabytes(books).toFixed(0)} MB`,
    );
  }
  return times;
}

export const S9: Scenario = {
  id: 'S9',
  about: '1,000 partitions (3,000 replicas), idle',
  run: async (bench) =>
    await bench.using(
      () => MillraceSystem.start(),
      async (system) => {
        const times = await idleTimes(bench, system);
        const { idleSeconds, settleSeconds, manyPartitions } = bench.sizes;
        const figure = (what: string, unit: string, of: (books: Books) => number): Figure => ({
          ...{ what, unit, digits: 1, values: times.map(of) },
        });
        const cores = figure('of a core, the busiest broker', ' %', (books) => {
          return (largest(books.cpuSeconds) / idleSeconds) * 100;
        });
        const memory = figure('memory of the largest broker', ' MB', megabytes);
        return {
          conditions:
            `${manyPartitions.toLocaleString('en')} partitions, ${idleSeconds} s each after ${settleSeconds} s of settling; ` +
            'memory is all that is resident, mapped files included',
          figures: [
            { ...cores, goal: { atMost: 3 } },
            { ...memory, digits: 0, goal: { atMost: 400 } },
            figure('event loop delay p99, the slowest', ' ms', (b) => largest(b.loopDelayP99Ms)),
          ],
          parts: [],
        };
      },
    ),
};

/** In a cluster of its own: the partitions of the one would cost the other. */
async function alone(bench: Bench, topic: string, partitions: number): Promise<Measured> {
  return await bench.using(
    () => MillraceSystem.start(),
    async (system) =>
      await produceRun(bench, system, topic, { ...INCOMPRESSIBLE_LOAD, partitions }),
  );
}

export const S10: Scenario = {
  id: 'S10',
  about: 'S2 spread over 1,000 partitions',
  run: async (bench) => {
    const few: Measured[] = [];
    const many: Measured[] = [];
    for (let i = 1; i <= bench.sizes.runs; i += 1) {
      few.push(await alone(bench, `s10-${i}-few`, INCOMPRESSIBLE_LOAD.partitions));
      many.push(await alone(bench, `s10-${i}-many`, bench.sizes.manyPartitions));
    }
    const ratios = ratiosOf(many.map(recordsPerSecond), few.map(recordsPerSecond));
    return {
      conditions: `${bench.sizes.manyPartitions.toLocaleString('en')} partitions, and 12 in turn; a new cluster each time`,
      figures: [
        { what: 'of S2', unit: ' x', digits: 2, values: ratios, goal: { atLeast: 0.5 } },
        { ...ratesOf(many), what: 'many partitions' },
        { ...ratesOf(few), what: '12 partitions' },
      ],
      parts: [
        { name: 'many partitions', measured: many },
        { name: '12 partitions', measured: few },
      ],
    };
  },
};
