import { HttpListener } from '../api/http/listener.js';
import { ClientServer } from '../api/grpc/server.js';
import type { Crc32c } from '../base/crc32c.js';
import { Codecs } from '../client/compression/codecs.js';
import { createBroker } from '../broker/broker.js';
import { createPartitionFloor } from '../broker/partition-floor.js';
import {
  DEFAULT_BROKER_SETTINGS,
  type Broker,
  type BrokerHealth,
  type BrokerOptions,
  type BrokerServices,
} from '../broker/types.js';
import { systemWorld } from '../client/system-world.js';
import type { BrokerConfig, PeerSetting } from '../config/schema.js';
import { createMultiRaft } from '../host/multi-raft.js';
import type { MultiRaft } from '../host/raft-group.js';
import type { Assignors } from '../metadata/assignors/assignors.js';
import { brokerId, type BrokerId } from '../model/ids.js';
import { checkLimits, LIMITS } from '../model/limits.js';
import type { BrokerIdentity, BrokerStore } from '../ports/log-store.js';
import type { PeerAddress, PeerCaller, PeerDirectory, Transport } from '../ports/transport.js';
import type { World } from '../ports/world.js';
import { DEFAULT_RAFT_CONFIG } from '../raft/config.js';
import { createRaftNode } from '../raft/raft-core.js';
import { PeerTransport } from '../rpc/peer-transport.js';
import type { LevelBrokerStore } from '../storage/level-broker-store.js';
import { loadAssignors } from './load-assignors.js';
import { fastCrc32c } from './native-crc32c.js';
import { StoppedReplicas } from './stopped-replicas.js';
import type { ProcessTelemetry } from './process-telemetry.js';
import { compileRe2 } from './re2-expressions.js';

/** Calls under way when a stop begins may go on for this long. */
const CALL_GRACE_MS = 500;
const CAUSES_MAX = 4;

/** The broker cannot start; the message is one line that names the setting concerned. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** Where a broker listens. */
export interface BrokerPorts {
  readonly clientPort: number;
  readonly peerPort: number;
  readonly httpPort: number;
}

export interface RunningBroker {
  /** The ports it listens on, also where the configuration said 0. */
  readonly ports: BrokerPorts;
  /** Resolves once it is part of its cluster; rejects with BrokerError if it never can be. */
  readonly joined: Promise<void>;
  health(): BrokerHealth;
  /** Undefined until it has joined. */
  services(): BrokerServices | undefined;
  /** Hands leaderships over, answers what is under way, closes everything. Idempotent. */
  stop(): Promise<void>;
  /**
   * Ends as a crash would, as far as others can see: its sockets close at once, nothing is handed over
   * or answered. What its store still takes while it closes is for whoever gave the store. Idempotent.
   */
  kill(): Promise<void>;
}

/** Everything between brokers, as a broker uses it. */
export type Peers = Transport & PeerDirectory & PeerCaller;

export interface StartOptions {
  readonly telemetry?: ProcessTelemetry;
  readonly world?: World;
  /** Default: the fastest this machine has. */
  readonly crc32c?: Crc32c;
  /** Takes the place of the data directory, and is closed with the broker. */
  readonly store?: BrokerStore;
  /** What the broker gets in place of the peer transport, made of it: to come between brokers. */
  readonly peers?: (transport: Peers) => Peers;
  /** Called once the ports are bound, where the founders' ports cannot be known before. */
  readonly founders?: (own: BrokerPorts) => Promise<readonly PeerSetting[]>;
  /** Told once if the data directory's volume fails: the process should end. */
  readonly volumeFailed?: (error: unknown) => void;
}

/**
 * The composition root of a broker: opens its data directory, binds its ports, wires everyone to
 * everyone and starts. Resolves once it listens; joining the cluster goes on behind `joined`. Rejects
 * with StartError, having closed what was opened.
 */
export async function startBroker(
  config: BrokerConfig,
  options: StartOptions = {},
): Promise<RunningBroker> {
  checkLimits();
  const telemetry = options.telemetry ?? (await defaultTelemetry(config));
  const crc32c = options.crc32c ?? (await fastCrc32c(telemetry.log));
  const world = options.world ?? systemWorld();
  /** Undone in reverse. */
  const opened: (() => Promise<void>)[] = [];
  try {
    const { volumeFailed } = options;
    const store = options.store ?? (await openStore(config, { crc32c, telemetry, volumeFailed }));
    opened.push(() => store.close());
    return await assemble({ config, options, telemetry, crc32c, world, store, opened });
  } catch (error) {
    for (const close of opened.reverse()) await close();
    throw error;
  }
}

