import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { offset, type Offset } from '../model/ids.js';

/**
 * What changes a partition besides record batches. The leader decides, everyone applies: which bytes
 * may go is replicated, giving them back is each replica's own business.
 */
export type PartitionCommand =
  | {
      readonly kind: 'moveLogStart';
      /** Records below it are given up; at most the high watermark when it is applied. */
      readonly to: Offset;
      readonly cause: 'trim' | 'retention';
    }
  | ({
      readonly kind: 'compact';
      /**
       * Every replica has compacted up to here, so that tombstones below it stand for nothing any more
       * and the time for which they are kept begins; 0: nothing new of that.
       */
      readonly settledBelow: Offset;
    } & CompactionBounds);

/**
 * How far a log is compacted (partition/compaction.ts says what that means). Neither bound ever falls,
 * and the second is not above the first.
 */
export interface CompactionBounds {
  /** Below it, only the last record of each key is left; at most the high watermark. */
  readonly to: Offset;
  /** Below it, tombstones are gone too. */
  readonly tombstonesBelow: Offset;
}

/** What applying a command gives its proposer. */
export type CommandResult =
  | { readonly kind: 'moved'; readonly logStartOffset: Offset }
  | ({ readonly kind: 'compacting' } & CompactionBounds)
  | { readonly kind: 'rejected'; readonly reason: string };

/*
 *  0 version u8 = 1 | 1 kind u8 = 1 (moveLogStart) | 2 cause u8 (1 trim, 2 retention) | 3 to u64
 *  0 version u8 = 1 | 1 kind u8 = 2 (compact)      | 2 to u64 | 10 tombstonesBelow u64
 *                                               | 18 settledBelow u64
 */
const VERSION = 1;
const KIND_MOVE_LOG_START = 1;
const KIND_COMPACT = 2;
const CAUSES = { trim: 1, retention: 2 } as const;

export function encodePartitionCommand(command: PartitionCommand): Uint8Array {
  const w = new ByteWriter(26).u8(VERSION);
  if (command.kind === 'compact') {
    w.u8(KIND_COMPACT).u64(command.to).u64(command.tombstonesBelow);
    return w.u64(command.settledBelow).finish();
  }
  return w.u8(KIND_MOVE_LOG_START).u8(CAUSES[command.cause]).u64(command.to).finish();
}

/** Throws MalformedBytesError: skipping a command that others apply would make replicas differ. */
export function decodePartitionCommand(bytes: Uint8Array): PartitionCommand {
  const r = new ByteReader(bytes);
  const version = r.u8();
  const kind = r.u8();
  if (version !== VERSION || (kind !== KIND_MOVE_LOG_START && kind !== KIND_COMPACT)) {
    throw new MalformedBytesError(`partition command version ${version}, kind ${kind}`);
  }
  const command = kind === KIND_COMPACT ? readCompact(r) : readMoveLogStart(r);
  r.end();
  return command;
}

function readMoveLogStart(r: ByteReader): PartitionCommand {
  const cause = r.u8();
  if (cause !== CAUSES.trim && cause !== CAUSES.retention) {
    throw new MalformedBytesError(`partition command cause ${cause}`);
  }
  const to = offset(r.u64());
  return { kind: 'moveLogStart', to, cause: cause === CAUSES.trim ? 'trim' : 'retention' };
}

function readCompact(r: ByteReader): PartitionCommand {
  const to = offset(r.u64());
  const tombstonesBelow = offset(r.u64());
  if (tombstonesBelow > to) {
    throw new MalformedBytesError(`tombstones below ${tombstonesBelow}, compacted to ${to}`);
  }
  const settledBelow = offset(r.u64());
  if (settledBelow > to) {
    throw new MalformedBytesError(`settled below ${settledBelow}, compacted to ${to}`);
  }
  return { kind: 'compact', to, tombstonesBelow, settledBelow };
}
