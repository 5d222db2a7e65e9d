import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { writeSync } from 'node:fs';
import path from 'node:path';

import type { Prng } from '../../src/base/prng.js';

/** Does one harm to a stopped replica's LevelDB; says what it did, or undefined: nothing to harm. */
export type Harm = (database: string, prng: Prng) => string | undefined;

function filesLike(database: string, pattern: RegExp): string[] {
  return readdirSync(database)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => path.join(database, name))
    .filter((file) => statSync(file).size > 0);
}

function flipBit(file: string, prng: Prng): string {
  const { size } = statSync(file);
  const at = prng.int(size);
  const bit = prng.int(8);
  const fd = openSync(file, 'r+');
  try {
    const byte = new Uint8Array(1);
    readSync(fd, byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ (1 << bit);
    writeSync(fd, byte, 0, 1, at);
  } finally {
    closeSync(fd);
  }
  return `bit ${bit} of byte ${at} of ${size} in ${path.basename(file)}`;
}

function flipOneOf(pattern: RegExp): Harm {
  return (database, prng) => {
    const files = filesLike(database, pattern);
    return files.length === 0 ? undefined : flipBit(prng.pick(files), prng);
  };
}

/** Mostly a few bytes, sometimes up to everything. */
const cutTail: Harm = (database, prng) => {
  const file = filesLike(database, /\.log$/).at(-1);
  if (file === undefined) return undefined;
  const { size } = statSync(file);
  const cut = 1 + prng.int(prng.chance(0.5) ? Math.min(64, size) : size);
  truncateSync(file, size - cut);
  return `the last ${cut} of ${size} bytes of ${path.basename(file)}`;
};

const deleteFile: Harm = (database, prng) => {
  const files = filesLike(database, /\.(ldb|log)$|^MANIFEST|^CURRENT$/);
  const file = prng.pick([...files, database]);
  rmSync(file, { recursive: true });
  return path.basename(file);
};

export const HARMS: Readonly<Record<string, Harm>> = {
  'wal-bit': flipOneOf(/\.log$/),
  'ldb-bit': flipOneOf(/\.ldb$/),
  'manifest-bit': flipOneOf(/^MANIFEST/),
  'wal-cut': cutTail,
  'file-deleted': deleteFile,
};