/** What a broker may do without is loaded by those who need it: it takes its time. */
async function defaultTelemetry(config: BrokerConfig): Promise<ProcessTelemetry> {
  const { pinoTelemetry } = await import('./pino-telemetry.js');
  return pinoTelemetry({ level: config.logLevel, brokerId: config.brokerId });
}

interface Parts {
  readonly config: BrokerConfig;
  readonly options: StartOptions;
  readonly telemetry: ProcessTelemetry;
  readonly crc32c: Crc32c;
  readonly world: World;
  readonly store: BrokerStore;
  readonly opened: (() => Promise<void>)[];
}

async function assemble(parts: Parts): Promise<RunningBroker> {
  const { config, options, telemetry, crc32c, world, store, opened } = parts;
  const self = brokerId(config.brokerId);
  /** Set once: by the stored identity, or when the cluster is formed or joined. */
  const cluster = { id: '' };
  const transport = new PeerTransport({
    identity: { self, clusterId: () => cluster.id },
    snapshotBytesPerSecondMax: config.snapshotBytesPerSecond,
    crc32c,
    telemetry,
  });
  opened.push(() => transport.stop());
  const peers = options.peers?.(transport) ?? transport;
  const current: { broker: Broker | undefined } = { broker: undefined };
  const stopped = new StoppedReplicas();
  const health = (): BrokerHealth =>
    stopped.tellIn(current.broker?.health() ?? { live: true, ready: false, reason: 'starting' });
  const services = (): BrokerServices | undefined => current.broker?.services();
  const { reflection } = config;
  const client = new ClientServer({ self, world, crc32c, telemetry, reflection, services, health });
  opened.push(() => client.stop(CALL_GRACE_MS));
  const metrics = { contentType: telemetry.contentType, text: () => telemetry.metricsText() };
  const http = new HttpListener({ health, metrics });
  opened.push(() => http.stop());

  const { host } = config;
  const ports: BrokerPorts = {
    peerPort: await bind('peerPort', config, (port) => transport.listen(host, port)),
    clientPort: await bind('clientPort', config, (port) => client.listen(host, port)),
    httpPort: await bind('httpPort', config, (port) => http.listen(host, port)),
  };
  const founders = (await options.founders?.(ports)) ?? config.founders;
  const assignors = await assignorsOf(config);
  const broker = createBroker({
    ...brokerOptions(config, ports, founders),
    world,
    peers,
    store,
    createMultiRaft: (identity, mayLead) => {
      cluster.id = identity.clusterId;
      return multiRaftFor(parts, { transport: peers, identity, stopped, mayLead });
    },
    createPartitionFloor: (deps) => createPartitionFloor({ ...deps, codecs: new Codecs() }),
    telemetry,
    crc32c,
    assignors,
    compileExpression: compileRe2,
  });
  current.broker = broker;
  telemetry.log.info({ host, ...ports, dataDir: config.dataDir }, 'broker listens');
  const joined = broker.start();
  // Whoever waits for it hears of a failure; nobody has to.
  joined.catch(() => undefined);
  let stopping: Promise<void> | undefined;
  return {
    ports,
    joined,
    health,
    services,
    stop: () => {
      stopping ??= stopAll(broker, client, opened);
      return stopping;
    },
    kill: () => {
      const cut = () => Promise.all([transport.stop(0), client.stop(0), http.stop()]);
      stopping ??= killAll(broker, cut, opened);
      return stopping;
    },
  };
}

/** Leaderships first, so that clients go on elsewhere; the store last, when nobody writes any more. */
async function stopAll(
  broker: Broker,
  client: ClientServer,
  opened: readonly (() => Promise<void>)[],
): Promise<void> {
  await broker.stop();
  await client.stop(CALL_GRACE_MS);
  for (const close of [...opened].reverse()) await close();
}

/** The sockets first and in this turn; then what others no longer see. */
async function killAll(
  broker: Broker,
  cut: () => Promise<unknown>,
  opened: readonly (() => Promise<void>)[],
): Promise<void> {
  await Promise.all([cut(), broker.stop({ drainMs: 0 })]);
  for (const close of [...opened].reverse()) await close();
}

