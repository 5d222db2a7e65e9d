import { chainHash } from '../base/chain-hash.js';
import { getU64, setU64, viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { logIndex, term, type LogIndex } from '../model/ids.js';
import {
  ENTRY_KIND_CODES,
  entryKindOf,
  originalLength,
  type LogEntry,
  type OriginalPayload,
} from '../model/log-entry.js';
import { StoreDamagedError } from '../ports/log-store.js';

/*
 * Keys of a replica's LevelDB; big-endian, so that byte order is index order.
 *
 *   identity  0 kind u8 = 0            (generation.ts)
 *   entry     0 kind u8 = 1 | 1 index u64
 *
 * Nothing is ever written but entries in rising order, and nothing sorts behind them: so LevelDB's
 * files follow one another without overlap, and it never has to merge them (ADR 11).
 *
 * Value of an entry; big-endian.
 *
 *   0 version u8 = 2 | 1 kind u8 | 2 form u16           | 4 term u32      | 8 index u64
 *  16 timeMs u64                                      | 24 payloadLength u32
 *  28 payloadCrc u32 (CRC-32C)                        | 32 chain u64    | 40 runFirst u64
 *  48 membershipBefore u64                            | 56 linksCrc u32 | 60 payload
 *
 * Form 0 is an entry as it was appended. In form 1, compaction has replaced the payload: the header
 * still tells the length and the checksum of the original, and what is stored now has its own:
 *
 *  60 storedLength u32 | 64 storedCrc u32 | 68 rewriteCrc u32 (over bytes 32 to 68) | 72 payload
 *
 * The chain covers the previous entry's chain and every header field before it; the payload's CRC is
 * one of them, so a chain that fits vouches for header and payload alike. The links are this
 * replica's own (another one's log may begin elsewhere) and have a checksum of their own, over
 * chain and links.
 */
export const ENTRY_HEADER_BYTES = 60;
const CHAIN_AT = 32;
const LINKS_AT = 40;
const LINKS_CRC_AT = 56;
const STORED_LENGTH_AT = 60;
const REWRITE_CRC_AT = 68;
const REWRITTEN_HEADER_BYTES = 72;
const FORM_ORIGINAL = 0;
const FORM_REWRITTEN = 1;
export const ENTRY_KEY_BYTES = 9;
const VERSION = 2;
const KEY_KIND_ENTRY = 1;

export const IDENTITY_KEY: Uint8Array = Uint8Array.of(0);

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

/** Lead from an entry back along its log; what lies below the log's first entry counts for nothing. */
export interface EntryLinks {
  /** Where its run of entries of one term begins. */
  readonly runFirst: LogIndex;
  /** The newest membership entry below it; 0: none. */
  readonly membershipBefore: LogIndex;
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
    payloadLength: originalLength(entry),
    payloadCrc: entry.original?.crc ?? crc32c(entry.payload),
  };
}

/** Bytes of an entry's value before its payload. */
export function headerBytes(entry: LogEntry): number {
  return entry.original === undefined ? ENTRY_HEADER_BYTES : REWRITTEN_HEADER_BYTES;
}

/** Where an entry stands in this replica's log. */
export interface EntryPlace {
  readonly chain: number;
  readonly links: EntryLinks;
  readonly crc32c: Crc32c;
}

/** Writes an entry's value and returns where it ends. */
export function writeEntryValue(
  memory: Uint8Array,
  at: number,
  entry: LogEntry,
  place: EntryPlace & { readonly header: EntryHeader },
): number {
  const view = viewOf(memory);
  const payloadAt = at + headerBytes(entry);
  writeEntryHeader(view, at, place.header, place);
  if (entry.original !== undefined) writeRewrite(view, at, entry.payload, place.crc32c);
  memory.set(entry.payload, payloadAt);
  return payloadAt + entry.payload.length;
}

function writeRewrite(view: DataView, at: number, payload: Uint8Array, crc32c: Crc32c): void {
  view.setUint16(at + 2, FORM_REWRITTEN);
  view.setUint32(at + STORED_LENGTH_AT, payload.length);
  view.setUint32(at + STORED_LENGTH_AT + 4, crc32c(payload));
  view.setUint32(at + REWRITE_CRC_AT, rewriteCrc(view, at, crc32c));
}

