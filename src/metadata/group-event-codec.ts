import { unreachable } from '../base/assert.js';
import { MalformedBytesError, type ByteReader, type ByteWriter } from '../base/bytes.js';
import { readList, readTopicId, writeList, writeTopicId } from './codec-parts.js';
import type { HeldSlot, MemberProfile, Slot } from './consumer-group.js';
import type { GroupEvent, TargetChange } from './group-event.js';
import type { TopicId } from '../model/ids.js';

/*
 * An event of a consumer group: kind u8 (128 is added where the group is that of the event before) |
 * group | fields. Slots are lists in which a topic that repeats is not written again. Codes and the
 * order of fields never change: a new shape of an event gets a new code.
 */
const CODES = {
  member: 1,
  release: 2,
  away: 3,
  leave: 4,
  target: 5,
  deleteGroup: 6,
  deleteOffsets: 7,
} as const satisfies Record<GroupEvent['kind'], number>;
const SAME_GROUP = 0x80;

export function writeGroupEvents(w: ByteWriter, events: readonly GroupEvent[]): void {
  let previous: string | undefined;
  writeList(w, events, (to, event) => {
    const isSame = event.group === previous;
    to.u8(CODES[event.kind] | (isSame ? SAME_GROUP : 0));
    if (!isSame) to.string(event.group);
    writeFields(to, event);
    previous = event.group;
  });
}

export function readGroupEvents(r: ByteReader): GroupEvent[] {
  let group: string | undefined;
  return readList(r, (from) => {
    const code = from.u8();
    if ((code & SAME_GROUP) === 0) group = from.string();
    if (group === undefined) throw new MalformedBytesError('the first event names no group');
    return readFields(from, code & ~SAME_GROUP, group);
  });
}

function writeFields(w: ByteWriter, event: GroupEvent): void {
  switch (event.kind) {
    case 'member':
      w.string(event.memberId).string(event.replaces).bool(event.isStart);
      writeProfile(w, event.profile);
      break;
    case 'release':
      w.string(event.memberId);
      writeHeldSlots(w, event.slots);
      break;
    case 'away':
    case 'leave':
      w.string(event.memberId);
      break;
    case 'target':
      w.uvarint(event.groupEpoch).uvarint(event.assignmentEpoch).bool(event.raisesEpoch);
      w.string(event.assignor).uvarint(event.topicsHash);
      writeList(w, event.changes, writeChange);
      break;
    case 'deleteGroup':
      break;
    case 'deleteOffsets':
      writeSlots(w, event.slots);
      break;
    default:
      unreachable(event);
  }
}

function readFields(r: ByteReader, code: number, group: string): GroupEvent {
  switch (code) {
    case CODES.member:
      return {
        kind: 'member',
        group,
        memberId: r.string(),
        replaces: r.string(),
        isStart: r.bool(),
        profile: readProfile(r),
      };
    case CODES.release:
      return { kind: 'release', group, memberId: r.string(), slots: readHeldSlots(r) };
    case CODES.away:
    case CODES.leave:
      return { kind: code === CODES.away ? 'away' : 'leave', group, memberId: r.string() };
    case CODES.target:
      return {
        kind: 'target',
        group,
        groupEpoch: r.uvarint(),
        assignmentEpoch: r.uvarint(),
        raisesEpoch: r.bool(),
        assignor: r.string(),
        topicsHash: r.uvarint(),
        changes: readList(r, readChange),
      };
    case CODES.deleteGroup:
      return { kind: 'deleteGroup', group };
    case CODES.deleteOffsets:
      return { kind: 'deleteOffsets', group, slots: readSlots(r) };
    default:
      throw new MalformedBytesError(`consumer group event kind ${code}`);
  }
}

function writeChange(w: ByteWriter, { memberId, slots }: TargetChange): void {
  w.string(memberId);
  writeSlots(w, slots);
}

function readChange(r: ByteReader): TargetChange {
  return { memberId: r.string(), slots: readSlots(r) };
}

// ---- Pieces, shared with the snapshot's codec ----

export function writeProfile(w: ByteWriter, profile: MemberProfile): void {
  w.string(profile.instanceId).string(profile.rack).string(profile.clientId);
  writeList(w, profile.topics, (to, topic) => to.string(topic));
  w.string(profile.pattern).string(profile.assignor);
  w.uvarint(profile.sessionTimeoutMs).uvarint(profile.rebalanceTimeoutMs);
}

export function readProfile(r: ByteReader): MemberProfile {
  return {
    instanceId: r.string(),
    rack: r.string(),
    clientId: r.string(),
    topics: readList(r, (from) => from.string()),
    pattern: r.string(),
    assignor: r.string(),
    sessionTimeoutMs: r.uvarint(),
    rebalanceTimeoutMs: r.uvarint(),
  };
}

export function writeSlots(w: ByteWriter, slots: readonly Slot[]): void {
  writeByTopic(w, slots, () => undefined);
}

export function readSlots(r: ByteReader): Slot[] {
  return readByTopic(r, (slot) => slot);
}

export function writeHeldSlots(w: ByteWriter, slots: readonly HeldSlot[]): void {
  writeByTopic(w, slots, (to, slot) => to.uvarint(slot.epoch));
}

export function readHeldSlots(r: ByteReader): HeldSlot[] {
  return readByTopic(r, (slot, from) => ({ ...slot, epoch: from.uvarint() }));
}

function writeByTopic<S extends Slot>(
  w: ByteWriter,
  slots: readonly S[],
  writeMore: (to: ByteWriter, slot: S) => unknown,
): void {
  let previous: TopicId | undefined;
  writeList(w, slots, (to, slot) => {
    to.bool(slot.topicId === previous);
    if (slot.topicId !== previous) writeTopicId(to, slot.topicId);
    to.uvarint(slot.partition);
    writeMore(to, slot);
    previous = slot.topicId;
  });
}

function readByTopic<S extends Slot>(
  r: ByteReader,
  readMore: (slot: Slot, from: ByteReader) => S,
): S[] {
  let topicId: TopicId | undefined;
  return readList(r, (from) => {
    if (!from.bool()) topicId = readTopicId(from);
    if (topicId === undefined) throw new MalformedBytesError('the first slot names no topic');
    return readMore({ topicId, partition: from.uvarint() }, from);
  });
}
