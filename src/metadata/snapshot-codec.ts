import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { sortedKeys, sortedStringKeys } from '../base/collections.js';
import { brokerId, logIndex, raftGroupId, type BrokerId, type RaftGroupId } from '../model/ids.js';
import {
  readBrokerIds,
  readList,
  readStringMap,
  readTopicId,
  writeIds,
  writeList,
  writeStringMap,
  writeTopicId,
} from './codec-parts.js';
import { readRegistration, writeRegistration } from './command-codec.js';
import type { ConfigChange } from './config-history.js';
import type { ConsumerGroupView } from './consumer-group.js';
import {
  readHeldSlots,
  readProfile,
  readSlots,
  writeHeldSlots,
  writeProfile,
  writeSlots,
} from './group-event-codec.js';
import type { BrokerImage, PartitionImage, TopicImage } from './image.js';
import type { FrozenMetadata, MetadataState } from './metadata-state.js';
import { rowsOf } from './offset-ledger.js';
import { topicSettings } from './topic-config.js';

/*
 * A snapshot of the metadata group, keys in ascending order everywhere:
 *
 *   version u8 = 1 to 7 | next group id | next producer id
 *   brokers:    registration, fenced u8; from version 5 on, which is written if any broker tells of it:
 *               replicas that it has memory for, and 1; 0: not told
 *   topics:     id, name, config, partitions: group id, replicas, bootstrap, founders, moving from,
 *               from version 7 on, which is written if any partition has one: target version;
 *               from version 4 on, which is written if any topic has one: version of the config, changes
 *               of it: version, previous version, time, keys: name, before, after (a flag u8 each)
 *   tombstones: group id, brokers
 *   offsets:    group name, rows: topic id, partition, offset, time, metadata
 *   from version 2 on, which is written if there are any:
 *   consumer groups: name, group epoch, assignment epoch, assignor, hash of topics, members: id,
 *               profile, away u8, epoch, assigned, revoking, target
 *   from version 3 on, which is written if there are any:
 *   last commits: group name, rows: member id, sequence
 *   idle groups: name, ms
 *   from version 6 on, which is written if there are any:
 *   deleted topics: id, the oldest first
 *
 * Lists have their count in front; integers are unsigned LEB128.
 */
const VERSION = 1;
const VERSION_WITH_CONSUMER_GROUPS = 2;
const VERSION_WITH_IDLE_GROUPS = 3;
const VERSION_WITH_CONFIG_VERSIONS = 4;
const VERSION_WITH_ROOM = 5;
const VERSION_WITH_DELETED_TOPICS = 6;
const VERSION_WITH_TARGET_VERSIONS = 7;
/** Rough bytes between two chances to let other work run. */
const SLICE_BYTES = 64 * 1024;

/** Encodes in slices: yields about every 64 KiB and returns the whole at the end. */
export function* encodeSlices(frozen: FrozenMetadata): Generator<undefined, Uint8Array> {
  const version = versionFor(frozen);
  const w = new ByteWriter(4_096).u8(version);
  w.uvarint(frozen.nextGroupId).uvarint(frozen.nextProducerId);
  writeList(w, sortedKeys(frozen.brokers) as BrokerId[], (to, id) => {
    const broker = frozen.brokers.get(id);
    if (broker !== undefined) {
      writeRegistration(to, broker);
      to.bool(broker.isFenced);
      if (version >= VERSION_WITH_ROOM) {
        to.uvarint(broker.replicasMax === undefined ? 0 : broker.replicasMax + 1);
      }
    }
  });
  yield* writeSliced(w, frozen.topics, (topic) => writeTopic(w, topic, version));
  writeList(w, sortedKeys(frozen.tombstones) as RaftGroupId[], (to, groupId) => {
    to.uvarint(groupId);
    writeIds(to, frozen.tombstones.get(groupId) ?? []);
  });
  yield* writeSliced(w, frozen.ledger, (page, group) => {
    w.string(group);
    writeList(w, rowsOf(page), (to, row) => {
      writeTopicId(to, row.topicId);
      to.uvarint(row.partition).uvarint(row.offset).uvarint(row.timeMs).string(row.metadata);
    });
  });
  if (version < VERSION_WITH_CONSUMER_GROUPS) return w.finish();
  yield* writeSliced(w, frozen.consumerGroups, (group) => writeConsumerGroup(w, group));
  if (version < VERSION_WITH_IDLE_GROUPS) return w.finish();
  yield* writeSliced(w, committing(frozen), (group) => writeLastCommits(w, group));
  yield* writeSliced(w, frozen.idleGroups, (timeMs, name) => w.string(name).uvarint(timeMs));
  if (version < VERSION_WITH_DELETED_TOPICS) return w.finish();
  writeList(w, frozen.deletedTopics, writeTopicId);
  return w.finish();
}

