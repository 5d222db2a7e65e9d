import { access, copyFile, link, mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32c as portableCrc32c, type Crc32c } from '../base/crc32c.js';
import { logIndex, type Incarnation, type LogIndex, type RaftGroupId } from '../model/ids.js';
import type { EntryId, LogEntry } from '../model/log-entry.js';
import type { BrokerIdentity, ReplicaSpec } from '../ports/log-store.js';
import type { HardState } from '../raft/io.js';
import { loadIdentity } from './broker-identity.js';
import { readFileIfThere } from './durable-files.js';
import { decodeStoredEntry, entryChain, entryKey, entryKeyIndex } from './entry-codec.js';
import { databaseDirectory, generationDirectory } from './generation.js';
import { LevelDb } from './level-db.js';
import { lockDirectory } from './level-broker-store.js';
import { parseStateFile, StateFileError } from './state-file.js';

/** What the state file says about a replica of a stopped broker. */
export interface InspectedReplica {
  readonly spec: ReplicaSpec;
  readonly incarnation: Incarnation;
  readonly generation: number;
  readonly hardState: HardState;
  /** What the log is known to have held before it was lost; zeros unless needsRepair. */
  readonly lost: EntryId;
  /** The log begins after this entry. */
  readonly snapshot: { readonly last: EntryId; readonly chain: number };
  /** Last entry noted as durable; undefined if none was since the log's directory was made. */
  readonly watermark: { readonly last: EntryId; readonly chain: number } | undefined;
  readonly openingAttempts: number;
  readonly isCleanlyClosed: boolean;
  readonly isSuspect: boolean;
}

export interface InspectedBroker {
  readonly identity: BrokerIdentity | undefined;
  readonly replicas: readonly InspectedReplica[];
}

/** A stored entry and how it fares: an entry that cannot be decoded has a fault and nothing else. */
export interface InspectedEntry {
  readonly index: LogIndex;
  readonly entry: LogEntry | undefined;
  readonly payloadCrc: number | undefined;
  readonly chain: number | undefined;
  /** undefined: whole, and in its place. */
  readonly fault: string | undefined;
}

export interface InspectOptions {
  readonly crc32c?: Crc32c;
}

/** Lists a stopped broker's replicas; refuses while a broker runs on the directory. */
export async function inspectBroker(
  directory: string,
  options: InspectOptions = {},
): Promise<InspectedBroker> {
  return whileStopped(directory, () => readBroker(directory, options.crc32c ?? portableCrc32c));
}

/**
 * Entries of a stopped broker's replica, from `first` on, faults and all. Works on a copy of the
 * LevelDB (links, where files never change): opening the original would replay and drop its
 * write-ahead log, and with it the traces of what happened.
 */
export async function* inspectEntries(
  directory: string,
  groupId: RaftGroupId,
  options: InspectOptions & { readonly first?: LogIndex; readonly limit?: number } = {},
): AsyncGenerator<InspectedEntry, void, undefined> {
  const crc32c = options.crc32c ?? portableCrc32c;
  const lock = await lockExisting(directory);
  try {
    const { replicas } = await readBroker(directory, crc32c);
    const replica = replicas.find(({ spec }) => spec.groupId === groupId);
    if (replica === undefined) throw new RangeError(`no replica of Raft group ${groupId} here`);
    const copy = await copyDatabase(directory, replica);
    try {
      yield* entriesOf(copy, replica, { ...options, crc32c });
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  } finally {
    await lock.close();
  }
}

async function whileStopped<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const lock = await lockExisting(directory);
  try {
    return await work();
  } finally {
    await lock.close();
  }
}

/** Taking the lock makes the directory where there is none: a mistyped path must stay as it is. */
async function lockExisting(directory: string): Promise<LevelDb> {
  await access(path.join(directory, 'state')).catch((cause: unknown) => {
    throw new StateFileError(missing(path.join(directory, 'state')), { cause });
  });
  return await lockDirectory(directory);
}

function missing(file: string): string {
  return `${file} is missing: no broker's data here`;
}

async function readBroker(directory: string, crc32c: Crc32c): Promise<InspectedBroker> {
  const file = path.join(directory, 'state');
  const bytes = await readFileIfThere(file);
  if (bytes === undefined) throw new StateFileError(missing(file));
  const identity = await loadIdentity(directory, crc32c);
  const replicas = parseStateFile(file, bytes, crc32c)
    .records.filter((record) => record.facts.use === 'used')
    .map(({ facts, watermark }): InspectedReplica => {
      const { use, ...rest } = facts;
      const isCurrent =
        use === 'used' &&
        watermark.generation === facts.generation &&
        watermark.incarnation === facts.incarnation;
      const { last, chain } = watermark;
      return { ...rest, watermark: isCurrent ? { last, chain } : undefined };
    })
    .sort((a, b) => a.spec.groupId - b.spec.groupId);
  return { identity, replicas };
}

async function copyDatabase(directory: string, replica: InspectedReplica): Promise<string> {
  const { spec, generation } = replica;
  const id = { groupId: spec.groupId, generation };
  const database = databaseDirectory(generationDirectory(path.join(directory, 'replicas'), id));
  // Beside the original, so that links work; a leftover goes at the next opening.
  const copy = await mkdtemp(path.join(path.dirname(path.dirname(database)), 'inspect-'));
  for (const name of await readdir(database)) {
    const isImmutable = name.endsWith('.ldb') || name.endsWith('.sst');
    const copyOne = isImmutable ? link : copyFile;
    await copyOne(path.join(database, name), path.join(copy, name));
  }
  return copy;
}

async function* entriesOf(
  database: string,
  replica: InspectedReplica,
  options: { readonly crc32c: Crc32c; readonly first?: LogIndex; readonly limit?: number },
): AsyncGenerator<InspectedEntry, void, undefined> {
  const base = replica.snapshot;
  const first = Math.max(options.first ?? 0, base.last.index + 1);
  const db = await LevelDb.open(database, {
    createIfMissing: false,
    writeBufferBytes: 4 * 1024 * 1024,
    cacheBytes: 0,
  });
  try {
    let left = options.limit ?? Infinity;
    let expected = first;
    let chain = first === base.last.index + 1 ? base.chain : undefined;
    const gte = entryKey(logIndex(first));
    const lt = entryKey(logIndex(Number.MAX_SAFE_INTEGER));
    for await (const pairs of db.scan({ gte, lt, bytesPerRead: 1024 * 1024 })) {
      for (const [key, value] of pairs) {
        if (left <= 0) return;
        left -= 1;
        const found = inspectOne(key, value, { expected, chain, crc32c: options.crc32c });
        yield found;
        expected = found.index + 1;
        chain = found.chain;
      }
    }
  } finally {
    await db.close();
  }
}

function inspectOne(
  key: Uint8Array,
  value: Uint8Array,
  context: {
    readonly expected: number;
    readonly chain: number | undefined;
    readonly crc32c: Crc32c;
  },
): InspectedEntry {
  const index = entryKeyIndex(key);
  const gap =
    index === context.expected ? undefined : `entries from ${context.expected} are missing`;
  try {
    const { entry, header, chain } = decodeStoredEntry(key, value, context.crc32c);
    const isChained = context.chain === undefined || entryChain(context.chain, header) === chain;
    const fault = gap ?? (isChained ? undefined : 'does not continue the log before it');
    return { index, entry, payloadCrc: header.payloadCrc, chain, fault };
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    return { index, entry: undefined, payloadCrc: undefined, chain: undefined, fault };
  }
}
