import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { unreachable } from '../base/assert.js';
import { crc32c } from '../base/crc32c.js';
import {
  incarnation,
  logIndex,
  raftGroupId,
  term,
  TERM_LIMIT,
  type BrokerId,
  type Term,
} from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import { ENTRY_KIND_CODES, entryKindOf, type EntryId, type LogEntry } from '../model/log-entry.js';
import { decodeMembership, encodeMembership } from '../model/membership.js';
import { isWholeBatch } from '../model/record-batch.js';
import type { PeerMessage, Pulse, SnapshotHeader } from '../ports/transport.js';
import { GatheringWriter, type GatheredBytes } from './gathered-bytes.js';
import type {
  AppendRequest,
  AppendResponse,
  Message,
  MessageBase,
  RepairTarget,
  VoteResponse,
} from '../raft/message.js';

/*
 * Raft messages between brokers. All integers big-endian; v = unsigned LEB128 of at most 53 bits.
 *
 *   envelope   version u8 = 1, count v, then count messages
 *   message    kind u8, group v, term v, incarnation v, then by kind:
 *     1 preVoteRequest      lastTerm v, lastIndex v
 *     2 voteRequest         lastTerm v, lastIndex v, isTransfer bool
 *     3 preVoteResponse     granted bool, damaged u8 (0 no, 1 yes, 2 it lost its unsynced end)
 *     4 voteResponse        granted bool, damaged u8
 *     5 appendRequest       prevTerm v, prevIndex v, commit v, repairTarget t, count v, entries
 *     6 appendResponse      prevIndex v, repairing bool, ok bool, match v | hintTerm v, hintIndex v
 *     7 heartbeatRequest    commit v, readRound v, repairTarget t
 *     8 heartbeatResponse   readRound v, repairing bool
 *     9 timeoutNow          nothing
 *    10 quiesceRequest      lastTerm v, lastIndex v
 *    11 wakeRequest         nothing
 *   pulse      kind u8 = 12, boot v, count v, sum u32, disagrees bool: in place of a message
 *   entry      term v, kind u8 (model/log-entry.ts), timeMs v, length v, payload; its index follows
 *              from prevIndex. Kind 129 is a record batch that compaction has rewritten: between
 *              timeMs and length stand originalLength v, originalCrc u32
 *   t          v: 0 for absent, else its index plus one, then the incarnation it is for v
 *
 * Who sends and who receives is not in the bytes: it is what the stream was opened for, so that a
 * peer can only speak for itself.
 */
export const MESSAGE_CODEC_VERSION = 1;

type AnyMessage = PeerMessage['message'];

const KIND = {
  preVoteRequest: 1,
  voteRequest: 2,
  preVoteResponse: 3,
  voteResponse: 4,
  appendRequest: 5,
  appendResponse: 6,
  heartbeatRequest: 7,
  heartbeatResponse: 8,
  timeoutNow: 9,
  quiesceRequest: 10,
  wakeRequest: 11,
  pulse: 12,
} as const satisfies Record<AnyMessage['kind'], number>;

/** In place of an entry's kind. */
const REWRITTEN_BATCH = 0x80 | ENTRY_KIND_CODES.batch;

/** At most this many bytes besides payloads. */
const MESSAGE_OVERHEAD_BYTES = 96;
const ENTRY_OVERHEAD_BYTES = 48;

/** An upper bound for the bytes of one encoded message. */
export function messageBytesBound(message: AnyMessage): number {
  if (message.kind !== 'appendRequest') return MESSAGE_OVERHEAD_BYTES;
  let bytes = MESSAGE_OVERHEAD_BYTES;
  for (const entry of message.entries) bytes += entry.payload.length + ENTRY_OVERHEAD_BYTES;
  return bytes;
}

/** As isBulk of raft/message.ts, of which this floor may use the types only. */
export function isBulkMessage(message: AnyMessage): boolean {
  return message.kind === 'appendRequest' && message.entries.length > 0;
}

/** The envelope. Payloads lie where they were until gRPC copies them: nobody may change them meanwhile. */
export function encodeMessages(messages: readonly PeerMessage[]): GatheredBytes {
  const w = new GatheringWriter();
  w.u8(MESSAGE_CODEC_VERSION).uvarint(messages.length);
  for (const { group, message } of messages) {
    w.u8(KIND[message.kind]);
    if (group === undefined) {
      encodePulse(w, message);
      continue;
    }
    w.uvarint(group).uvarint(message.term).uvarint(message.incarnation);
    encodeBody(w, message);
  }
  return w.gathered();
}

/** The two ends of the stream the bytes came over. */
export interface StreamEnds {
  readonly from: BrokerId;
  readonly to: BrokerId;
}

/**
 * Throws MalformedBytesError, and nothing else, on what {@link encodeMessages} did not write.
 * Payloads are views of `bytes`.
 */
