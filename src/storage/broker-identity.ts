import path from 'node:path';
import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { brokerId } from '../model/ids.js';
import type { BrokerIdentity } from '../ports/log-store.js';
import { readFileIfThere, writeFileDurably } from './durable-files.js';
import { seal, unseal } from './sealed.js';

/*
 * Identity file: sealed 'MRbi', version u8 = 2, clusterId (string), brokerId u32, directoryId
 * (string), isFormed bool, founders (count, then each, unsigned varints).
 */
const MAGIC = 0x4d526269;
/** Of everything in the directory: a broker reads what it can write, and nothing else. */
const VERSION = 2;

/** Whose data directory this is cannot be told, any more or by this version of the program. */
export class IdentityDamagedError extends Error {
  override readonly name = 'IdentityDamagedError';
}

export function identityFile(directory: string): string {
  return path.join(directory, 'identity');
}

/** undefined if the directory never had one. */
export async function loadIdentity(
  directory: string,
  crc32c: Crc32c,
): Promise<BrokerIdentity | undefined> {
  const file = identityFile(directory);
  const bytes = await readFileIfThere(file);
  if (bytes === undefined) return undefined;
  const version = unseal(MAGIC, bytes, crc32c)?.[0];
  if (version !== undefined && version !== VERSION) {
    throw new IdentityDamagedError(
      `${directory} was written in format ${version}, and this program reads format ${VERSION} only`,
    );
  }
  const identity = decodeIdentity(bytes, crc32c);
  if (identity === undefined) {
    throw new IdentityDamagedError(
      `${file} is damaged: it cannot be told whose data this is, so this broker must not start`,
    );
  }
  return identity;
}

export async function storeIdentity(
  directory: string,
  identity: BrokerIdentity,
  crc32c: Crc32c,
): Promise<void> {
  await writeFileDurably(identityFile(directory), [encodeIdentity(identity, crc32c)]);
}

export function encodeIdentity(identity: BrokerIdentity, crc32c: Crc32c): Uint8Array {
  const w = new ByteWriter(128).u8(VERSION).string(identity.clusterId).u32(identity.brokerId);
  w.string(identity.directoryId).bool(identity.isFormed).uvarint(identity.founders.length);
  for (const id of identity.founders) w.uvarint(id);
  return seal(MAGIC, w.finish(), crc32c);
}

/** undefined if damaged. */
export function decodeIdentity(file: Uint8Array, crc32c: Crc32c): BrokerIdentity | undefined {
  const body = unseal(MAGIC, file, crc32c);
  if (body === undefined || body[0] !== VERSION) return undefined;
  try {
    const r = new ByteReader(body.subarray(1));
    const clusterId = r.string();
    const self = brokerId(r.u32());
    const directoryId = r.string();
    const isFormed = r.bool();
    const founders = [];
    for (let n = r.uvarint(); n > 0; n -= 1) founders.push(brokerId(r.uvarint()));
    r.end();
    return { clusterId, brokerId: self, directoryId, founders, isFormed };
  } catch (error) {
    if (error instanceof MalformedBytesError) return undefined;
    throw error;
  }
}
