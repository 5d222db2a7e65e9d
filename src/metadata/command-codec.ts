import { unreachable } from '../base/assert.js';
import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { compareStrings } from '../base/collections.js';
import { brokerId, logIndex, raftGroupId, type LogIndex, type TopicId } from '../model/ids.js';
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
import type { BrokerRegistration, Command, OffsetCommitItem } from './command.js';
import { readGroupEvents, writeGroupEvents } from './group-event-codec.js';
import type { BrokerAddress } from './image.js';

/*
 * A command in the metadata log: version u8 = 1 | kind u8 | fields. Integers are unsigned LEB128,
 * strings and lists have their length in front, topic ids are 16 raw bytes. Codes and the order of
 * fields never change: a new shape of a command gets a new code.
 */
const VERSION = 1;
const CODES = {
  registerBroker: 1,
  setBrokerFenced: 2,
  createTopic: 3,
  deleteTopic: 4,
  alterTopic: 5,
  moveReplicas: 6,
  completeMove: 7,
  replicasDeleted: 8,
  allocateProducers: 9,
  commitOffsets: 10,
  addPartitions: 11,
  groupEvents: 20,
  ageGroups: 23,
} as const satisfies Record<Command['kind'], number>;
/** registerBroker of one that tells how many replicas it has memory for. */
const REGISTER_WITH_ROOM = 13;
/** commitOffsets of which some come from members of a group: without and with their sequences. */
const FENCED_COMMITS = 21;
const SEQUENCED_COMMITS = 22;
/** alterTopic that gives the settings a version, and may name the one they must have. */
const VERSIONED_ALTER_TOPIC = 12;
/** deleteTopic of a topic whose id is remembered. */
const REMEMBERED_DELETE_TOPIC = 14;
/** completeMove that names which target was arrived at. */
const VERSIONED_COMPLETE_MOVE = 15;

export function encodeCommand(command: Command): Uint8Array {
  const w = new ByteWriter(128).u8(VERSION).u8(codeOf(command));
  switch (command.kind) {
    case 'registerBroker':
      writeRegistration(w, command.registration);
      writeRoom(w, command.registration);
      break;
    case 'setBrokerFenced':
      w.uvarint(command.brokerId).bool(command.isFenced);
      break;
    case 'createTopic':
      writeTopicId(w, command.topicId);
      w.string(command.name);
      writeList(w, command.assignment, writeIds);
      writeStringMap(w, command.config);
      break;
    case 'deleteTopic':
      writeTopicId(w, command.topicId);
      break;
    case 'addPartitions':
      writeTopicId(w, command.topicId);
      w.uvarint(command.from);
      writeList(w, command.assignment, writeIds);
      break;
    case 'alterTopic':
      writeTopicId(w, command.topicId);
      writeStringMap(w, command.set);
      writeList(w, [...command.unset].sort(compareStrings), (to, key) => to.string(key));
      if (command.isUnversioned !== true) writeMaybeIndex(w, command.expectedVersion);
      break;
    case 'moveReplicas':
    case 'completeMove':
      w.uvarint(command.groupId);
      writeIds(w, command.replicas);
      if (isVersionedMove(command)) w.uvarint(command.targetVersion);
      break;
    case 'replicasDeleted':
      w.uvarint(command.brokerId);
      writeIds(w, command.groupIds);
      break;
    case 'allocateProducers':
      w.uvarint(command.count);
      break;
    case 'commitOffsets':
      writeCommits(w, command.commits, isFenced(command.commits));
      break;
    case 'groupEvents':
      writeGroupEvents(w, command.events);
      break;
    case 'ageGroups':
      w.uvarint(command.elapsedMs).uvarint(command.limitMs);
      break;
    default:
      unreachable(command);
  }
  return w.finish();
}

function codeOf(command: Command): number {
  if (command.kind === 'registerBroker' && command.registration.replicasMax !== undefined) {
    return REGISTER_WITH_ROOM;
  }
  if (command.kind === 'alterTopic' && command.isUnversioned !== true) return VERSIONED_ALTER_TOPIC;
  if (command.kind === 'deleteTopic' && command.isForgotten !== true)
    return REMEMBERED_DELETE_TOPIC;
  if (isVersionedMove(command)) return VERSIONED_COMPLETE_MOVE;
  const isFencedCommit = command.kind === 'commitOffsets' && isFenced(command.commits);
  return isFencedCommit ? SEQUENCED_COMMITS : CODES[command.kind];
}

