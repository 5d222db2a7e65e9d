import type { Command } from 'commander';
import type {
  ConsumedBatch,
  Consumer,
  GroupConsumer,
  MillraceClient,
  StartAt,
  StoredRecord,
} from '../../client/index.js';
import { UsageError, timeText, type Io } from '../io.js';
import {
  OFFSET_MAX,
  clusterCommand,
  numberList,
  timestamp,
  wholeNumber,
  withClient,
  type ClusterOptions,
} from '../options.js';
import { StreamWriter } from '../stream-writer.js';

interface ConsumeOptions extends ClusterOptions {
  readonly fromBeginning?: boolean;
  readonly offset?: number;
  readonly last?: number;
  readonly since?: number;
  readonly group?: string;
  readonly instanceId?: string;
  readonly partitions?: readonly number[];
  readonly exitAtEnd?: boolean;
  readonly maxRecords?: number;
  readonly raw?: boolean;
  readonly verbose?: boolean;
  readonly onOutOfRange: 'error' | 'beginning' | 'end';
}

/** How often a member commits what was printed. */
const COMMIT_MS = 1_000;

/** millrace consume */
export function consumeCommand(io: Io): Command {
  return clusterCommand('consume', 'print the records of a topic, new ones as they come')
    .argument('<topic>')
    .option('-b, --from-beginning', 'start at the first record')
    .option('-o, --offset <n>', 'start at this offset', wholeNumber(0, OFFSET_MAX))
    .option(
      '-n, --last <n>',
      'start so many records before the end, per partition',
      wholeNumber(0, OFFSET_MAX),
    )
    .option('--since <time>', 'start at the first record at or after a time', timestamp)
    .option(
      '-g, --group <group>',
      'join the group: share the partitions with its other members, start where it stands, commit what was printed',
    )
    .option('--instance-id <id>', 'with --group: keep the place in it over a restart')
    .option(
      '-p, --partitions <n,...>',
      'only these partitions; with --group without joining it',
      numberList(0),
    )
    .option('-e, --exit-at-end', 'stop at the end as it is now')
    .option('-m, --max-records <n>', 'stop after so many', wholeNumber(1, OFFSET_MAX))
    .option('--raw', 'values back to back, byte for byte, nothing between them')
    .option('-v, --verbose', 'partition, offset, time and key before each value')
    .option('--on-out-of-range <policy>', 'error, beginning or end', outOfRange, 'error')
    .action(async (topic: string, options: ConsumeOptions) => {
      if (options.raw === true && (options.json === true || options.verbose === true)) {
        throw new UsageError('--raw prints nothing but values: leave --json and --verbose out');
      }
      if (options.instanceId !== undefined && !isMember(options)) {
        throw new UsageError('--instance-id needs --group, and no --partitions');
      }
      await consume(io, topic, options, startAt(options));
    });
}

function outOfRange(text: string): string {
  if (['error', 'beginning', 'end'].includes(text)) return text;
  throw new UsageError('--on-out-of-range must be error, beginning or end');
}

function startAt(options: ConsumeOptions): StartAt {
  const starts: StartAt[] = [];
  if (options.fromBeginning === true) starts.push('beginning');
  if (options.offset !== undefined) starts.push({ offset: options.offset });
  if (options.last !== undefined) starts.push({ last: options.last });
  if (options.since !== undefined) starts.push({ timestampMs: options.since });
  if (starts.length > 1) {
    throw new UsageError('give one of --from-beginning, --offset, --last and --since');
  }
  const [start] = starts;
  if (options.group !== undefined) {
    if (start !== undefined && start !== 'beginning') {
      throw new UsageError(
        '--group starts where the group stands: leave --offset and the like out',
      );
    }
    // Nothing is skipped only because nothing was committed yet.
    return { committedOr: 'beginning' };
  }
  return start ?? 'end';
}

/** Explicit partitions are read without the group's doing. */
function isMember(options: ConsumeOptions): boolean {
  return options.group !== undefined && options.partitions === undefined;
}

