import { MalformedBytesError } from '../base/bytes.js';
import { BrokerError } from '../model/errors.js';
import {
  ATTRIBUTE_CODEC_MASK,
  ATTRIBUTE_CONTROL,
  BATCH_HEADER_BYTES,
} from '../model/record-batch.js';
import { RecordTable } from '../model/record-table.js';
import type { RawBatch } from '../model/record.js';
import { BatchView } from './batch-view.js';
import type { Codecs } from './compression/codecs.js';
import type { Fetcher } from './fetcher.js';
import type { PartitionCursor } from './partition-cursor.js';
import type { RecordDecoder } from './record-coding.js';
import type { ConsumedBatch, ConsumedRecord } from './records.js';

/** A batch whose records have been found and not been made yet. */
export interface OpenedBatch {
  readonly table: RecordTable;
  /** The first record that is not to be handed out. */
  readonly end: number;
  readonly nextOffset: number;
  readonly highWatermark: number;
  readonly leaderEpoch: number;
  /** As stored. */
  readonly bytes: number;
}

/** A batch and how far into it the application has come. */
export interface CurrentBatch {
  readonly cursor: PartitionCursor;
  readonly batch: OpenedBatch;
  /** The cursor's when it was decoded: another one means that it is stale. */
  readonly generation: number;
  /** The record to hand out next. */
  at: number;
}

const NO_RECORDS = new Uint8Array(0);

/**
 * Decodes what a fetcher holds and hands it out, record by record or batch by batch. A consumer owns
 * it and drives its loops.
 *
 * Invariants: a cursor's position is the offset after the last record that was handed out; leaving a
 * batch in the middle loses nothing; nothing is handed out of a batch whose cursor was sought, paused
 * or taken away since it was fetched.
 */
export class RecordReader<K, V> {
  private readonly fetcher: Fetcher;
  private readonly codecs: Codecs;
  private readonly decoder: RecordDecoder<K, V>;
  /** A batch that was not handed out to its end. */
  private current: CurrentBatch | undefined;

  constructor(fetcher: Fetcher, codecs: Codecs, decoder: RecordDecoder<K, V>) {
    this.fetcher = fetcher;
    this.codecs = codecs;
    this.decoder = decoder;
  }

