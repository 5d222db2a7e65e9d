import { utf8Encode } from '../base/bytes.js';
import type { BrokerId, LogIndex, RaftGroupId, TopicId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import { commitRefusal } from './apply-group-event.js';
import {
  rejected,
  type BrokerRegistration,
  type Command,
  type CommitFence,
  type OffsetCommitItem,
  type Rejection,
} from './command.js';
import type { BrokerImage, MetadataImage, PartitionImage, TopicImage } from './image.js';
import { METADATA_LIMITS } from './limits.js';
import type { MetadataState } from './metadata-state.js';
import { groupNameProblem, topicNameProblem } from './names.js';
import { loadOf, placeReplicas } from './placement.js';
import { moveRefusal, noRoom, roomOf } from './replica-room.js';
import { parseTopicConfig, TOPIC_CONFIG_KEYS, unknownKeyProblem } from './topic-config.js';

/**
 * The leader's half of every command: a request and the image become a command, an answer without
 * one (`settled`: what was asked for is so already), or a rejection.
 */
export type Decision<S = undefined> =
  | { readonly kind: 'propose'; readonly command: Command }
  | { readonly kind: 'settled'; readonly answer: S }
  | Rejection;

const propose = (command: Command): { kind: 'propose'; command: Command } => ({
  kind: 'propose',
  command,
});
const settled = { kind: 'settled', answer: undefined } as const;

export function decideRegister(image: MetadataImage, wanted: BrokerRegistration): Decision {
  const { id, directoryId, address, rack, replicasMax } = wanted;
  const { brokersMax, rackLengthMax, hostLengthMax } = METADATA_LIMITS;
  if (id < 1 || id >= 0x8000_0000) return rejected('INVALID_ARGUMENT', `broker id ${id}`);
  if (directoryId.length === 0 || directoryId.length > 64) {
    return rejected('INVALID_ARGUMENT', 'malformed directory id');
  }
  if (rack.length > rackLengthMax) {
    return rejected('INVALID_ARGUMENT', `rack is longer than ${rackLengthMax} characters`);
  }
  for (const host of [address.host, address.peerHost]) {
    if (host.length === 0 || host.length > hostLengthMax) {
      return rejected('INVALID_ARGUMENT', 'a host is missing or too long');
    }
  }
  if (!image.brokers.has(id) && image.brokers.size >= brokersMax) {
    return rejected('INVALID_ARGUMENT', `the cluster has its maximum of ${brokersMax} brokers`);
  }
  const known = image.brokers.get(id);
  const isSame =
    known?.isFenced === false &&
    known.directoryId === directoryId &&
    known.rack === rack &&
    known.replicasMax === replicasMax &&
    known.address.host === address.host &&
    known.address.port === address.port &&
    known.address.peerHost === address.peerHost &&
    known.address.peerPort === address.peerPort &&
    known.address.httpPort === address.httpPort;
  return isSame ? settled : propose({ kind: 'registerBroker', registration: wanted });
}

export interface NewTopic {
  /** Drawn by the client, or by the broker that it asked; a repetition carries the same one. */
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partitions: number | undefined;
  readonly replicationFactor: number | undefined;
  readonly config: ReadonlyMap<string, string>;
}

/** Replicas a partition gets when nothing else was asked for. */
export const REPLICATION_FACTOR_DEFAULT = 3;

export function decideCreateTopic(
  image: MetadataImage,
  wanted: NewTopic,
  /** Brokers the cluster is known to have, registered or not yet. */
  clusterSize: number,
  salt: number,
): Decision {
  const problem = topicNameProblem(wanted.topic);
  if (problem !== undefined) return rejected('INVALID_TOPIC_NAME', problem);
  const existing = image.topicsByName.get(wanted.topic);
  if (existing?.id === wanted.topicId) return settled;
  if (existing !== undefined) return rejected('TOPIC_EXISTS', `topic ${wanted.topic} exists`);
  const partitions = wanted.partitions ?? 1;
  const countProblem = partitionsRefusal(partitions);
  if (countProblem !== undefined) return countProblem;
  const config = canonicalConfig(wanted.config);
  if (config.kind === 'rejected') return config;
  const live = liveBrokers(image);
  const factor =
    wanted.replicationFactor ?? Math.min(REPLICATION_FACTOR_DEFAULT, Math.max(1, clusterSize));
  const refusal = factorRefusal(factor, clusterSize, live.length);
  if (refusal !== undefined) return refusal;
  const placed = place(image, live, { partitions, replicationFactor: factor, salt });
  if (placed.kind === 'rejected') return placed;
  const { topicId, topic: name } = wanted;
  const { assignment } = placed;
  return propose({ kind: 'createTopic', topicId, name, assignment, config: config.config });
}

type Placed =
  { readonly kind: 'placed'; readonly assignment: readonly (readonly BrokerId[])[] } | Rejection;

function place(
  image: MetadataImage,
  live: readonly BrokerImage[],
  wanted: Pick<Parameters<typeof placeReplicas>[0], 'partitions' | 'replicationFactor' | 'salt'>,
): Placed {
  const brokers = live.map((one) => ({ id: one.id, rack: one.rack, room: roomOf(image, one) }));
  const assignment = placeReplicas({ ...wanted, brokers, load: loadOf(image) });
  if (assignment !== undefined) return { kind: 'placed', assignment };
  return noRoom(image, live, wanted.partitions * wanted.replicationFactor);
}

function factorRefusal(factor: number, known: number, live: number): Rejection | undefined {
  const max = LIMITS.replicationFactorMax;
  const code = 'INVALID_REPLICATION_FACTOR';
  if (!isWhole(factor, 1, max)) {
    return rejected(code, `the replication factor is 1 to ${max}, not ${factor}`);
  }
  if (factor > known) {
    return rejected(
      code,
      `replication factor ${factor} needs ${factor} brokers; there are ${known}`,
    );
  }
  if (factor <= live) return undefined;
  return rejected(
    code,
    `replication factor ${factor} needs ${factor} live brokers; ${live} of ${known} are live`,
  );
}

function canonicalConfig(
  config: ReadonlyMap<string, string>,
): { kind: 'config'; config: ReadonlyMap<string, string> } | Rejection {
  const canonical = new Map<string, string>();
  for (const [key, text] of config) {
    const parsed = parseTopicConfig(key, text);
    if (!parsed.ok) return rejected('INVALID_CONFIG', parsed.problem);
    canonical.set(key, parsed.value);
  }
  return { kind: 'config', config: canonical };
}

export interface MorePartitions {
  readonly topicId: TopicId;
  /** How many the topic is to have. */
  readonly partitions: number;
}

/** As many replicas as the topic's first partition has, placed as those of a new topic. */
export function decideAddPartitions(
  image: MetadataImage,
  { topicId, partitions }: MorePartitions,
  clusterSize: number,
  salt: number,
): Decision {
  const topic = image.topicsById.get(topicId);
  if (topic === undefined) return rejected('UNKNOWN_TOPIC', 'the topic does not exist');
  const count = topic.partitions.length;
  if (partitions === count) return settled;
  const refusal = partitionsRefusal(partitions) ?? shrinkRefusal(topic, partitions);
  if (refusal !== undefined) return refusal;
  const factor = replicationFactorOf(topic);
  const live = liveBrokers(image);
  const factorProblem = factorRefusal(factor, clusterSize, live.length);
  if (factorProblem !== undefined) return factorProblem;
  const wantedMore = { partitions: partitions - count, replicationFactor: factor, salt };
  const placed = place(image, live, wantedMore);
  if (placed.kind === 'rejected') return placed;
  const { assignment } = placed;
  return propose({ kind: 'addPartitions', topicId, from: count, assignment });
}

/** Of the topic's first partition: a new one is to have as many. */
export function replicationFactorOf(topic: TopicImage): number {
  return topic.partitions[0]?.replicas.length ?? 1;
}

function shrinkRefusal(topic: TopicImage, wanted: number): Rejection | undefined {
  const count = topic.partitions.length;
  if (wanted > count) return undefined;
  return rejected(
    'INVALID_PARTITIONS',
    `topic ${topic.name} has ${count} partitions: they can be added to, not reduced to ${wanted}`,
  );
}

function partitionsRefusal(partitions: number): Rejection | undefined {
  const max = LIMITS.partitionsPerTopicMax;
  if (isWhole(partitions, 1, max)) return undefined;
  return rejected('INVALID_PARTITIONS', `a topic has 1 to ${max} partitions, not ${partitions}`);
}

function liveBrokers(image: MetadataImage): BrokerImage[] {
  const live = [...image.brokers.values()].filter((broker) => !broker.isFenced);
  return live.sort((a, b) => a.id - b.id);
}

export function decideAlterTopic(
  image: MetadataImage,
  wanted: {
    readonly topic: string;
    /** Only the topic with this id. */
    readonly topicId?: TopicId | undefined;
    readonly set: ReadonlyMap<string, string>;
    readonly unset: readonly string[];
    readonly expectedVersion?: LogIndex | undefined;
  },
): Decision {
  const topic = image.topicsByName.get(wanted.topic);
  if (topic === undefined) return unknownTopic(wanted.topic);
  if (wanted.topicId !== undefined && wanted.topicId !== topic.id) {
    return otherTopic(wanted.topic, wanted.topicId);
  }
  const set = canonicalConfig(wanted.set);
  if (set.kind === 'rejected') return set;
  for (const key of wanted.unset) {
    if (set.config.has(key)) {
      return rejected('INVALID_CONFIG', `${key} is both set and unset`);
    }
    if (!TOPIC_CONFIG_KEYS.includes(key)) {
      return rejected('INVALID_CONFIG', unknownKeyProblem(key));
    }
  }
  return propose({
    kind: 'alterTopic',
    topicId: topic.id,
    set: set.config,
    unset: wanted.unset,
    expectedVersion: wanted.expectedVersion,
  });
}

export function decideMoveReplicas(
  image: MetadataImage,
  wanted: {
    readonly topic: string;
    readonly partition: number;
    readonly replicas: readonly BrokerId[];
  },
): Decision {
  const found = findPartition(image, wanted);
  if (found.kind === 'rejected') return found;
  const { groupId } = found.partition;
  const stranger = wanted.replicas.find((id) => !image.brokers.has(id));
  if (stranger !== undefined) {
    return rejected('INVALID_ARGUMENT', `broker ${stranger} is not registered`);
  }
  const newcomers = wanted.replicas.filter((id) => !found.partition.replicas.includes(id));
  const fenced = newcomers.find((id) => image.brokers.get(id)?.isFenced === true);
  if (fenced !== undefined) {
    return rejected('INVALID_ARGUMENT', `broker ${fenced} is not live`);
  }
  const refusal = moveRefusal(image, found.partition, wanted.replicas);
  if (refusal !== undefined) return refusal;
  return propose({ kind: 'moveReplicas', groupId, replicas: wanted.replicas });
}

export type FoundPartition =
  | { readonly kind: 'found'; readonly topic: TopicImage; readonly partition: PartitionImage }
  | Rejection;

export function findPartition(
  image: MetadataImage,
  at: { readonly topic: string; readonly partition: number },
): FoundPartition {
  const topic = image.topicsByName.get(at.topic);
  if (topic === undefined) return unknownTopic(at.topic);
  const partition = topic.partitions[at.partition];
  if (partition === undefined) {
    return rejected(
      'UNKNOWN_PARTITION',
      `topic ${at.topic} has partitions 0 to ${topic.partitions.length - 1}, not ${at.partition}`,
    );
  }
  return { kind: 'found', topic, partition };
}

export interface WantedCommit {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
}

export type CommitDecision =
  | { readonly kind: 'commit'; readonly item: OffsetCommitItem; readonly groupId: RaftGroupId }
  | Rejection;

/** All but the comparison with the high watermark, which lives with the partition. */
export function decideCommit(
  state: MetadataState,
  group: string,
  wanted: WantedCommit,
  fence?: CommitFence,
): CommitDecision {
  const problem = groupNameProblem(group);
  if (problem !== undefined) return rejected('INVALID_ARGUMENT', problem);
  const found = findPartition(state, wanted);
  if (found.kind === 'rejected') return found;
  if (!isWhole(wanted.offset, 0, Number.MAX_SAFE_INTEGER)) {
    return rejected('INVALID_ARGUMENT', `offset ${wanted.offset} is not a position`);
  }
  if (utf8Encode(wanted.metadata).length > LIMITS.commitMetadataBytesMax) {
    return rejected(
      'INVALID_ARGUMENT',
      `commit metadata is longer than ${LIMITS.commitMetadataBytesMax} bytes`,
    );
  }
  const { topic, partition } = found;
  const refusal = commitRefusal(state.consumerGroups.get(group), {
    topicId: topic.id,
    partition: wanted.partition,
    memberId: fence?.memberId ?? '',
    memberEpoch: fence?.memberEpoch ?? 0,
  });
  if (refusal !== undefined) return refusal;
  return {
    kind: 'commit',
    groupId: partition.groupId,
    item: {
      group,
      topicId: topic.id,
      partition: wanted.partition,
      offset: wanted.offset,
      metadata: wanted.metadata,
      ...(fence === undefined ? undefined : { fence }),
    },
  };
}

function unknownTopic(name: string): Rejection {
  return rejected('UNKNOWN_TOPIC', `topic ${JSON.stringify(name.slice(0, 260))} does not exist`);
}

/** What was asked for a topic that is gone must not happen to the one that has its name now. */
export function otherTopic(name: string, wanted: TopicId): Rejection {
  return rejected('UNKNOWN_TOPIC', `topic ${name} is another one by now: ${wanted} does not exist`);
}

function isWhole(value: number, first: number, last: number): boolean {
  return Number.isSafeInteger(value) && value >= first && value <= last;
}