/** A list of all values, by ascending key, with a chance for others to run about every slice. */
function* writeSliced<K extends string, V>(
  w: ByteWriter,
  items: ReadonlyMap<K, V>,
  write: (item: V, key: K) => unknown,
): Generator<undefined, void> {
  w.uvarint(items.size);
  let sliceEnd = w.length + SLICE_BYTES;
  for (const key of sortedStringKeys(items) as K[]) {
    const item = items.get(key);
    if (item !== undefined) write(item, key);
    if (w.length <= sliceEnd) continue;
    sliceEnd = w.length + SLICE_BYTES;
    yield;
  }
}

/** The oldest that can say it. */
function versionFor(frozen: FrozenMetadata): number {
  const { brokers, topics, consumerGroups, idleGroups, deletedTopics } = frozen;
  for (const { partitions } of topics.values()) {
    if (partitions.some((p) => p.targetVersion > 0)) return VERSION_WITH_TARGET_VERSIONS;
  }
  if (deletedTopics.length > 0) return VERSION_WITH_DELETED_TOPICS;
  for (const { replicasMax } of brokers.values()) {
    if (replicasMax !== undefined) return VERSION_WITH_ROOM;
  }
  for (const { configVersion } of topics.values()) {
    if (configVersion > 0) return VERSION_WITH_CONFIG_VERSIONS;
  }
  if (idleGroups.size > 0) return VERSION_WITH_IDLE_GROUPS;
  for (const group of consumerGroups.values()) {
    if (group.lastCommits.size > 0) return VERSION_WITH_IDLE_GROUPS;
  }
  return consumerGroups.size > 0 ? VERSION_WITH_CONSUMER_GROUPS : VERSION;
}

/** Groups of which some members number their commits. */
function committing({ consumerGroups }: FrozenMetadata): ReadonlyMap<string, ConsumerGroupView> {
  return new Map([...consumerGroups].filter(([, group]) => group.lastCommits.size > 0));
}

/** The same without a pause. */
export function encodeSnapshot(frozen: FrozenMetadata): Uint8Array {
  const slices = encodeSlices(frozen);
  for (;;) {
    const step = slices.next();
    if (step.done === true) return step.value;
  }
}

/** Fills an empty state. Throws MalformedBytesError on bytes that are not a snapshot. */
export function decodeSnapshot(bytes: Uint8Array, state: MetadataState): void {
  const r = new ByteReader(bytes);
  const version = r.u8();
  if (version < VERSION || version > VERSION_WITH_TARGET_VERSIONS) {
    throw new MalformedBytesError(`metadata snapshot version ${version}`);
  }
  state.nextGroupId = raftGroupId(r.uvarint());
  state.nextProducerId = r.uvarint();
  readList(r, (from) => state.putBroker(readBroker(from, version)));
  readList(r, (from) => state.putTopic(readTopic(from, version)));
  readList(r, (from) => state.putTombstone(raftGroupId(from.uvarint()), readBrokerIds(from)));
  readList(r, (from) => {
    const group = from.string();
    readList(from, (row) => readRow(row, group, state));
  });
  if (version >= VERSION_WITH_CONSUMER_GROUPS) {
    readList(r, (from) => readConsumerGroup(from, state));
  }
  if (version >= VERSION_WITH_IDLE_GROUPS) {
    readList(r, (from) => readLastCommits(from, state));
    state.idleGroups.restore(new Map(readList(r, (from) => [from.string(), from.uvarint()])));
  }
  if (version >= VERSION_WITH_DELETED_TOPICS) {
    readList(r, (from) => state.deletedTopics.add(readTopicId(from)));
  }
  r.end();
}

function readBroker(r: ByteReader, version: number): BrokerImage {
  const broker = { ...readRegistration(r), isFenced: r.bool() };
  const told = version < VERSION_WITH_ROOM ? 0 : r.uvarint();
  return told === 0 ? broker : { ...broker, replicasMax: told - 1 };
}