  /**
   * Waits until there is something to hand out. False: closed, or every cursor is at its end, or the
   * signal has aborted and the fetcher was woken.
   */
  async advance(signal?: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.fetcher.isClosed || signal?.aborted === true) return false;
      this.fetcher.rethrow();
      const { current } = this;
      if (current !== undefined && current.at < current.batch.end) {
        if (this.fetcher.isHalted) {
          await this.fetcher.changed();
          continue;
        }
        if (!current.cursor.isQuiet) return true;
        // Paused amid a batch: its rest is read again after the pause.
        this.fetcher.seek(current.cursor, current.cursor.position);
      }
      this.current = undefined;
      const next = await this.fetcher.take(signal);
      if (next === undefined) return false;
      this.current = await this.opened(next.cursor, next.batch);
    }
  }

  /** What has been fetched next of this partition, if it has records. */
  async takeNextOf(cursor: PartitionCursor): Promise<CurrentBatch | undefined> {
    const batch = this.fetcher.takeOf(cursor);
    return batch === undefined ? undefined : await this.opened(cursor, batch);
  }

  /** Takes the batch out that records are handed out of, if it has any left. */
  setAside(): CurrentBatch | undefined {
    const { current } = this;
    this.current = undefined;
    return current !== undefined && current.at < current.batch.end ? current : undefined;
  }

  /** Hands out records of this batch from now on, which is not stale. */
  takeUp(current: CurrentBatch): void {
    this.current = current;
  }

  /** Undefined: it has no records, is damaged, or became stale while it was decoded. */
  private async opened(cursor: PartitionCursor, raw: RawBatch): Promise<CurrentBatch | undefined> {
    const { generation } = cursor;
    const batch = await this.decode(cursor, raw);
    const isStale = this.fetcher.get(cursor) !== cursor || cursor.generation !== generation;
    if (batch === undefined || isStale) return undefined;
    const at = batch.table.indexFrom(cursor.position);
    if (at < batch.end) return { cursor, batch, generation, at };
    cursor.position = batch.nextOffset;
    return undefined;
  }

  /** The batch that records are handed out of, as long as that may go on. */
  get open(): CurrentBatch | undefined {
    const { current } = this;
    const { isHalted, isClosed } = this.fetcher;
    const isOpen = current?.cursor.isQuiet === false && !isHalted && !isClosed;
    return isOpen ? current : undefined;
  }

  /**
   * The next record of a batch, and its cursor's position moved over it; undefined at its end. Throws
   * at one that cannot be deserialized, and stays before it.
   */
  nextRecord(current: CurrentBatch): ConsumedRecord<K, V> | undefined {
    const { cursor, batch } = current;
    for (;;) {
      if (current.at >= batch.end) return undefined;
      const record = batch.table.record(current.at);
      const decoded = this.decoder.one(cursor, record);
      current.at += 1;
      const isLast = current.at === batch.end;
      cursor.position = isLast ? batch.nextOffset : record.offset + 1;
      if (decoded !== undefined) return decoded;
      // Whoever was asked about the record may have paused or closed meanwhile.
      if (this.open !== current) return undefined;
    }
  }

  /**
   * What is left of the current batch, up to a record that cannot be deserialized, and its cursor's
   * position moved over it. Throws if that is the first, and stays before it. May be empty: all was
   * skipped. `upTo`: not the records from that place on.
   */
  takeBatch(upTo = Infinity): ConsumedBatch<K, V> | undefined {
    const { current } = this;
    if (current === undefined) return undefined;
    const { cursor, batch, at } = current;
    const { table, highWatermark, leaderEpoch, bytes } = batch;
    const stored = table.records(at, Math.min(upTo, batch.end));
    const { records, end } = this.decoder.many(cursor, stored);
    const nextOffset = this.pass(current, at + end);
    const { topic, partition } = cursor;
    return { topic, partition, records, nextOffset, highWatermark, leaderEpoch, bytes };
  }

  /** What is left of the current batch, or of what comes before `upTo`, as it lies in memory. */
  takeView(upTo = Infinity): BatchView | undefined {
    const { current } = this;
    if (current === undefined) return undefined;
    const { cursor, batch, at: first } = current;
    const end = Math.min(upTo, batch.end);
    return new BatchView(cursor, {
      ...{ table: batch.table, first, end, nextOffset: this.pass(current, end) },
      ...{ highWatermark: batch.highWatermark, leaderEpoch: batch.leaderEpoch },
      storedBytes: batch.bytes,
    });
  }

  /** What comes before the record `end` is handed out; the offset to read after that. */
  private pass(current: CurrentBatch, end: number): number {
    const { cursor, batch } = current;
    const isWhole = end >= batch.end;
    if (this.current === current) {
      if (isWhole) this.current = undefined;
      else current.at = end;
    }
    cursor.position = isWhole ? batch.nextOffset : batch.table.offset(end);
    return cursor.position;
  }

  /** Hands out nothing more of what was decoded for this cursor, or for any. */
  forget(cursor?: PartitionCursor): void {
    if (cursor === undefined || this.current?.cursor === cursor) this.current = undefined;
  }

  /** Undefined if the batch is damaged: the cursor then fails. */
  private async decode(
    cursor: PartitionCursor,
    { header, bytes }: RawBatch,
  ): Promise<OpenedBatch | undefined> {
    try {
      const { attributes } = header;
      const stored = bytes.subarray(BATCH_HEADER_BYTES);
      const codec = attributes & ATTRIBUTE_CODEC_MASK;
      const plain = codec === 0 ? stored : await this.codecs.decompress(codec, stored);
      const isControl = (attributes & ATTRIBUTE_CONTROL) !== 0;
      const table = isControl
        ? new RecordTable({ ...header, recordsCount: 0 }, NO_RECORDS)
        : new RecordTable(header, withoutClass(plain));
      const nextOffset = header.baseOffset + header.lastOffsetDelta + 1;
      return {
        ...{ table, nextOffset, bytes: bytes.length },
        end: nextOffset > cursor.end ? table.indexFrom(cursor.end) : table.count,
        highWatermark: cursor.highWatermark,
        leaderEpoch: header.leaderEpoch,
      };
    } catch (thrown) {
      const what = `${cursor.topic}/${cursor.partition}: the batch at offset ${header.baseOffset}`;
      const error =
        thrown instanceof MalformedBytesError
          ? new BrokerError(
              'CORRUPT_BATCH',
              `${what} holds malformed records: ${thrown.message}`,
              {},
              { cause: thrown },
            )
          : BrokerError.from(thrown);
      this.fetcher.fail(cursor, error);
      return undefined;
    }
  }
}

/** The same bytes as a Uint8Array: those of a Buffer are slower to read, and so are its views. */
function withoutClass(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
