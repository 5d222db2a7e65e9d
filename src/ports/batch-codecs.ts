import type { Compression } from '../model/record-batch.js';

/** Compresses and decompresses the records sections of batches. */
export interface BatchCodecs {
  /** Rejects with UNSUPPORTED where this platform has no such codec. */
  compress(codec: Compression, records: Uint8Array): Promise<Uint8Array>;
  /**
   * By a batch's codec bits. Rejects with CORRUPT_BATCH if the bytes do not unfold, and with
   * UNSUPPORTED where this platform has no such codec.
   */
  decompress(code: number, bytes: Uint8Array): Promise<Uint8Array>;
}
