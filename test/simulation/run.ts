import { Prng } from '../../src/base/prng.js';
import { BrokerRun } from './broker-run.js';
import { FaultList, type Strike } from './fault-list.js';
import { MEMBER_FAULTS } from './group-load.js';
import { RaftRun } from './raft-run.js';
import { drawSwarm, withoutFaults } from './swarm.js';
import { Chronicle, type TimedNote } from './timeline.js';
import { Violation } from './violation.js';
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
  /** Which invariant broke, or what else ended the run; equal for equal failures. */
  readonly failure: string | undefined;
  readonly strikes: readonly Strike[];
  /** Kinds of faults that this run had. */
  readonly kinds: readonly string[];
  readonly notes: readonly TimedNote[];
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
  /** Faults, or kinds of faults, to leave out: names as in the result's strikes. */
  readonly without?: ReadonlySet<string> | undefined;
  /** Collects what happens, in few words. */
  readonly hasChronicle?: boolean | undefined;
  /** One line for everything that happens. */
  readonly narrator?: ((line: string) => void) | undefined;
}

/** Whole brokers take several times as long to run: most seeds have Raft groups alone. */
const RAFT_SHARE = 0.85;

/** What a seed draws where nobody asks for a level. */
export function levelOf(seed: number): Level {
  return drawLevel(new Prng(seed));
}

function drawLevel(prng: Prng): Level {
  return prng.chance(RAFT_SHARE) ? 'raft' : 'broker';
}

/** Runs one seed in this thread; only one at a time, as promises of two would mix. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const startedAt = performance.now();
  const scheduler = new Scheduler();
  scheduler.narrator = options.narrator;
  const prng = new Prng(seed);
  const drawn = drawLevel(prng);
  const level = options.level ?? drawn;
  const faults = new FaultList(scheduler, options.without);
  const swarm = withoutFaults(drawSwarm(prng.fork(), level === 'broker'), (kind) =>
    faults.lacks(kind),
  );
  const chronicle = new Chronicle(() => scheduler.now);
  if (options.hasChronicle === true) scheduler.chronicle = chronicle;
  const run =
    level === 'raft'
      ? new RaftRun(scheduler, prng.fork(), swarm, faults)
      : new BrokerRun(scheduler, prng.fork(), swarm, faults);
  const onRejection = (error: unknown): void => scheduler.fail(error);
  process.on('unhandledRejection', onRejection);
  let error: string | undefined;
  let failure: string | undefined;
  try {
    await run.run();
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    failure = thrown instanceof Violation ? thrown.invariant : (error.split('\n')[0] ?? error);
    chronicle.note({ lane: 'run', kind: 'failure', text: error.split('\n')[0] ?? error });
  } finally {
    process.off('unhandledRejection', onRejection);
  }
  return {
    seed,
    level,
    ok: error === undefined,
    hash: scheduler.hash.digest(),
    error,
    failure,
    strikes: faults.strikes,
    kinds: [...swarm.faults, ...MEMBER_FAULTS].filter((kind) => !faults.lacks(kind)),
    notes: chronicle.notes,
    events: scheduler.eventsRun,
    simulatedMs: Math.round(scheduler.now / 1_000),
    wallMs: performance.now() - startedAt,
    ...run.counts(),
  };
}
