import { createHash } from 'node:crypto';

/** The value, a line feed, then padding that depends on it. */
export function payloadOf(v: string, bytes: number): Uint8Array {
  const payload = Buffer.alloc(Math.max(bytes, v.length + 1), `${v}\n`);
  return payload;
}

export function valueOf(payload: Uint8Array): string | null {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const end = text.indexOf('\n');
  return end < 0 ? null : text.subarray(0, end).toString('latin1');
}

export function digest(payload: Uint8Array): string {
  return createHash('sha1').update(payload).digest('hex').slice(0, 16);
}