function isVersionedMove(command: Command): command is Command & { targetVersion: LogIndex } {
  return command.kind === 'completeMove' && command.targetVersion !== undefined;
}

function isFenced(commits: readonly OffsetCommitItem[]): boolean {
  return commits.some(({ fence }) => fence !== undefined);
}

/** Throws MalformedBytesError on what {@link encodeCommand} of this or an older version did not write. */
export function decodeCommand(bytes: Uint8Array): Command {
  const r = new ByteReader(bytes);
  const version = r.u8();
  if (version !== VERSION) throw new MalformedBytesError(`metadata command version ${version}`);
  const command = readFields(r, r.u8());
  r.end();
  return command;
}

function readFields(r: ByteReader, code: number): Command {
  switch (code) {
    case CODES.registerBroker:
      return { kind: 'registerBroker', registration: readRegistration(r) };
    case REGISTER_WITH_ROOM:
      return { kind: 'registerBroker', registration: { ...readRegistration(r), ...readRoom(r) } };
    case CODES.setBrokerFenced:
      return {
        kind: 'setBrokerFenced',
        brokerId: brokerId(r.uvarint()),
        isFenced: r.bool(),
      };
    case CODES.createTopic:
      return {
        kind: 'createTopic',
        topicId: readTopicId(r),
        name: r.string(),
        assignment: readList(r, readBrokerIds),
        config: readStringMap(r),
      };
    case CODES.deleteTopic:
      return { kind: 'deleteTopic', topicId: readTopicId(r), isForgotten: true };
    case REMEMBERED_DELETE_TOPIC:
      return { kind: 'deleteTopic', topicId: readTopicId(r) };
    case CODES.addPartitions:
      return {
        kind: 'addPartitions',
        topicId: readTopicId(r),
        from: r.uvarint(),
        assignment: readList(r, readBrokerIds),
      };
    case CODES.alterTopic:
    case VERSIONED_ALTER_TOPIC:
      return {
        kind: 'alterTopic',
        topicId: readTopicId(r),
        set: readStringMap(r),
        unset: readList(r, (from) => from.string()),
        ...(code === CODES.alterTopic ? { isUnversioned: true } : readExpectedVersion(r)),
      };
    case CODES.moveReplicas:
    case CODES.completeMove:
      return {
        kind: code === CODES.moveReplicas ? 'moveReplicas' : 'completeMove',
        groupId: raftGroupId(r.uvarint()),
        replicas: readBrokerIds(r),
      };
    case VERSIONED_COMPLETE_MOVE:
      return {
        kind: 'completeMove',
        groupId: raftGroupId(r.uvarint()),
        replicas: readBrokerIds(r),
        targetVersion: logIndex(r.uvarint()),
      };
    case CODES.replicasDeleted:
      return {
        kind: 'replicasDeleted',
        brokerId: brokerId(r.uvarint()),
        groupIds: readList(r, (from) => raftGroupId(from.uvarint())),
      };
    case CODES.allocateProducers:
      return { kind: 'allocateProducers', count: r.uvarint() };
    case CODES.commitOffsets:
      return { kind: 'commitOffsets', commits: readCommits(r) };
    case FENCED_COMMITS:
      return { kind: 'commitOffsets', commits: readCommits(r, readFence) };
    case SEQUENCED_COMMITS:
      return { kind: 'commitOffsets', commits: readCommits(r, readSequencedFence) };
    case CODES.groupEvents:
      return { kind: 'groupEvents', events: readGroupEvents(r) };
    case CODES.ageGroups:
      return { kind: 'ageGroups', elapsedMs: r.uvarint(), limitMs: r.uvarint() };
    default:
      throw new MalformedBytesError(`metadata command kind ${code}`);
  }
}

function writeMaybeIndex(w: ByteWriter, index: LogIndex | undefined): void {
  w.bool(index !== undefined);
  if (index !== undefined) w.uvarint(index);
}

function readExpectedVersion(r: ByteReader): { expectedVersion?: LogIndex } {
  return r.bool() ? { expectedVersion: logIndex(r.uvarint()) } : {};
}

