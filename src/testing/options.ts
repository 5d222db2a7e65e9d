import { CONFIG_DEFAULTS } from '../config/defaults.js';
import { CONFIG_KEYS } from '../config/keys.js';
import type { BrokerConfig } from '../config/schema.js';
import { BrokerError } from '../model/errors.js';

/** More would tell a test nothing, and hold up the process that they share. */
const BROKERS_MAX = 15;
const READY_WITHIN_MS_MAX = 600_000;

/** What the cluster decides itself: which broker is which, where it listens, where its data is. */
const OWN_KEYS = [
  'brokerId',
  'dataDir',
  'host',
  'advertisedHost',
  'clientPort',
  'peerPort',
  'advertisedClientPort',
  'advertisedPeerPort',
  'httpPort',
  'founders',
  'seeds',
  'rack',
  'storeMemoryBytes',
  'diskFreeMinBytes',
  'diskFreeHandOverBytes',
] as const satisfies readonly (keyof BrokerConfig)[];

/** Settings of a broker (`src/config/schema.ts` has them all) that are a test's to choose. */
export type TestBrokerSettings = Partial<Omit<BrokerConfig, (typeof OWN_KEYS)[number]>>;

/** How many brokers, and with what settings. */
export interface TestClusterOptions {
  /** How many, with the ids 1, 2, … Default: 3. */
  readonly brokers?: number | undefined;
  /** Racks that the brokers stand in, in turn. Default: none. */
  readonly racks?: readonly string[] | undefined;
  /**
   * Of every broker, over the defaults of {@link TEST_SETTINGS}. Elections take
   * `raftTickMs * raftElectionTicks` to twice that: raise `raftTickMs` on machines that stall.
   */
  readonly settings?: TestBrokerSettings | undefined;
  /** How long the cluster, and a leader that is looked for, may take. Default: 15,000. */
  readonly readyWithinMs?: number | undefined;
  /**
   * Gets every line that the brokers log, as JSON. How much that is, `settings.logLevel` says;
   * default: `warn`. Without it nothing is logged.
   */
  readonly log?: ((line: string) => void) | undefined;
}

/** Quicker than in production: everything is on one machine, and tests wait for it. */
export const TEST_SETTINGS = {
  raftTickMs: 10,
  raftElectionTicks: 20,
  raftHeartbeatTicks: 2,
  retentionCheckMs: 250,
  brokerHeartbeatMs: 100,
  brokerSessionMs: 2_000,
  drainMs: 1_000,
  reflection: false,
  logLevel: 'warn',
} as const satisfies TestBrokerSettings;

/** Options as they hold, checked. */
export interface ClusterPlan {
  readonly configs: readonly BrokerConfig[];
  readonly readyWithinMs: number;
  readonly log: ((line: string) => void) | undefined;
}

/** Throws INVALID_ARGUMENT, naming the option. */
export async function planOf(options: TestClusterOptions): Promise<ClusterPlan> {
  check(isObject(options), 'want an object of options');
  const known = ['brokers', 'racks', 'settings', 'readyWithinMs', 'log'];
  for (const key of Object.keys(options)) {
    check(known.includes(key), `${key}: unknown option, want ${known.join(', ')}`);
  }
  const { brokers = 3, racks = [], settings = {}, readyWithinMs = 15_000, log } = options;
  check(
    Number.isInteger(brokers) && brokers >= 1 && brokers <= BROKERS_MAX,
    `brokers: want 1 to ${BROKERS_MAX}, not ${String(brokers)}`,
  );
  check(
    Number.isFinite(readyWithinMs) && readyWithinMs > 0 && readyWithinMs <= READY_WITHIN_MS_MAX,
    `readyWithinMs: want 1 to ${READY_WITHIN_MS_MAX}, not ${String(readyWithinMs)}`,
  );
  check(log === undefined || typeof log === 'function', 'log: want a function that takes a line');
  check(Array.isArray(racks), 'racks: want a list of names');
  check(isObject(settings), 'settings: want an object');
  for (const key of OWN_KEYS) {
    check(!(key in settings), `settings.${key}: the cluster decides it itself`);
  }
  for (const key of Object.keys(settings)) {
    check((CONFIG_KEYS as readonly string[]).includes(key), `settings.${key}: no such setting`);
  }
  const ids = Array.from({ length: brokers }, (_, at) => at + 1);
  const isPlain = Object.keys(settings).length === 0 && racks.length === 0;
  const configs = isPlain ? ids.map(plainConfigOf) : await configsOf(ids, settings, racks);
  return { configs, readyWithinMs, log };
}

/** What is the cluster's to say. */
function ownConfigOf(brokerId: number) {
  return {
    brokerId,
    // Never opened: the store is in memory.
    dataDir: 'memory',
    ...{ clientPort: 0, peerPort: 0, httpPort: 0 },
    diskFreeMinBytes: 0,
  } as const satisfies Partial<BrokerConfig>;
}

/** Nothing of the user's is in it that would have to be checked. */
function plainConfigOf(brokerId: number): BrokerConfig {
  return {
    ...CONFIG_DEFAULTS,
    ...{ founders: [], seeds: [], assignors: [] },
    ...TEST_SETTINGS,
    ...ownConfigOf(brokerId),
  };
}

/** Checking takes a library that needs a tenth of a second to load: only who has settings waits for it. */
async function configsOf(
  ids: readonly number[],
  settings: TestBrokerSettings,
  racks: readonly string[],
): Promise<readonly BrokerConfig[]> {
  const { ConfigError, loadConfig } = await import('../config/load.js');
  try {
    return ids.map((id, at) => {
      const rack = racks[at % Math.max(1, racks.length)];
      const byKey = { ...TEST_SETTINGS, ...settings, rack, ...ownConfigOf(id) };
      return loadConfig({ values: { byKey, origin: 'in settings' } });
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw invalid(`settings.${error.message}`, error);
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function check(holds: boolean, text: string): void {
  if (!holds) throw invalid(text);
}

function invalid(text: string, cause?: unknown): BrokerError {
  return new BrokerError('INVALID_ARGUMENT', `startCluster: ${text}`, {}, { cause });
}
