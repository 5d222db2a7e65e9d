import { Command } from 'commander';
import type { ClusterDescription } from '../../client/index.js';
import { UsageError, grouped, table, type Io } from '../io.js';
import {
  clusterCommand,
  numberList,
  wholeNumber,
  withClient,
  type ClusterOptions,
} from '../options.js';

/** millrace cluster describe|transfer|move */
export function clusterCommands(io: Io): Command {
  return new Command('cluster')
    .description('describe the cluster, transfer leaderships, move replicas')
    .addCommand(describeCommand(io))
    .addCommand(transferCommand(io))
    .addCommand(moveCommand(io));
}

function describeCommand(io: Io): Command {
  return clusterCommand('describe', 'brokers and the metadata group').action(
    async (options: ClusterOptions) => {
      await withClient(io, options, async (client, out) => {
        const cluster = await client.admin.describeCluster();
        out.result(cluster, () => describe(cluster));
      });
    },
  );
}

function describe(cluster: ClusterDescription): string[] {
  const members = new Map(cluster.metadataMembers.map((m) => [m.brokerId, m]));
  return [
    `cluster ${cluster.clusterId}: ${grouped(cluster.topics)} topic(s), ${grouped(cluster.partitions)} partition(s)`,
    `metadata leader: ${cluster.controller === undefined ? 'not known' : `broker ${cluster.controller}`}, term ${cluster.controllerTerm}, committed up to ${cluster.metadataCommitIndex}`,
    ...table(
      ['BROKER', 'CLIENTS', 'PEERS', 'RACK', 'STATE', 'METADATA'],
      cluster.brokers.map((b) => {
        const member = members.get(b.id);
        const notes = [member?.role ?? '-'];
        if (b.id === cluster.controller) notes.push('leader');
        if (member?.isRepairing === true) notes.push('being rebuilt');
        return [
          b.id,
          `${b.host}:${b.port}`,
          `${b.peerHost}:${b.peerPort}`,
          b.rack === '' ? '-' : b.rack,
          b.isFenced ? 'fenced' : 'up',
          notes.join(', '),
        ];
      }),
    ),
  ];
}

function transferCommand(io: Io): Command {
  return clusterCommand('transfer', "hand a partition's leadership to another replica")
    .argument('[topic]')
    .argument('[partition]', '', wholeNumber(0))
    .option('--to <broker>', 'default: the most caught-up replica', wholeNumber(1))
    .option('--metadata', 'the metadata group instead of a partition')
    .action(
      async (
        topic: string | undefined,
        partition: number | undefined,
        options: ClusterOptions & { readonly to?: number; readonly metadata?: boolean },
      ) => {
        const isMetadata = options.metadata === true;
        const target =
          topic === undefined || partition === undefined ? undefined : { topic, partition };
        if (isMetadata ? topic !== undefined : target === undefined) {
          throw new UsageError('name a topic and a partition, or give --metadata alone');
        }
        await withClient(io, options, async (client, out) => {
          const done = await client.admin.transferLeadership(target, options.to);
          const what =
            target === undefined ? 'the metadata group' : `${target.topic}/${target.partition}`;
          out.result({ ...target, metadata: isMetadata, ...done }, () => [
            `broker ${done.leader} leads ${what} in term ${done.leaderEpoch}`,
          ]);
        });
      },
    );
}

function moveCommand(io: Io): Command {
  return clusterCommand('move', "move a partition's replicas to exactly these brokers")
    .argument('<topic>')
    .argument('<partition>', '', wholeNumber(0))
    .requiredOption('--replicas <id,...>', 'broker ids', numberList(1))
    .action(
      async (
        topic: string,
        partition: number,
        options: ClusterOptions & { readonly replicas: readonly number[] },
      ) => {
        await withClient(io, options, async (client, out) => {
          const { replicas } = options;
          await client.admin.moveReplicas({ topic, partition }, replicas);
          out.result({ topic, partition, replicas }, () => [
            `${topic}/${partition} goes to brokers ${replicas.join(', ')}`,
          ]);
        });
      },
    );
}
