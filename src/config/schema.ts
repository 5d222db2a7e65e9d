import { z } from 'zod';
import { CONFIG_DEFAULTS as DEFAULTS } from './defaults.js';

const BROKER_ID_MAX = 0x7fff_ffff;
const MIB = 1024 * 1024;

const port = (fallback: number): z.ZodDefault<z.ZodNumber> =>
  z.number().int().min(0).max(65_535).default(fallback);
const whole = (min: number, max: number): z.ZodNumber => z.number().int().min(min).max(max);
const host = z.string().regex(/^[A-Za-z0-9._:%-]{1,253}$/, 'must be a host name or an IP address');

/** A broker as its peers reach it. */
const peer = z.strictObject({
  id: whole(1, BROKER_ID_MAX),
  host,
  peerPort: whole(0, 65_535),
});

const peers = z
  .array(peer)
  .max(1_000)
  .refine(
    (list) => new Set(list.map(({ id }) => id)).size === list.length,
    'names a broker id twice',
  );

/**
 * Every setting of a broker. A key is the same in a file and as a flag (`--clientPort`); in the
 * environment it is MILLRACE_ and the key in capitals (`MILLRACE_CLIENT_PORT`).
 */
export const brokerConfigSchema = z.strictObject({
  /** 1 to 2^31 - 1, fixed for the life of the data directory. */
  brokerId: whole(1, BROKER_ID_MAX),
  dataDir: z.string().min(1),
  /** Address to listen on. */
  host: host.default(DEFAULTS.host),
  /** Where clients and peers reach this broker; the listening address if left out. */
  advertisedHost: host.optional(),
  clientPort: port(DEFAULTS.clientPort),
  peerPort: port(DEFAULTS.peerPort),
  /** What others connect to when a port is mapped on the way here; the listening port if left out. */
  advertisedClientPort: whole(1, 65_535).optional(),
  advertisedPeerPort: whole(1, 65_535).optional(),
  /** Health and metrics. */
  httpPort: port(DEFAULTS.httpPort),
  /** Who forms the cluster together, this broker included; the same on all of them. */
  founders: peers.default([...DEFAULTS.founders]),
  /** Brokers of a running cluster to join through. */
  seeds: peers.default([...DEFAULTS.seeds]),
  /** Replicas of a partition are spread over racks. */
  rack: z.string().max(249).default(DEFAULTS.rack),

  /** Raft's clock: elections take electionTicks to twice that, heartbeats heartbeatTicks. */
  raftTickMs: whole(5, 1_000).default(DEFAULTS.raftTickMs),
  raftElectionTicks: whole(4, 1_000).default(DEFAULTS.raftElectionTicks),
  raftHeartbeatTicks: whole(1, 100).default(DEFAULTS.raftHeartbeatTicks),

  /**
   * Memory for replicas, 512 KiB each (`LIMITS.replicaMemoryBytes`): one for which there is no room is not
   * placed on this broker.
   */
  replicasMemoryBytes: whole(8 * MIB, 64 * 1024 * MIB).default(DEFAULTS.replicasMemoryBytes),
  /** What LevelDB's write buffers and caches of all replicas together may take beyond that. */
  storeMemoryBytes: whole(16 * MIB, 64 * 1024 * MIB).default(DEFAULTS.storeMemoryBytes),
  /** Recent log entries kept in memory for followers and readers. */
  recentEntriesBytes: whole(8 * MIB, 64 * 1024 * MIB).default(DEFAULTS.recentEntriesBytes),
  retentionCheckMs: whole(100, 24 * 3_600_000).default(DEFAULTS.retentionCheckMs),
  /**
   * Modules with assignors for consumer groups, beside the built-in ones: paths, relative to the working
   * directory. The same on every broker, since each of them may come to coordinate.
   */
  assignors: z
    .array(z.string().min(1).max(4_096))
    .max(100)
    .default([...DEFAULTS.assignors]),
  /**
   * Consumer groups without members that neither commit nor are joined for so long go, with their
   * committed offsets; -1: never. Counted while the cluster runs.
   */
  groupRetentionMs: whole(1_000, Number.MAX_SAFE_INTEGER)
    .or(z.literal(-1))
    .default(DEFAULTS.groupRetentionMs),
  /** With less room on the volume this broker takes no records; 0: never asked. */
  diskFreeMinBytes: whole(0, 1024 * 1024 * MIB).default(DEFAULTS.diskFreeMinBytes),
  /**
   * Below diskFreeMinBytes, half of which is the default: with less room than this the broker leads
   * nothing either. 0: only when the shortage lasts.
   */
  diskFreeHandOverBytes: whole(0, 1024 * 1024 * MIB).optional(),
  /** Bytes a second of all snapshots this broker sends to replicas that fell far behind. */
  snapshotBytesPerSecond: whole(64 * 1024, 1024 * 1024 * MIB).default(
    DEFAULTS.snapshotBytesPerSecond,
  ),

  /** A broker that was not heard of for this long gets no new replicas. */
  brokerSessionMs: whole(500, 600_000).default(DEFAULTS.brokerSessionMs),
  brokerHeartbeatMs: whole(50, 60_000).default(DEFAULTS.brokerHeartbeatMs),
  /** Longest a stop waits for leaderships to be handed over. */
  drainMs: whole(0, 600_000).default(DEFAULTS.drainMs),

  /** gRPC server reflection on the client port. */
  reflection: z.boolean().default(DEFAULTS.reflection),
  logLevel: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default(DEFAULTS.logLevel),
});

export type BrokerConfig = Readonly<z.infer<typeof brokerConfigSchema>>;
export type PeerSetting = BrokerConfig['founders'][number];
export type ConfigKey = keyof typeof brokerConfigSchema.shape;
