import { Command } from 'commander';
import type { Admin, TopicDescription } from '../../client/index.js';
import {
  UsageError,
  bytesText,
  grouped,
  problemText,
  table,
  timeText,
  withPlainError,
  type Io,
} from '../io.js';
import {
  clusterCommand,
  collect,
  keyValue,
  OFFSET_MAX,
  wholeNumber,
  withClient,
  type ClusterOptions,
} from '../options.js';
import { Progress } from '../progress.js';
import { trimCommand } from './topic-trim.js';

const KEYS_MOVE =
  'warning: most keys now go to other partitions than before; records of a key that were written ' +
  'before the change stay where they are, and nothing orders them with those written after it';

type Settings = Readonly<Record<string, string>>;

/** millrace topic create|list|describe|alter|trim|delete */
export function topicCommand(io: Io): Command {
  return new Command('topic')
    .description('create, list, describe, alter, trim and delete topics')
    .addCommand(createCommand(io))
    .addCommand(listCommand(io))
    .addCommand(describeCommand(io))
    .addCommand(alterCommand(io))
    .addCommand(trimCommand(io))
    .addCommand(deleteCommand(io));
}

function createCommand(io: Io): Command {
  return clusterCommand('create', 'create a topic; returns once every partition has a leader')
    .argument('<topic>')
    .option('-p, --partitions <n>', 'number of partitions', wholeNumber(0), 1)
    .option('-r, --replication-factor <n>', 'replicas of each partition', wholeNumber(0))
    .option('-c, --config <key=value>', 'topic setting; may be repeated', keyValue)
    .option('--no-wait', 'do not wait for leaders')
    .action(
      async (
        topic: string,
        options: ClusterOptions & {
          readonly partitions: number;
          readonly replicationFactor?: number;
          readonly config?: Settings;
          readonly wait: boolean;
        },
      ) => {
        const { partitions, replicationFactor, config, wait } = options;
        if (partitions === 0) throw new UsageError('--partitions must be at least 1');
        if (replicationFactor === 0)
          throw new UsageError('--replication-factor must be at least 1');
        await withClient(io, options, async (client, out) => {
          const request = { topic, partitions, replicationFactor, config, wait };
          const { admin } = client;
          const progress = leadersProgress(io, partitions, options);
          const created = await progress.watching(
            () => admin.createTopic(request),
            () => ledPartitions(admin, topic),
          );
          if (created.risk !== undefined) out.note(`warning: ${created.risk}`);
          out.result({ topic, ...created }, () => [
            `created ${topic}: ${created.partitions} partition(s), ${created.replicationFactor} replica(s) each`,
          ]);
        });
      },
    );
}

function leadersProgress(io: Io, total: number, { json }: ClusterOptions): Progress {
  return new Progress(io, { total, unit: 'partitions have leaders', json });
}

async function ledPartitions(admin: Admin, topic: string): Promise<number> {
  const { topics } = await admin.metadata({ topics: [topic], linearizable: false });
  return topics[0]?.partitions.filter(({ leader }) => leader !== undefined).length ?? 0;
}

function listCommand(io: Io): Command {
  return clusterCommand('list', 'list topics').action(async (options: ClusterOptions) => {
    await withClient(io, options, async (client, out) => {
      const { topics } = await client.admin.metadata();
      const sorted = [...topics].sort((a, b) => (a.topic < b.topic ? -1 : 1));
      out.result(
        sorted.map(({ topic, topicId, partitions, config }) => ({
          topic,
          topicId,
          partitions: partitions.length,
          replicationFactor: partitions[0]?.replicas.length ?? 0,
          config,
        })),
        () =>
          sorted.length === 0
            ? ['no topics']
            : table(
                ['TOPIC', 'PARTITIONS', 'REPLICAS', 'LEADERLESS'],
                sorted.map((t) => [
                  t.topic,
                  t.partitions.length,
                  t.partitions[0]?.replicas.length ?? 0,
                  t.partitions.filter((p) => p.leader === undefined).length,
                ]),
              ),
      );
    });
  });
}

function describeCommand(io: Io): Command {
  return clusterCommand(
    'describe',
    'leader, replicas, in-sync state, offsets and size of every partition',
  )
    .argument('<topic>')
    .option('--history', 'the latest changes of its settings instead')
    .action(async (topic: string, options: ClusterOptions & { readonly history?: boolean }) => {
      await withClient(io, options, async (client, out) => {
        const description = await client.admin.describeTopic(topic);
        if (options.history === true) {
          const { configVersion, configHistory } = description;
          out.result({ topic, configVersion, configHistory }, () => historyOf(description));
        } else out.result(jsonOf(description), () => describe(description));
      });
    });
}

function historyOf({ topic, configVersion, configHistory }: TopicDescription): string[] {
  const rows = configHistory.flatMap(({ version, timeMs, keys }) =>
    keys.map(({ key, before, after }) => [
      String(version),
      timeText(timeMs),
      key,
      before ?? '(default)',
      after ?? '(default)',
    ]),
  );
  const title = `${topic}: settings at version ${configVersion}`;
  if (rows.length === 0) return [`${title}, never changed`];
  return [title, ...table(['VERSION', 'TIME', 'SETTING', 'BEFORE', 'AFTER'], rows)];
}

