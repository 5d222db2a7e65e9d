import type { Prng } from '../../src/base/prng.js';
import { DEFAULT_RAFT_CONFIG, type RaftConfig } from '../../src/raft/config.js';
import { GOOD_DISK, type DiskOptions } from './disk-replica.js';
import { PERFECT_NETWORK, type NetworkOptions } from './network.js';
import { ms, seconds, type Micros } from './world.js';

/** Every kind of fault the simulator knows; a seed draws which of them it has. */
export const FAULT_KINDS = [
  'kill',
  'powerCut',
  'killAll',
  'restart',
  'pause',
  'isolate',
  'split',
  'oneWay',
  'wallJump',
  'slowDisk',
  'syncError',
  'damage',
  'transfer',
  'membership',
  'drop',
  'duplicate',
  'reorder',
  'falseHint',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What a seed has drawn: swarm testing (Groce et al. 2012) finds more when runs differ in kind. */
export interface SwarmOptions {
  readonly brokers: number;
  readonly groups: number;
  /** How many times slower than in a dense run programs do what they do over and over. */
  readonly pace: number;
  readonly tickMs: number;
  readonly safety: Micros;
  readonly faults: ReadonlySet<FaultKind>;
  /** Mean time between two faults. */
  readonly faultPeriod: Micros;
  /** Longest time until a fault is mended by itself. */
  readonly mendMax: Micros;
  /** Mean time between two client requests, over all groups. */
  readonly requestPeriod: Micros;
  readonly raft: RaftConfig;
  /** As in the host's tuning; 0: groups never sleep. */
  readonly quiesceAfterTicks: number;
  readonly network: NetworkOptions;
  readonly disk: DiskOptions;
  readonly truncatePeriod: Micros | undefined;
  readonly checkpointEntries: number;
  readonly clockDrift: boolean;
  /** Some topics put their syncs off: a power cut of a majority may take what they acknowledged. */
  readonly lazySync: boolean;
  /** Whole brokers: clients compare and append by key. */
  readonly comparesByKey: boolean;
  /** Whole brokers: a topic gets more partitions while it is in use. */
  readonly addsPartitions: boolean;
}

type Tempo = Pick<
  SwarmOptions,
  | 'groups'
  | 'pace'
  | 'tickMs'
  | 'safety'
  | 'faultPeriod'
  | 'mendMax'
  | 'requestPeriod'
  | 'truncatePeriod'
>;

/** Faults that are a property of links and disks for the whole run, not events. */
const AMBIENT: readonly FaultKind[] = [
  'drop',
  'duplicate',
  'reorder',
  'falseHint',
  'slowDisk',
  'syncError',
];

export function isAmbient(kind: string): boolean {
  return AMBIENT.includes(kind as FaultKind);
}

/** No faults, quick links and disks: what a scenario starts from and changes on purpose. */
export function calmSwarm(changes: Partial<SwarmOptions> = {}): SwarmOptions {
  return {
    brokers: 3,
    groups: 1,
    pace: 1,
    tickMs: 50,
    safety: seconds(5),
    faults: new Set(),
    faultPeriod: seconds(1),
    mendMax: seconds(1),
    requestPeriod: ms(20),
    raft: DEFAULT_RAFT_CONFIG,
    quiesceAfterTicks: 20,
    network: PERFECT_NETWORK,
    disk: GOOD_DISK,
    truncatePeriod: undefined,
    checkpointEntries: 1_000,
    clockDrift: false,
    lazySync: false,
    comparesByKey: false,
    addsPartitions: false,
    ...changes,
  };
}

/** The same without some kinds of faults, those of links and disks included. */
export function withoutFaults(
  swarm: SwarmOptions,
  lacks: (kind: FaultKind) => boolean,
): SwarmOptions {
  const { network, disk } = swarm;
  const unless = (kind: FaultKind, chance: number): number => (lacks(kind) ? 0 : chance);
  return {
    ...swarm,
    network: {
      ...network,
      straggleChance: unless('reorder', network.straggleChance),
      dropChance: unless('drop', network.dropChance),
      duplicateChance: unless('duplicate', network.duplicateChance),
      falseHintChance: unless('falseHint', network.falseHintChance),
    },
    disk: {
      ...disk,
      slowSyncChance: unless('slowDisk', disk.slowSyncChance),
      syncErrorChance: unless('syncError', disk.syncErrorChance),
    },
  };
}

export function drawSwarm(prng: Prng, hasWholeBrokers: boolean): SwarmOptions {
  const faults = new Set<FaultKind>(FAULT_KINDS.filter(() => prng.chance(0.45)));
  // A damaged replica and a membership in motion may leave a group without a quorum for good.
  if (faults.has('damage') && faults.has('membership')) {
    faults.delete(prng.chance(0.5) ? 'membership' : 'damage');
  }
  const brokers = prng.chance(0.7) ? 3 : 5;
  const tempo = drawTempo(prng, hasWholeBrokers);
  const drawn = {
    ...tempo,
    brokers,
    faults,
    raft: drawRaft(prng, tempo.tickMs),
    // Short, so that groups fall asleep between two requests.
    quiesceAfterTicks: prng.pick([0, 1, 2, 6]),
    network: drawNetwork(prng, faults),
    disk: drawDisk(prng, faults),
    checkpointEntries: prng.pick([5, 40, 1_000]),
    clockDrift: prng.chance(0.5),
  };
  const lazySync = prng.chance(0.3);
  // A group that lost the ends of its logs waits for all its voters, and for what a log that is
  // damaged as a whole once held: it might wait for ever.
  if (lazySync) for (const kind of ['membership', 'damage'] as const) faults.delete(kind);
  // Drawn last, so that a seed which has none of it runs as it did before there was any.
  const comparesByKey = prng.chance(0.35);
  return { ...drawn, lazySync, comparesByKey, addsPartitions: prng.chance(0.25) };
}

/**
 * Most runs are calm, and most of these long: faults have time to work themselves out, and others strike what is left
 * of the earlier ones. The rest is short and dense, where everything meets everything at once.
 */
function drawTempo(prng: Prng, hasWholeBrokers: boolean): Tempo {
  if (prng.chance(0.3)) {
    return {
      groups: 1 + prng.int(4),
      pace: 1,
      tickMs: 50,
      safety: seconds(2) + prng.int(seconds(6)),
      faultPeriod: ms(prng.pick([150, 400, 1_000, 2_500])),
      mendMax: ms(prng.pick([300, 1_500, 4_000])),
      requestPeriod: ms(prng.pick([5, 15, 40])),
      truncatePeriod: prng.chance(0.6) ? ms(prng.pick([200, 1_000])) : undefined,
    };
  }
  const tickMs = prng.pick([100, 200, 300]);
  // A minute of whole brokers takes as long as ten of Raft groups: fewer of their runs are that long.
  const isShortened = hasWholeBrokers && prng.chance(0.75);
  return {
    groups: 1 + prng.int(2),
    pace: prng.pick([5, 10, 20]),
    tickMs,
    safety: isShortened ? seconds(12) + prng.int(seconds(15)) : seconds(60) + prng.int(seconds(30)),
    faultPeriod: ms(prng.pick(isShortened ? [1_000, 2_000, 4_000] : [2_000, 5_000, 10_000])),
    mendMax: ms(prng.pick([1_000, 4_000, 12_000])),
    requestPeriod: ms(prng.pick([150, 400, 1_000])),
    truncatePeriod: prng.chance(0.6) ? ms(prng.pick([2_000, 8_000])) : undefined,
  };
}

/** No election timeout is longer than this, twice over: a healed quorum has to serve in time. */
const ELECTION_MS_MAX = 2_000;

function drawRaft(prng: Prng, tickMs: number): RaftConfig {
  const isTight = prng.chance(0.4);
  const electionTicks = prng.pick([6, 10, 20].filter((n) => n * tickMs <= ELECTION_MS_MAX));
  return {
    ...DEFAULT_RAFT_CONFIG,
    electionTicks,
    // As often as in production, or as seldom as an election timeout allows.
    heartbeatTicks: prng.chance(0.5)
      ? DEFAULT_RAFT_CONFIG.heartbeatTicks
      : (electionTicks >> 1) - 1,
    appendBytesMax: prng.pick([300, 2_000, DEFAULT_RAFT_CONFIG.appendBytesMax]),
    inflightMax: isTight ? prng.pick([1, 2, 4]) : DEFAULT_RAFT_CONFIG.inflightMax,
    inflightBytesMax: isTight ? 4_000 : DEFAULT_RAFT_CONFIG.inflightBytesMax,
    uncommittedBytesMax: isTight ? 6_000 : DEFAULT_RAFT_CONFIG.uncommittedBytesMax,
  };
}

function drawNetwork(prng: Prng, faults: ReadonlySet<FaultKind>): NetworkOptions {
  const delayMax = ms(prng.pick([0.5, 5, 30]));
  return {
    ...PERFECT_NETWORK,
    delayMin: Math.round(delayMax / 10),
    delayMax,
    straggleChance: faults.has('reorder') ? prng.pick([0.02, 0.1, 0.3]) : 0,
    dropChance: faults.has('drop') ? prng.pick([0.01, 0.05, 0.2]) : 0,
    duplicateChance: faults.has('duplicate') ? prng.pick([0.02, 0.1, 0.3]) : 0,
    hasHints: prng.chance(0.7),
    falseHintChance: faults.has('falseHint') ? 0.002 : 0,
    crossesLives: prng.chance(0.5),
    encodes: prng.chance(0.3),
  };
}

function drawDisk(prng: Prng, faults: ReadonlySet<FaultKind>): DiskOptions {
  return {
    ...GOOD_DISK,
    writeMax: prng.pick([50, ms(2)]),
    syncMax: prng.pick([300, ms(5), ms(40)]),
    slowSyncChance: faults.has('slowDisk') ? prng.pick([0.02, 0.1, 0.3]) : 0,
    slowSyncMax: ms(prng.pick([200, 1_500])),
    syncErrorChance: faults.has('syncError') ? 0.005 : 0,
  };
}
