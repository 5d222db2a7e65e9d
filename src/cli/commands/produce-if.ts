import type { Readable } from 'node:stream';
import type { ConditionalAppend, Compression, KeyedAppend } from '../../client/index.js';
import { BrokerError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { grouped, type Io } from '../io.js';
import { LineSplitter } from '../lines.js';
import { withClient, type ClusterOptions } from '../options.js';
import {
  failureOf,
  inputFormatOf,
  openInput,
  recordParser,
  type LineOptions,
} from './produce-input.js';

export interface ProduceIfOptions extends ClusterOptions, LineOptions {
  readonly file?: string;
  readonly compression: Compression;
  readonly deliveryTimeout: number;
}

export type AppendCondition = Omit<ConditionalAppend, 'records'> | Omit<KeyedAppend, 'records'>;

type Records = ConditionalAppend['records'];

/** Appends all of the input as one batch, if the log, or the key, stands where it is expected to. */
export async function produceIf(
  io: Io,
  to: AppendCondition,
  options: ProduceIfOptions,
): Promise<void> {
  const input = await openInput(io, options.file);
  try {
    const records = await readRecords(input.stream, options);
    await withClient(io, options, async (client, out) => {
      const producer = client.producer({
        compression: options.compression,
        deliveryTimeoutMs: options.deliveryTimeout,
        topicTimeoutMs: options.timeout,
      });
      const appended = await producer.appendIf({ ...to, records });
      const { offset, nextOffset } = appended;
      out.result({ ...appended, records: records.length }, () => [
        `${grouped(records.length)} records appended to ${to.topic}/${appended.partition} at offset ` +
          `${offset}; the log ends at ${nextOffset} now`,
      ]);
    });
  } finally {
    input.stream.destroy();
  }
}

/** Rejects as soon as it is more than any batch can hold. */
async function readRecords(stream: Readable, options: ProduceIfOptions): Promise<Records> {
  const records: Records[number][] = [];
  const parse = recordParser(options);
  const splitter = new LineSplitter(
    (source, start, end) => {
      records.push(parse(Buffer.from(source.subarray(start, end))));
      return undefined;
    },
    inputFormatOf(options) === 'raw',
  );
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > LIMITS.batchBytesMax) {
        const text = `the input is larger than the largest batch, ${LIMITS.batchBytesMax} bytes`;
        throw new BrokerError('BATCH_TOO_LARGE', text);
      }
      await splitter.push(chunk);
    }
    await splitter.end();
  } catch (thrown) {
    throw failureOf(thrown);
  }
  return records;
}