function sourceOf(
  client: MillraceClient,
  topic: string,
  options: ConsumeOptions,
  from: StartAt,
): Consumer | GroupConsumer {
  const shared = {
    stopAtEnd: options.exitAtEnd,
    onOutOfRange: options.onOutOfRange,
    unavailableTimeoutMs: options.timeout,
    requestTimeoutMs: options.timeout,
  };
  const { group, partitions, instanceId } = options;
  if (group !== undefined && isMember(options)) {
    const autoCommitIntervalMs = COMMIT_MS;
    return client.groupConsumer({
      ...shared,
      ...{ group, instanceId, autoCommitIntervalMs },
      topics: [topic],
      clientId: 'millrace consume',
    });
  }
  return client.consumer({ ...shared, topic, partitions, from, group });
}

async function mustExist(client: MillraceClient, topic: string): Promise<void> {
  const { topics } = await client.admin.metadata({ topics: [topic] });
  for (const { error } of topics) if (error !== undefined) throw error;
}

async function consume(
  io: Io,
  topic: string,
  options: ConsumeOptions,
  from: StartAt,
): Promise<void> {
  const writer = new StreamWriter(io.stdout);
  await withClient(io, options, async (client) => {
    // A member would wait for a topic until it is created; a typing error is more likely.
    if (isMember(options)) await mustExist(client, topic);
    const consumer = sourceOf(client, topic, options, from);
    // What fails in closing is told by the last line of this function.
    const unlisten = io.onInterrupt(() => void consumer.close().catch(() => undefined));
    const encode = encoderFor(options);
    let left = options.maxRecords ?? Infinity;
    try {
      for await (const batch of consumer.batches()) {
        const records = left < batch.records.length ? batch.records.slice(0, left) : batch.records;
        left -= records.length;
        await writer.write(encode(batch, records));
        // Whoever reads us has had enough.
        if (writer.isClosed) break;
        // A member commits by itself, but the last batch may not have been printed to its end.
        if (options.group !== undefined && (!isMember(options) || left <= 0)) {
          const last = records.at(-1);
          const next = left > 0 ? batch.nextOffset : (last?.offset ?? -1) + 1;
          await consumer.commit([{ topic, partition: batch.partition, offset: next }]);
        }
        if (left <= 0) break;
      }
    } finally {
      unlisten();
      await consumer.close();
    }
    await writer.end();
  });
}

type Encoder = (batch: ConsumedBatch, records: readonly StoredRecord[]) => Uint8Array;

function encoderFor(options: ConsumeOptions): Encoder {
  if (options.raw === true) {
    return (_batch, records) => Buffer.concat(records.map((r) => r.value ?? new Uint8Array()));
  }
  if (options.json === true) {
    return (batch, records) =>
      Buffer.from(records.map((r) => `${JSON.stringify(jsonOf(batch, r))}\n`).join(''));
  }
  const newline = Buffer.from('\n');
  return (batch, records) =>
    Buffer.concat(
      records.flatMap((r) => {
        const value = r.value ?? new Uint8Array();
        if (options.verbose !== true) return [value, newline];
        const time = timeText(r.timestampMs);
        const head = `${batch.partition}:${r.offset}\t${time}\t`;
        return [Buffer.from(head), r.key ?? Buffer.from('-'), Buffer.from('\t'), value, newline];
      }),
    );
}

function jsonOf(batch: ConsumedBatch, record: StoredRecord): unknown {
  return {
    topic: batch.topic,
    partition: batch.partition,
    offset: record.offset,
    timestampMs: record.timestampMs,
    ...bytesField('key', record.key),
    ...bytesField('value', record.value),
    headers: record.headers.map((h) => ({ name: h.key, ...bytesField('value', h.value) })),
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text as text; other bytes as base64, under another name; null for none. */
function bytesField(name: string, bytes: Uint8Array | undefined): Record<string, string | null> {
  if (bytes === undefined) return { [name]: null };
  try {
    return { [name]: utf8.decode(bytes) };
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') };
  }
}
