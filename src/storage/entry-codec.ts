import { chainHash } from '../base/chain-hash.js';
import { getU64, setU64, viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { logIndex, term, type LogIndex } from '../model/ids.js';
import { ENTRY_KIND_CODES, entryKindOf, type LogEntry } from '../model/log-entry.js';
import { StoreDamagedError } from '../ports/log-store.js';

/*
 * Keys of a replica's LevelDB; big-endian, so that byte order is index order.
 *
 *   entry     0 kind u8 = 1 | 1 index u64
 *   log map   0 kind u8 = 2            (log-map.ts)
 *   identity  0 kind u8 = 3            (log-map.ts)
 *
 * Value of an entry; big-endian.
 *
 *   0 version u8 = 1 | 1 kind u8 | 2 reserved u16 = 0 | 4 term u32      | 8 index u64
 *  16 timeMs u64                                      | 24 payloadLength u32
 *  28 payloadCrc u32 (CRC-32C)                        | 32 chain u64    | 40 payload
 *
 * The chain covers the previous entry's chain and every other header field; the payload's CRC is
 * one of them, so a chain that fits vouches for header and payload alike.
 */
export const ENTRY_HEADER_BYTES = 40;
export const ENTRY_KEY_BYTES = 9;
const VERSION = 1;
const KEY_KIND_ENTRY = 1;

export const LOG_MAP_KEY: Uint8Array = Uint8Array.of(2);
export const IDENTITY_KEY: Uint8Array = Uint8Array.of(3);

export function entryKey(index: LogIndex): Uint8Array {
  const key = new Uint8Array(ENTRY_KEY_BYTES);
  writeEntryKey(viewOf(key), 0, index);
  return key;
}

export function writeEntryKey(view: DataView, at: number, index: LogIndex): void {
  view.setUint8(at, KEY_KIND_ENTRY);
  setU64(view, at + 1, index);
}

export function entryKeyIndex(key: Uint8Array): LogIndex {
  if (key.length !== ENTRY_KEY_BYTES || key[0] !== KEY_KIND_ENTRY) {
    throw new StoreDamagedError(`not an entry's key: ${key.length} bytes`);
  }
  return logIndex(getU64(viewOf(key), 1));
}

/** What of an entry the chain covers, besides the previous chain. */
export interface EntryHeader {
  readonly index: LogIndex;
  readonly term: number;
  readonly kindCode: number;
  readonly timeMs: number;
  readonly payloadLength: number;
  readonly payloadCrc: number;
}

export function entryChain(previousChain: number, header: EntryHeader): number {
  return chainHash(previousChain, [
    header.index,
    header.term,
    header.kindCode,
    header.timeMs,
    header.payloadLength,
    header.payloadCrc,
  ]);
}

export function headerOf(entry: LogEntry, crc32c: Crc32c): EntryHeader {
  return {
    index: entry.index,
    term: entry.term,
    kindCode: ENTRY_KIND_CODES[entry.kind],
    timeMs: entry.timeMs,
    payloadLength: entry.payload.length,
    payloadCrc: crc32c(entry.payload),
  };
}

/** Writes the header; the payload goes behind it. */
export function writeEntryHeader(
  view: DataView,
  at: number,
  header: EntryHeader,
  chain: number,
): void {
  view.setUint8(at, VERSION);
  view.setUint8(at + 1, header.kindCode);
  view.setUint16(at + 2, 0);
  view.setUint32(at + 4, header.term);
  setU64(view, at + 8, header.index);
  setU64(view, at + 16, header.timeMs);
  view.setUint32(at + 24, header.payloadLength);
  view.setUint32(at + 28, header.payloadCrc);
  setU64(view, at + 32, chain);
}

export interface StoredEntry {
  readonly entry: LogEntry;
  readonly chain: number;
  readonly header: EntryHeader;
}

/**
 * Decodes a stored entry and verifies everything that needs no neighbour: key, header and payload.
 * The caller checks the chain against the previous entry's ({@link entryChain}). The payload is a
 * view of `value`. Throws {@link StoreDamagedError}.
 */
export function decodeStoredEntry(key: Uint8Array, value: Uint8Array, crc32c: Crc32c): StoredEntry {
  const index = entryKeyIndex(key);
  if (value.length < ENTRY_HEADER_BYTES) {
    throw new StoreDamagedError(`entry ${index}: only ${value.length} bytes`);
  }
  const view = viewOf(value);
  const kindCode = view.getUint8(1);
  const kind = entryKindOf(kindCode);
  const payload = value.subarray(ENTRY_HEADER_BYTES);
  let header: EntryHeader;
  let chain: number;
  try {
    header = {
      index: logIndex(getU64(view, 8)),
      term: view.getUint32(4),
      kindCode,
      timeMs: getU64(view, 16),
      payloadLength: view.getUint32(24),
      payloadCrc: view.getUint32(28),
    };
    chain = getU64(view, 32);
  } catch (cause) {
    throw new StoreDamagedError(`entry ${index}: header out of range`, { cause });
  }
  if (view.getUint8(0) !== VERSION || view.getUint16(2) !== 0 || kind === undefined) {
    throw new StoreDamagedError(`entry ${index}: unknown version or kind`);
  }
  if (header.index !== index) throw new StoreDamagedError(`entry ${index}: holds ${header.index}`);
  if (header.payloadLength !== payload.length) {
    throw new StoreDamagedError(`entry ${index}: payload has a wrong length`);
  }
  if (crc32c(payload) !== header.payloadCrc) {
    throw new StoreDamagedError(`entry ${index}: payload differs from its checksum`);
  }
  const entry = { index, term: term(header.term), kind, timeMs: header.timeMs, payload };
  return { entry, chain, header };
}
