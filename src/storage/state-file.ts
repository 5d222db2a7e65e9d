import { fdatasync, fdatasyncSync, openSync, writeSync, closeSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { invariant } from '../base/assert.js';
import type { Crc32c } from '../base/crc32c.js';
import { deferred, type Deferred } from '../base/deferred.js';
import { incarnation } from '../model/ids.js';
import { NO_ENTRY } from '../model/log-entry.js';
import { errorCode, readFileIfThere, writeFileDurably } from './durable-files.js';
import {
  decodeFacts,
  decodeStateHeader,
  decodeWatermark,
  encodeFacts,
  encodeStateHeader,
  encodeWatermark,
  FREE_FACTS,
  HEADER_BYTES,
  RECORD_BYTES,
  SLOT_BYTES,
  type ReplicaFacts,
  type Sequenced,
  type Watermark,
} from './record-codec.js';

const datasync = promisify(fdatasync);

/** Free records are made in advance, so that a used one never has to grow the file. */
const RECORDS_PER_GROWTH = 64;
const WATERMARK_SYNC_MS = 100;
const WATERMARK_AT = 2 * SLOT_BYTES;
/** The volume, the quota, or the process's limit of a file's size. */
const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The state file is missing or damaged: what a replica promised is unknown, nothing may run. */
export class StateFileError extends Error {
  override readonly name = 'StateFileError';
}

/** One replica's record. `facts` is what was last given, which may still be on its way to disk. */
export interface ReplicaRecord {
  readonly slot: number;
  readonly facts: ReplicaFacts;
  readonly watermark: Watermark;
}

interface MutableRecord {
  readonly slot: number;
  facts: ReplicaFacts;
  factsSequence: number;
  watermark: Watermark;
  watermarkSequence: number;
}

/**
 * The facts and watermarks of all replicas of a broker, in one file outside LevelDB.
 *
 * Facts are durable when update() resolves; all that wait share one sync (one disk flush covers
 * many elections). They go to one slot, are synced, and only then copied to the other: a torn write
 * leaves the old facts, and a slot that rots later leaves the current ones. Facts are written only
 * between syncs. Watermarks are written at once and synced every 100 ms while any is new: after a
 * process's death they are exact.
 *
 * After an error every later call fails: the file's volume is gone, and so is the broker.
 */
export class StateFile {
  private readonly fd: number;
  private readonly crc32c: Crc32c;
  private readonly onFailure: (error: unknown) => void;
  private readonly all: MutableRecord[];
  private headerSequence: number;
  private readonly dirty = new Set<MutableRecord>();
  private readonly freshWatermarks = new Set<MutableRecord>();
  private waiters: Deferred<undefined>[] = [];
  private flushing: Promise<void> | undefined;
  private watermarkTimer: NodeJS.Timeout | undefined;
  private failure: Error | undefined;
  private isClosed = false;

  private constructor(
    fd: number,
    crc32c: Crc32c,
    records: MutableRecord[],
    headerSequence: number,
    onFailure: (error: unknown) => void,
  ) {
    this.fd = fd;
    this.crc32c = crc32c;
    this.all = records;
    this.headerSequence = headerSequence;
    this.onFailure = onFailure;
  }

  /** Opens the file, or makes it if there is none and `mayCreate` says that none is expected. */
  static async open(
    file: string,
    options: {
      readonly crc32c: Crc32c;
      readonly mayCreate: boolean;
      readonly onFailure: (error: unknown) => void;
    },
  ): Promise<StateFile> {
    const { crc32c } = options;
    let bytes = await readFileIfThere(file);
    if (bytes === undefined) {
      if (!options.mayCreate) {
        throw new StateFileError(
          `${file} is missing: what this broker's replicas promised is lost, so it must not start. ` +
            'Restore the file, or wipe the data directory and join as a new broker.',
        );
      }
      bytes = initialFile(crc32c);
      await writeFileDurably(file, [bytes]);
    }
    const { records, headerSequence } = parseStateFile(file, bytes, crc32c);
    const fd = openSync(file, 'r+');
    return new StateFile(fd, crc32c, records, headerSequence, options.onFailure);
  }

  /** Records that belong to replicas, or to ones being deleted. */
  records(): ReplicaRecord[] {
    return this.all.filter((record) => record.facts.use !== 'free');
  }

  /** Takes a free record for these facts; durable when it resolves. */
  async allocate(facts: ReplicaFacts): Promise<ReplicaRecord> {
    invariant(facts.use === 'used', 'a new record is in use', { use: facts.use });
    let record = this.all.find((candidate) => candidate.facts.use === 'free');
    if (record === undefined) {
      this.assertUsable();
      this.grow();
      record = this.all.find((candidate) => candidate.facts.use === 'free');
      invariant(record !== undefined, 'growing makes free records');
    }
    await this.update(record, facts);
    return record;
  }

  /** Changes some facts; visible at once, durable when it resolves. */
  update(record: ReplicaRecord, patch: Partial<ReplicaFacts>): Promise<void> {
    const mutable = this.mutable(record);
    const facts = { ...mutable.facts, ...patch };
    try {
      this.assertUsable();
      // Encoding throws on what does not fit a slot: before anything changed.
      encodeFacts({ sequence: mutable.factsSequence, value: facts }, this.crc32c);
    } catch (error) {
      return Promise.reject(error);
    }
    mutable.facts = facts;
    this.dirty.add(mutable);
    return this.flush();
  }

  /** Notes what is durable in the log: on its way to the disk at once, synced within 100 ms. */
  writeWatermark(record: ReplicaRecord, watermark: Watermark): void {
    this.assertUsable();
    const mutable = this.mutable(record);
    mutable.watermark = watermark;
    this.writeWatermarkSlot(mutable);
    this.freshWatermarks.add(mutable);
    this.watermarkTimer ??= setTimeout(() => {
      this.watermarkTimer = undefined;
      this.syncWatermarks();
    }, WATERMARK_SYNC_MS);
  }

  /** Lowers the watermark before a legal truncation: durable when it resolves. */
  lowerWatermark(record: ReplicaRecord, watermark: Watermark): Promise<void> {
    try {
      this.writeWatermark(record, watermark);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.flush();
  }

  /** Syncs and closes. Idempotent. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    clearTimeout(this.watermarkTimer);
    this.watermarkTimer = undefined;
    try {
      if (this.failure === undefined) {
        this.copyWatermarks();
        await this.flush();
      }
      await this.flushing;
    } finally {
      this.isClosed = true;
      closeSync(this.fd);
    }
  }

  private syncWatermarks(): void {
    // A failure reaches onFailure and every later call; nobody waits for this one.
    try {
      this.copyWatermarks();
      this.flush().catch(() => undefined);
    } catch (error) {
      this.fail(error);
    }
  }

  private flush(): Promise<void> {
    if (this.failure !== undefined || this.isClosed) {
      return Promise.reject(this.failure ?? new StateFileError('the state file is closed'));
    }
    const waiter = deferred<undefined>();
    this.waiters.push(waiter);
    this.flushing ??= this.runFlushes();
    return waiter.promise;
  }

  /** Never rejects: whoever waits learns of an error. */
  private async runFlushes(): Promise<void> {
    // What else this turn changes shares the first sync.
    await Promise.resolve();
    while (this.waiters.length > 0) {
      const waiters = this.waiters;
      this.waiters = [];
      try {
        const changed = [...this.dirty];
        this.dirty.clear();
        for (const record of changed) record.factsSequence += 1;
        const slots = changed.map((record) => this.factsSlot(record));
        for (const { bytes, at } of slots) this.write(bytes, at.primary);
        await datasync(this.fd);
        for (const { bytes, at } of slots) this.write(bytes, at.copy);
        for (const waiter of waiters) waiter.resolve(undefined);
      } catch (error) {
        const failure = this.fail(error);
        for (const waiter of [...waiters, ...this.waiters]) waiter.reject(failure);
        this.waiters = [];
      }
    }
    this.flushing = undefined;
  }

  private factsSlot(record: MutableRecord): {
    bytes: Uint8Array;
    at: { primary: number; copy: number };
  } {
    const sequence = record.factsSequence;
    const bytes = encodeFacts({ sequence, value: record.facts }, this.crc32c);
    return { bytes, at: slotsAt(recordAt(record.slot), sequence) };
  }

  private writeWatermarkSlot(record: MutableRecord): void {
    record.watermarkSequence += 1;
    const sequence = record.watermarkSequence;
    const bytes = encodeWatermark({ sequence, value: record.watermark }, this.crc32c);
    this.write(bytes, slotsAt(recordAt(record.slot) + WATERMARK_AT, sequence).primary);
  }

  /** Brings both copies of what is new to the same watermark, for the sync that follows. */
  private copyWatermarks(): void {
    for (const record of this.freshWatermarks) this.writeWatermarkSlot(record);
    this.freshWatermarks.clear();
  }

  /** Rare and small, so it may block: first valid free records, then the header that counts them. */
  private grow(): void {
    const first = this.all.length;
    const added = freeRecords(first, RECORDS_PER_GROWTH);
    this.reserve(added);
    try {
      fdatasyncSync(this.fd);
      this.headerSequence += 1;
      const header = { sequence: this.headerSequence, value: first + added.length };
      const { primary, copy } = slotsAt(0, header.sequence);
      for (const at of [primary, copy]) {
        this.write(encodeStateHeader(header, this.crc32c), at);
        fdatasyncSync(this.fd);
      }
    } catch (error) {
      throw this.fail(error);
    }
    this.all.push(...added);
  }

  /**
   * The new records' bytes, which nothing counts yet: without room for them, there is no new replica,
   * and everything else goes on.
   */
  private reserve(added: readonly MutableRecord[]): void {
    try {
      for (const record of added) {
        const bytes = recordBytes(record, this.crc32c);
        const at = recordAt(record.slot);
        // A write that is cut short is the last one that found room.
        for (let done = 0; done < bytes.length;) {
          const written = writeSync(this.fd, bytes, done, bytes.length - done, at + done);
          invariant(written > 0, 'a write gets on');
          done += written;
        }
      }
    } catch (error) {
      if (!NO_ROOM.has(errorCode(error) ?? '')) throw this.fail(error);
      throw new StateFileError('there is no room for another replica', { cause: error });
    }
  }

  private write(bytes: Uint8Array, at: number): void {
    try {
      const written = writeSync(this.fd, bytes, 0, bytes.length, at);
      invariant(written === bytes.length, 'a slot is written whole', { written });
    } catch (error) {
      throw this.fail(error);
    }
  }

  private fail(error: unknown): Error {
    if (this.failure === undefined) {
      this.failure = new StateFileError('the state file cannot be written', { cause: error });
      clearTimeout(this.watermarkTimer);
      this.watermarkTimer = undefined;
      this.onFailure(this.failure);
    }
    return this.failure;
  }

  private assertUsable(): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.isClosed) throw new StateFileError('the state file is closed');
  }

  private mutable(record: ReplicaRecord): MutableRecord {
    const mutable = this.all[record.slot];
    invariant(mutable === record, 'a record belongs to this file', { slot: record.slot });
    return mutable;
  }
}

