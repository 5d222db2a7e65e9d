import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { Measured } from '../drive.js';
import { logLines } from '../driver/log-lines.js';
import { MillraceSystem } from '../millrace.js';
import type { Durability, Peer } from '../peers/peer.js';
import type { System } from '../system.js';
import { latencyRun, offeredJob, oneByOneJob } from './latency.js';
import {
  type Bench,
  type Figure,
  type Outcome,
  ratiosOf,
  recordsPerSecond,
  type Scenario,
} from './scenario.js';
import { INCOMPRESSIBLE_LOAD, logLoad, produceRun } from './throughput.js';

export type FoundPeer = Peer | { readonly absent: string };

const DURABILITIES: readonly Durability[] = ['fsync', 'default'];

interface Workload {
  readonly id: string;
  readonly run: (bench: Bench, system: System, topic: string) => Promise<Measured>;
  /** What is compared, and whether more of it is better. */
  readonly of: (measured: Measured) => number;
  readonly what: string;
  readonly moreIsBetter: boolean;
}

const p50 = (measured: Measured): number => measured.latencyMs.p50;
const p99 = (measured: Measured): number => measured.latencyMs.p99;

const throughput = { of: recordsPerSecond, what: 'records/s', moreIsBetter: true } as const;

const WORKLOADS: readonly Workload[] = [
  {
    id: 'S1',
    ...throughput,
    run: (bench, system, topic) => produceRun(bench, system, topic, logLoad(bench)),
  },
  {
    id: 'S2',
    ...throughput,
    run: (bench, system, topic) => produceRun(bench, system, topic, INCOMPRESSIBLE_LOAD),
  },
  {
    id: 'S5',
    of: p50,
    what: 'p50 ms',
    moreIsBetter: false,
    run: (bench, system, topic) => latencyRun(bench, system, oneByOneJob(bench, topic)),
  },
  {
    id: 'S6',
    of: p50,
    what: 'p50 ms',
    moreIsBetter: false,
    run: (bench, system, topic) => latencyRun(bench, system, offeredJob(bench, topic)),
  },
];

/** One thing that takes part, and what it did: by workload, one a round. */
interface Contestant {
  readonly name: string;
  readonly durability: Durability;
  readonly start: () => Promise<System>;
  readonly results: Map<string, Measured[]>;
}

function contestantsOf(bench: Bench, peers: readonly FoundPeer[]): Contestant[] {
  const millrace: Contestant = {
    ...{ name: 'Millrace', durability: 'fsync', results: new Map() },
    start: () => MillraceSystem.start(),
  };
  const others = peers.flatMap((peer): Contestant[] => {
    if ('absent' in peer) {
      bench.say(`skipped: ${peer.absent}`);
      return [];
    }
    return DURABILITIES.flatMap((durability): Contestant[] => {
      const start = peer.start(durability);
      if (typeof start === 'function') {
        return [{ name: `${peer.name} ${durability}`, durability, start, results: new Map() }];
      }
      bench.say(`skipped: ${start.absent}`);
      return [];
    });
  });
  return [millrace, ...others];
}

/** One system at a time, as the others would cost it something; all of them in every round. */
async function round(bench: Bench, i: number, contestants: readonly Contestant[]): Promise<void> {
  for (const { start, results } of contestants) {
    await bench.using(start, async (system) => {
      for (const { id, run } of WORKLOADS) {
        const measured = await run(bench, system, `${id.toLowerCase()}-${i}`);
        results.set(id, [...(results.get(id) ?? []), measured]);
      }
    });
  }
}

function figuresOf(
  workload: Workload,
  millrace: Contestant,
  others: readonly Contestant[],
): Figure[] {
  const { id, of, what, moreIsBetter } = workload;
  const valuesOf = ({ results }: Contestant, figure = of): number[] =>
    (results.get(id) ?? []).map(figure);
  const own = valuesOf(millrace);
  const shown = (contestant: Contestant): Figure[] => [
    {
      ...{ what: `${id} ${contestant.name}, ${what}`, unit: '', digits: moreIsBetter ? 0 : 2 },
      values: valuesOf(contestant),
    },
    ...(moreIsBetter
      ? []
      : [
          {
            ...{ what: `${id} ${contestant.name}, p99 ms`, unit: '', digits: 2 },
            values: valuesOf(contestant, p99),
          },
        ]),
  ];
  const ratio = (other: Contestant): Figure => {
    const theirs = valuesOf(other);
    const values = moreIsBetter ? ratiosOf(own, theirs) : ratiosOf(theirs, own);
    return {
      ...{ what: `${id} ahead of ${other.name}`, unit: ' x', digits: 2, values },
      // Their defaults acknowledge what no disk has: the ratio is told, and nothing hoped of it.
      ...(other.durability === 'fsync' ? { goal: { atLeast: 1 } } : {}),
    };
  };
  return [...others.map(ratio), ...[millrace, ...others].flatMap(shown)];
}

/** Lines that are made up lie in a file here, so that every client cuts the same. */
async function withLines<T>(bench: Bench, run: (bench: Bench) => Promise<T>): Promise<T> {
  if (bench.valueFiles.length > 0) return await run(bench);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-lines-'));
  const folder = { stop: async () => await rm(dir, { recursive: true, force: true }) };
  return await bench.using(
    () => Promise.resolve(folder),
    async () => {
      const file = path.join(dir, 'lines.log');
      writeFileSync(file, logLines());
      return await run({ ...bench, valueFiles: [file] });
    },
  );
}

/** S12 against these peers; those that are absent are skipped, and it is said how to get them. */
export function peersScenario(peers: readonly FoundPeer[]): Scenario {
  return {
    id: 'S12',
    about: 'against others in the same run: S1, S2, S5, S6',
    run: async (bench): Promise<Outcome> => {
      const contestants = contestantsOf(bench, peers);
      const [millrace, ...others] = contestants;
      if (millrace === undefined || others.length === 0) {
        throw new Error('no peer is installed; see above');
      }
      await withLines(bench, async (given) => {
        for (let i = 1; i <= bench.sizes.runs; i += 1) await round(given, i, contestants);
      });
      return {
        conditions:
          'three servers each, three replicas of everything, the same values and topics of 12 partitions; Millrace with an fsync before every ' +
          'acknowledgement, the others with it (fsync) and as they come (default); a system at a time, all of them in every round; ' +
          'ahead: how many times as many records, or how many times as long the other takes',
        figures: WORKLOADS.flatMap((workload) => figuresOf(workload, millrace, others)),
        parts: contestants.flatMap(({ name, results }) =>
          [...results].map(([id, measured]) => ({ name: `${id} ${name}`, measured })),
        ),
      };
    },
  };
}
