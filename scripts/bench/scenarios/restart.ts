import { statfsSync } from 'node:fs';

import type { BrokerProcess } from '../../lib/broker-process.js';
import { MillraceSystem } from '../millrace.js';
import type { Bench, Figure, Scenario } from './scenario.js';

const TOPIC = 's11';
const KIB = 1024;
const GIB = KIB ** 3;
/** Three replicas, and what LevelDB needs beside them. */
const DISK_PER_LOG = 3.4;
const IN_SYNC_MS_MAX = 120_000;

/** In seconds since the process was started. */
interface Restart {
  /** The broker says that it is ready. */
  readonly ready: number;
  /** Every leader has it in sync. */
  readonly inSync: number;
}

/** Waits until this broker is in sync with every leader, or with none of them. */
async function untilInSync(
  system: MillraceSystem,
  brokerId: number,
  wanted: boolean,
): Promise<void> {
  await system.until(
    TOPIC,
    (partitions) => {
      const others = partitions.filter(({ error, replicas }) => {
        const isInSync = replicas.some((r) => r.brokerId === brokerId && r.inSync);
        // Without an answer of its leader nothing is known.
        return error !== undefined || isInSync !== wanted;
      });
      if (others.length === 0) return undefined;
      const what = wanted ? 'do not have' : 'still have';
      return `${others.length} partitions ${what} broker ${brokerId} in sync`;
    },
    IN_SYNC_MS_MAX,
  );
}

async function restart(
  system: MillraceSystem,
  broker: BrokerProcess,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<Restart> {
  await broker.kill(signal);
  // What leaders knew of it before must not count as its return.
  await untilInSync(system, broker.id, false);
  const startedAt = performance.now();
  broker.start();
  await broker.ready(IN_SYNC_MS_MAX);
  const ready = (performance.now() - startedAt) / 1000;
  await untilInSync(system, broker.id, true);
  return { ready, inSync: (performance.now() - startedAt) / 1000 };
}

async function fill(bench: Bench, system: MillraceSystem): Promise<void> {
  const { logGibibytes, logReplicas } = bench.sizes;
  const { bavail, bsize } = statfsSync(system.cluster.dir);
  const needed = logGibibytes * GIB * DISK_PER_LOG;
  if (bavail * bsize < needed) {
    throw new Error(
      `needs ${(needed / GIB).toFixed(1)} GiB of disk in ${system.cluster.dir}; --log-gb takes less`,
    );
  }
  bench.say(`s11: writing ${logGibibytes} GiB to each broker`);
  await system.create(TOPIC, logReplicas);
  await system.run({
    ...{ kind: 'fill', topic: TOPIC, partitions: logReplicas, compression: 'none' },
    ...{ batchBytes: 256 * KIB, lingerMs: 20, values: { kind: 'random', bytes: KIB } },
    records: Math.round((logGibibytes * GIB) / KIB),
  });
}

export const S11: Scenario = {
  id: 'S11',
  about: 'broker restart with 10 GiB of log, 100 replicas',
  run: async (bench) =>
    await bench.using(
      () => MillraceSystem.start(),
      async (system) => {
        await fill(bench, system);
        const broker = system.cluster.broker(1);
        const stopped: Restart[] = [];
        const killed: Restart[] = [];
        for (let i = 1; i <= bench.sizes.runs; i += 1) {
          const one = await restart(system, broker, 'SIGTERM');
          stopped.push(one);
          bench.say(
            `s11-${i} stopped: ready ${one.ready.toFixed(2)} s, in sync ${one.inSync.toFixed(2)} s`,
          );
          const other = await restart(system, broker, 'SIGKILL');
          killed.push(other);
          bench.say(
            `s11-${i} killed: ready ${other.ready.toFixed(2)} s, in sync ${other.inSync.toFixed(2)} s`,
          );
        }
        const figure = (what: string, values: readonly number[]): Figure => ({
          ...{ what, unit: ' s', digits: 2, values },
        });
        const goal = { atMost: 3 };
        return {
          conditions:
            `${bench.sizes.logGibibytes} GiB and ${bench.sizes.logReplicas} replicas a broker; from the start of the process until it is ready, ` +
            'and until every leader has it in sync',
          figures: [
            {
              ...figure(
                'stopped: in sync',
                stopped.map((r) => r.inSync),
              ),
              goal,
            },
            {
              ...figure(
                'killed: in sync',
                killed.map((r) => r.inSync),
              ),
              goal,
            },
            figure(
              'stopped: ready',
              stopped.map((r) => r.ready),
            ),
            figure(
              'killed: ready',
              killed.map((r) => r.ready),
            ),
          ],
          parts: [],
        };
      },
    ),
};