function writeTopic(w: ByteWriter, topic: TopicImage, version: number): void {
  writeTopicId(w, topic.id);
  w.string(topic.name);
  writeStringMap(w, topic.config);
  writeList(w, topic.partitions, (to, p) => {
    to.uvarint(p.groupId);
    for (const ids of [p.replicas, p.bootstrap, p.founders, p.movingFrom]) writeIds(to, ids);
    if (version >= VERSION_WITH_TARGET_VERSIONS) to.uvarint(p.targetVersion);
  });
  if (version < VERSION_WITH_CONFIG_VERSIONS) return;
  w.uvarint(topic.configVersion);
  writeList(w, topic.configHistory, (to, change) => {
    to.uvarint(change.version).uvarint(change.previous).uvarint(change.timeMs);
    writeList(to, change.keys, (each, { key, before, after }) => {
      each.string(key);
      writeMaybe(each, before);
      writeMaybe(each, after);
    });
  });
}

function writeMaybe(w: ByteWriter, text: string | undefined): void {
  w.bool(text !== undefined);
  if (text !== undefined) w.string(text);
}

function readMaybe(r: ByteReader): string | undefined {
  return r.bool() ? r.string() : undefined;
}

function readConfigChange(r: ByteReader): ConfigChange {
  return {
    version: logIndex(r.uvarint()),
    previous: logIndex(r.uvarint()),
    timeMs: r.uvarint(),
    keys: readList(r, (from) => ({
      key: from.string(),
      before: readMaybe(from),
      after: readMaybe(from),
    })),
  };
}

function readTopic(r: ByteReader, version: number): TopicImage {
  const id = readTopicId(r);
  const name = r.string();
  const config = readStringMap(r);
  const partitions = readList(r, (from) => readPartition(from, version));
  const isVersioned = version >= VERSION_WITH_CONFIG_VERSIONS;
  const configVersion = logIndex(isVersioned ? r.uvarint() : 0);
  const configHistory = isVersioned ? readList(r, readConfigChange) : [];
  return {
    id,
    name,
    partitions: partitions.map((p, partition) => ({ ...p, partition })),
    config,
    configVersion,
    configHistory,
    settings: topicSettings(config),
  };
}

function readPartition(r: ByteReader, version: number): Omit<PartitionImage, 'partition'> {
  return {
    groupId: raftGroupId(r.uvarint()),
    replicas: readList(r, (from) => brokerId(from.uvarint())),
    bootstrap: readBrokerIds(r),
    founders: readBrokerIds(r),
    movingFrom: readBrokerIds(r),
    targetVersion: logIndex(version >= VERSION_WITH_TARGET_VERSIONS ? r.uvarint() : 0),
  };
}

function readRow(r: ByteReader, group: string, state: MetadataState): void {
  const at = { topicId: readTopicId(r), partition: r.uvarint() };
  const position = { offset: r.uvarint(), timeMs: r.uvarint(), metadata: r.string() };
  if (!state.ledger.maybeCommit(group, at, position)) {
    throw new MalformedBytesError('a snapshot holds more offsets than may be');
  }
}

function writeConsumerGroup(w: ByteWriter, group: ConsumerGroupView): void {
  w.string(group.name).uvarint(group.groupEpoch).uvarint(group.assignmentEpoch);
  w.string(group.assignor).uvarint(group.topicsHash);
  writeList(w, sortedStringKeys(group.members), (to, memberId) => {
    const member = group.members.get(memberId);
    if (member === undefined) return;
    to.string(memberId);
    writeProfile(to, member.profile);
    to.bool(member.isAway).uvarint(member.epoch);
    writeHeldSlots(to, member.assigned);
    writeHeldSlots(to, member.revoking);
    writeSlots(to, member.target);
  });
}

function readConsumerGroup(r: ByteReader, state: MetadataState): void {
  const group = state.consumerGroups.writable(r.string());
  group.groupEpoch = r.uvarint();
  group.assignmentEpoch = r.uvarint();
  group.assignor = r.string();
  group.topicsHash = r.uvarint();
  readList(r, (from) => {
    group.put({
      memberId: from.string(),
      profile: readProfile(from),
      isAway: from.bool(),
      epoch: from.uvarint(),
      assigned: readHeldSlots(from),
      revoking: readHeldSlots(from),
      target: readSlots(from),
    });
  });
}

function writeLastCommits(w: ByteWriter, { name, lastCommits }: ConsumerGroupView): void {
  w.string(name);
  writeList(w, sortedStringKeys(lastCommits), (to, memberId) => {
    to.string(memberId).uvarint(lastCommits.get(memberId) ?? 0);
  });
}

function readLastCommits(r: ByteReader, state: MetadataState): void {
  const group = state.consumerGroups.writable(r.string());
  readList(r, (from) => group.noteCommit(from.string(), from.uvarint()));
}
