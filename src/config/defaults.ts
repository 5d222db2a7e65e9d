const MIB = 1024 * 1024;

/** What a broker is run with where nothing else is said. Beside the schema, which takes long to load. */
export const CONFIG_DEFAULTS = {
  host: '127.0.0.1',
  clientPort: 7401,
  peerPort: 7501,
  httpPort: 7601,
  founders: [],
  seeds: [],
  rack: '',
  raftTickMs: 50,
  raftElectionTicks: 20,
  raftHeartbeatTicks: 2,
  replicasMemoryBytes: 512 * MIB,
  storeMemoryBytes: 192 * MIB,
  recentEntriesBytes: 96 * MIB,
  retentionCheckMs: 30_000,
  assignors: [],
  groupRetentionMs: 7 * 24 * 3_600_000,
  diskFreeMinBytes: 64 * MIB,
  snapshotBytesPerSecond: 128 * MIB,
  brokerSessionMs: 6_000,
  brokerHeartbeatMs: 500,
  drainMs: 3_000,
  reflection: true,
  logLevel: 'info',
} as const;
