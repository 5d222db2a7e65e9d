import { MalformedBytesError, viewOf } from '../../base/bytes.js';

/*
 * The framing that Kafka's Java clients put around snappy (from the xerial library):
 *
 *   82 'SNAPPY' 00 | version i32 = 1 | compatible version i32 = 1 | per block: length i32, raw block
 */
const MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const HEADER_BYTES = 16;

export interface SnappyBlock {
  readonly block: Uint8Array;
  /** Length after decompression, as the block itself declares. */
  readonly bytes: number;
}

/** One raw block inside the frame. */
export function snappyFrame(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + 4 + block.length);
  const view = viewOf(out);
  out.set(MAGIC);
  view.setInt32(8, 1);
  view.setInt32(12, 1);
  view.setInt32(HEADER_BYTES, block.length);
  out.set(block, HEADER_BYTES + 4);
  return out;
}

/** The raw blocks of a frame, or the one raw block that stands without a frame. */
export function snappyBlocks(bytes: Uint8Array): SnappyBlock[] {
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) return [blockOf(bytes)];
  if (bytes.length < HEADER_BYTES) throw new MalformedBytesError('snappy frame cut short');
  const view = viewOf(bytes);
  const blocks: SnappyBlock[] = [];
  for (let at = HEADER_BYTES; at < bytes.length;) {
    if (bytes.length - at < 4) throw new MalformedBytesError('snappy block length cut short');
    const length = view.getInt32(at);
    at += 4;
    if (length < 0 || length > bytes.length - at) {
      throw new MalformedBytesError(`snappy block of ${length} bytes does not fit`);
    }
    blocks.push(blockOf(bytes.subarray(at, at + length)));
    at += length;
  }
  return blocks;
}

/** A raw block starts with its uncompressed length, as a plain varint. */
function blockOf(block: Uint8Array): SnappyBlock {
  let length = 0;
  for (let i = 0; i < 5; i += 1) {
    const byte = block[i];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { block, bytes: length };
  }
  throw new MalformedBytesError('snappy block does not declare its length');
}
