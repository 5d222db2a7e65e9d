import path from 'node:path';
import { ByteReader } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { StoreDamagedError } from '../ports/log-store.js';
import { namesIn, readFileIfThere } from './durable-files.js';
import { isResourceError } from './level-db.js';

/*
 * A table of LevelDB:
 *
 *   data blocks, filter blocks, metaindex block, index block, each followed by its type u8 and its
 *   masked CRC-32C u32; then the footer: handles of metaindex and index, zeros up to 40 bytes, magic u64
 *
 * A handle is offset and size as uvarints. A block of handles is entries of shared length, unshared
 * length and value length as uvarints, the unshared part of the key, the value; then the offsets of
 * restarts u32 each, and how many there are u32.
 */
const FOOTER_BYTES = 48;
const MAGIC = 0xdb4775248b80fb57n;
const TRAILER_BYTES = 5;
const CRC_MASK = 0xa282ead8;
/** Files of LevelDB are numbered as they are made, with six digits or more. */
const TABLE_NAME = /^(\d+)\.ldb$/;

interface Handle {
  readonly offset: number;
  readonly size: number;
}

/**
 * Reads tables of a LevelDB that is open, in our own way, and holds every block against its checksum.
 * LevelDB itself looks at none, and ends the whole process over some damages: what was found here, it
 * never gets to see. Newest first, until `bytesMin` were read. Throws StoreDamagedError.
 */
export async function checkTables(
  database: string,
  crc32c: Crc32c,
  options: {
    readonly bytesMin?: number;
    /** Called after each table. */
    readonly rest?: (bytes: number) => Promise<void>;
  } = {},
): Promise<void> {
  const names = (await namesIn(database)).filter((name) => TABLE_NAME.test(name));
  names.sort((a, b) => numberOf(b) - numberOf(a));
  let left = options.bytesMin ?? Infinity;
  for (const name of names) {
    if (left <= 0) return;
    const table = await readTable(path.join(database, name));
    if (table === undefined) continue;
    checkTable(name, table, crc32c);
    left -= table.length;
    await options.rest?.(table.length);
  }
}

function numberOf(name: string): number {
  return Number(TABLE_NAME.exec(name)?.[1]);
}

/**
 * Nothing, if a compaction made it needless meanwhile, or if the disk does not give it: LevelDB fares
 * the same with it, and says so without harm.
 */
async function readTable(file: string): Promise<Uint8Array | undefined> {
  try {
    return await readFileIfThere(file);
  } catch (error) {
    if (isResourceError(error)) throw error;
    return undefined;
  }
}

/** A table without an end is one being written; if not, LevelDB refuses it without harm. */
function checkTable(name: string, table: Uint8Array, crc32c: Crc32c): void {
  const end = table.length - FOOTER_BYTES;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  if (end < 0 || view.getBigUint64(table.length - 8, true) !== MAGIC) return;
  const check = (handle: Handle): Uint8Array => {
    const block = blockAt(table, end, handle);
    if (block !== undefined && hasItsChecksum(table, handle, crc32c)) return block;
    throw new StoreDamagedError(`a block of table ${name} is damaged, at ${handle.offset}`);
  };
  try {
    const footer = new ByteReader(table.subarray(end, table.length - 8));
    const metaindex = readHandle(footer);
    const index = readHandle(footer);
    for (const handle of handlesIn(check(metaindex))) check(handle);
    for (const handle of handlesIn(check(index))) check(handle);
  } catch (error) {
    if (error instanceof StoreDamagedError) throw error;
    throw new StoreDamagedError(`table ${name} cannot be read`, { cause: error });
  }
}

function blockAt(table: Uint8Array, end: number, { offset, size }: Handle): Uint8Array | undefined {
  return offset + size + TRAILER_BYTES <= end ? table.subarray(offset, offset + size) : undefined;
}

function hasItsChecksum(table: Uint8Array, { offset, size }: Handle, crc32c: Crc32c): boolean {
  const crc = crc32c(table.subarray(offset, offset + size + 1));
  const masked = (((crc >>> 15) | (crc << 17)) + CRC_MASK) >>> 0;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  return masked === view.getUint32(offset + size + 1, true);
}

function* handlesIn(block: Uint8Array): Generator<Handle, void, undefined> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const restarts = view.getUint32(block.length - 4, true);
  const entries = new ByteReader(block.subarray(0, block.length - 4 * (restarts + 1)));
  while (entries.remaining > 0) {
    entries.uvarint();
    const unshared = entries.uvarint();
    const valueBytes = entries.uvarint();
    entries.raw(unshared);
    yield readHandle(new ByteReader(entries.raw(valueBytes)));
  }
}

function readHandle(reader: ByteReader): Handle {
  return { offset: reader.uvarint(), size: reader.uvarint() };
}
