import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import type { Prng } from '../../../src/base/prng.js';
import { parseJournal, type FileId, type NameChange, type Line } from './journal.js';

export interface PowerCutOptions {
  /**
   * Left out: all that no sync covers is lost, the worst in most respects. Given: of every file, and of
   * the changes of names, some of it is lost, the last of it torn.
   */
  readonly prng?: Prng;
}

/** What a cut took away. */
export interface PowerCut {
  /** Creations, renames, removals that never were. */
  readonly namesUndone: number;
  /** From the ends of files. */
  readonly bytesCut: number;
  readonly filesCut: number;
  /** Bytes overwritten in place, or truncated, that are as before. */
  readonly bytesRestored: number;
}

/** A file system writes its own journal at the latest after this long. */
const NAMES_COMMITTED_AFTER_NS = 30_000_000_000n;

/** What is known of one file's bytes. */
interface FileFacts {
  /** What a sync covered, or what was there before anything was recorded. */
  durableSize: number;
  /** Overwritten or truncated, and not covered by a sync; in their order. */
  pending: (Line & { kind: 'overwritten' | 'truncated' })[];
  /** A sync failed: the system counts the file's pages as clean, and nothing after reaches the disk. */
  isBroken: boolean;
}

/**
 * Makes the files below a directory what a power cut leaves of them, from the journal that the library
 * wrote; then begins a new journal. README.md says what model this is.
 */
export function playPowerCut(
  under: string,
  journalDirectory: string,
  options: PowerCutOptions,
): PowerCut {
  const attic = path.join(journalDirectory, 'attic');
  const journalFile = path.join(journalDirectory, 'journal');
  const lines = existsSync(journalFile) ? parseJournal(readFileSync(journalFile, 'latin1')) : [];
  const names = undoNames(lines, attic, options.prng);
  const files = filesOf(lines);
  const total = { namesUndone: names, bytesCut: 0, filesCut: 0, bytesRestored: 0 };
  for (const [file, id] of filesBelow(under)) {
    const facts = files.get(id);
    if (facts === undefined) continue;
    const { cut, restored } = undoBytes(file, facts, attic, options.prng);
    total.bytesCut += cut;
    total.filesCut += cut > 0 ? 1 : 0;
    total.bytesRestored += restored;
  }
  rmSync(journalDirectory, { recursive: true });
  mkdirSync(attic, { recursive: true });
  return total;
}

/** Takes back, last first, the changes of names that were not durable. Returns how many. */
function undoNames(lines: readonly Line[], attic: string, prng: Prng | undefined): number {
  const changes = lines.filter((line): line is NameChange => 'name' in line);
  const committed = committedNames(lines, changes);
  let lost = changes.filter((change) => change.at > committed);
  if (prng !== undefined) lost = lost.slice(prng.int(lost.length + 1));
  for (const change of lost.toReversed()) undoName(change, attic);
  return lost.length;
}

/**
 * Changes of names reach the disk in their order. A file's sync brings those of the file along, a
 * directory's sync those in it, each with everything before.
 */
function committedNames(lines: readonly Line[], changes: readonly NameChange[]): bigint {
  const ofFile = new Map<FileId, bigint[]>();
  const inDirectory = new Map<string, bigint[]>();
  const put = <K>(map: Map<K, bigint[]>, key: K, at: bigint): void => {
    const all = map.get(key);
    if (all === undefined) map.set(key, [at]);
    else all.push(at);
  };
  for (const change of changes) {
    put(ofFile, change.file, change.at);
    for (const name of change.kind === 'renamed' ? [change.from, change.name] : [change.name]) {
      put(inDirectory, path.dirname(name), change.at);
    }
  }
  let committed = process.hrtime.bigint() - NAMES_COMMITTED_AFTER_NS;
  for (const line of lines) {
    if (line.kind !== 'synced' && line.kind !== 'directory-synced') continue;
    const covered =
      line.kind === 'synced' ? ofFile.get(line.file) : inDirectory.get(line.directory);
    const last = covered?.findLast((at) => at <= line.from);
    if (last !== undefined && last > committed) committed = last;
  }
  return committed;
}

