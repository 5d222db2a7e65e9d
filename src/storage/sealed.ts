import { viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';

/*
 * A sealed block: magic u32 | body | crc32c u32 of all before it. Every small structure that is
 * written as a whole (slots, files, side values) is one, so that damage never looks like data.
 */
const MAGIC_BYTES = 4;
const CRC_BYTES = 4;

export function seal(magic: number, body: Uint8Array, crc32c: Crc32c): Uint8Array {
  const out = new Uint8Array(MAGIC_BYTES + body.length + CRC_BYTES);
  const view = viewOf(out);
  view.setUint32(0, magic);
  out.set(body, MAGIC_BYTES);
  view.setUint32(out.length - CRC_BYTES, crc32c(out.subarray(0, out.length - CRC_BYTES)));
  return out;
}

/** The body, a view; undefined if the block is damaged or of another kind. */
export function unseal(magic: number, block: Uint8Array, crc32c: Crc32c): Uint8Array | undefined {
  if (block.length < MAGIC_BYTES + CRC_BYTES) return undefined;
  const view = viewOf(block);
  const bodyEnd = block.length - CRC_BYTES;
  if (view.getUint32(0) !== magic) return undefined;
  if (view.getUint32(bodyEnd) !== crc32c(block.subarray(0, bodyEnd))) return undefined;
  return block.subarray(MAGIC_BYTES, bodyEnd);
}

/** Pads a sealed block's body so that the block is exactly `bytes` long. */
export function padBody(body: Uint8Array, bytes: number): Uint8Array {
  const length = bytes - MAGIC_BYTES - CRC_BYTES;
  if (body.length > length) throw new RangeError(`${body.length} bytes do not fit ${length}`);
  const out = new Uint8Array(length);
  out.set(body);
  return out;
}
