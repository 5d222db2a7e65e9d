import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { offset, type Offset } from '../model/ids.js';

/**
 * What changes a partition besides record batches. The leader decides, everyone applies: which bytes
 * may go is replicated, giving them back is each replica's own business.
 */
export interface PartitionCommand {
  readonly kind: 'moveLogStart';
  /** Records below it are given up; at most the high watermark when it is applied. */
  readonly to: Offset;
  readonly cause: 'trim' | 'retention';
}

/** What applying a command gives its proposer. */
export type CommandResult =
  | { readonly kind: 'moved'; readonly logStartOffset: Offset }
  | { readonly kind: 'rejected'; readonly reason: string };

/*
 *  0 version u8 = 1 | 1 kind u8 = 1 (moveLogStart) | 2 cause u8 (1 trim, 2 retention) | 3 to u64
 */
const VERSION = 1;
const KIND_MOVE_LOG_START = 1;
const CAUSES = { trim: 1, retention: 2 } as const;

export function encodePartitionCommand(command: PartitionCommand): Uint8Array {
  return new ByteWriter(11)
    .u8(VERSION)
    .u8(KIND_MOVE_LOG_START)
    .u8(CAUSES[command.cause])
    .u64(command.to)
    .finish();
}

/** Throws MalformedBytesError: skipping a command that others apply would make replicas differ. */
export function decodePartitionCommand(bytes: Uint8Array): PartitionCommand {
  const r = new ByteReader(bytes);
  const version = r.u8();
  const kind = r.u8();
  const cause = r.u8();
  if (version !== VERSION || kind !== KIND_MOVE_LOG_START) {
    throw new MalformedBytesError(`partition command version ${version}, kind ${kind}`);
  }
  if (cause !== CAUSES.trim && cause !== CAUSES.retention) {
    throw new MalformedBytesError(`partition command cause ${cause}`);
  }
  const to = offset(r.u64());
  r.end();
  return { kind: 'moveLogStart', to, cause: cause === CAUSES.trim ? 'trim' : 'retention' };
}