function recordAt(slot: number): number {
  return HEADER_BYTES + slot * RECORD_BYTES;
}

/** Where a pair's slot with this sequence number goes first, and where its copy goes then. */
function slotsAt(pairAt: number, sequence: number): { primary: number; copy: number } {
  const isOdd = sequence % 2 === 1;
  return { primary: pairAt + (isOdd ? SLOT_BYTES : 0), copy: pairAt + (isOdd ? 0 : SLOT_BYTES) };
}

const FREE_WATERMARK: Watermark = {
  generation: 0,
  incarnation: incarnation(0),
  last: NO_ENTRY,
  chain: 0,
};

function freeRecords(first: number, count: number): MutableRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    slot: first + i,
    facts: FREE_FACTS,
    factsSequence: 1,
    watermark: FREE_WATERMARK,
    watermarkSequence: 1,
  }));
}

/** A new record: both slots of both pairs are valid from the start. */
function recordBytes(record: MutableRecord, crc32c: Crc32c): Uint8Array {
  const out = new Uint8Array(RECORD_BYTES);
  for (const sequence of [0, 1]) {
    out.set(encodeFacts({ sequence, value: record.facts }, crc32c), sequence * SLOT_BYTES);
    const mark = encodeWatermark({ sequence, value: record.watermark }, crc32c);
    out.set(mark, WATERMARK_AT + sequence * SLOT_BYTES);
  }
  return out;
}

