import { Command } from 'commander';
import type {
  GroupDescription,
  ResetOffset,
  ResetTo,
  TopicPartitions,
  TopicSelection,
} from '../../client/index.js';
import {
  CommandError,
  UsageError,
  grouped,
  problemText,
  table,
  timeText,
  withPlainError,
  type Io,
} from '../io.js';
import {
  OFFSET_MAX,
  clusterCommand,
  collect,
  timestamp,
  wholeNumber,
  withClient,
  type ClusterOptions,
} from '../options.js';

const TOPIC_FLAG = '-t, --topic <topic[:n,...]>';
const TOPIC_TEXT = 'this topic, or these partitions of it; may be repeated';

/** millrace group list|describe|reset|delete|delete-offsets */
export function groupCommand(io: Io): Command {
  return new Command('group')
    .description('list, describe, reset and delete consumer groups')
    .addCommand(listCommand(io))
    .addCommand(describeCommand(io))
    .addCommand(resetCommand(io))
    .addCommand(deleteCommand(io))
    .addCommand(deleteOffsetsCommand(io));
}

function listCommand(io: Io): Command {
  return clusterCommand('list', 'groups with members, and those of which only offsets are left')
    .option('--prefix <text>', 'only groups whose name begins like this')
    .action(async (options: ClusterOptions & { readonly prefix?: string }) => {
      await withClient(io, options, async (client, out) => {
        const groups = await client.admin.listGroups({ prefix: options.prefix });
        out.result(groups, () =>
          groups.length === 0
            ? ['no groups']
            : table(
                ['GROUP', 'STATE', 'MEMBERS', 'COMMITTED PARTITIONS'],
                groups.map((g) => [g.group, g.state, g.members, g.committedPartitions]),
              ),
        );
      });
    });
}

function describeCommand(io: Io): Command {
  return clusterCommand('describe', 'members, who reads what, committed offsets and lag')
    .argument('<group>')
    .option('--no-lag', 'do not ask the leaders of all partitions how far behind the group is')
    .action(async (group: string, options: ClusterOptions & { readonly lag: boolean }) => {
      await withClient(io, options, async (client, out) => {
        const description = await client.admin.describeGroup(group, { lag: options.lag });
        out.result(jsonOf(description), () => describe(description));
      });
    });
}

function describe(group: GroupDescription): string[] {
  const lags = group.partitions.map((p) => p.lagRecords);
  const isKnown = lags.every((lag) => lag !== undefined);
  const lag = lags.reduce<number>((sum, one) => sum + (one ?? 0), 0);
  const names = new Map(group.members.map((m) => [m.memberId, nameOf(m)]));
  const coordinator = group.coordinator === undefined ? '-' : `broker ${group.coordinator}`;
  return [
    `${group.group}  ${group.state}  ${group.members.length} member(s)  epoch ${group.groupEpoch}` +
      `  coordinator ${coordinator}  assignor ${group.assignor === '' ? '-' : group.assignor}`,
    `lag ${isKnown ? `${grouped(lag)} record(s)` : 'not known'}, last commit ${timeOr(group.lastCommitTimeMs)}`,
    ...(group.members.length === 0 ? [] : ['', ...membersTable(group)]),
    ...(group.partitions.length === 0 ? [] : ['', ...partitionsTable(group, names)]),
  ];
}

function membersTable(group: GroupDescription): string[] {
  return table(
    ['MEMBER', 'CLIENT', 'HOST', 'EPOCH', 'STATE', 'PARTITIONS', 'GIVES UP', 'SUBSCRIPTION'],
    group.members.map((m) => [
      nameOf(m),
      textOr(m.clientId),
      textOr(m.clientHost),
      m.memberEpoch,
      m.isAway ? 'away' : m.isConnected ? 'connected' : 'silent',
      listText(m.assigned),
      listText(m.revoking),
      [
        ...m.subscription.topics,
        ...(m.subscription.pattern === '' ? [] : [`/${m.subscription.pattern}/`]),
      ].join(','),
    ]),
  );
}

function partitionsTable(group: GroupDescription, names: ReadonlyMap<string, string>): string[] {
  return table(
    [
      'TOPIC',
      'PARTITION',
      'COMMITTED',
      'END',
      'LAG',
      'LAG TIME',
      'COMMITTED AT',
      'MEMBER',
      'PROBLEM',
    ],
    group.partitions.map((p) => [
      p.topic,
      p.partition,
      p.committedOffset,
      p.highWatermark,
      p.lagRecords,
      p.lagMs === undefined ? '-' : `${grouped(p.lagMs / 1_000, 1)} s`,
      timeOr(p.commitTimeMs),
      p.memberId === undefined ? '-' : (names.get(p.memberId) ?? p.memberId),
      problemText(p.error),
    ]),
  );
}

/** A static member by the name that it was given. */
function nameOf(member: { readonly memberId: string; readonly instanceId: string }): string {
  return member.instanceId === '' ? member.memberId : member.instanceId;
}

