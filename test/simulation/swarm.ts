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
  readonly safety: Micros;
  readonly faults: ReadonlySet<FaultKind>;
  /** Mean time between two faults. */
  readonly faultPeriod: Micros;
  /** Longest time until a fault is mended by itself. */
  readonly mendMax: Micros;
  /** Mean time between two client requests, over all groups. */
  readonly requestPeriod: Micros;
  readonly raft: RaftConfig;
  readonly network: NetworkOptions;
  readonly disk: DiskOptions;
  readonly truncatePeriod: Micros | undefined;
  readonly checkpointEntries: number;
  readonly clockDrift: boolean;
  /** Some topics put their syncs off: a power cut of a majority may take what they acknowledged. */
  readonly lazySync: boolean;
}

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
    safety: seconds(5),
    faults: new Set(),
    faultPeriod: seconds(1),
    mendMax: seconds(1),
    requestPeriod: ms(20),
    raft: DEFAULT_RAFT_CONFIG,
    network: PERFECT_NETWORK,
    disk: GOOD_DISK,
    truncatePeriod: undefined,
    checkpointEntries: 1_000,
    clockDrift: false,
    lazySync: false,
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

export function drawSwarm(prng: Prng): SwarmOptions {
  const faults = new Set<FaultKind>(FAULT_KINDS.filter(() => prng.chance(0.45)));
  // A damaged replica and a membership in motion may leave a group without a quorum for good.
  if (faults.has('damage') && faults.has('membership')) {
    faults.delete(prng.chance(0.5) ? 'membership' : 'damage');
  }
  const brokers = prng.chance(0.5) ? 3 : 5;
  const drawn = {
    brokers,
    groups: 1 + prng.int(4),
    safety: seconds(4 + prng.int(8)),
    faults,
    faultPeriod: ms(prng.pick([150, 400, 1_000, 2_500])),
    mendMax: ms(prng.pick([300, 1_500, 4_000])),
    requestPeriod: ms(prng.pick([5, 15, 40])),
    raft: drawRaft(prng),
    network: drawNetwork(prng, faults),
    disk: drawDisk(prng, faults),
    truncatePeriod: prng.chance(0.6) ? ms(prng.pick([200, 1_000])) : undefined,
    checkpointEntries: prng.pick([5, 40, 1_000]),
    clockDrift: prng.chance(0.5),
  };
  const lazySync = prng.chance(0.3);
  // A group that lost the ends of its logs waits for all its voters, and for what a log that is
  // damaged as a whole once held: it might wait for ever.
  if (lazySync) for (const kind of ['membership', 'damage'] as const) faults.delete(kind);
  return { ...drawn, lazySync };
}

function drawRaft(prng: Prng): RaftConfig {
  const isTight = prng.chance(0.4);
  return {
    ...DEFAULT_RAFT_CONFIG,
    electionTicks: prng.pick([6, 10, 20]),
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