/** The change may never have happened: a process was killed between the line and the deed. */
function undoName(change: NameChange, attic: string): void {
  const kept = path.join(
    attic,
    String(change.kind === 'renamed' || change.kind === 'removed' ? change.keptAs : 0),
  );
  switch (change.kind) {
    case 'created':
    case 'linked':
      if (idOf(change.name) === change.file) rmSync(change.name);
      return;
    case 'directory-made':
      rmSync(change.name, { recursive: true, force: true });
      return;
    case 'directory-removed':
      mkdirSync(change.name, { recursive: true });
      return;
    case 'removed':
      if (existsSync(kept) && !existsSync(change.name)) linkSync(kept, change.name);
      return;
    case 'renamed':
      if (idOf(change.name) !== change.file) return;
      renameSync(change.name, change.from);
      if (existsSync(kept)) linkSync(kept, change.name);
  }
}

function filesOf(lines: readonly Line[]): Map<FileId, FileFacts> {
  const files = new Map<FileId, FileFacts>();
  for (const line of lines) {
    if (line.kind === 'created') {
      files.set(line.file, { durableSize: 0, pending: [], isBroken: false });
    }
    if (line.kind === 'opened' && !files.has(line.file)) {
      files.set(line.file, { durableSize: line.size, pending: [], isBroken: false });
    }
    const facts = 'file' in line ? files.get(line.file) : undefined;
    if (facts === undefined) continue;
    if (line.kind === 'overwritten' || line.kind === 'truncated') facts.pending.push(line);
    if (line.kind === 'sync-failed') facts.isBroken = true;
    if (line.kind === 'synced' && !facts.isBroken) {
      facts.durableSize = line.size;
      facts.pending = facts.pending.filter(({ at }) => at > line.from);
    }
  }
  return files;
}

/** Of a file that is there after the cut. */
function undoBytes(
  file: string,
  facts: FileFacts,
  attic: string,
  prng: Prng | undefined,
): { cut: number; restored: number } {
  const { size } = statSync(file);
  const made = prng === undefined ? 0 : prng.int(facts.pending.length + 1);
  const pending = facts.pending.slice(made);
  const durableSize = facts.pending
    .slice(0, made)
    .reduce(
      (to, at) => (at.kind === 'truncated' ? Math.min(to, at.offset) : to),
      facts.durableSize,
    );
  let restored = 0;
  const fd = openSync(file, 'r+');
  try {
    for (const [i, change] of pending.toReversed().entries()) {
      const old = oldBytes(change, attic);
      // The first of those that did not make it may have made it in part; a truncation is one change.
      const mayBeTorn = i === pending.length - 1 && change.kind === 'overwritten';
      const from = prng !== undefined && mayBeTorn ? prng.int(old.length + 1) : 0;
      writeSync(fd, old, from, old.length - from, change.offset + from);
      restored += old.length - from;
    }
  } finally {
    closeSync(fd);
  }
  const grown = size - durableSize;
  const keeps = prng === undefined || grown <= 0 ? 0 : prng.int(grown + 1);
  const end = durableSize + keeps;
  if (end >= size && restored === 0) return { cut: 0, restored };
  truncateSync(file, end);
  return { cut: Math.max(0, size - end), restored };
}

function oldBytes(change: Line & { kind: 'overwritten' | 'truncated' }, attic: string): Buffer {
  if (change.kind === 'overwritten') return change.old;
  const kept = path.join(attic, String(change.at));
  return existsSync(kept) ? readFileSync(kept) : Buffer.alloc(0);
}

function idOf(file: string): FileId | undefined {
  const found = lstatSync(file, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}

function* filesBelow(directory: string): Generator<[string, FileId]> {
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const id = idOf(file);
    if (id !== undefined) yield [file, id];
  }
}
