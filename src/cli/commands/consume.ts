import { Option, type Command } from 'commander';
import type { Consumer, GroupConsumer, MillraceClient, StartAt } from '../../client/index.js';
import { UsageError, type Io } from '../io.js';
import {
  OFFSET_MAX,
  clusterCommand,
  numberList,
  timestamp,
  wholeNumber,
  withClient,
  type ClusterOptions,
} from '../options.js';
import { Progress } from '../progress.js';
import { StreamWriter } from '../stream-writer.js';
import { FORMATS, encoderFor, type Encoder, type PrintOptions } from './consume-output.js';
import { TEMPLATE_HELP } from './consume-template.js';

interface ConsumeOptions extends ClusterOptions, PrintOptions {
  readonly fromBeginning?: boolean;
  readonly offset?: number;
  readonly last?: number;
  readonly since?: number;
  readonly group?: string;
  readonly instanceId?: string;
  readonly partitions?: readonly number[];
  readonly exitAtEnd?: boolean;
  readonly maxRecords?: number;
  readonly quiet?: boolean;
  readonly replaySpeed?: number;
  readonly replayIdleMax?: number;
  readonly readFrom: 'leader' | 'nearest';
  readonly rack?: string;
  readonly onOutOfRange: 'error' | 'beginning' | 'end';
}

/** How often a member commits what was printed. */
const COMMIT_MS = 1_000;
const REPLAY_IDLE_MS_MAX = 366 * 24 * 3_600_000;

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
    .option(
      '-q, --quiet',
      'no progress; else there is some on the way to a file, up to a known end',
    )
    .addOption(
      new Option(
        '--format <format>',
        'text: a value a line; raw: values back to back, byte for byte; ' +
          'json: values, which must be JSON, one a line; ' +
          'ndjson: whole records as JSON, one a line, as produce --format ndjson takes them',
      ).choices(FORMATS),
    )
    .option('--raw', 'the same as --format raw')
    .option('--template <text>', `print each record as this says: ${TEMPLATE_HELP}`)
    .option('-v, --verbose', 'partition, offset, time and key before each value')
    .option('--headers', 'headers before each value')
    .option('--key-separator <text>', 'key and this before each value')
    .option(
      '--replay-speed <factor>',
      'with the time between records that was there when they were written (1), or so many times less',
      positiveNumber,
    )
    .option(
      '--replay-idle-max <ms>',
      'with --replay-speed: wait for no record longer',
      wholeNumber(0, REPLAY_IDLE_MS_MAX),
    )
    .addOption(
      new Option(
        '--read-from <who>',
        'leader, or nearest: replicas in --rack, as long as they are not too far behind',
      )
        .choices(['leader', 'nearest'])
        .default('leader'),
    )
    .option('--rack <rack>', "where this runs, as the brokers' rack is set")
    .option('--on-out-of-range <policy>', 'error, beginning or end', outOfRange, 'error')
    .action(async (topic: string, options: ConsumeOptions) => {
      // Before anything is asked: what is wrong with them is told at once.
      const encode = encoderFor(options);
      if (options.instanceId !== undefined && !isMember(options)) {
        throw new UsageError('--instance-id needs --group, and no --partitions');
      }
      if (options.readFrom === 'nearest' && (options.rack ?? '') === '') {
        throw new UsageError('--read-from nearest needs --rack');
      }
      mayReplay(options);
      await consume(io, topic, options, { from: startAt(options), encode });
    });
}

function outOfRange(text: string): string {
  if (['error', 'beginning', 'end'].includes(text)) return text;
  throw new UsageError('--on-out-of-range must be error, beginning or end');
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new UsageError('--replay-speed must be a positive number, such as 1 or 0.5');
}

function mayReplay(options: ConsumeOptions): void {
  const { replaySpeed, replayIdleMax } = options;
  if (replaySpeed === undefined && replayIdleMax !== undefined) {
    throw new UsageError('--replay-idle-max needs --replay-speed');
  }
  if (replaySpeed !== undefined && isMember(options)) {
    throw new UsageError('--replay-speed is not for members of a group: give --partitions');
  }
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
    readFrom: options.readFrom,
    rack: options.rack,
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
  const { replaySpeed: speed, replayIdleMax: idleMaxMs } = options;
  const replay = speed === undefined ? undefined : { speed, idleMaxMs };
  return client.consumer({ ...shared, topic, partitions, from, group, replay });
}

async function mustExist(client: MillraceClient, topic: string): Promise<void> {
  const { topics } = await client.admin.metadata({ topics: [topic] });
  for (const { error } of topics) if (error !== undefined) throw error;
}

async function consume(
  io: Io,
  topic: string,
  options: ConsumeOptions,
  { from, encode }: { readonly from: StartAt; readonly encode: Encoder },
): Promise<void> {
  const writer = new StreamWriter(io.stdout);
  await withClient(io, options, async (client) => {
    // A member would wait for a topic until it is created; a typing error is more likely.
    if (isMember(options)) await mustExist(client, topic);
    const progress = await progressOf(io, client, topic, options);
    const consumer = sourceOf(client, topic, options, from);
    // What fails in closing is told by the last line of this function.
    const unlisten = io.onInterrupt(() => void consumer.close().catch(() => undefined));
    let left = options.maxRecords ?? Infinity;
    let printed = 0;
    try {
      for await (const batch of consumer.batches()) {
        const records = left < batch.records.length ? batch.records.slice(0, left) : batch.records;
        left -= records.length;
        await writer.write(encode(batch, records));
        printed += records.length;
        progress?.at(printed);
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
      progress?.stop();
      unlisten();
      await consumer.close();
    }
    await writer.end();
  });
}

/** Undefined where records are looked at as they come, or may come for ever. */
async function progressOf(
  io: Io,
  client: MillraceClient,
  topic: string,
  options: ConsumeOptions,
): Promise<Progress | undefined> {
  const { maxRecords, exitAtEnd, quiet } = options;
  const hasEnd = exitAtEnd === true || maxRecords !== undefined;
  const isSeen = io.stdout.isTTY === true || io.stderr.isTTY !== true;
  if (!hasEnd || isSeen || quiet === true) return undefined;
  const available = exitAtEnd === true ? await recordsFrom(client, topic, options) : undefined;
  const total = available === undefined ? maxRecords : Math.min(available, maxRecords ?? available);
  // Records as JSON go to stdout: the line is not in their way.
  return new Progress(io, { total, unit: 'records', quiet });
}

/** How many offsets lie between the start and the end as it is now; undefined: not known beforehand. */
async function recordsFrom(
  { admin }: MillraceClient,
  topic: string,
  { fromBeginning, offset, last, partitions: chosen, group }: ConsumeOptions,
): Promise<number | undefined> {
  if (group !== undefined) return undefined;
  if (fromBeginning !== true && offset === undefined && last === undefined) return undefined;
  const { partitions } = await admin.describeTopic(topic);
  let total = 0;
  for (const { partition, logStartOffset: start, highWatermark: end } of partitions) {
    if (chosen?.includes(partition) === false) continue;
    const from = last === undefined ? (offset ?? start) : end - last;
    total += Math.max(0, end - Math.max(start, from));
  }
  return total;
}
