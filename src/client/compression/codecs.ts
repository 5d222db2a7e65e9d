import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { BrokerError } from '../../model/errors.js';
import { COMPRESSION_CODES, type Compression } from '../../model/record-batch.js';
import { snappyBlocks, snappyFrame } from './xerial.js';

/** Compresses and decompresses the records section of a batch. */
export interface Codec {
  compress(records: Uint8Array): Promise<Uint8Array>;
  /** Rejects if more than `bytesMax` would come out. */
  decompress(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array>;
}

type Done = (error: Error | null, result: Uint8Array) => void;

/** The zstd functions that Node's zlib has from 22.15 on. */
interface ZstdOfNode {
  readonly zstdCompress?: (bytes: Uint8Array, done: Done) => void;
  readonly zstdDecompress?: (
    bytes: Uint8Array,
    options: { maxOutputLength: number },
    done: Done,
  ) => void;
}

/** What comes out of one batch, at most: guards against a few bytes that unfold without end. */
export const DECOMPRESSED_BYTES_MAX = 256 * 1024 * 1024;

const gzip = promisify(zlib.gzip);
const gunzip = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.gunzip);

const LOADERS: Readonly<Record<Exclude<Compression, 'none'>, () => Promise<Codec>>> = {
  gzip: () =>
    Promise.resolve({
      compress: async (records: Uint8Array) => await gzip(records),
      decompress: async (bytes: Uint8Array, bytesMax: number) =>
        await gunzip(bytes, { maxOutputLength: bytesMax }),
    }),
  snappy: loadSnappy,
  lz4: loadLz4,
  zstd: loadZstd,
};

/**
 * The codecs of Kafka's batch format, each loaded when it is first needed: most programs use none,
 * and the native ones must not stand in the way of those that cannot load them.
 */
export class Codecs {
  private readonly loaded = new Map<Compression, Promise<Codec>>();

  async compress(codec: Compression, records: Uint8Array): Promise<Uint8Array> {
    if (codec === 'none') return records;
    return await (await this.load(codec)).compress(records);
  }

  /** `code` is the batch's codec bits. Rejects with CORRUPT_BATCH if the bytes do not unfold. */
  async decompress(code: number, bytes: Uint8Array): Promise<Uint8Array> {
    if (code === COMPRESSION_CODES.none) return bytes;
    const codec = codecOf(code);
    if (bytes.length === 0)
      throw new BrokerError('CORRUPT_BATCH', `no records to unfold as ${codec}`);
    const implementation = await this.load(codec);
    try {
      return await implementation.decompress(bytes, DECOMPRESSED_BYTES_MAX);
    } catch (cause) {
      if (cause instanceof BrokerError) throw cause;
      const text = `records do not decompress as ${codec}`;
      throw new BrokerError('CORRUPT_BATCH', text, {}, { cause });
    }
  }

  private async load(codec: Exclude<Compression, 'none'>): Promise<Codec> {
    let loading = this.loaded.get(codec);
    if (loading === undefined) {
      loading = LOADERS[codec]();
      this.loaded.set(codec, loading);
    }
    try {
      return await loading;
    } catch (cause) {
      if (cause instanceof BrokerError) throw cause;
      const text = `the codec ${codec} cannot be loaded on this platform`;
      throw new BrokerError('UNSUPPORTED', text, {}, { cause });
    }
  }
}

function codecOf(code: number): Exclude<Compression, 'none'> {
  switch (code) {
    case COMPRESSION_CODES.gzip:
      return 'gzip';
    case COMPRESSION_CODES.snappy:
      return 'snappy';
    case COMPRESSION_CODES.lz4:
      return 'lz4';
    case COMPRESSION_CODES.zstd:
      return 'zstd';
    default:
      throw new BrokerError('CORRUPT_BATCH', `batch names codec ${code}, which does not exist`);
  }
}

async function loadSnappy(): Promise<Codec> {
  const snappy = await import('snappy');
  return {
    compress: async (records) => snappyFrame(await snappy.compress(records)),
    decompress: async (bytes, bytesMax) => {
      const blocks: Uint8Array[] = [];
      let total = 0;
      for (const { block, bytes: length } of snappyBlocks(bytes)) {
        total += length;
        if (total > bytesMax) throw tooLarge(bytesMax);
        blocks.push((await snappy.uncompress(block, { asBuffer: true })) as Buffer);
      }
      return blocks.length === 1 ? (blocks[0] as Uint8Array) : Buffer.concat(blocks);
    },
  };
}

async function loadLz4(): Promise<Codec> {
  const lz4 = await import('lz4-napi');
  return {
    compress: async (records) => await lz4.compressFrame(records),
    decompress: async (bytes, bytesMax) => {
      const result = await lz4.decompressFrame(bytes);
      if (result.length > bytesMax) throw tooLarge(bytesMax);
      return result;
    },
  };
}

async function loadZstd(): Promise<Codec> {
  const node = zlib as unknown as ZstdOfNode;
  const { zstdCompress, zstdDecompress } = node;
  if (zstdCompress !== undefined && zstdDecompress !== undefined) {
    return {
      compress: async (records) => await settle((done) => zstdCompress(records, done)),
      decompress: async (bytes, bytesMax) =>
        await settle((done) => zstdDecompress(bytes, { maxOutputLength: bytesMax }, done)),
    };
  }
  const fzstd = await import('fzstd');
  return {
    compress: () =>
      Promise.reject(
        new BrokerError('UNSUPPORTED', 'compressing with zstd needs Node 22.15 or later'),
      ),
    decompress: (bytes, bytesMax) => {
      const chunks: Uint8Array[] = [];
      let total = 0;
      const stream = new fzstd.Decompress((chunk) => {
        total += chunk.length;
        if (total > bytesMax) throw tooLarge(bytesMax);
        chunks.push(chunk);
      });
      stream.push(bytes, true);
      return Promise.resolve(Buffer.concat(chunks));
    },
  };
}

async function settle(run: (done: Done) => void): Promise<Uint8Array> {
  return await new Promise((resolve, reject) => {
    run((error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

function tooLarge(bytesMax: number): BrokerError {
  return new BrokerError('CORRUPT_BATCH', `records unfold to more than ${bytesMax} bytes`);
}
