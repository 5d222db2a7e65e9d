import type { Command } from 'commander';
import type { MillraceClient, OffsetAnswer, OffsetAt } from '../../client/index.js';
import { CommandError, UsageError, table, type Io } from '../io.js';
import {
  COUNT_MAX,
  OFFSET_MAX,
  clusterCommand,
  keyValue,
  timestamp,
  withClient,
  type ClusterOptions,
} from '../options.js';

interface OffsetsOptions extends ClusterOptions {
  readonly at?: number;
  readonly maxTimestamp?: boolean;
  readonly group?: string;
  readonly commit?: Readonly<Record<string, string>>;
}

interface Row {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
  readonly at?: number | undefined;
  /** Offset and time of a record of which none is later. */
  readonly maxTimestamp?: { readonly offset: number; readonly timestampMs: number } | undefined;
  readonly committed?: number | undefined;
  readonly lag?: number | undefined;
}

/** millrace offsets */
export function offsetsCommand(io: Io): Command {
  return clusterCommand('offsets', 'start, end and committed offsets of every partition')
    .argument('<topic>')
    .option('--at <time>', 'also the first offset at or after a time', timestamp)
    .option('--max-timestamp', 'also a record with the highest timestamp')
    .option('-g, --group <group>', "also a consumer group's committed offsets and lag")
    .option('--commit <partition=offset>', 'commit for --group; may be repeated', keyValue)
    .action(async (topic: string, options: OffsetsOptions) => {
      if (options.commit !== undefined && options.group === undefined) {
        throw new UsageError('--commit needs --group');
      }
      const commits = Object.entries(options.commit ?? {}).map(([partition, offset]) => ({
        topic,
        partition: mustBeWhole(partition, COUNT_MAX),
        offset: mustBeWhole(offset, OFFSET_MAX),
      }));
      await withClient(io, options, async (client, out) => {
        if (options.group !== undefined && commits.length > 0) {
          const answers = await client.admin.commitOffsets(options.group, commits);
          for (const { error } of answers) if (error !== undefined) throw error;
        }
        const rows = await gather(client, topic, options);
        const head = ['PARTITION', 'START', 'END', 'RECORDS'];
        if (options.at !== undefined) head.push('AT');
        if (options.maxTimestamp === true) head.push('LATEST', 'ITS TIME');
        if (options.group !== undefined) head.push('COMMITTED', 'LAG');
        out.result({ topic, group: options.group, partitions: rows }, () =>
          table(
            head,
            rows.map((r) => {
              const cells: unknown[] = [r.partition, r.start, r.end, r.end - r.start];
              if (options.at !== undefined) cells.push(r.at);
              if (options.maxTimestamp === true) {
                const { offset, timestampMs } = r.maxTimestamp ?? {};
                cells.push(offset, timestampMs && new Date(timestampMs).toISOString());
              }
              if (options.group !== undefined) cells.push(r.committed, r.lag);
              return cells;
            }),
          ),
        );
      });
    });
}

async function gather(
  client: MillraceClient,
  topic: string,
  options: OffsetsOptions,
): Promise<Row[]> {
  const { topics } = await client.admin.metadata({ topics: [topic] });
  const [info] = topics;
  if (info === undefined) throw new CommandError(`topic ${topic} does not exist`);
  if (info.error !== undefined) throw info.error;
  const partitions = info.partitions.map(({ partition }) => ({ topic, partition }));
  const answersTo = async (at: OffsetAt): Promise<readonly OffsetAnswer[]> => {
    const answers = await client.admin.listOffsets(partitions.map((p) => ({ ...p, at })));
    for (const { error } of answers) if (error !== undefined) throw error;
    return answers;
  };
  const ask = async (at: OffsetAt): Promise<Map<number, number | undefined>> =>
    new Map((await answersTo(at)).map((a) => [a.partition, a.offset]));
  const starts = await ask('earliest');
  const ends = await ask('latest');
  const atTime = options.at === undefined ? undefined : await ask({ timestampMs: options.at });
  const latest = options.maxTimestamp === true ? await answersTo('maxTimestamp') : [];
  const { group } = options;
  const committed = group === undefined ? [] : await client.admin.fetchOffsets(group, partitions);
  return partitions.map(({ partition }) => {
    const end = ends.get(partition) ?? 0;
    const own = committed.find((c) => c.partition === partition)?.offset;
    return {
      partition,
      start: starts.get(partition) ?? 0,
      end,
      at: atTime?.get(partition),
      maxTimestamp: recordOf(latest.find((a) => a.partition === partition)),
      committed: own,
      lag: own === undefined ? undefined : end - own,
    };
  });
}

function recordOf(answer: OffsetAnswer | undefined): Row['maxTimestamp'] {
  const { offset, timestampMs } = answer ?? {};
  return offset === undefined || timestampMs === undefined ? undefined : { offset, timestampMs };
}

function mustBeWhole(text: string, max: number): number {
  if (/^\d+$/.test(text) && Number(text) <= max) return Number(text);
  throw new UsageError(`--commit must look like 0=1234, not ${text}`);
}
