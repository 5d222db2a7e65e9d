import path from 'node:path';
import { Command } from 'commander';
import { raftGroupId, logIndex, type RaftGroupId } from '../../model/ids.js';
import type { LogEntry } from '../../model/log-entry.js';
import {
  ATTRIBUTE_CODEC_MASK,
  BATCH_HEADER_BYTES,
  readBatchHeader,
} from '../../model/record-batch.js';
import {
  inspectBroker,
  inspectEntries,
  type InspectedBroker,
  type InspectedEntry,
  type InspectedReplica,
} from '../../storage/inspect.js';
import { CommandError, Output, table, timeText, type Io } from '../io.js';
import { OFFSET_MAX, command, wholeNumber } from '../options.js';

interface DumpOptions {
  readonly json?: boolean;
  readonly group?: number;
  readonly topic?: string;
  readonly partition?: number;
  readonly first?: number;
  readonly limit: number;
}

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** millrace log dump */
export function logCommand(io: Io): Command {
  return new Command('log').description("look into a stopped broker's files").addCommand(
    command('dump', 'list the replicas of a data directory, or the entries of one of them')
      .argument('<data-dir>')
      .option('--group <id>', 'entries of this Raft group', wholeNumber(0))
      .option('--topic <topic>', 'entries of this topic (with --partition)')
      .option('--partition <n>', '', wholeNumber(0))
      .option('--first <index>', 'from this log index on', wholeNumber(0, OFFSET_MAX))
      .option('--limit <n>', 'at most so many entries', wholeNumber(1, OFFSET_MAX), 1_000)
      .action(async (directory: string, options: DumpOptions) => {
        await dump(io, path.resolve(directory), options);
      }),
  );
}

async function dump(io: Io, directory: string, options: DumpOptions): Promise<void> {
  const broker = await inspectBroker(directory).catch((cause: unknown) => {
    throw new CommandError(cause instanceof Error ? cause.message : String(cause), { cause });
  });
  const out = new Output(io, options.json === true);
  const isOverview = options.group === undefined && options.topic === undefined;
  if (isOverview) {
    out.result(broker, () => overview(broker));
    return;
  }
  const group = groupOf(broker, options);
  const first = options.first === undefined ? {} : { first: logIndex(options.first) };
  let faults = 0;
  for await (const found of inspectEntries(directory, group, { ...first, limit: options.limit })) {
    if (found.fault !== undefined) faults += 1;
    out.result(jsonOf(found), () => [lineOf(found)]);
  }
  if (faults > 0) throw new CommandError(`${faults} damaged entr${faults === 1 ? 'y' : 'ies'}`);
}

function groupOf(broker: InspectedBroker, options: DumpOptions): RaftGroupId {
  const { group, topic, partition = 0 } = options;
  if (group !== undefined) {
    if (broker.replicas.some(({ spec }) => spec.groupId === group)) return raftGroupId(group);
    throw new CommandError(`no replica of Raft group ${group} here`);
  }
  const found = broker.replicas.find(
    ({ spec }) => spec.topic === topic && spec.partition === partition && spec.groupId !== 0,
  );
  if (found === undefined) throw new CommandError(`no replica of ${topic ?? ''}/${partition} here`);
  return found.spec.groupId;
}

function overview(broker: InspectedBroker): string[] {
  const { identity } = broker;
  const who =
    identity === undefined
      ? 'no identity'
      : `broker ${identity.brokerId} of cluster ${identity.clusterId}, directory ${identity.directoryId}`;
  return [
    who,
    ...table(
      ['GROUP', 'REPLICA', 'TERM', 'VOTE', 'AFTER', 'DURABLE', 'CLOSED', 'STATE'],
      broker.replicas.map((r) => [
        r.spec.groupId,
        r.spec.groupId === 0 ? 'metadata' : `${r.spec.topic}/${r.spec.partition}`,
        r.hardState.term,
        r.hardState.votedFor,
        r.snapshot.last.index,
        r.watermark?.last.index,
        r.isCleanlyClosed ? 'cleanly' : 'no',
        stateOf(r),
      ]),
    ),
  ];
}

function stateOf(replica: InspectedReplica): string {
  const notes: string[] = [];
  if (replica.hardState.needsRepair) notes.push('to be rebuilt');
  if (replica.isSuspect) notes.push('suspect');
  if (replica.openingAttempts > 0) notes.push(`opening ${replica.openingAttempts}`);
  return notes.join(', ');
}

function lineOf(found: InspectedEntry): string {
  const { entry } = found;
  const fault = found.fault === undefined ? '' : `  FAULT: ${found.fault}`;
  if (entry === undefined) return `${found.index}${fault}`;
  const time = timeText(entry.timeMs);
  const head = `${entry.index}  term ${entry.term}  ${entry.kind}  ${time}  ${entry.payload.length} bytes`;
  const batch = batchOf(entry);
  if (batch === undefined) return `${head}${fault}`;
  const offsets = `offsets ${batch.firstOffset}-${batch.lastOffset}`;
  const producer =
    batch.producerId < 0
      ? ''
      : `  producer ${batch.producerId}/${batch.producerEpoch} from ${batch.baseSequence}`;
  return `${head}  ${offsets}  ${batch.records} records  ${batch.codec}${producer}${fault}`;
}

interface BatchSummary {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly records: number;
  readonly leaderEpoch: number;
  readonly codec: string;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

function batchOf(entry: LogEntry): BatchSummary | undefined {
  if (entry.kind !== 'batch' || entry.payload.length < BATCH_HEADER_BYTES) return undefined;
  const h = readBatchHeader(entry.payload);
  return {
    firstOffset: h.baseOffset,
    lastOffset: h.baseOffset + h.lastOffsetDelta,
    records: h.recordsCount,
    leaderEpoch: h.leaderEpoch,
    codec: CODECS[h.attributes & ATTRIBUTE_CODEC_MASK] ?? 'unknown',
    producerId: h.producerId,
    producerEpoch: h.producerEpoch,
    baseSequence: h.baseSequence,
  };
}

function jsonOf({ index, entry, fault }: InspectedEntry): unknown {
  if (entry === undefined) return { index, fault };
  const { term, kind, timeMs, payload } = entry;
  return { index, term, kind, timeMs, bytes: payload.length, fault, batch: batchOf(entry) };
}