export function decodeMessages(bytes: Uint8Array, ends: StreamEnds): PeerMessage[] {
  const r = new ByteReader(bytes);
  readVersion(r);
  const count = r.uvarint();
  if (count > LIMITS.peerEnvelopeMessagesMax) {
    throw new MalformedBytesError(`${count} messages in one envelope`);
  }
  const messages: PeerMessage[] = [];
  for (let i = 0; i < count; i += 1) {
    const kind = r.u8();
    if (kind === KIND.pulse) {
      messages.push({ group: undefined, message: decodePulse(r, ends) });
      continue;
    }
    const group = raftGroupId(r.uvarint());
    const base = {
      from: ends.from,
      to: ends.to,
      term: readTerm(r),
      incarnation: incarnation(r.uvarint()),
    };
    messages.push({ group, message: decodeBody(r, kind, base) });
  }
  r.end();
  return messages;
}

function encodePulse(w: ByteWriter, { boot, asleep, disagrees }: Pulse): void {
  w.uvarint(boot).uvarint(asleep.count).u32(asleep.sum).bool(disagrees);
}

function decodePulse(r: ByteReader, { from, to }: StreamEnds): Pulse {
  const boot = r.uvarint();
  const asleep = { count: r.uvarint(), sum: r.u32() };
  return { kind: 'pulse', from, to, boot, asleep, disagrees: r.bool() };
}

function encodeBody(w: ByteWriter, message: Message): void {
  switch (message.kind) {
    case 'preVoteRequest':
      writeId(w, message.lastLog);
      return;
    case 'voteRequest':
      writeId(w, message.lastLog);
      w.bool(message.isTransfer);
      return;
    case 'preVoteResponse':
    case 'voteResponse':
      w.bool(message.granted).u8(message.lostTail === true ? 2 : message.damaged ? 1 : 0);
      return;
    case 'appendRequest':
      writeId(w, message.prev);
      w.uvarint(message.commit);
      writeTarget(w, message.repairTarget);
      w.uvarint(message.entries.length);
      for (const entry of message.entries) {
        const { kind, original } = entry;
        const code = original === undefined ? ENTRY_KIND_CODES[kind] : REWRITTEN_BATCH;
        w.uvarint(entry.term).u8(code).uvarint(entry.timeMs);
        if (original !== undefined) w.uvarint(original.length).u32(original.crc);
        w.bytes(entry.payload);
      }
      return;
    case 'appendResponse':
      w.uvarint(message.prevIndex).bool(message.repairing).bool(message.outcome.ok);
      if (message.outcome.ok) w.uvarint(message.outcome.match);
      else writeId(w, message.outcome.hint);
      return;
    case 'heartbeatRequest':
      w.uvarint(message.commit).uvarint(message.readRound);
      writeTarget(w, message.repairTarget);
      return;
    case 'heartbeatResponse':
      w.uvarint(message.readRound).bool(message.repairing);
      return;
    case 'quiesceRequest':
      writeId(w, message.last);
      return;
    case 'wakeRequest':
    case 'timeoutNow':
      return;
    default:
      unreachable(message);
  }
}

function decodeBody(r: ByteReader, kind: number, base: MessageBase): Message {
  switch (kind) {
    case KIND.preVoteRequest:
      return { kind: 'preVoteRequest', ...base, lastLog: readId(r) };
    case KIND.voteRequest:
      return { kind: 'voteRequest', ...base, lastLog: readId(r), isTransfer: r.bool() };
    case KIND.preVoteResponse:
      return { kind: 'preVoteResponse', ...base, granted: r.bool(), ...readDamage(r) };
    case KIND.voteResponse:
      return { kind: 'voteResponse', ...base, granted: r.bool(), ...readDamage(r) };
    case KIND.appendRequest:
      return decodeAppend(r, base);
    case KIND.appendResponse:
      return decodeAppendResponse(r, base);
    case KIND.heartbeatRequest: {
      const commit = logIndex(r.uvarint());
      const readRound = r.uvarint();
      return { kind: 'heartbeatRequest', ...base, commit, readRound, repairTarget: readTarget(r) };
    }
    case KIND.heartbeatResponse:
      return { kind: 'heartbeatResponse', ...base, readRound: r.uvarint(), repairing: r.bool() };
    case KIND.timeoutNow:
      return { kind: 'timeoutNow', ...base };
    case KIND.quiesceRequest:
      return { kind: 'quiesceRequest', ...base, last: readId(r) };
    case KIND.wakeRequest:
      return { kind: 'wakeRequest', ...base };
    default:
      throw new MalformedBytesError(`message kind ${kind}`);
  }
}

function readDamage(r: ByteReader): Pick<VoteResponse, 'damaged' | 'lostTail'> {
  const code = r.u8();
  if (code > 2) throw new MalformedBytesError(`damage ${code}`);
  return code === 2 ? { damaged: true, lostTail: true } : { damaged: code === 1 };
}

