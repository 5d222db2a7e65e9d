import type { Readable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { Option, type Command } from 'commander';
import type { Acks, BatchReport, Producer } from '../../client/index.js';
import { CommandError, UsageError, bytesText, grouped, type Io } from '../io.js';
import { LineSplitter, type LineTaker } from '../lines.js';
import { OFFSET_MAX, clusterCommand, keyValue, wholeNumber, withClient } from '../options.js';
import { produceIf, type AppendCondition, type ProduceIfOptions } from './produce-if.js';
import {
  INPUT_FORMATS,
  failureOf,
  inputFormatOf,
  openInput,
  recordParser,
} from './produce-input.js';

interface ProduceOptions extends ProduceIfOptions {
  readonly partition?: number;
  readonly expectOffset?: number;
  readonly expectKeyOffset?: number;
  readonly acks: Acks;
  readonly batchBytes?: number;
  readonly lingerMs?: number;
  readonly quiet?: boolean;
}

/** millrace produce */
export function produceCommand(io: Io): Command {
  return clusterCommand('produce', 'produce a record per line of a file or of standard input')
    .argument('<topic>')
    .option('-f, --file <path>', 'read this file instead of standard input')
    .addOption(
      new Option(
        '--format <format>',
        'text: a line is a value; raw: and keeps its line end, so that every byte comes back; ' +
          'json: a value must be JSON; ' +
          'ndjson: a line is a whole record, as consume --format ndjson prints it',
      ).choices(INPUT_FORMATS),
    )
    .option('--raw', 'the same as --format raw')
    .option('-k, --key <key>', 'the key of every record')
    .option('--key-separator <text>', 'a line is key, separator, value')
    .option('-H, --header <key=value>', 'a header of every record; may be repeated', keyValue)
    .option('-p, --partition <n>', 'to this partition', wholeNumber(0))
    .option(
      '--expect-offset <n>',
      'append all of the input as one batch, and only if the partition ends at this offset',
      wholeNumber(0, OFFSET_MAX),
    )
    .option(
      '--expect-key-offset <n>',
      'the same by key: only if the last record of --key has this offset, -1: has none',
      wholeNumber(-1, OFFSET_MAX),
    )
    .addOption(new Option('--acks <acks>').choices(['quorum', 'leader', 'none']).default('quorum'))
    .addOption(
      new Option('--compression <codec>')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .option('--batch-bytes <n>', 'size of a full batch', wholeNumber(1))
    .option('--linger-ms <n>', 'how long a batch waits to get full', wholeNumber(0))
    .option('--delivery-timeout <ms>', 'give a record up after this', wholeNumber(1), 120_000)
    .option('-q, --quiet', 'no progress')
    .action(async (topic: string, options: ProduceOptions) => {
      inputFormatOf(options);
      const condition = conditionOf(topic, options);
      if (condition === undefined) await produce(io, topic, options);
      else await produceIf(io, condition, options);
    });
}

function conditionOf(topic: string, options: ProduceOptions): AppendCondition | undefined {
  const { expectOffset: expectedOffset, expectKeyOffset: expectedKeyOffset } = options;
  const { partition, key, acks } = options;
  const mustBeQuorum = (option: string): void => {
    if (acks !== 'quorum') throw new UsageError(`${option} needs --acks quorum`);
  };
  if (expectedOffset !== undefined) {
    mustBeQuorum('--expect-offset');
    if (expectedKeyOffset !== undefined) {
      throw new UsageError('give --expect-offset or --expect-key-offset, not both');
    }
    if (partition === undefined) throw new UsageError('--expect-offset needs --partition');
    return { topic, partition, expectedOffset };
  }
  if (expectedKeyOffset === undefined) return undefined;
  mustBeQuorum('--expect-key-offset');
  if (key === undefined) throw new UsageError('--expect-key-offset needs --key');
  return { topic, partition, key, expectedKeyOffset };
}

async function produce(io: Io, topic: string, options: ProduceOptions): Promise<void> {
  const input = await openInput(io, options.file);
  await withClient(io, options, async (client, out) => {
    const tally = new Tally(io, input.bytes, options);
    const producer = client.producer({
      acks: options.acks,
      compression: options.compression,
      batchBytes: options.batchBytes,
      lingerMs: options.lingerMs,
      deliveryTimeoutMs: options.deliveryTimeout,
      topicTimeoutMs: options.timeout,
      onBatch: (report) => tally.batch(report),
    });
    const abort = new AbortController();
    const unlisten = io.onInterrupt(() => abort.abort());
    try {
      const take = takerFor(producer, topic, options, tally);
      const splitter = new LineSplitter(take, inputFormatOf(options) === 'raw');
      await feed(input.stream, splitter, tally, abort.signal);
      await producer.flush();
    } catch (thrown) {
      tally.fail(failureOf(thrown));
      await producer.flush();
    } finally {
      unlisten();
      input.stream.destroy();
      tally.finish();
    }
    const summary = tally.summary();
    out.result({ topic, ...summary }, () => [tally.text()]);
    if (tally.error !== undefined) throw tally.error;
    if (abort.signal.aborted) throw new CommandError('interrupted');
  });
}

async function feed(
  stream: Readable,
  splitter: LineSplitter,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const stop = (): void => void stream.destroy();
  signal.addEventListener('abort', stop);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      tally.bytesRead += chunk.length;
      await splitter.push(chunk);
      if (tally.error !== undefined || signal.aborted) return;
    }
    await splitter.end();
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function takerFor(
  producer: Producer,
  topic: string,
  options: ProduceOptions,
  tally: Tally,
): LineTaker {
  const { partition, key, keySeparator, header } = options;
  const format = inputFormatOf(options);
  const isPlain =
    (format === 'text' || format === 'raw') &&
    key === undefined &&
    keySeparator === undefined &&
    header === undefined;
  const to = { topic, partition };
  if (isPlain) {
    return (source, start, end) => {
      tally.sent += 1;
      return producer.enqueueValue(to, source, start, end);
    };
  }
  const parse = recordParser(options);
  return (source, start, end) => {
    tally.sent += 1;
    // Copied where it may have to wait while the reader's buffer is used again.
    return producer.enqueue({ ...to, ...parse(Buffer.from(source.subarray(start, end))) });
  };
}

interface Summary {
  readonly sent: number;
  readonly acked: number;
  readonly failed: number;
  /** Of the failed ones, those that may have been appended. */
  readonly unknown: number;
  /** Of the input. */
  readonly bytes: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Counts what became of the records, and shows it on a terminal. */
export class Tally {
  sent = 0;
  bytesRead = 0;
  error: Error | undefined;
  private acked = 0;
  private failed = 0;
  private unknown = 0;
  private readonly startMs = performance.now();
  private endMs = 0;
  private readonly bar: SingleBar | undefined;

  /** Of an input whose size is not known, it shows how much, not how much of it. */
  constructor(
    io: Io,
    bytes: number | undefined,
    options: { readonly quiet?: boolean; readonly json?: boolean },
  ) {
    const isShown = io.stderr.isTTY === true && options.quiet !== true && options.json !== true;
    if (!isShown || bytes === 0) return;
    const counts = '{records} records acknowledged  {rate}/s';
    this.bar = new SingleBar({
      format: bytes === undefined ? counts : `{bar} {percentage}%  ${counts}`,
      stream: io.stderr,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 30,
    });
    this.bar.start(bytes ?? Infinity, 0, { records: '0', rate: '0 B' });
  }

  batch(report: BatchReport): void {
    if (report.error !== undefined) {
      this.failed += report.records;
      if (report.error.outcome === 'unknown') this.unknown += report.records;
      this.error ??= report.error;
      return;
    }
    this.acked += report.records;
    if (this.bar === undefined) return;
    const bytes = this.ackedBytes();
    const rate = bytesText(bytes / this.seconds());
    this.bar.update(bytes, { records: grouped(this.acked), rate });
  }

  fail(error: Error): void {
    this.error ??= error;
  }

  finish(): void {
    this.endMs = performance.now();
    this.bar?.stop();
  }

  summary(): Summary {
    const seconds = this.seconds();
    const bytes = this.ackedBytes();
    return {
      sent: this.sent,
      acked: this.acked,
      failed: this.failed,
      unknown: this.unknown,
      bytes,
      seconds: Math.round(seconds * 1_000) / 1_000,
      recordsPerSecond: Math.round(this.acked / seconds),
      bytesPerSecond: Math.round(bytes / seconds),
    };
  }

  text(): string {
    const s = this.summary();
    const rate = `${grouped(s.recordsPerSecond)} records/s, ${bytesText(s.bytesPerSecond)}/s`;
    const good = `${grouped(s.acked)} records acknowledged in ${grouped(s.seconds, 2)} s (${rate})`;
    if (s.failed === 0) return good;
    return `${good}; ${grouped(s.failed)} failed, ${grouped(s.unknown)} of them may have been appended`;
  }

  /** Of the input, as far as it is acknowledged: exact once all of it is. */
  private ackedBytes(): number {
    return this.sent === 0 ? 0 : Math.round(this.bytesRead * (this.acked / this.sent));
  }

  private seconds(): number {
    const endMs = this.endMs === 0 ? performance.now() : this.endMs;
    return Math.max(0.001, (endMs - this.startMs) / 1_000);
  }
}
