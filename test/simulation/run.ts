import { Prng } from '../../src/base/prng.js';
import { BrokerRun } from './broker-run.js';
import { RaftRun } from './raft-run.js';
import { drawSwarm } from './swarm.js';
import { Scheduler } from './world.js';

/** What runs on the simulated brokers: Raft groups alone, or whole brokers with their clients. */
export type Level = 'raft' | 'broker';

export interface RunResult {
  readonly seed: number;
  readonly level: Level;
  readonly ok: boolean;
  /** Equal for equal seeds: everything that happened, in order. */
  readonly hash: string;
  readonly error: string | undefined;
  readonly events: number;
  readonly simulatedMs: number;
  readonly wallMs: number;
  readonly leaderChanges: number;
  readonly requests: number;
  readonly acked: number;
  readonly committed: number;
  readonly faults: Readonly<Record<string, number>>;
}

export interface RunOptions {
  /** Drawn from the seed unless given. */
  readonly level?: Level | undefined;
  /** One line for everything that happens. */
  readonly narrator?: ((line: string) => void) | undefined;
}

/** Runs one seed in this thread; only one at a time, as promises of two would mix. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const startedAt = performance.now();
  const scheduler = new Scheduler();
  scheduler.narrator = options.narrator;
  const prng = new Prng(seed);
  const drawn: Level = prng.chance(0.5) ? 'raft' : 'broker';
  const level = options.level ?? drawn;
  const swarm = drawSwarm(prng.fork());
  const run =
    level === 'raft'
      ? new RaftRun(scheduler, prng.fork(), swarm)
      : new BrokerRun(scheduler, prng.fork(), swarm);
  const onRejection = (error: unknown): void => scheduler.fail(error);
  process.on('unhandledRejection', onRejection);
  let error: string | undefined;
  try {
    await run.run();
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  } finally {
    process.off('unhandledRejection', onRejection);
  }
  return {
    seed,
    level,
    ok: error === undefined,
    hash: scheduler.hash.digest(),
    error,
    events: scheduler.eventsRun,
    simulatedMs: Math.round(scheduler.now / 1_000),
    wallMs: performance.now() - startedAt,
    ...run.counts(),
  };
}
