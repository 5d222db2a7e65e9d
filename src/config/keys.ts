import type { ConfigKey } from './schema.js';

/** What the values of a key look like as text, in the environment and in flags. */
export type TextKind = 'text' | 'number' | 'boolean' | 'list' | 'peers';

const TEXT_KINDS: Readonly<Record<ConfigKey, TextKind>> = {
  brokerId: 'number',
  dataDir: 'text',
  host: 'text',
  advertisedHost: 'text',
  advertisedClientPort: 'number',
  advertisedPeerPort: 'number',
  clientPort: 'number',
  peerPort: 'number',
  httpPort: 'number',
  founders: 'peers',
  seeds: 'peers',
  rack: 'text',
  raftTickMs: 'number',
  raftElectionTicks: 'number',
  raftHeartbeatTicks: 'number',
  replicasMemoryBytes: 'number',
  storeMemoryBytes: 'number',
  recentEntriesBytes: 'number',
  retentionCheckMs: 'number',
  assignors: 'list',
  groupRetentionMs: 'number',
  diskFreeMinBytes: 'number',
  diskFreeHandOverBytes: 'number',
  snapshotBytesPerSecond: 'number',
  brokerSessionMs: 'number',
  brokerHeartbeatMs: 'number',
  drainMs: 'number',
  reflection: 'boolean',
  logLevel: 'text',
};

export const CONFIG_KEYS = Object.keys(TEXT_KINDS) as readonly ConfigKey[];

export function textKindOf(key: string): TextKind | undefined {
  return Object.hasOwn(TEXT_KINDS, key) ? TEXT_KINDS[key as ConfigKey] : undefined;
}
