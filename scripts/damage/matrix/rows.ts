import path from 'node:path';

import { Prng } from '../../../src/base/prng.js';
import type { Source } from './source.js';
import type { Harm, Stand } from './stand.js';

export const FILE_ROWS = [
  'wal-cut',
  'wal-bit',
  'wal-every-bit',
  'ldb-bit',
  'ldb-every-bit',
  'manifest-every-bit',
  'current-every-bit',
  'deleted',
] as const;
type FileRow = (typeof FILE_ROWS)[number];

/** One row of the table: so many cases, each a harm that its number tells. */
export interface Row {
  readonly name: FileRow;
  readonly cases: number;
  harm(at: number): Harm;
}

const SAMPLE_BYTES = 64 * 1024;
const EVERY_BIT_BYTES = 4 * 1024;

/** A stretch of one file. */
interface Stretch {
  readonly file: string;
  readonly from: number;
  readonly length: number;
}

/**
 * The rows of harms to files at rest. Samples are the ends of files: there stand what a crash left
 * last, and a table's index and footer. Of tables, the oldest, which openings do not verify, and the
 * newest, which they do.
 */
export function rowsOf(source: Source, stand: Stand, seed: number): readonly Row[] {
  const inDatabase = (pattern: RegExp): string[] =>
    stand.names
      .filter((name) => path.dirname(name) === source.database && pattern.test(path.basename(name)))
      .sort();
  const files = new Files(stand);
  const wal = mustHave(inDatabase(/\.log$/).at(-1));
  const tables = inDatabase(/\.ldb$/);
  const ends = [mustHave(tables[0]), mustHave(tables.at(-1))];
  const manifest = mustHave(inDatabase(/^MANIFEST/).at(-1));
  const current = mustHave(inDatabase(/^CURRENT$/)[0]);
  const end = (file: string, length: number): Stretch => endOf(files, file, length);
  const both = (length: number): Stretch[] => ends.map((file) => end(file, length));
  return [
    cuts('wal-cut', files, wal),
    oneBitAByte('wal-bit', files, [end(wal, SAMPLE_BYTES)], seed),
    everyBit('wal-every-bit', files, [end(wal, EVERY_BIT_BYTES)]),
    oneBitAByte('ldb-bit', files, both(SAMPLE_BYTES / 2), seed),
    everyBit('ldb-every-bit', files, both(EVERY_BIT_BYTES)),
    everyBit('manifest-every-bit', files, [end(manifest, EVERY_BIT_BYTES)]),
    everyBit('current-every-bit', files, [end(current, EVERY_BIT_BYTES)]),
    deletions('deleted', stand),
  ];
}

/** What is harmed, read once. */
class Files {
  private readonly stand: Stand;
  private readonly known = new Map<string, Uint8Array>();

  constructor(stand: Stand) {
    this.stand = stand;
  }

  bytesOf(name: string): Uint8Array {
    let bytes = this.known.get(name);
    if (bytes === undefined) {
      bytes = this.stand.read(name);
      this.known.set(name, bytes);
    }
    return bytes;
  }
}

function cuts(name: FileRow, files: Files, file: string): Row {
  const bytes = files.bytesOf(file);
  return {
    name,
    cases: Math.min(SAMPLE_BYTES, bytes.length),
    harm: (at) => ({
      what: `the last ${at + 1} of ${bytes.length} bytes of ${path.basename(file)} are gone`,
      target: file,
      bytes: bytes.subarray(0, bytes.length - at - 1),
    }),
  };
}

function oneBitAByte(
  name: FileRow,
  files: Files,
  stretches: readonly Stretch[],
  seed: number,
): Row {
  return {
    name,
    cases: lengthOf(stretches),
    harm: (at) => {
      const { file, byte } = byteAt(stretches, at);
      return flipped(files, file, byte, new Prng(seed ^ (byte * 0x9e3779b1)).int(8));
    },
  };
}

function everyBit(name: FileRow, files: Files, stretches: readonly Stretch[]): Row {
  return {
    name,
    cases: lengthOf(stretches) * 8,
    harm: (at) => {
      const { file, byte } = byteAt(stretches, Math.floor(at / 8));
      return flipped(files, file, byte, at % 8);
    },
  };
}

/** Each file and each folder, from the replica's own to the broker's. */
function deletions(name: FileRow, stand: Stand): Row {
  const targets = [...stand.names, ...stand.folderNames].sort();
  return {
    name,
    cases: targets.length,
    harm: (at) => {
      const target = mustHave(targets[at]);
      return { what: `${target} is gone`, target, bytes: undefined };
    },
  };
}

function flipped(files: Files, file: string, byte: number, bit: number): Harm {
  const bytes = Uint8Array.from(files.bytesOf(file));
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << bit);
  return {
    what: `bit ${bit} of byte ${byte} of ${bytes.length} in ${path.basename(file)}`,
    target: file,
    bytes,
  };
}

function endOf(files: Files, file: string, length: number): Stretch {
  const size = files.bytesOf(file).length;
  const from = Math.max(0, size - length);
  return { file, from, length: size - from };
}

function lengthOf(stretches: readonly Stretch[]): number {
  return stretches.reduce((sum, { length }) => sum + length, 0);
}

function byteAt(
  stretches: readonly Stretch[],
  at: number,
): { readonly file: string; readonly byte: number } {
  let left = at;
  for (const { file, from, length } of stretches) {
    if (left < length) return { file, byte: from + left };
    left -= length;
  }
  throw new RangeError(`there is no byte ${at} in this sample`);
}

function mustHave<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the source has another shape than it was made with');
  return value;
}
