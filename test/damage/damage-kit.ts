import { expect } from 'chai';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

import { logIndex } from '../../src/model/ids.js';
import type { LogEntry } from '../../src/model/log-entry.js';
import type { LoadedReplica, LogStore } from '../../src/ports/log-store.js';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { append, entry, hardState, id, IDENTITY, SPEC } from '../conformance/broker-store.suite.js';

/** Small write buffers: a few hundred entries reach several tables and a write-ahead log. */
export const SMALL_MEMORY = { memoryBudgetBytes: 1 };

/** Says in place of tests why the library of disk faults is not there. Only a missing compiler is a reason. */
export function notTriedHere(missing: string): void {
  it(`is not tried here: ${missing}`, () => {
    expect(process.platform !== 'linux' || /^cc /.test(missing)).to.equal(true);
  });
}

export async function temporaryDirectory(): Promise<string> {
  return mkdtemp(path.join(os.tmpdir(), 'millrace-damage-'));
}

export async function withReplica<T>(
  directory: string,
  use: (store: LogStore, loaded: LoadedReplica) => Promise<T>,
): Promise<T> {
  const broker = await LevelBrokerStore.open(directory, SMALL_MEMORY);
  try {
    if (broker.identity() === undefined) {
      await broker.saveIdentity(IDENTITY);
      await broker.createReplica(SPEC);
    }
    const { store, loaded } = await broker.openReplica(SPEC.groupId);
    return await use(store, loaded);
  } finally {
    await broker.close();
  }
}

/** Content that repeats nowhere, so that a wrong byte is never a right one. */
export function filler(index: number, bytes: number): string {
  let text = '';
  for (let i = 0; text.length < bytes; i += 1) text += `${index}.${i};`;
  return text.slice(0, bytes);
}

export function logOf(count: number, bytes: number): LogEntry[] {
  return Array.from({ length: count }, (_, i) =>
    entry(i < count / 2 ? 1 : 2, i + 1, filler(i + 1, bytes)),
  );
}

/** Writes the entries one batch each, so that every one is acknowledged by itself. */
export async function writeLog(directory: string, list: readonly LogEntry[]): Promise<void> {
  await withReplica(directory, async (store) => {
    for (const each of list) {
      const before = list[each.index - 2];
      const prev = before === undefined ? id(0, 0) : id(before.term, before.index);
      await store.persist(append(prev, [each], each.index === 1 ? hardState(2, 3) : undefined));
    }
  });
}

export async function copyOf(directory: string): Promise<string> {
  const copy = await temporaryDirectory();
  await cp(directory, copy, { recursive: true });
  return copy;
}

export async function removeAll(directories: readonly string[]): Promise<void> {
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
}

export function databaseOf(directory: string, generation = 1): string {
  return path.join(directory, 'replicas', String(SPEC.groupId), String(generation), 'db');
}

export async function filesLike(directory: string, pattern: RegExp): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => pattern.test(name)).sort();
  return names.map((name) => path.join(directory, name));
}

export async function flipBit(file: string, byte: number, bit: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << bit);
  await writeFile(file, bytes);
}

export type Outcome = 'harmless' | 'damaged' | 'readRejected';

/**
 * Opens a directory that held `expected` and holds it against the rule: it is found out, at opening
 * or at the latest by the read that meets it, or every byte is as it was written.
 */
export async function outcomeOf(
  directory: string,
  expected: readonly LogEntry[],
): Promise<Outcome> {
  return withReplica(directory, async (store, loaded) => {
    if (loaded.verdict.kind === 'damaged') {
      const { hardState: state, watermark, last } = loaded.raft;
      const end = expected.at(-1);
      if (!state.needsRepair || state.term !== 2 || state.votedFor !== 3 || last.index !== 0) {
        throw new Error(`a damaged replica came back as ${JSON.stringify(loaded.raft)}`);
      }
      if (watermark.index !== end?.index || watermark.term !== end.term) {
        throw new Error(`a damaged replica held ${JSON.stringify(watermark)}`);
      }
      return 'damaged';
    }
    if (loaded.raft.last.index !== expected.length) {
      throw new Error(`silently ends at ${loaded.raft.last.index} of ${expected.length}`);
    }
    for (let at = 1; at <= expected.length;) {
      const range = { first: logIndex(at), next: logIndex(expected.length + 1) };
      let some: readonly LogEntry[];
      try {
        some = await store.read(range, { bytesMax: 256 * 1024 });
      } catch (error) {
        if (error instanceof Error && /StoreDamagedError/.test(error.name)) return 'readRejected';
        // LevelDB itself may refuse to go on; the store is fenced all the same.
        if (error instanceof Error && 'code' in error) return 'readRejected';
        throw error;
      }
      for (const got of some) {
        const want = expected[got.index - 1];
        const same =
          want !== undefined &&
          got.term === want.term &&
          got.kind === want.kind &&
          got.timeMs === want.timeMs &&
          Buffer.from(want.payload).equals(got.payload);
        if (!same) throw new Error(`entry ${got.index} was silently changed`);
      }
      at += some.length;
    }
    return 'harmless';
  });
}
