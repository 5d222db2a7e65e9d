import { invariant } from './assert.js';

const TWO_32 = 0x1_0000_0000;
const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true });

/** A byte sequence ended before a value did, or held a value out of its range. */
export class MalformedBytesError extends Error {
  override readonly name = 'MalformedBytesError';
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads a big-endian unsigned 64-bit integer that must be a safe number. */
export function getU64(view: DataView, at: number): number {
  const value = view.getUint32(at) * TWO_32 + view.getUint32(at + 4);
  if (!Number.isSafeInteger(value)) throw new MalformedBytesError(`integer at ${at} exceeds 2^53`);
  return value;
}

/** Writes a non-negative safe integer as big-endian unsigned 64 bits. */
export function setU64(view: DataView, at: number, value: number): void {
  invariant(Number.isSafeInteger(value) && value >= 0, 'not an unsigned safe integer', { value });
  view.setUint32(at, Math.floor(value / TWO_32));
  view.setUint32(at + 4, value % TWO_32);
}

/** Reads a big-endian signed 64-bit integer that must be a safe number. */
export function getI64(view: DataView, at: number): number {
  const value = view.getInt32(at) * TWO_32 + view.getUint32(at + 4);
  if (!Number.isSafeInteger(value)) throw new MalformedBytesError(`integer at ${at} exceeds 2^53`);
  return value;
}

/** Writes a safe integer as big-endian two's complement 64 bits. */
export function setI64(view: DataView, at: number, value: number): void {
  invariant(Number.isSafeInteger(value), 'not a safe integer', { value });
  view.setInt32(at, Math.floor(value / TWO_32));
  view.setUint32(at + 4, value - Math.floor(value / TWO_32) * TWO_32);
}

export function utf8Encode(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/** Throws {@link MalformedBytesError} on bytes that are not UTF-8. */
export function utf8Decode(bytes: Uint8Array): string {
  try {
    return utf8Decoder.decode(bytes);
  } catch (cause) {
    throw new MalformedBytesError('not UTF-8', { cause });
  }
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Appends big-endian values to a buffer that grows by doubling. */
export class ByteWriter {
  private buffer: Uint8Array;
  private view: DataView;
  private at = 0;

  constructor(initialBytes = 256) {
    this.buffer = new Uint8Array(initialBytes);
    this.view = viewOf(this.buffer);
  }

  get length(): number {
    return this.at;
  }

  u8(value: number): this {
    this.reserve(1);
    this.view.setUint8(this.at, value);
    this.at += 1;
    return this;
  }

  u16(value: number): this {
    this.reserve(2);
    this.view.setUint16(this.at, value);
    this.at += 2;
    return this;
  }

  u32(value: number): this {
    this.reserve(4);
    this.view.setUint32(this.at, value);
    this.at += 4;
    return this;
  }

  i32(value: number): this {
    this.reserve(4);
    this.view.setInt32(this.at, value);
    this.at += 4;
    return this;
  }

  u64(value: number): this {
    this.reserve(8);
    setU64(this.view, this.at, value);
    this.at += 8;
    return this;
  }

  i64(value: number): this {
    this.reserve(8);
    setI64(this.view, this.at, value);
    this.at += 8;
    return this;
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** Unsigned LEB128 of a safe integer. */
  uvarint(value: number): this {
    invariant(Number.isSafeInteger(value) && value >= 0, 'not an unsigned safe integer', { value });
    this.reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.buffer[this.at] = (rest % 0x80) | 0x80;
      this.at += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.at] = rest;
    this.at += 1;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
    return this;
  }

  /** Length as uvarint, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.uvarint(bytes.length).raw(bytes);
  }

  /** UTF-8 with its byte length as uvarint. */
  string(text: string): this {
    return this.bytes(utf8Encode(text));
  }

  /** The bytes written so far; a view that later writes may not disturb is made by copying. */
  finish(): Uint8Array {
    return this.buffer.slice(0, this.at);
  }

  /** The bytes written, without a copy: the writer starts over and no longer owns them. */
  release(): Uint8Array {
    const bytes = this.buffer.subarray(0, this.at);
    this.buffer = new Uint8Array(0);
    this.view = viewOf(this.buffer);
    this.at = 0;
    return bytes;
  }

  private reserve(more: number): void {
    const need = this.at + more;
    if (need <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(need, this.buffer.length * 2));
    grown.set(this.buffer.subarray(0, this.at));
    this.buffer = grown;
    this.view = viewOf(grown);
  }
}

/** Reads what {@link ByteWriter} wrote. Every read is bounds-checked: the input is not trusted. */
export class ByteReader {
  private readonly buffer: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(buffer: Uint8Array) {
    this.buffer = buffer;
    this.view = viewOf(buffer);
  }

  get remaining(): number {
    return this.buffer.length - this.at;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2));
  }

  u32(): number {
    return this.view.getUint32(this.take(4));
  }

  i32(): number {
    return this.view.getInt32(this.take(4));
  }

  u64(): number {
    return getU64(this.view, this.take(8));
  }

  i64(): number {
    return getI64(this.view, this.take(8));
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw new MalformedBytesError(`not a boolean: ${value}`);
    return value === 1;
  }

  uvarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new MalformedBytesError('varint exceeds 2^53');
        return value;
      }
      scale *= 0x80;
    }
    throw new MalformedBytesError('varint too long');
  }

  /** A view of the next `length` bytes, not a copy. */
  raw(length: number): Uint8Array {
    const at = this.take(length);
    return this.buffer.subarray(at, at + length);
  }

  bytes(): Uint8Array {
    return this.raw(this.uvarint());
  }

  string(): string {
    return utf8Decode(this.bytes());
  }

  /** Throws unless every byte was read. */
  end(): void {
    if (this.remaining !== 0) throw new MalformedBytesError(`${this.remaining} bytes too many`);
  }

  private take(length: number): number {
    if (length > this.remaining) {
      throw new MalformedBytesError(`need ${length} bytes, have ${this.remaining}`);
    }
    const at = this.at;
    this.at += length;
    return at;
  }
}
