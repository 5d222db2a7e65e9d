import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { logIndex, term } from '../model/ids.js';
import { decodeMembership, encodeMembership } from '../model/membership.js';
import type { Checkpoint, Snapshot } from '../ports/log-store.js';
import type { SnapshotMeta } from '../raft/io.js';
import { seal, unseal } from './sealed.js';

/*
 * Snapshot file: a sealed header, then the state's bytes as they are.
 *
 *   0 headerLength u32 | 4 sealed 'MRsn': version u8 = 1, last.term u64, last.index u64, chain u64,
 *     timeMs u64, membership (bytes), stateLength u64, stateCrc u32 | state
 *
 * Checkpoint file: the same with 'MRcp': version u8 = 1, index u64, stateLength u64, stateCrc u32.
 *
 * Note file: sealed 'MRno': version u8 = 1, note (bytes).
 */
const SNAPSHOT_MAGIC = 0x4d52736e;
const CHECKPOINT_MAGIC = 0x4d526370;
const NOTE_MAGIC = 0x4d526e6f;
const VERSION = 1;
const LENGTH_BYTES = 4;

export function encodeSnapshot(snapshot: Snapshot, crc32c: Crc32c): Uint8Array[] {
  const { meta, state } = snapshot;
  const w = new ByteWriter(128).u8(VERSION).u64(meta.last.term).u64(meta.last.index);
  w.u64(meta.chain).u64(meta.timeMs).bytes(encodeMembership(meta.membership));
  return withHeader(SNAPSHOT_MAGIC, w, state, crc32c);
}

/** undefined if damaged. */
export function decodeSnapshot(file: Uint8Array, crc32c: Crc32c): Snapshot | undefined {
  return decodeWith(SNAPSHOT_MAGIC, file, crc32c, (r) => {
    const last = { term: term(r.u64()), index: logIndex(r.u64()) };
    const meta: SnapshotMeta = {
      last,
      chain: r.u64(),
      timeMs: r.u64(),
      membership: decodeMembership(r.bytes()),
    };
    return (state) => ({ meta, state });
  });
}

export function encodeCheckpoint(checkpoint: Checkpoint, crc32c: Crc32c): Uint8Array[] {
  const w = new ByteWriter(32).u8(VERSION).u64(checkpoint.index);
  return withHeader(CHECKPOINT_MAGIC, w, checkpoint.state, crc32c);
}

/** undefined if damaged. */
export function decodeCheckpoint(file: Uint8Array, crc32c: Crc32c): Checkpoint | undefined {
  return decodeWith(CHECKPOINT_MAGIC, file, crc32c, (r) => {
    const index = logIndex(r.u64());
    return (state) => ({ index, state });
  });
}

export function encodeNote(note: Uint8Array, crc32c: Crc32c): Uint8Array {
  const body = new ByteWriter(note.length + 8).u8(VERSION).bytes(note).finish();
  return seal(NOTE_MAGIC, body, crc32c);
}

/** undefined if damaged. */
export function decodeNote(file: Uint8Array, crc32c: Crc32c): Uint8Array | undefined {
  const body = unseal(NOTE_MAGIC, file, crc32c);
  if (body === undefined || body[0] !== VERSION) return undefined;
  const r = new ByteReader(body.subarray(1));
  const note = r.bytes();
  r.end();
  return note;
}

function withHeader(
  magic: number,
  fields: ByteWriter,
  state: Uint8Array,
  crc32c: Crc32c,
): Uint8Array[] {
  fields.u64(state.length).u32(crc32c(state));
  const header = seal(magic, fields.finish(), crc32c);
  return [new ByteWriter(LENGTH_BYTES).u32(header.length).finish(), header, state];
}

function decodeWith<T>(
  magic: number,
  file: Uint8Array,
  crc32c: Crc32c,
  fields: (r: ByteReader) => (state: Uint8Array) => T,
): T | undefined {
  try {
    const outer = new ByteReader(file);
    const body = unseal(magic, outer.raw(outer.u32()), crc32c);
    if (body === undefined || body[0] !== VERSION) return undefined;
    const r = new ByteReader(body.subarray(1));
    const build = fields(r);
    const length = r.u64();
    const crc = r.u32();
    r.end();
    const state = outer.raw(length);
    outer.end();
    return crc32c(state) === crc ? build(state) : undefined;
  } catch (error) {
    if (error instanceof MalformedBytesError) return undefined;
    throw error;
  }
}