function describe(topic: TopicDescription): string[] {
  const settings = Object.entries(topic.effectiveConfig)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}${Object.hasOwn(topic.config, key) ? ' (set)' : ''}`);
  const isCompacted = topic.effectiveConfig['cleanup.policy']?.startsWith('compact') === true;
  const records = topic.partitions.reduce((sum, p) => sum + p.highWatermark - p.logStartOffset, 0);
  return [
    `${topic.topic}  id ${topic.topicId}  ${grouped(records)} records  settings at version ${topic.configVersion}`,
    ...settings.map((s) => `  ${s}`),
    `durability: ${topic.durabilityPromise}`,
    ...table(
      [
        ...['PARTITION', 'LEADER', 'TERM', 'REPLICAS', 'IN SYNC', 'START', 'END'],
        ...(isCompacted ? ['COMPACTED TO'] : []),
        ...['SIZE', 'PROBLEM'],
      ],
      topic.partitions.map((p) => [
        p.partition,
        p.leader === undefined ? '-' : String(p.leader),
        p.leaderEpoch,
        p.replicas.map((r) => `${r.brokerId}${r.role === 'learner' ? '(learner)' : ''}`).join(','),
        p.replicas
          .filter((r) => r.inSync)
          .map((r) => r.brokerId)
          .join(','),
        p.logStartOffset,
        p.highWatermark,
        ...(isCompacted ? [p.compactedTo] : []),
        bytesText(p.sizeBytes),
        problemOf(p),
      ]),
    ),
  ];
}

function problemOf(p: TopicDescription['partitions'][number]): string {
  if (p.error !== undefined) return problemText(p.error);
  const repairing = p.replicas.filter((r) => r.isRepairing).map((r) => r.brokerId);
  return repairing.length === 0 ? '' : `being rebuilt on ${repairing.join(',')}`;
}

function jsonOf(topic: TopicDescription): unknown {
  return { ...topic, partitions: topic.partitions.map(withPlainError) };
}

function alterCommand(io: Io): Command {
  return clusterCommand('alter', "change a topic's settings, or add partitions to it")
    .argument('<topic>')
    .option(
      '-p, --partitions <n>',
      'how many it is to have; more than it has, as there is no taking away',
      wholeNumber(0),
    )
    .option('--no-wait', 'do not wait for leaders of new partitions')
    .option(
      '--expect-version <n>',
      'change settings only if they still have this version, which describe tells',
      wholeNumber(0, OFFSET_MAX),
    )
    .option('-s, --set <key=value>', 'set; may be repeated', keyValue)
    .option('-u, --unset <key>', 'back to the default; may be repeated', collect)
    .action(
      async (
        topic: string,
        options: ClusterOptions & {
          readonly set?: Settings;
          readonly unset?: readonly string[];
          readonly partitions?: number;
          readonly expectVersion?: number;
          readonly wait: boolean;
        },
      ) => {
        const { set, unset, partitions, expectVersion: expectedVersion, wait } = options;
        const hasSettings = set !== undefined || unset !== undefined;
        if (!hasSettings && partitions === undefined) {
          throw new UsageError('nothing to alter: give --set, --unset or --partitions');
        }
        if (expectedVersion !== undefined && !hasSettings) {
          throw new UsageError(
            '--expect-version is for changes of settings: give --set or --unset',
          );
        }
        if (partitions === 0) throw new UsageError('--partitions must be at least 1');
        await withClient(io, options, async (client, out) => {
          const { admin } = client;
          const altered = hasSettings
            ? await admin.alterTopic({ topic, set, unset, expectedVersion })
            : undefined;
          const grown =
            partitions === undefined
              ? undefined
              : await leadersProgress(io, partitions, options).watching(
                  () => admin.addPartitions({ topic, partitions, wait }),
                  () => ledPartitions(admin, topic),
                );
          if (grown !== undefined) out.note(KEYS_MOVE);
          if (altered?.risk !== undefined) out.note(`warning: ${altered.risk}`);
          out.result({ topic, ...altered, partitions: grown?.partitions }, () => [
            ...(altered === undefined
              ? []
              : [`${topic}: ${settingsText(altered.config)} (version ${altered.configVersion})`]),
            ...(grown === undefined ? [] : [`${topic}: ${grown.partitions} partitions`]),
          ]);
        });
      },
    );
}

function settingsText(config: Settings): string {
  const entries = Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return 'all settings at their defaults';
  return entries.map(([key, value]) => `${key}=${value}`).join(', ');
}

function deleteCommand(io: Io): Command {
  return clusterCommand('delete', 'delete a topic and all its records')
    .argument('<topic>')
    .action(async (topic: string, options: ClusterOptions) => {
      await withClient(io, options, async (client, out) => {
        await client.admin.deleteTopic(topic);
        out.result({ topic, deleted: true }, () => [`deleted ${topic}`]);
      });
    });
}
