import { unreachable } from '../base/assert.js';
import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { brokerId, raftGroupId, topicId, type BrokerId, type TopicId } from '../model/ids.js';
import type { BrokerRegistration, Command, OffsetCommitItem } from './command.js';
import type { BrokerAddress } from './image.js';
import { isTopicId } from './names.js';
import { compareStrings, sortedStringKeys } from '../base/collections.js';

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
} as const satisfies Record<Command['kind'], number>;

export function encodeCommand(command: Command): Uint8Array {
  const w = new ByteWriter(128).u8(VERSION).u8(CODES[command.kind]);
  switch (command.kind) {
    case 'registerBroker':
      writeRegistration(w, command.registration);
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
    case 'alterTopic':
      writeTopicId(w, command.topicId);
      writeStringMap(w, command.set);
      writeList(w, [...command.unset].sort(compareStrings), (to, key) => to.string(key));
      break;
    case 'moveReplicas':
    case 'completeMove':
      w.uvarint(command.groupId);
      writeIds(w, command.replicas);
      break;
    case 'replicasDeleted':
      w.uvarint(command.brokerId);
      writeIds(w, command.groupIds);
      break;
    case 'allocateProducers':
      w.uvarint(command.count);
      break;
    case 'commitOffsets':
      writeCommits(w, command.commits);
      break;
    default:
      unreachable(command);
  }
  return w.finish();
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
      return { kind: 'deleteTopic', topicId: readTopicId(r) };
    case CODES.alterTopic:
      return {
        kind: 'alterTopic',
        topicId: readTopicId(r),
        set: readStringMap(r),
        unset: readList(r, (from) => from.string()),
      };
    case CODES.moveReplicas:
    case CODES.completeMove:
      return {
        kind: code === CODES.moveReplicas ? 'moveReplicas' : 'completeMove',
        groupId: raftGroupId(r.uvarint()),
        replicas: readBrokerIds(r),
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
    default:
      throw new MalformedBytesError(`metadata command kind ${code}`);
  }
}

// ---- Pieces, shared with the snapshot's codec and the messages between brokers ----

export function writeList<T>(
  w: ByteWriter,
  items: readonly T[],
  write: (to: ByteWriter, item: T) => unknown,
): void {
  w.uvarint(items.length);
  for (const item of items) write(w, item);
}

export function readList<T>(r: ByteReader, read: (from: ByteReader) => T): T[] {
  const count = r.uvarint();
  if (count > r.remaining) throw new MalformedBytesError(`${count} items in too few bytes`);
  const items: T[] = [];
  for (let i = 0; i < count; i += 1) items.push(read(r));
  return items;
}

export function writeIds(w: ByteWriter, ids: readonly number[]): void {
  writeList(w, ids, (to, id) => to.uvarint(id));
}

export function readBrokerIds(r: ByteReader): BrokerId[] {
  return readList(r, (from) => brokerId(from.uvarint()));
}

/** In ascending order of keys, so that equal maps have equal bytes. */
export function writeStringMap(w: ByteWriter, map: ReadonlyMap<string, string>): void {
  writeList(w, sortedStringKeys(map), (to, key) => to.string(key).string(map.get(key) ?? ''));
}

export function readStringMap(r: ByteReader): Map<string, string> {
  return new Map(readList(r, (from): [string, string] => [from.string(), from.string()]));
}

export function writeTopicId(w: ByteWriter, id: TopicId): void {
  if (!isTopicId(id)) throw new MalformedBytesError(`not a topic id: ${id}`);
  for (let i = 0; i < 32; i += 2) w.u8(Number.parseInt(id.slice(i, i + 2), 16));
}

export function readTopicId(r: ByteReader): TopicId {
  return topicId(hexOf(r.raw(16)));
}

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

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

/** Commits of one group and topic mostly stand together: names that repeat are not written again. */
function writeCommits(w: ByteWriter, commits: readonly OffsetCommitItem[]): void {
  let previous: OffsetCommitItem | undefined;
  writeList(w, commits, (to, item) => {
    const sameGroup = previous?.group === item.group;
    const sameTopic = previous?.topicId === item.topicId;
    to.u8((sameGroup ? 1 : 0) | (sameTopic ? 2 : 0));
    if (!sameGroup) to.string(item.group);
    if (!sameTopic) writeTopicId(to, item.topicId);
    to.uvarint(item.partition).uvarint(item.offset).string(item.metadata);
    previous = item;
  });
}

function readCommits(r: ByteReader): OffsetCommitItem[] {
  let group: string | undefined;
  let topic: TopicId | undefined;
  return readList(r, (from) => {
    const flags = from.u8();
    if (flags > 3) throw new MalformedBytesError(`commit flags ${flags}`);
    if ((flags & 1) === 0) group = from.string();
    if ((flags & 2) === 0) topic = readTopicId(from);
    if (group === undefined || topic === undefined) {
      throw new MalformedBytesError('the first commit names no group or topic');
    }
    return {
      group,
      topicId: topic,
      partition: from.uvarint(),
      offset: from.uvarint(),
      metadata: from.string(),
    };
  });
}