function decodeAppend(r: ByteReader, base: MessageBase): AppendRequest {
  const prev = readId(r);
  const commit = logIndex(r.uvarint());
  const repairTarget = readTarget(r);
  const count = r.uvarint();
  if (count > r.remaining) throw new MalformedBytesError(`${count} entries in too few bytes`);
  if (!Number.isSafeInteger(prev.index + count)) throw new MalformedBytesError('index too large');
  const entries: LogEntry[] = [];
  for (let i = 1; i <= count; i += 1) {
    const entryTerm = readTerm(r);
    const code = r.u8();
    const kind = code === REWRITTEN_BATCH ? 'batch' : entryKindOf(code);
    if (kind === undefined) throw new MalformedBytesError(`entry kind ${code}`);
    const timeMs = r.uvarint();
    const index = logIndex(prev.index + i);
    const head = { index, term: entryTerm, kind, timeMs };
    if (code === REWRITTEN_BATCH) entries.push(readRewritten(r, head));
    else entries.push({ ...head, payload: r.bytes() });
  }
  return { kind: 'appendRequest', ...base, prev, entries, commit, repairTarget };
}

/**
 * What is left of a batch has no checksum in its entry's header that a receiver could hold it against:
 * it must be a whole batch by itself, of the term it was appended in.
 */
function readRewritten(r: ByteReader, head: Omit<LogEntry, 'payload'>): LogEntry {
  const original = { length: r.uvarint(), crc: r.u32() };
  const payload = r.bytes();
  if (original.length > LIMITS.batchBytesMax || !isWholeBatch(payload, head.term, crc32c)) {
    throw new MalformedBytesError(`entry ${head.index} is no rewritten batch`);
  }
  return { ...head, payload, original };
}

function decodeAppendResponse(r: ByteReader, base: MessageBase): AppendResponse {
  const prevIndex = logIndex(r.uvarint());
  const repairing = r.bool();
  const outcome = r.bool()
    ? ({ ok: true, match: logIndex(r.uvarint()) } as const)
    : ({ ok: false, hint: readId(r) } as const);
  return { kind: 'appendResponse', ...base, prevIndex, outcome, repairing };
}

/*
 * The header of a snapshot stream: version u8 = 1, group v, term v, lastTerm v, lastIndex v, chain v,
 * timeMs v, membership (length v and model/membership.ts), repairTarget t, stateBytes v.
 */
export function encodeSnapshotHeader(header: SnapshotHeader, stateBytes: number): Uint8Array {
  const w = new ByteWriter(128);
  w.u8(MESSAGE_CODEC_VERSION).uvarint(header.group).uvarint(header.term);
  writeId(w, header.meta.last);
  w.uvarint(header.meta.chain).uvarint(header.meta.timeMs);
  w.bytes(encodeMembership(header.meta.membership));
  writeTarget(w, header.repairTarget);
  return w.uvarint(stateBytes).release();
}

/** Throws MalformedBytesError, and nothing else. */
export function decodeSnapshotHeader(bytes: Uint8Array): {
  readonly header: SnapshotHeader;
  readonly stateBytes: number;
} {
  const r = new ByteReader(bytes);
  readVersion(r);
  const group = raftGroupId(r.uvarint());
  const senderTerm = readTerm(r);
  const last = readId(r);
  const chain = r.uvarint();
  const timeMs = r.uvarint();
  const membership = decodeMembership(r.bytes());
  const repairTarget = readTarget(r);
  const stateBytes = r.uvarint();
  r.end();
  const meta = { last, chain, timeMs, membership };
  return { header: { group, term: senderTerm, meta, repairTarget }, stateBytes };
}

function readVersion(r: ByteReader): void {
  const version = r.u8();
  if (version !== MESSAGE_CODEC_VERSION) {
    throw new MalformedBytesError(`peer codec version ${version}`);
  }
}

function readTerm(r: ByteReader): Term {
  const value = r.uvarint();
  if (value >= TERM_LIMIT) throw new MalformedBytesError(`implausible term ${value}`);
  return term(value);
}

function writeId(w: ByteWriter, id: EntryId): void {
  w.uvarint(id.term).uvarint(id.index);
}

function readId(r: ByteReader): EntryId {
  return { term: readTerm(r), index: logIndex(r.uvarint()) };
}

function writeTarget(w: ByteWriter, target: RepairTarget | undefined): void {
  if (target === undefined) w.uvarint(0);
  else w.uvarint(target.index + 1).uvarint(target.life);
}

function readTarget(r: ByteReader): RepairTarget | undefined {
  const value = r.uvarint();
  return value === 0 ? undefined : { index: logIndex(value - 1), life: incarnation(r.uvarint()) };
}