// ---- Pieces, shared with the snapshot's codec and the messages between brokers ----

export function writeAddress(w: ByteWriter, address: BrokerAddress): void {
  w.string(address.host).uvarint(address.port);
  w.string(address.peerHost).uvarint(address.peerPort).uvarint(address.httpPort);
}

export function readAddress(r: ByteReader): BrokerAddress {
  return {
    host: r.string(),
    port: r.uvarint(),
    peerHost: r.string(),
    peerPort: r.uvarint(),
    httpPort: r.uvarint(),
  };
}

export function writeRegistration(w: ByteWriter, registration: BrokerRegistration): void {
  w.uvarint(registration.id).string(registration.directoryId);
  writeAddress(w, registration.address);
  w.string(registration.rack);
}

export function readRegistration(r: ByteReader): BrokerRegistration {
  return {
    id: brokerId(r.uvarint()),
    directoryId: r.string(),
    address: readAddress(r),
    rack: r.string(),
  };
}

/** Behind a registration, if it is told. */
export function writeRoom(
  w: ByteWriter,
  { replicasMax }: { replicasMax?: number | undefined },
): void {
  if (replicasMax !== undefined) w.uvarint(replicasMax);
}

export function readRoom(r: ByteReader): { replicasMax: number } {
  return { replicasMax: r.uvarint() };
}

/**
 * Commits of one group and topic mostly stand together: names that repeat are not written again. With
 * members, one more flag (4) says that the member is that of the commit before.
 */
function writeCommits(
  w: ByteWriter,
  commits: readonly OffsetCommitItem[],
  withMembers: boolean,
): void {
  let previous: OffsetCommitItem | undefined;
  writeList(w, commits, (to, item) => {
    const sameGroup = previous?.group === item.group;
    const sameTopic = previous?.topicId === item.topicId;
    const sameMember = withMembers && sameGroup && sameFence(previous, item);
    to.u8((sameGroup ? 1 : 0) | (sameTopic ? 2 : 0) | (sameMember ? 4 : 0));
    if (!sameGroup) to.string(item.group);
    if (!sameTopic) writeTopicId(to, item.topicId);
    if (withMembers && !sameMember) {
      to.string(item.fence?.memberId ?? '').uvarint(item.fence?.memberEpoch ?? 0);
      to.uvarint(item.fence?.sequence ?? 0);
    }
    to.uvarint(item.partition).uvarint(item.offset).string(item.metadata);
    previous = item;
  });
}

function sameFence(a: OffsetCommitItem | undefined, b: OffsetCommitItem): boolean {
  return (
    a?.fence?.memberId === b.fence?.memberId &&
    a?.fence?.memberEpoch === b.fence?.memberEpoch &&
    a?.fence?.sequence === b.fence?.sequence
  );
}

type Fence = OffsetCommitItem['fence'];

/** With members if their fence is to be read. */
function readCommits(r: ByteReader, fenceFrom?: (r: ByteReader) => Fence): OffsetCommitItem[] {
  let group: string | undefined;
  let topic: TopicId | undefined;
  let fence: Fence;
  return readList(r, (from) => {
    const flags = from.u8();
    if (flags > (fenceFrom === undefined ? 3 : 7))
      throw new MalformedBytesError(`commit flags ${flags}`);
    if ((flags & 1) === 0) group = from.string();
    if ((flags & 2) === 0) topic = readTopicId(from);
    if ((flags & 4) === 0) fence = fenceFrom?.(from);
    if (group === undefined || topic === undefined) {
      throw new MalformedBytesError('the first commit names no group or topic');
    }
    return {
      group,
      topicId: topic,
      partition: from.uvarint(),
      offset: from.uvarint(),
      metadata: from.string(),
      ...(fence === undefined ? undefined : { fence }),
    };
  });
}

function readFence(r: ByteReader): Fence {
  const memberId = r.string();
  const memberEpoch = r.uvarint();
  return memberId === '' ? undefined : { memberId, memberEpoch, sequence: 0 };
}

function readSequencedFence(r: ByteReader): Fence {
  const fence = readFence(r);
  const sequence = r.uvarint();
  return fence === undefined ? undefined : { ...fence, sequence };
}