function textOr(text: string): string {
  return text === '' ? '-' : text;
}

function timeOr(timeMs: number | undefined): string {
  return timeMs === undefined ? '-' : timeText(timeMs);
}

/** a/0,2 b/1 */
function listText(topics: readonly TopicPartitions[]): string {
  const parts = topics.map((t) => `${t.topic}/${t.partitions.join(',')}`);
  return parts.length === 0 ? '-' : parts.join(' ');
}

function jsonOf(group: GroupDescription): unknown {
  return { ...group, partitions: group.partitions.map(withPlainError) };
}

interface ResetOptions extends ClusterOptions {
  readonly topic?: readonly string[];
  readonly toBeginning?: boolean;
  readonly toEnd?: boolean;
  readonly toOffset?: number;
  readonly toTime?: number;
  readonly shiftBy?: number;
  readonly dryRun?: boolean;
}

function resetCommand(io: Io): Command {
  return clusterCommand('reset', 'set the committed offsets of a group that has no members')
    .argument('<group>')
    .option(TOPIC_FLAG, `only ${TOPIC_TEXT}`, collect)
    .option('--to-beginning', 'to the first records there are')
    .option('--to-end', 'to the ends of the logs')
    .option('--to-offset <n>', 'to this offset', wholeNumber(0, OFFSET_MAX))
    .option('--to-time <time>', 'to the first record at or after a time', timestamp)
    .option(
      '--shift-by <n>',
      'so many records on from the committed offset; negative: back',
      wholeNumber(Number.MIN_SAFE_INTEGER, OFFSET_MAX),
    )
    .option('--dry-run', 'show what would be set, and set nothing')
    .action(async (group: string, options: ResetOptions) => {
      const to = targetOf(options);
      const topics = (options.topic ?? []).map(selectionOf);
      const dryRun = options.dryRun === true;
      await withClient(io, options, async (client, out) => {
        const offsets = await client.admin.resetOffsets(group, to, { topics, dryRun });
        out.result({ group, dryRun, offsets: offsets.map(withPlainError) }, () =>
          resetLines(offsets, dryRun),
        );
        const failed = offsets.filter((o) => o.error !== undefined).length;
        if (failed > 0) throw new CommandError(`${failed} of ${offsets.length} partitions failed`);
      });
    });
}

function resetLines(offsets: readonly ResetOffset[], isDryRun: boolean): string[] {
  if (offsets.length === 0) return ['nothing to set: no offsets are committed; name --topic'];
  return table(
    ['TOPIC', 'PARTITION', 'BEFORE', isDryRun ? 'WOULD BE' : 'NOW', 'PROBLEM'],
    offsets.map((o) => [o.topic, o.partition, o.previousOffset, o.offset, problemText(o.error)]),
  );
}

function targetOf(options: ResetOptions): ResetTo {
  const targets: ResetTo[] = [];
  if (options.toBeginning === true) targets.push('beginning');
  if (options.toEnd === true) targets.push('end');
  if (options.toOffset !== undefined) targets.push({ offset: options.toOffset });
  if (options.toTime !== undefined) targets.push({ timestampMs: options.toTime });
  if (options.shiftBy !== undefined) targets.push({ shiftBy: options.shiftBy });
  const [target] = targets;
  if (target !== undefined && targets.length === 1) return target;
  throw new UsageError(
    'give one of --to-beginning, --to-end, --to-offset, --to-time and --shift-by',
  );
}

/** orders, or orders:0,3 */
function selectionOf(text: string): TopicSelection {
  const match = /^([^:]+)(?::(\d+(?:,\d+)*))?$/.exec(text);
  const topic = match?.[1];
  if (topic === undefined)
    throw new UsageError(`--topic must look like orders or orders:0,3, not ${text}`);
  const partitions = match?.[2]?.split(',').map(Number) ?? [];
  return { topic, partitions };
}

function deleteCommand(io: Io): Command {
  return clusterCommand('delete', 'forget a group that has no members, with its offsets')
    .argument('<group>')
    .action(async (group: string, options: ClusterOptions) => {
      await withClient(io, options, async (client, out) => {
        await client.admin.deleteGroup(group);
        out.result({ group, deleted: true }, () => [`deleted ${group}`]);
      });
    });
}

function deleteOffsetsCommand(io: Io): Command {
  return clusterCommand('delete-offsets', 'forget committed offsets of a group without members')
    .argument('<group>')
    .requiredOption(TOPIC_FLAG, TOPIC_TEXT, collect)
    .action(
      async (group: string, options: ClusterOptions & { readonly topic: readonly string[] }) => {
        const topics = options.topic.map(selectionOf);
        await withClient(io, options, async (client, out) => {
          const deleted = await client.admin.deleteGroupOffsets(group, topics);
          out.result({ group, deleted }, () => [
            deleted.length === 0 ? 'no offsets were committed' : `deleted ${listText(deleted)}`,
          ]);
        });
      },
    );
}
