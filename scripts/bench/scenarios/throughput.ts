import type { Measured } from '../drive.js';
import type { ProduceJob } from '../driver/job.js';
import { runFloor } from '../floor.js';
import { MillraceSystem } from '../millrace.js';
import type { System } from '../system.js';
import {
  type Bench,
  mebibytesPerSecond,
  type Outcome,
  ratesOf,
  ratiosOf,
  recordsPerSecond,
  type Scenario,
} from './scenario.js';

/** What a produce scenario says of its job; the rest is the same for all. */
export type Load = Pick<
  ProduceJob,
  'partitions' | 'values' | 'batchBytes' | 'lingerMs' | 'compression'
>;

const KIB = 1024;
const PARTITIONS = 12;
const RECORD_BYTES = 100;
/** Batches are as large as the client itself makes them. */
const BULK = { lingerMs: 20 } as const;

/** S1: 100 bytes cut from log lines. */
export function logLoad({ valueFiles }: Pick<Bench, 'valueFiles'>): Load {
  const values = { kind: 'log', bytes: RECORD_BYTES, files: valueFiles } as const;
  return { ...BULK, values, partitions: PARTITIONS, compression: 'lz4' };
}

/** S2: 100 bytes that no codec shrinks. */
export const INCOMPRESSIBLE_LOAD: Load = {
  ...BULK,
  values: { kind: 'random', bytes: RECORD_BYTES },
  partitions: PARTITIONS,
  compression: 'none',
};

const KIB_LOAD: Load = { ...INCOMPRESSIBLE_LOAD, values: { kind: 'random', bytes: KIB } };

const SMALL_BATCH_LOAD: Load = {
  ...KIB_LOAD,
  batchBytes: 16 * KIB,
  partitions: 48,
};

/** One run over a topic of its own, which is gone afterwards. */
export async function produceRun(
  bench: Bench,
  system: System,
  topic: string,
  load: Load,
): Promise<Measured> {
  const { seconds, warmupSeconds } = bench.sizes;
  await system.create(topic, load.partitions);
  const measured = await system.run({
    ...{ kind: 'produce', topic, seconds, warmupSeconds },
    ...load,
  });
  await system.drop(topic);
  bench.say(
    `${topic} ${system.name}: ${Math.round(recordsPerSecond(measured)).toLocaleString('en')} records/s, ` +
      `${mebibytesPerSecond(measured).toFixed(1)} MiB/s`,
  );
  return measured;
}

function batchesOf({ batchBytes }: Load): string {
  return batchBytes === undefined ? "of the client's choice" : `of ${batchBytes / KIB} KiB`;
}

async function besideFloor(
  bench: Bench,
  id: string,
  load: Load,
  floor: { readonly batchBytes: number; readonly atLeast: number; readonly mebibytes: number },
): Promise<Outcome> {
  return await bench.using(
    () => MillraceSystem.start(),
    async (system) => {
      const measured: Measured[] = [];
      const floors: number[] = [];
      for (let i = 1; i <= bench.sizes.runs; i += 1) {
        measured.push(await produceRun(bench, system, `${id}-${i}`, load));
        const { mebibytesPerSecond: rate } = await runFloor({
          totalMebibytes: floor.mebibytes,
          batchBytes: floor.batchBytes,
          partitions: load.partitions,
        });
        floors.push(rate);
        bench.say(`${id}-${i} bare pipeline: ${rate.toFixed(1)} MiB/s`);
      }
      const ratios = ratiosOf(measured.map(mebibytesPerSecond), floors);
      return {
        conditions:
          `values of ${load.values.bytes} bytes, batches ${batchesOf(load)}, ` +
          `${load.partitions} partitions; the bare pipeline with batches of ${floor.batchBytes / KIB} KiB`,
        figures: [
          {
            ...{ what: 'beside the bare pipeline', unit: ' x', digits: 2, values: ratios },
            goal: { atLeast: floor.atLeast },
          },
          ratesOf(measured),
          {
            ...{ what: 'values', unit: ' MiB/s', digits: 1 },
            values: measured.map(mebibytesPerSecond),
          },
          { what: 'bare pipeline', unit: ' MiB/s', digits: 1, values: floors },
        ],
        parts: [{ name: 'produce', measured }],
      };
    },
  );
}

export const S1: Scenario = {
  id: 'S1',
  about:
    '100-byte records cut from log lines, built and batched inside the timing, LZ4, 12 partitions',
  run: async (bench) => {
    const load = logLoad(bench);
    return await bench.using(
      () => MillraceSystem.start(),
      async (system) => {
        const measured: Measured[] = [];
        for (let i = 1; i <= bench.sizes.runs; i += 1) {
          measured.push(await produceRun(bench, system, `s1-${i}`, load));
        }
        const { valueFiles } = bench;
        const ratio = measured[0]?.compressionRatio ?? Number.NaN;
        return {
          conditions: `${valueFiles.length === 0 ? 'lines made up' : 'lines of files'}; LZ4 sends a ${ratio.toFixed(1)}th of the values`,
          figures: [
            ratesOf(measured, { atLeast: 1_000_000 }),
            {
              ...{ what: 'values', unit: ' MiB/s', digits: 1 },
              values: measured.map(mebibytesPerSecond),
            },
          ],
          parts: [{ name: 'produce', measured }],
        };
      },
    );
  },
};

/** Beside the bare pipeline at the size of batches at which that is fastest. */
function atItsBest(id: string, about: string, load: Load): Scenario {
  return {
    ...{ id, about },
    run: async (bench) => {
      const mebibytes = bench.sizes.floorMebibytes;
      const floor = { batchBytes: bench.floors.bestBatchBytes, atLeast: 0.9, mebibytes };
      return await besideFloor(bench, id.toLowerCase(), load, floor);
    },
  };
}

export const S2 = atItsBest(
  'S2',
  '100-byte incompressible records, 12 partitions',
  INCOMPRESSIBLE_LOAD,
);

export const S3 = atItsBest('S3', '1 KiB incompressible records, 12 partitions', KIB_LOAD);

export const S4: Scenario = {
  id: 'S4',
  about: '16 KiB batches over 48 partitions, uncompressed',
  run: async (bench) => {
    const mebibytes = bench.sizes.floorMebibytesOfSmallBatches;
    const floor = { batchBytes: 16 * KIB, atLeast: 2, mebibytes };
    return await besideFloor(bench, 's4', SMALL_BATCH_LOAD, floor);
  },
};
