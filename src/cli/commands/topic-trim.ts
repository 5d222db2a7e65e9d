import type { Command } from 'commander';
import type { Admin, TopicDescription } from '../../client/index.js';
import { BrokerError } from '../../model/errors.js';
import {
  CommandError,
  UsageError,
  bytesText,
  grouped,
  problemText,
  table,
  withPlainError,
  type Io,
} from '../io.js';
import {
  OFFSET_MAX,
  clusterCommand,
  numberList,
  wholeNumber,
  withClient,
  type ClusterOptions,
} from '../options.js';
import { Progress } from '../progress.js';

interface TrimOptions extends ClusterOptions {
  readonly partition?: readonly number[];
  readonly all?: boolean;
  readonly before: Before;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

type Before = number | 'end';

/** What a trim does, or would do, to one partition. */
interface Row {
  readonly partition: number;
  /** First offset there is. */
  readonly start: number;
  readonly end: number;
  /** First offset there is afterwards. */
  readonly newStart: number;
  /** Offsets that go; of a compacted log some of them hold no record any more. */
  readonly offsets: number;
  /** Of the whole partition now: bytes are given back in the background. */
  readonly sizeBytes: number;
  readonly error: BrokerError | undefined;
}

/**
 * millrace topic trim: first lists what goes, and does nothing at all if that cannot be done in every
 * partition that is named. `end` is the end as it is listed: what is written meanwhile stays.
 */
export function trimCommand(io: Io): Command {
  return clusterCommand('trim', 'delete the oldest records of partitions, up to an offset')
    .argument('<topic>')
    .option('-p, --partition <n,...>', 'these partitions', numberList(0))
    .option('--all', 'every partition of the topic')
    .requiredOption('--before <offset|end>', 'the first offset to be kept; end: keep none', before)
    .option('--dry-run', 'show what would be deleted, and delete nothing')
    .option('-y, --yes', 'delete; it cannot be undone')
    .action(async (topic: string, options: TrimOptions) => {
      mayTrim(options);
      const isDryRun = options.dryRun === true;
      await withClient(io, options, async ({ admin }, out) => {
        const plan = planOf(await admin.describeTopic(topic), options);
        const isPossible = plan.every((row) => row.error === undefined);
        const isDone = isPossible && !isDryRun;
        const progress = new Progress(io, { total: plan.length, unit: 'partitions', ...options });
        const rows = isDone
          ? await progress.during(() => trim(admin, topic, plan, progress))
          : plan;
        out.result({ topic, dryRun: isDryRun, partitions: rows.map(withPlainError) }, () =>
          linesOf(rows, isDone),
        );
        const failed = rows.filter((row) => row.error !== undefined).length;
        if (failed === 0) return;
        const rest = isPossible ? '' : ', so nothing was deleted';
        throw new CommandError(`${failed} of ${rows.length} partitions cannot be trimmed${rest}`);
      });
    });
}

function before(text: string): Before {
  return text === 'end' ? text : wholeNumber(0, OFFSET_MAX)(text);
}

function mayTrim({ partition, all, dryRun, yes }: TrimOptions): void {
  if ((partition === undefined) === (all !== true)) {
    throw new UsageError('give either --partition or --all');
  }
  if (dryRun === true && yes === true)
    throw new UsageError('--dry-run and --yes exclude each other');
  if (dryRun !== true && yes !== true) {
    throw new UsageError(
      'this deletes records for good: give --yes, or --dry-run to see what would go',
    );
  }
}

function planOf({ topic, partitions }: TopicDescription, options: TrimOptions): Row[] {
  const wanted = options.partition ?? partitions.map(({ partition }) => partition);
  return [...new Set(wanted)].map((partition) => {
    const found = partitions.find((each) => each.partition === partition);
    if (found === undefined) {
      const text = `${topic} has ${partitions.length} partition(s), there is no ${partition}`;
      throw new BrokerError('UNKNOWN_PARTITION', text);
    }
    return rowOf(found, options.before);
  });
}

function rowOf(found: TopicDescription['partitions'][number], keepFrom: Before): Row {
  const { partition, logStartOffset: start, highWatermark: end, sizeBytes } = found;
  const asked = keepFrom === 'end' ? end : keepFrom;
  const isBeyond = found.error === undefined && asked > end;
  const error = isBeyond
    ? new BrokerError('OFFSET_OUT_OF_RANGE', `--before ${asked} is beyond the end, ${end}`)
    : found.error;
  const newStart = error === undefined ? Math.max(start, asked) : start;
  return { partition, start, end, newStart, offsets: newStart - start, sizeBytes, error };
}

/** One partition after the other: each answer says for itself whether it was done. */
async function trim(
  admin: Admin,
  topic: string,
  plan: readonly Row[],
  progress: Progress,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const row of plan) {
    rows.push(row.offsets === 0 ? row : await trimOne(admin, topic, row));
    progress.at(rows.length);
  }
  return rows;
}

async function trimOne(admin: Admin, topic: string, row: Row): Promise<Row> {
  const { partition, start } = row;
  try {
    const newStart = await admin.trimPartition({ topic, partition }, row.newStart);
    return { ...row, newStart, offsets: newStart - start };
  } catch (thrown) {
    return { ...row, newStart: start, offsets: 0, error: BrokerError.from(thrown) };
  }
}

function linesOf(rows: readonly Row[], isDone: boolean): string[] {
  const total = rows.reduce((sum, row) => sum + row.offsets, 0);
  return [
    ...table(
      [
        'PARTITION',
        'START',
        'END',
        'SIZE',
        isDone ? 'STARTS NOW' : 'WOULD START',
        'GOES',
        'PROBLEM',
      ],
      rows.map((row) => [
        ...[row.partition, row.start, row.end, bytesText(row.sizeBytes)],
        ...[row.newStart, row.offsets, problemText(row.error)],
      ]),
    ),
    `${grouped(total)} record(s) ${isDone ? 'deleted' : 'would be deleted'}`,
  ];
}
