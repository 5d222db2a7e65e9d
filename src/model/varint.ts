import { MalformedBytesError } from '../base/bytes.js';

/*
 * A varint that was read: its zigzag form, and in the lowest three bits how many bytes it took. In one
 * number, as two would cost an object or a field to hold the place. Lengths and deltas that do not fit
 * into 28 bits are beyond any batch, and what lies beyond the end of the bytes is no number: both throw.
 */
export type Varint = number;

const VARINT_BYTES_MAX = 5;
const VARINT_LIMIT = 2 ** 28;

export function widthOf(varint: Varint): number {
  return varint & 7;
}

export function valueOf(varint: Varint): number {
  return (varint >>> 4) ^ -((varint >>> 3) & 1);
}

export function numberAt(bytes: Uint8Array, at: number): Varint {
  const first = bytes[at] as number;
  if (first < 0x80) return (first << 3) | 1;
  const second = bytes[at + 1] as number;
  return second < 0x80 ? (((first & 0x7f) | (second << 7)) << 3) | 2 : longNumberAt(bytes, at);
}

function longNumberAt(bytes: Uint8Array, at: number): Varint {
  let raw = 0;
  let scale = 1;
  for (let width = 1; width <= VARINT_BYTES_MAX; width += 1) {
    const byte = byteAt(bytes, at + width - 1);
    raw += (byte & 0x7f) * scale;
    if (raw >= VARINT_LIMIT) break;
    if (byte < 0x80) return (raw << 3) | width;
    scale *= 0x80;
  }
  throw new MalformedBytesError('varint exceeds 28 bits');
}

const VARLONG_BYTES_MAX = 8;

/** Up to 64 bits on the wire; values beyond 2^53 are refused. */
export function varlongAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return (first >>> 1) ^ -(first & 1);
  let raw = 0;
  let scale = 1;
  for (let i = 0; i < VARLONG_BYTES_MAX; i += 1) {
    const byte = byteAt(bytes, at + i);
    raw += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (!Number.isSafeInteger(raw)) break;
      return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
    }
    scale *= 0x80;
  }
  throw new MalformedBytesError('varlong exceeds 2^53');
}

/** Throws if there is none. */
export function afterVarlong(bytes: Uint8Array, at: number): number {
  if ((bytes[at] as number) < 0x80) return at + 1;
  varlongAt(bytes, at);
  let end = at;
  while (byteAt(bytes, end) >= 0x80) end += 1;
  return end + 1;
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new MalformedBytesError('records end inside a number');
  return byte;
}