function multiRaftFor(
  parts: Parts,
  options: {
    readonly transport: Transport;
    readonly identity: BrokerIdentity;
    readonly stopped: StoppedReplicas;
    readonly mayLead: (id: BrokerId) => boolean;
  },
): MultiRaft {
  const { transport, identity, stopped, mayLead } = options;
  const { config, world, store, telemetry } = parts;
  return createMultiRaft({
    self: identity.brokerId,
    world,
    transport,
    store,
    createNode: createRaftNode,
    config: {
      ...DEFAULT_RAFT_CONFIG,
      electionTicks: config.raftElectionTicks,
      heartbeatTicks: config.raftHeartbeatTicks,
    },
    tickMs: config.raftTickMs,
    telemetry,
    replicaStopped: (group) => stopped.add(group),
    mayLead,
    tuning: { recentEntriesBytesMax: config.recentEntriesBytes },
  });
}

function brokerOptions(
  config: BrokerConfig,
  ports: BrokerPorts,
  founders: readonly PeerSetting[],
): Pick<BrokerOptions, 'self' | 'bootstrap' | 'settings'> {
  const advertised = config.advertisedHost ?? config.host;
  const address = {
    host: advertised,
    port: config.advertisedClientPort ?? ports.clientPort,
    peerHost: advertised,
    peerPort: config.advertisedPeerPort ?? ports.peerPort,
    httpPort: ports.httpPort,
  };
  return {
    self: {
      id: brokerId(config.brokerId),
      address,
      rack: config.rack,
      replicasMax: Math.floor(config.replicasMemoryBytes / LIMITS.replicaMemoryBytes),
    },
    bootstrap: { founders: founders.map(addressOf), seeds: config.seeds.map(addressOf) },
    settings: {
      ...DEFAULT_BROKER_SETTINGS,
      heartbeatMs: config.brokerHeartbeatMs,
      sessionMs: config.brokerSessionMs,
      retentionCheckMs: config.retentionCheckMs,
      groupRetentionMs: config.groupRetentionMs,
      diskFreeMinBytes: config.diskFreeMinBytes,
      diskFreeHandOverBytes: config.diskFreeHandOverBytes,
      drainMs: config.drainMs,
    },
  };
}

async function assignorsOf({ assignors }: BrokerConfig): Promise<Assignors> {
  try {
    return await loadAssignors(assignors);
  } catch (cause) {
    throw new StartError(`assignors: ${reasonOf(cause)}`, { cause });
  }
}

function addressOf({ id, host, peerPort }: PeerSetting): PeerAddress {
  return { id: brokerId(id), host, port: peerPort };
}

async function openStore(
  config: BrokerConfig,
  parts: Pick<Parts, 'crc32c' | 'telemetry'> & {
    readonly volumeFailed: StartOptions['volumeFailed'];
  },
): Promise<LevelBrokerStore> {
  const { dataDir, storeMemoryBytes } = config;
  const { LevelBrokerStore } = await import('../storage/level-broker-store.js');
  let store: LevelBrokerStore;
  try {
    store = await LevelBrokerStore.open(dataDir, {
      crc32c: parts.crc32c,
      memoryBudgetBytes: storeMemoryBytes,
      log: parts.telemetry.log.child({ part: 'store' }),
      ...(parts.volumeFailed === undefined ? {} : { onVolumeFailure: parts.volumeFailed }),
    });
  } catch (cause) {
    throw new StartError(`dataDir: cannot use ${dataDir}: ${reasonOf(cause)}`, { cause });
  }
  const owner = store.identity()?.brokerId;
  if (owner !== undefined && owner !== brokerId(config.brokerId)) {
    await store.close();
    throw new StartError(
      `brokerId: ${config.brokerId} is not the owner of dataDir ${dataDir}, which is broker ${owner}'s`,
    );
  }
  return store;
}

async function bind(
  setting: keyof BrokerPorts,
  config: BrokerConfig,
  listen: (port: number) => Promise<number>,
): Promise<number> {
  try {
    return await listen(config[setting]);
  } catch (cause) {
    const where = `${config.host}:${config[setting]}`;
    throw new StartError(`${setting}: cannot listen on ${where}: ${reasonOf(cause)}`, { cause });
  }
}

/** One line: LevelDB and others say only in a cause what was the matter. */
function reasonOf(thrown: unknown): string {
  const texts: string[] = [];
  for (let at = thrown; at instanceof Error && texts.length < CAUSES_MAX; at = at.cause) {
    texts.push(at.message);
  }
  if (texts.length === 0) return String(thrown);
  return texts.join(': ').split('\n').join(' ');
}