/** Over chain and links as well, which ties what is stored now to its entry. */
function rewriteCrc(view: DataView, at: number, crc32c: Crc32c): number {
  const length = REWRITE_CRC_AT - CHAIN_AT;
  return crc32c(new Uint8Array(view.buffer, view.byteOffset + at + CHAIN_AT, length));
}

/** The header as it is in form 0. */
export function writeEntryHeader(
  view: DataView,
  at: number,
  header: EntryHeader,
  place: EntryPlace,
): void {
  view.setUint8(at, VERSION);
  view.setUint8(at + 1, header.kindCode);
  view.setUint16(at + 2, FORM_ORIGINAL);
  view.setUint32(at + 4, header.term);
  setU64(view, at + 8, header.index);
  setU64(view, at + 16, header.timeMs);
  view.setUint32(at + 24, header.payloadLength);
  view.setUint32(at + 28, header.payloadCrc);
  setU64(view, at + CHAIN_AT, place.chain);
  setU64(view, at + LINKS_AT, place.links.runFirst);
  setU64(view, at + LINKS_AT + 8, place.links.membershipBefore);
  view.setUint32(at + LINKS_CRC_AT, linksCrc(view, at, place.crc32c));
}

/** Over the chain as well, which ties the links to their entry. */
function linksCrc(view: DataView, at: number, crc32c: Crc32c): number {
  const length = LINKS_CRC_AT - CHAIN_AT;
  return crc32c(new Uint8Array(view.buffer, view.byteOffset + at + CHAIN_AT, length));
}

export interface StoredEntry {
  readonly entry: LogEntry;
  readonly chain: number;
  readonly header: EntryHeader;
  readonly links: EntryLinks;
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
  let header: EntryHeader;
  let chain: number;
  let links: EntryLinks;
  try {
    header = {
      index: logIndex(getU64(view, 8)),
      term: view.getUint32(4),
      kindCode,
      timeMs: getU64(view, 16),
      payloadLength: view.getUint32(24),
      payloadCrc: view.getUint32(28),
    };
    chain = getU64(view, CHAIN_AT);
    links = {
      runFirst: logIndex(getU64(view, LINKS_AT)),
      membershipBefore: logIndex(getU64(view, LINKS_AT + 8)),
    };
  } catch (cause) {
    throw new StoreDamagedError(`entry ${index}: header out of range`, { cause });
  }
  const form = view.getUint16(2);
  if (view.getUint8(0) !== VERSION || form > FORM_REWRITTEN || kind === undefined) {
    throw new StoreDamagedError(`entry ${index}: unknown version, form or kind`);
  }
  if (header.index !== index) throw new StoreDamagedError(`entry ${index}: holds ${header.index}`);
  const isRewritten = form === FORM_REWRITTEN;
  const stored = isRewritten ? rewriteOf(value, index, crc32c) : originalOf(header);
  const payload = value.subarray(isRewritten ? REWRITTEN_HEADER_BYTES : ENTRY_HEADER_BYTES);
  if (stored.length !== payload.length) {
    throw new StoreDamagedError(`entry ${index}: payload has a wrong length`);
  }
  if (crc32c(payload) !== stored.crc) {
    throw new StoreDamagedError(`entry ${index}: payload differs from its checksum`);
  }
  if (view.getUint32(LINKS_CRC_AT) !== linksCrc(view, 0, crc32c)) {
    throw new StoreDamagedError(`entry ${index}: links differ from their checksum`);
  }
  const entry: LogEntry = {
    ...{ index, term: term(header.term), kind, timeMs: header.timeMs, payload },
    ...(isRewritten ? { original: originalOf(header) } : {}),
  };
  return { entry, chain, header, links };
}

function originalOf(header: EntryHeader): OriginalPayload {
  return { length: header.payloadLength, crc: header.payloadCrc };
}

/** Length and checksum of what is stored in place of the original payload. */
function rewriteOf(value: Uint8Array, index: LogIndex, crc32c: Crc32c): OriginalPayload {
  const view = viewOf(value);
  const isWhole =
    value.length >= REWRITTEN_HEADER_BYTES &&
    view.getUint32(REWRITE_CRC_AT) === rewriteCrc(view, 0, crc32c);
  if (!isWhole) throw new StoreDamagedError(`entry ${index}: its rewriting is damaged`);
  return {
    length: view.getUint32(STORED_LENGTH_AT),
    crc: view.getUint32(STORED_LENGTH_AT + 4),
  };
}
