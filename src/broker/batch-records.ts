import type { Crc32c } from '../base/crc32c.js';
import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import { COMPRESSION_CODES, type Compression } from '../model/record-batch.js';
import {
  codecOfBatch,
  rebuildBatch,
  recordsOfBatch,
  type BatchRecords,
} from '../partition/compaction.js';
import type { BatchCodecs } from '../ports/batch-codecs.js';

/** For brokers that were given none: compressed batches stay closed. */
export const NO_CODECS: BatchCodecs = {
  compress: () => Promise.reject(unsupported()),
  decompress: () => Promise.reject(unsupported()),
};

function unsupported(): BrokerError {
  return new BrokerError('UNSUPPORTED', 'this broker has no codecs');
}

/**
 * A batch and its records; a promise only where they are compressed. Undefined if they do not unfold,
 * or to more than could be sent uncompressed: every replica leaves such a batch alone. Rejects with
 * UNSUPPORTED if it is this broker's fault.
 */
export function openBatch(
  batch: Uint8Array,
  codecs: BatchCodecs,
): BatchRecords | Promise<BatchRecords | undefined> {
  const code = codecOfBatch(batch);
  const packed = recordsOfBatch(batch);
  if (code === COMPRESSION_CODES.none || packed.header.recordsCount === 0) return packed;
  return codecs.decompress(code, packed.records).then(
    (records) =>
      records.length > LIMITS.compactedRecordsBytesMax ? undefined : recordsOfBatch(batch, records),
    (thrown: unknown) => {
      const error = BrokerError.from(thrown);
      if (error.code === 'CORRUPT_BATCH') return undefined;
      throw error;
    },
  );
}

/**
 * The batch with what is left of its records, by its own codec where that makes them smaller, or by
 * gzip where this platform can read the codec and not write it.
 */
export async function closeBatch(
  batch: Uint8Array,
  rest: { readonly count: number; readonly bytes: Uint8Array },
  options: { readonly codecs: BatchCodecs; readonly crc32c: Crc32c },
): Promise<Uint8Array> {
  const { codecs, crc32c } = options;
  const codec = compressionOf(codecOfBatch(batch));
  if (codec === 'none' || rest.count === 0) return rebuildBatch(batch, rest, { crc32c });
  const compressed = await codecs.compress(codec, rest.bytes).then(
    (bytes) => ({ codec: COMPRESSION_CODES[codec], bytes }),
    async (thrown: unknown) => {
      if (BrokerError.from(thrown).code !== 'UNSUPPORTED') throw thrown;
      const bytes = await codecs.compress('gzip', rest.bytes);
      return { codec: COMPRESSION_CODES.gzip, bytes };
    },
  );
  return rebuildBatch(batch, rest, { compressed, crc32c });
}

function compressionOf(code: number): Compression {
  for (const [name, value] of Object.entries(COMPRESSION_CODES)) {
    if (value === code) return name as Compression;
  }
  return 'none';
}
