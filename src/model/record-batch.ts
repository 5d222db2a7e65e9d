import { getI64, setI64, viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { BrokerError } from './errors.js';
import type { Offset, Term } from './ids.js';
import { LIMITS } from './limits.js';

/*
 * Record batch, version 2 of Kafka's public format; big-endian. The CRC covers bytes 21 to the end,
 * so that a leader may stamp baseOffset and partitionLeaderEpoch without touching it.
 *
 *   0 baseOffset i64            | 8 batchLength i32 (bytes after this field) | 12 leaderEpoch i32
 *  16 magic i8 = 2              | 17 crc u32 (CRC-32C)                       | 21 attributes i16
 *  23 lastOffsetDelta i32       | 27 baseTimestamp i64                       | 35 maxTimestamp i64
 *  43 producerId i64            | 51 producerEpoch i16                       | 53 baseSequence i32
 *  57 recordsCount i32          | 61 records (the codec covers everything from here)
 */
export const BATCH_HEADER_BYTES = 61;
const LENGTH_PREFIX_BYTES = 12;
const CRC_COVERS_FROM = 21;
const MAGIC = 2;

export const COMPRESSION_CODES = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
/** How the records of a batch are compressed. */
export type Compression = keyof typeof COMPRESSION_CODES;

export const ATTRIBUTE_CODEC_MASK = 0x07;
export const ATTRIBUTE_LOG_APPEND_TIME = 0x08;
export const ATTRIBUTE_TRANSACTIONAL = 0x10;
export const ATTRIBUTE_CONTROL = 0x20;

/** Sequences count records and wrap from 2^31 - 1 to 0. */
export const SEQUENCE_LIMIT = 0x8000_0000;

export interface RecordBatchHeader {
  readonly baseOffset: Offset;
  /** Whole batch, header included. */
  readonly bytes: number;
  readonly leaderEpoch: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  /** -1: not idempotent. */
  readonly producerId: number;
  readonly producerEpoch: number;
  /** -1: none. */
  readonly baseSequence: number;
  readonly recordsCount: number;
}

/** Reads the header at `at`. The caller knows that 61 bytes are there and were checked. */
export function readBatchHeader(bytes: Uint8Array, at = 0): RecordBatchHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BATCH_HEADER_BYTES);
  return {
    baseOffset: getI64(view, 0) as Offset,
    bytes: view.getInt32(8) + LENGTH_PREFIX_BYTES,
    leaderEpoch: view.getInt32(12),
    attributes: view.getInt16(21),
    lastOffsetDelta: view.getInt32(23),
    baseTimestamp: getI64(view, 27),
    maxTimestamp: getI64(view, 35),
    producerId: getI64(view, 43),
    producerEpoch: view.getInt16(51),
    baseSequence: view.getInt32(53),
    recordsCount: view.getInt32(57),
  };
}

/** Stamps what the leader decides; both fields lie outside the CRC. Writes into `bytes`. */
export function stampBatch(
  bytes: Uint8Array,
  stamp: { baseOffset: Offset; leaderEpoch: Term },
): void {
  const view = viewOf(bytes);
  setI64(view, 0, stamp.baseOffset);
  view.setInt32(12, stamp.leaderEpoch);
}

/** Sets log-append time: attribute bit 3, maxTimestamp, and the CRC over the result. */
export function stampLogAppendTime(bytes: Uint8Array, timeMs: number, crc32c: Crc32c): void {
  const view = viewOf(bytes);
  view.setInt16(21, view.getInt16(21) | ATTRIBUTE_LOG_APPEND_TIME);
  setI64(view, 35, timeMs);
  view.setUint32(17, crc32c(bytes.subarray(CRC_COVERS_FROM)));
}

/**
 * Checks a produced batch: header and CRC only, no decompression, no walk over records.
 * Throws BrokerError INVALID_BATCH, BATCH_TOO_LARGE or CORRUPT_BATCH, naming the field.
 */
