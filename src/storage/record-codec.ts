import { invariant } from '../base/assert.js';
import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { brokerId, incarnation, logIndex, raftGroupId, term, topicId } from '../model/ids.js';
import type { Incarnation, LogIndex, Term } from '../model/ids.js';
import { NO_ENTRY, type EntryId } from '../model/log-entry.js';
import { decodeMembership, encodeMembership, NO_MEMBERS } from '../model/membership.js';
import type { ReplicaSpec } from '../ports/log-store.js';
import type { HardState } from '../raft/io.js';
import { padBody, seal, unseal } from './sealed.js';

/*
 * The state file: a header and one record a replica. Everything is written in slots of 512 bytes
 * (one sector), each a sealed block with a sequence number, in alternating pairs: the valid slot
 * with the higher number counts.
 *
 *      0 header slot A | 512 header slot B | … 4096 record 0 | 6144 record 1 | …
 *   record: 0 facts slot A | 512 facts slot B | 1024 watermark slot A | 1536 watermark slot B
 *
 * Facts and watermark have slots of their own, because watermarks are rewritten without a sync and
 * must never put a vote at risk. A slot's body begins with version u8 = 1 and sequence u64.
 */
export const SLOT_BYTES = 512;
export const HEADER_BYTES = 4096;
export const RECORD_BYTES = 4 * SLOT_BYTES;
const VERSION = 1;
const HEADER_MAGIC = 0x4d527374;
const FACTS_MAGIC = 0x4d526674;
const WATERMARK_MAGIC = 0x4d52776d;

/** A record is free, belongs to a replica, or to one whose files are being deleted. */
export type RecordUse = 'free' | 'used' | 'deleting';
const USE_CODES = { free: 0, used: 1, deleting: 2 } as const;

/** Everything about a replica that must survive, except its log. */
export interface ReplicaFacts {
  readonly use: RecordUse;
  readonly spec: ReplicaSpec;
  readonly incarnation: Incarnation;
  /** Which directory holds the log: replicas/<groupId>/<generation>. 0 before there is one. */
  readonly generation: number;
  readonly hardState: HardState;
  /** What the log is known to have held before it was lost; zeros unless needsRepair. */
  readonly lost: EntryId;
  /** The log begins after this entry. */
  readonly snapshot: { readonly last: EntryId; readonly chain: number };
  /** Openings begun since one last ended well. */
  readonly openingAttempts: number;
  readonly isCleanlyClosed: boolean;
  /** A read found damage, or the disk failed: the next opening verifies the whole log. */
  readonly isSuspect: boolean;
  /**
   * Entries may have been written without a sync while the machine ran under this mark
   * (boot-mark.ts); 0: everything written is on the disk.
   */
  readonly unsyncedBoot: number;
  /** Needs repair because it lost unsynced entries, and what is left of it is whole. */
  readonly isTailLost: boolean;
  /** Entries were once written without a sync. */
  readonly wasUnsynced: boolean;
  /**
   * The group went on without what this log held as committed, or its bytes were wrong again after the
   * whole of it was verified: to be set aside.
   */
  readonly isGivenUp: boolean;
  /**
   * Its broker ended uncleanly since the whole log was verified last, or closed cleanly. When it does so again, the log
   * itself may be what ends it.
   */
  readonly diedUnverified: boolean;
}

/** What changes of a replica's facts when its need of repair does, or not. One that needs none has lost nothing. */
export function repairFacts(
  { hardState, lost, isTailLost }: ReplicaFacts,
  needsRepair: boolean,
): Pick<ReplicaFacts, 'hardState' | 'lost' | 'isTailLost'> {
  return {
    hardState: { ...hardState, needsRepair },
    lost: needsRepair ? lost : NO_ENTRY,
    isTailLost: needsRepair && isTailLost,
  };
}

export const FREE_FACTS: ReplicaFacts = {
  use: 'free',
  spec: {
    groupId: raftGroupId(0),
    topicId: undefined,
    topic: '',
    partition: 0,
    bootstrap: NO_MEMBERS,
  },
  incarnation: incarnation(0),
  generation: 0,
  hardState: { term: term(0), votedFor: undefined, needsRepair: false },
  lost: NO_ENTRY,
  snapshot: { last: NO_ENTRY, chain: 0 },
  openingAttempts: 0,
  isCleanlyClosed: true,
  isSuspect: false,
  unsyncedBoot: 0,
  isTailLost: false,
  wasUnsynced: false,
  isGivenUp: false,
  diedUnverified: false,
};

/** The last entry known to be durable in one generation of a log. */
export interface Watermark {
  readonly generation: number;
  readonly incarnation: Incarnation;
  readonly last: EntryId;
  readonly chain: number;
}

export interface Sequenced<T> {
  readonly sequence: number;
  readonly value: T;
}

/*
 * Facts body after version and sequence: flags u8 (bits 0-1 use, 2 has a topic id, 3 has a vote,
 * 4 needsRepair, 5 cleanly closed, 6 suspect), groupId u64, partition u32, topicId 16 bytes (zeros
 * if none), topic (string), bootstrap membership (bytes), incarnation u64, generation u64,
 * term u64, vote u64, lost.term u64, lost.index u64, snapshot.term u64, snapshot.index u64,
 * snapshot.chain u64, openingAttempts u32, unsyncedBoot u64, more flags u8 (bit 0 tail lost, 1 given
 * up, 2 was unsynced, 3 died unverified), zeros up to the CRC. What was added at the end reads as
 * zeros in older files.
 */
