import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { readList, writeList } from '../metadata/codec-parts.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import type { PeerAddress, PeerCaller } from '../ports/transport.js';

/** How one kind of value travels between brokers. `read` throws MalformedBytesError. */
export interface Codec<T> {
  write(w: ByteWriter, value: T): void;
  read(r: ByteReader): T;
}

/** One request and its answer between brokers. A version byte stands before every body. */
export interface PeerOp<Request, Answer> {
  readonly method: string;
  readonly request: Codec<Request>;
  readonly answer: Codec<Answer>;
}

const VERSION = 1;

export function peerOp<Request, Answer>(
  method: string,
  request: Codec<Request>,
  answer: Codec<Answer>,
): PeerOp<Request, Answer> {
  return { method, request, answer };
}

export async function callPeer<Request, Answer>(
  peers: PeerCaller,
  to: BrokerId | PeerAddress,
  op: PeerOp<Request, Answer>,
  request: Request,
  deadlineMs: number,
): Promise<Answer> {
  const body = await peers.call(to, op.method, encode(op.request, request), { deadlineMs });
  return decode(op.answer, body, op.method);
}

export function handlePeer<Request, Answer>(
  peers: PeerCaller,
  op: PeerOp<Request, Answer>,
  handler: (request: Request, from: BrokerId | undefined) => Promise<Answer>,
): void {
  peers.handle(op.method, async (from, body) => {
    const answer = await handler(decode(op.request, body, op.method), from);
    return encode(op.answer, answer);
  });
}

function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const w = new ByteWriter(128).u8(VERSION);
  codec.write(w, value);
  return w.finish();
}

function decode<T>(codec: Codec<T>, bytes: Uint8Array, method: string): T {
  try {
    const r = new ByteReader(bytes);
    const version = r.u8();
    if (version !== VERSION) throw new MalformedBytesError(`version ${version}`);
    const value = codec.read(r);
    r.end();
    return value;
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause;
    throw new BrokerError(
      'INVALID_ARGUMENT',
      `malformed ${method} between brokers: ${cause.message}`,
      {},
      { cause },
    );
  }
}

export const nothing: Codec<undefined> = { write: () => undefined, read: () => undefined };

/** A safe integer of 0 or more, in whatever brand. */
export function uint<T extends number>(): Codec<T> {
  return { write: (w, value) => void w.uvarint(value), read: (r) => r.uvarint() as T };
}

/** A safe integer that may be negative. */
export const int: Codec<number> = {
  write: (w, value) => void w.i64(value),
  read: (r) => r.i64(),
};

export const text: Codec<string> = {
  write: (w, value) => void w.string(value),
  read: (r) => r.string(),
};

export const flag: Codec<boolean> = {
  write: (w, value) => void w.bool(value),
  read: (r) => r.bool(),
};

export function listOf<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    write: (w, items) => writeList(w, items, (to, one) => item.write(to, one)),
    read: (r) => readList(r, (from) => item.read(from)),
  };
}

export function maybe<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write(w, value) {
      w.bool(value !== undefined);
      if (value !== undefined) codec.write(w, value);
    },
    read: (r) => (r.bool() ? codec.read(r) : undefined),
  };
}

/** Fields one after another, in the order they are given here. */
export function record<T extends object>(fields: {
  readonly [K in keyof T]-?: Codec<T[K]>;
}): Codec<T> {
  const keys = Object.keys(fields) as (keyof T)[];
  return {
    write(w, value) {
      for (const key of keys) fields[key].write(w, value[key]);
    },
    read(r) {
      const value: Partial<T> = {};
      for (const key of keys) value[key] = fields[key].read(r);
      return value as T;
    },
  };
}