function initialFile(crc32c: Crc32c): Uint8Array {
  const records = freeRecords(0, RECORDS_PER_GROWTH);
  const out = new Uint8Array(recordAt(records.length));
  for (const sequence of [0, 1]) {
    const header = encodeStateHeader({ sequence, value: records.length }, crc32c);
    out.set(header, sequence * SLOT_BYTES);
  }
  for (const record of records) out.set(recordBytes(record, crc32c), recordAt(record.slot));
  return out;
}

/** The valid slot with the higher sequence number; throws if neither is valid. */
function newest<T>(
  what: string,
  slots: readonly [Sequenced<T> | undefined, Sequenced<T> | undefined],
): Sequenced<T> {
  const [a, b] = slots;
  const best = a !== undefined && (b === undefined || a.sequence > b.sequence) ? a : b;
  if (best === undefined) {
    throw new StateFileError(
      `${what} is damaged in both copies: what a replica promised is lost, so this broker must not ` +
        'start. Restore the file, or wipe the data directory and join as a new broker.',
    );
  }
  return best;
}

/** Reads a whole state file; also used offline. */
export function parseStateFile(
  file: string,
  bytes: Uint8Array,
  crc32c: Crc32c,
): { records: MutableRecord[]; headerSequence: number } {
  const slotAt = (at: number): Uint8Array => bytes.subarray(at, at + SLOT_BYTES);
  const header = newest(`the header of ${path.basename(file)}`, [
    decodeStateHeader(slotAt(0), crc32c),
    decodeStateHeader(slotAt(SLOT_BYTES), crc32c),
  ]);
  const records = Array.from({ length: header.value }, (_, slot): MutableRecord => {
    const at = recordAt(slot);
    const what = `record ${slot} of ${path.basename(file)}`;
    const facts = newest(what, [
      decodeFacts(slotAt(at), crc32c),
      decodeFacts(slotAt(at + SLOT_BYTES), crc32c),
    ]);
    const watermark = newest(`the watermark in ${what}`, [
      decodeWatermark(slotAt(at + WATERMARK_AT), crc32c),
      decodeWatermark(slotAt(at + WATERMARK_AT + SLOT_BYTES), crc32c),
    ]);
    return {
      slot,
      facts: facts.value,
      factsSequence: facts.sequence,
      watermark: watermark.value,
      watermarkSequence: watermark.sequence,
    };
  });
  return { records, headerSequence: header.sequence };
}
