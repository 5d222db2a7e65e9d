import { ByteWriter } from '../base/bytes.js';

/** Less than this is cheaper copied twice than remembered. */
const PART_BYTES_MIN = 1_024;

/**
 * A message whose bytes lie in several places until gRPC copies them, once, behind the five bytes of its
 * own frame. Of the Buffer that a serializer returns, grpc-js 1.14 uses the length and `copy`; that this
 * is so, a test watches over.
 *
 * Invariant: nobody changes the parts before the message has left.
 */
export class GatheredBytes {
  readonly length: number;
  readonly #parts: readonly Uint8Array[];

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts;
    let length = 0;
    for (const part of parts) length += part.length;
    this.length = length;
  }

  static concat(messages: readonly GatheredBytes[]): GatheredBytes {
    return new GatheredBytes(messages.flatMap((message) => message.#parts));
  }

  get byteLength(): number {
    return this.length;
  }

  copy(target: Uint8Array, at = 0): number {
    let end = at;
    for (const part of this.#parts) {
      target.set(part, end);
      end += part.length;
    }
    return end - at;
  }

  /** The same as one protobuf field of the given number, behind the fields that are encoded already. */
  asField(number: number, before?: Uint8Array): GatheredBytes {
    const w = new ByteWriter(16);
    w.uvarint(number * 8 + LENGTH_DELIMITED).uvarint(this.length);
    const head = w.release();
    const parts = before === undefined ? [head] : [before, head];
    return new GatheredBytes([...parts, ...this.#parts]);
  }

  joined(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    this.copy(bytes);
    return bytes;
  }
}

const LENGTH_DELIMITED = 2;

/** For gRPC as a method's serializer. */
export function serializeGathered(message: GatheredBytes): Buffer {
  return message as unknown as Buffer;
}

/** Writes small values one behind the other, and takes large bytes as they are. */
export class GatheringWriter extends ByteWriter {
  readonly #large: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  override raw(bytes: Uint8Array): this {
    if (bytes.length < PART_BYTES_MIN) return super.raw(bytes);
    this.#large.push({ at: this.length, bytes });
    return this;
  }

  /** The writer starts over, as after `release`. */
  gathered(): GatheredBytes {
    const small = this.release();
    const parts: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.#large.splice(0)) {
      if (at > from) parts.push(small.subarray(from, at));
      parts.push(bytes);
      from = at;
    }
    if (from < small.length) parts.push(small.subarray(from));
    return new GatheredBytes(parts);
  }
}
