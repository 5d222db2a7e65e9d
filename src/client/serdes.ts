import { MalformedBytesError, utf8Decode, utf8Encode } from '../base/bytes.js';
import type { RecordHeader } from '../model/record.js';

/** Makes bytes of a key or a value. Never given an absent one. What it throws fails the record. */
export interface Serializer<T> {
  /** Throws on what it cannot take. */
  readonly serialize: (data: T, topic: string) => Uint8Array;
}

/**
 * Makes a key or a value of bytes, which are a view into the batch: copy what is to be kept as bytes.
 * Never given an absent one. Throws on bytes that it can make nothing of.
 */
export interface Deserializer<T> {
  /** Throws on what it can make nothing of. */
  readonly deserialize: (bytes: Uint8Array, topic: string, headers: readonly RecordHeader[]) => T;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** A half of a pair without the other half. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** How keys or values of one type stand in records. */
export interface Serde<T> extends Serializer<T>, Deserializer<T> {}

/** Bytes as they are: what all records consist of unless told otherwise. */
export const bytesSerde: Serde<Uint8Array> = {
  serialize: (data) => data,
  deserialize: (bytes) => bytes,
};

/** UTF-8. What is not UTF-8, on either side, is refused and not replaced: a string comes back as it was. */
export const stringSerde: Serde<string> = {
  serialize: (data) => {
    if (LONE_SURROGATE.test(data)) throw new MalformedBytesError('not UTF-16');
    return utf8Encode(data);
  },
  deserialize: (bytes) => utf8.decode(bytes),
};

/**
 * JSON as UTF-8. `check` is given what was parsed, whoever wrote it, and returns it as a T or throws;
 * without it the bytes are trusted to hold one.
 */
export function jsonSerde<T>(check: (parsed: unknown) => T = (parsed) => parsed as T): Serde<T> {
  return {
    serialize: (data) => {
      const text = JSON.stringify(data) as string | undefined;
      if (text === undefined) throw new TypeError(`JSON knows no ${typeof data}`);
      return utf8Encode(text);
    },
    deserialize: (bytes) => check(JSON.parse(utf8Decode(bytes))),
  };
}
