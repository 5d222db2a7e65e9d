import { crc32c } from '@node-rs/crc32';

import type * as Client from '../../../src/client/index.js';
import type { MillraceClient, Producer, ProducerOptions } from '../../../src/client/index.js';
import type { Batching } from './job.js';

/** What is measured is the built client, as users run it; this file stands beside it in dist. */
const CLIENT = (await import(new URL('../client/index.js', import.meta.url).href)) as typeof Client;

export function connect(bootstrap: readonly string[]): MillraceClient {
  return new CLIENT.MillraceClient({ bootstrap, crc32c: (bytes) => checksum(bytes) });
}

/** Native CRC-32C; the package is typed for Buffers and takes any bytes. */
function checksum(bytes: Uint8Array): number {
  return crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

const BUFFER_BYTES_MIN = 32 << 20;
const BUFFERED_BATCHES = 64;

/** What is sent in how many bytes, as the brokers got it. */
export interface Acknowledged {
  records: number;
  bytes: number;
}

export function batchingProducer(
  client: MillraceClient,
  { batchBytes, lingerMs, compression }: Batching,
  onBatch: (elapsedMs: number) => void,
): { readonly producer: Producer; readonly acknowledged: Acknowledged } {
  const acknowledged: Acknowledged = { records: 0, bytes: 0 };
  const options: ProducerOptions = {
    compression,
    ...(lingerMs === undefined ? {} : { lingerMs }),
    ...(batchBytes === undefined
      ? {}
      : { batchBytes, bufferBytesMax: Math.max(BUFFER_BYTES_MIN, batchBytes * BUFFERED_BATCHES) }),
    onBatch: (report) => {
      // Nothing of what a benchmark sends may fail: it would be measured as if it had been free.
      if (report.error !== undefined) {
        process.nextTick(() => {
          throw report.error as Error;
        });
        return;
      }
      acknowledged.records += report.records;
      acknowledged.bytes += report.bytes;
      onBatch(report.elapsedMs);
    },
  };
  return { producer: client.producer(options), acknowledged };
}