export function checkProducedBatch(
  bytes: Uint8Array,
  options: { readonly batchBytesMax: number; readonly crc32c: Crc32c },
): RecordBatchHeader {
  if (bytes.length > options.batchBytesMax) {
    throw new BrokerError(
      'BATCH_TOO_LARGE',
      `batch of ${bytes.length} bytes exceeds max.batch.bytes ${options.batchBytesMax}`,
    );
  }
  const must = (holds: boolean, what: string): void => {
    if (!holds) throw new BrokerError('INVALID_BATCH', `invalid record batch: ${what}`);
  };
  must(bytes.length >= BATCH_HEADER_BYTES, `${bytes.length} bytes are less than a header`);
  const view = viewOf(bytes);
  const length = view.getInt32(8) + LENGTH_PREFIX_BYTES;
  must(length === bytes.length, `batchLength says ${length} bytes, ${bytes.length} were given`);
  must(view.getInt8(16) === MAGIC, `magic is ${view.getInt8(16)}, must be ${MAGIC}`);
  if (options.crc32c(bytes.subarray(CRC_COVERS_FROM)) !== view.getUint32(17)) {
    throw new BrokerError('CORRUPT_BATCH', 'record batch fails its CRC-32C');
  }
  let header: RecordBatchHeader;
  try {
    header = readBatchHeader(bytes);
  } catch (cause) {
    throw new BrokerError(
      'INVALID_BATCH',
      'invalid record batch: a 64-bit field exceeds 2^53',
      {},
      { cause },
    );
  }
  must(header.baseOffset === 0, `baseOffset is ${header.baseOffset}, must be 0`);
  must(header.recordsCount > 0, `recordsCount is ${header.recordsCount}`);
  must(
    header.recordsCount <= LIMITS.recordsPerBatchMax,
    `recordsCount ${header.recordsCount} exceeds ${LIMITS.recordsPerBatchMax}`,
  );
  must(
    header.lastOffsetDelta + 1 === header.recordsCount,
    `lastOffsetDelta ${header.lastOffsetDelta} does not match recordsCount ${header.recordsCount}`,
  );
  must((header.attributes & ATTRIBUTE_CODEC_MASK) <= COMPRESSION_CODES.zstd, 'unknown codec');
  must((header.attributes & ATTRIBUTE_CONTROL) === 0, 'control batches are not for producers');
  must((header.attributes & ATTRIBUTE_TRANSACTIONAL) === 0, 'transactions are not supported');
  must((header.attributes & ATTRIBUTE_LOG_APPEND_TIME) === 0, 'timestamp type must be create time');
  must(header.producerId >= -1, `producerId is ${header.producerId}`);
  must(
    header.producerId === -1 || (header.baseSequence >= 0 && header.producerEpoch >= 0),
    'an idempotent producer needs a sequence and an epoch',
  );
  return header;
}

/** Whether these bytes are one stored batch of this leader epoch, whole and with a checksum that fits. */
export function isWholeBatch(bytes: Uint8Array, leaderEpoch: number, crc32c: Crc32c): boolean {
  if (bytes.length < BATCH_HEADER_BYTES) return false;
  const view = viewOf(bytes);
  return (
    view.getInt32(8) + LENGTH_PREFIX_BYTES === bytes.length &&
    view.getInt32(12) === leaderEpoch &&
    view.getInt8(16) === MAGIC &&
    crc32c(bytes.subarray(CRC_COVERS_FROM)) === view.getUint32(17)
  );
}

/**
 * A batch with other records in it: offsets, timestamps and producer stay as its header says, the
 * number of records and the codec may not.
 */
export function withRecords(
  batch: Uint8Array,
  records: { readonly count: number; readonly codec: number; readonly bytes: Uint8Array },
  crc32c: Crc32c,
): Uint8Array {
  const out = new Uint8Array(BATCH_HEADER_BYTES + records.bytes.length);
  out.set(batch.subarray(0, BATCH_HEADER_BYTES));
  out.set(records.bytes, BATCH_HEADER_BYTES);
  const view = viewOf(out);
  view.setInt32(8, out.length - LENGTH_PREFIX_BYTES);
  view.setInt16(21, (view.getInt16(21) & ~ATTRIBUTE_CODEC_MASK) | records.codec);
  view.setInt32(57, records.count);
  view.setUint32(17, crc32c(out.subarray(CRC_COVERS_FROM)));
  return out;
}
