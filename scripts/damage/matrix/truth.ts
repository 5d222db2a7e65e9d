import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';

import type { Crc32c } from '../../../src/base/crc32c.js';
import { logIndex, raftGroupId, type RaftGroupId } from '../../../src/model/ids.js';
import type { EntryId, LogEntry } from '../../../src/model/log-entry.js';
import { membersOf } from '../../../src/model/membership.js';
import type { BrokerStore, LogStore, ReplicaSpec } from '../../../src/ports/log-store.js';
import type { HardState } from '../../../src/raft/io.js';
import { inspectBroker } from '../../../src/storage/inspect.js';
import { LevelBrokerStore } from '../../../src/storage/level-broker-store.js';
import type { Stand } from './stand.js';

/** What the brokers of the source ran with: sizes of write buffers follow from it. */
const MEMORY_BUDGET_BYTES = 16 << 20;
const READ_BYTES = 512 * 1024;

/** What the undamaged replica holds. */
export interface Truth {
  readonly spec: ReplicaSpec;
  readonly self: number;
  readonly hardState: HardState;
  /** The last entry that this replica acknowledged; what stands above may be lost. */
  readonly watermark: EntryId;
  /** Index of the first entry. */
  readonly first: number;
  readonly entries: readonly LogEntry[];
}

/** A store as a broker opens it. */
export function openStore(directory: string, crc32c: Crc32c): Promise<LevelBrokerStore> {
  return LevelBrokerStore.open(directory, { crc32c, memoryBudgetBytes: MEMORY_BUDGET_BYTES });
}

/** Reads everything, verified, through the store that brokers use. */
export async function readTruth(
  stand: Stand,
  options: { readonly group: number; readonly scratch: string; readonly crc32c: Crc32c },
): Promise<Truth> {
  const { group, scratch, crc32c } = options;
  const groupId = raftGroupId(group);
  const directory = path.join(mkdtempSync(path.join(scratch, 'truth-')), 'data');
  stand.layOut(directory);
  try {
    const { replicas } = await inspectBroker(directory, { crc32c });
    const replica = replicas.find(({ spec }) => spec.groupId === groupId);
    if (replica?.watermark === undefined) throw new Error('the source has no watermark');
    const store = await openStore(directory, crc32c);
    try {
      return { ...(await truthIn(store, groupId)), watermark: replica.watermark.last };
    } finally {
      await store.close();
    }
  } finally {
    rmSync(path.dirname(directory), { recursive: true });
  }
}

async function truthIn(
  broker: BrokerStore,
  groupId: RaftGroupId,
): Promise<Omit<Truth, 'watermark'>> {
  const { store, loaded } = await broker.openReplica(groupId);
  const spec = broker.replicas().find((each) => each.spec.groupId === groupId)?.spec;
  const self = broker.identity()?.brokerId;
  if (loaded.verdict.kind !== 'sound' || spec === undefined || self === undefined) {
    throw new Error(`the undamaged replica is called ${JSON.stringify(loaded.verdict)}`);
  }
  const first = loaded.raft.snapshot.last.index + 1;
  const entries = await readAll(store, first, loaded.raft.last.index);
  if (membersOf(spec.bootstrap).length !== 3) throw new Error('the source is not of three members');
  return { spec, self, hardState: loaded.raft.hardState, first, entries };
}

export async function readAll(store: LogStore, first: number, last: number): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for (let at = first; at <= last;) {
    const range = { first: logIndex(at), next: logIndex(last + 1) };
    const some = await store.read(range, { bytesMax: READ_BYTES });
    entries.push(...some);
    at += some.length;
  }
  return entries;
}

/** What of these entries is not as it was; undefined if nothing. */
export function differenceIn(truth: Truth, entries: readonly LogEntry[]): string | undefined {
  for (const [at, got] of entries.entries()) {
    const want = truth.entries[at];
    const isSame =
      want?.index === got.index &&
      want.term === got.term &&
      want.kind === got.kind &&
      want.timeMs === got.timeMs &&
      Buffer.compare(want.payload, got.payload) === 0;
    if (!isSame) return `entry ${got.index} was silently changed`;
  }
  return undefined;
}