export function encodeFacts(facts: Sequenced<ReplicaFacts>, crc32c: Crc32c): Uint8Array {
  const { value } = facts;
  const { spec, hardState, lost, snapshot } = value;
  const flags =
    USE_CODES[value.use] |
    (spec.topicId === undefined ? 0 : 4) |
    (hardState.votedFor === undefined ? 0 : 8) |
    (hardState.needsRepair ? 16 : 0) |
    (value.isCleanlyClosed ? 32 : 0) |
    (value.isSuspect ? 64 : 0);
  const w = slotWriter(facts.sequence).u8(flags).u64(spec.groupId).u32(spec.partition);
  w.raw(topicIdBytes(spec.topicId)).string(spec.topic).bytes(encodeMembership(spec.bootstrap));
  w.u64(value.incarnation).u64(value.generation);
  w.u64(hardState.term).u64(hardState.votedFor ?? 0);
  w.u64(lost.term).u64(lost.index);
  w.u64(snapshot.last.term).u64(snapshot.last.index).u64(snapshot.chain);
  w.u32(value.openingAttempts).u64(value.unsyncedBoot);
  w.u8(
    (value.isTailLost ? 1 : 0) |
      (value.isGivenUp ? 2 : 0) |
      (value.wasUnsynced ? 4 : 0) |
      (value.diedUnverified ? 8 : 0),
  );
  return sealSlot(FACTS_MAGIC, w, crc32c);
}

/** undefined if damaged. */
export function decodeFacts(slot: Uint8Array, crc32c: Crc32c): Sequenced<ReplicaFacts> | undefined {
  return openSlot(FACTS_MAGIC, slot, crc32c, (r) => {
    const flags = r.u8();
    const use = (['free', 'used', 'deleting'] as const)[flags & 3];
    if (use === undefined) throw new MalformedBytesError(`record use ${flags & 3}`);
    const groupId = raftGroupId(r.u64());
    const partition = r.u32();
    const topicHex = Buffer.from(r.raw(16)).toString('hex');
    const topic = r.string();
    const bootstrap = decodeMembership(r.bytes());
    const life = incarnation(r.u64());
    const generation = r.u64();
    const currentTerm = term(r.u64());
    const vote = brokerId(r.u64());
    const lost = readId(r);
    const snapshot = { last: readId(r), chain: r.u64() };
    const openingAttempts = r.u32();
    const unsyncedBoot = r.u64();
    const more = r.u8();
    return {
      use,
      spec: {
        groupId,
        topicId: (flags & 4) === 0 ? undefined : topicId(topicHex),
        topic,
        partition,
        bootstrap,
      },
      incarnation: life,
      generation,
      hardState: {
        term: currentTerm,
        votedFor: (flags & 8) === 0 ? undefined : vote,
        needsRepair: (flags & 16) !== 0,
      },
      lost,
      snapshot,
      openingAttempts,
      isCleanlyClosed: (flags & 32) !== 0,
      isSuspect: (flags & 64) !== 0,
      unsyncedBoot,
      isTailLost: (more & 1) !== 0,
      isGivenUp: (more & 2) !== 0,
      wasUnsynced: (more & 4) !== 0,
      diedUnverified: (more & 8) !== 0,
    };
  });
}

/*
 * Watermark body after version and sequence: generation u64, incarnation u64, term u64, index u64,
 * chain u64, zeros up to the CRC.
 */
export function encodeWatermark(mark: Sequenced<Watermark>, crc32c: Crc32c): Uint8Array {
  const { generation, incarnation: life, last, chain } = mark.value;
  const w = slotWriter(mark.sequence).u64(generation).u64(life);
  w.u64(last.term).u64(last.index).u64(chain);
  return sealSlot(WATERMARK_MAGIC, w, crc32c);
}

/** undefined if damaged. */
export function decodeWatermark(
  slot: Uint8Array,
  crc32c: Crc32c,
): Sequenced<Watermark> | undefined {
  return openSlot(WATERMARK_MAGIC, slot, crc32c, (r) => ({
    generation: r.u64(),
    incarnation: incarnation(r.u64()),
    last: readId(r),
    chain: r.u64(),
  }));
}

/* Header body after version and sequence: recordsCount u32, zeros up to the CRC. */
export function encodeStateHeader(header: Sequenced<number>, crc32c: Crc32c): Uint8Array {
  return sealSlot(HEADER_MAGIC, slotWriter(header.sequence).u32(header.value), crc32c);
}

/** undefined if damaged. */
export function decodeStateHeader(slot: Uint8Array, crc32c: Crc32c): Sequenced<number> | undefined {
  return openSlot(HEADER_MAGIC, slot, crc32c, (r) => r.u32());
}

function slotWriter(sequence: number): ByteWriter {
  return new ByteWriter(SLOT_BYTES).u8(VERSION).u64(sequence);
}

function sealSlot(magic: number, w: ByteWriter, crc32c: Crc32c): Uint8Array {
  return seal(magic, padBody(w.finish(), SLOT_BYTES), crc32c);
}

function openSlot<T>(
  magic: number,
  slot: Uint8Array,
  crc32c: Crc32c,
  read: (r: ByteReader) => T,
): Sequenced<T> | undefined {
  const body = unseal(magic, slot, crc32c);
  if (body === undefined) return undefined;
  try {
    const r = new ByteReader(body);
    if (r.u8() !== VERSION) return undefined;
    return { sequence: r.u64(), value: read(r) };
  } catch (error) {
    if (error instanceof MalformedBytesError) return undefined;
    throw error;
  }
}

function readId(r: ByteReader): EntryId {
  const t: Term = term(r.u64());
  const index: LogIndex = logIndex(r.u64());
  return { term: t, index };
}

function topicIdBytes(id: string | undefined): Uint8Array {
  const bytes = Buffer.from(id ?? '0'.repeat(32), 'hex');
  invariant(bytes.length === 16, 'a topic id has 32 hex digits', { id });
  return bytes;
}
