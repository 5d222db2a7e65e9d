import type { Crc32c } from '../base/crc32c.js';
import { MalformedBytesError } from '../base/bytes.js';
import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import {
  ATTRIBUTE_CODEC_MASK,
  ATTRIBUTE_CONTROL,
  BATCH_HEADER_BYTES,
} from '../model/record-batch.js';
import { decodeRecords, type RawBatch, type StoredRecord } from '../model/record.js';
import type { World } from '../ports/world.js';
import type { ClusterView } from './cluster-view.js';
import type { Codecs } from './compression/codecs.js';
import type { ClientTransport } from './connection.js';
import { Fetcher, PartitionCursor } from './fetcher.js';
import type { CommittedOffset, OffsetAt, OffsetQuery, TopicPartition } from './types.js';

/** Where to start reading a partition. */
export type StartAt =
  | 'beginning'
  | 'end'
  | { readonly offset: number }
  /** The first record that is not older. */
  | { readonly timestampMs: number }
  /** The last so many records. */
  | { readonly last: number }
  /** Where the consumer group stands; without a commit, there. */
  | { readonly committedOr: 'beginning' | 'end' };

export interface ConsumerOptions {
  /** All partitions of this topic, unless `partitions` says which. */
  readonly topic?: string | undefined;
  readonly partitions?: readonly (number | TopicPartition)[] | undefined;
  /** Default: 'beginning', or with a group where it stands, else the beginning. */
  readonly from?: StartAt | undefined;
  /** Read to the ends of the partitions as they are at the start, then finish. */
  readonly stopAtEnd?: boolean | undefined;
  /** Whose committed offsets `commit` and `committed` mean. */
  readonly group?: string | undefined;
  /** When the offset to read is not there any more. Default: error. */
  readonly onOutOfRange?: 'error' | 'beginning' | 'end' | undefined;
  /** Bytes fetched ahead. Default: 16 MiB. */
  readonly prefetchBytesMax?: number | undefined;
  /** Bytes of one partition in one response. Default: 1 MiB. */
  readonly partitionBytesMax?: number | undefined;
  /** Fail when a partition cannot be read for this long. Default: wait for ever. */
  readonly unavailableTimeoutMs?: number | undefined;
  /** Of the calls that look up offsets. Default: 30,000. */
  readonly requestTimeoutMs?: number | undefined;
}

export interface ConsumerDeps {
  readonly transport: ClientTransport;
  readonly world: World;
  readonly view: ClusterView;
  readonly codecs: Codecs;
  readonly crc32c: Crc32c;
}

export interface ConsumedRecord extends StoredRecord, TopicPartition {}

/** Records that were produced together. */
export interface ConsumedBatch extends TopicPartition {
  readonly records: readonly StoredRecord[];
  /** Offset to read after this batch. */
  readonly nextOffset: number;
  readonly highWatermark: number;
  /** Leadership under which the batch was appended. */
  readonly leaderEpoch: number;
  /** As stored. */
  readonly bytes: number;
}

interface Current {
  readonly cursor: PartitionCursor;
  readonly batch: ConsumedBatch;
  at: number;
}

/**
 * Reads partitions that the caller names, each in order. Only committed records are seen, and none is
 * ever skipped silently: an offset that is not there any more, a gap or damage is an error.
 *
 * One loop at a time reads, over records or over batches; leaving a loop loses nothing. A change of
 * leader is no event at all. Invariant: `position` of a partition is the offset after the last record
 * that was handed out.
 */
export class Consumer implements AsyncIterable<ConsumedRecord> {
  private readonly options: ConsumerOptions;
  private readonly deps: ConsumerDeps;
  private readonly fetcher: Fetcher;
  private starting: Promise<void> | undefined;
  /** A batch that was not handed out to its end. */
  private current: Current | undefined;
  private isClosed = false;

  constructor(options: ConsumerOptions, deps: ConsumerDeps) {
    this.options = options;
    this.deps = deps;
    const prefetchBytesMax = options.prefetchBytesMax ?? 16 * 1024 * 1024;
    const partitionBytesMax = options.partitionBytesMax ?? 1024 * 1024;
    check(prefetchBytesMax > 0, 'prefetchBytesMax must be positive');
    check(
      partitionBytesMax > 0 && partitionBytesMax <= LIMITS.fetchBytesMax,
      `partitionBytesMax must be 1 to ${LIMITS.fetchBytesMax}`,
    );
    this.fetcher = new Fetcher(
      {
        prefetchBytesMax,
        partitionBytesMax,
        onOutOfRange: options.onOutOfRange ?? 'error',
        unavailableTimeoutMs: options.unavailableTimeoutMs,
      },
      deps,
    );
  }

  /** Looks up where to start; the first read does it by itself. */
  async start(): Promise<void> {
    this.starting ??= this.begin();
    try {
      await this.starting;
    } catch (thrown) {
      this.starting = undefined;
      throw thrown;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumedRecord, void, undefined> {
    while (await this.advance()) {
      const current = this.current;
      // The loop's body may seek, pause or assign.
      while (current !== undefined && current === this.current && !current.cursor.isPaused) {
        const record = current.batch.records[current.at];
        if (record === undefined) break;
        current.at += 1;
        const { topic, partition } = current.cursor;
        const isLast = current.at === current.batch.records.length;
        current.cursor.position = isLast ? current.batch.nextOffset : record.offset + 1;
        yield { ...record, topic, partition };
      }
    }
  }

  /** The same, batch by batch: far cheaper per record. */
  async *batches(): AsyncGenerator<ConsumedBatch, void, undefined> {
    while (await this.advance()) {
      const current = this.current;
      if (current === undefined) continue;
      this.current = undefined;
      current.cursor.position = current.batch.nextOffset;
      const isWhole = current.at === 0;
      yield isWhole
        ? current.batch
        : { ...current.batch, records: current.batch.records.slice(current.at) };
    }
  }

  /** Partitions that are read. */
  assignment(): TopicPartition[] {
    return this.fetcher.all().map(({ topic, partition }) => ({ topic, partition }));
  }

  /** Replaces the assignment. */
  async assign(partitions: readonly TopicPartition[], from: StartAt = 'beginning'): Promise<void> {
    const cursors = await this.cursorsFor(partitions, from);
    this.starting = Promise.resolve();
    this.current = undefined;
    this.fetcher.assign(cursors);
  }

  /** Goes on reading a partition elsewhere; clears its error, if it has one. */
  async seek(at: TopicPartition, to: StartAt): Promise<void> {
    await this.start();
    const cursor = this.mustGet(at);
    const [offset] = await this.resolve([at], to);
    if (this.current?.cursor === cursor) this.current = undefined;
    this.fetcher.seek(cursor, offset ?? 0);
  }

  /** Hands out nothing of these (or any) partitions until they are resumed; keeps their places. */
  pause(partitions: readonly TopicPartition[] = this.assignment()): void {
    for (const at of partitions) this.fetcher.pause(this.mustGet(at));
  }

  resume(partitions: readonly TopicPartition[] = this.assignment()): void {
    for (const at of partitions) this.fetcher.resume(this.mustGet(at));
  }

  /** The offset after the last record handed out. */
  position(at: TopicPartition): number {
    return this.mustGet(at).position;
  }

  /** The offset after the last committed record, as last heard; undefined: nothing heard yet. */
  highWatermark(at: TopicPartition): number | undefined {
    const { highWatermark } = this.mustGet(at);
    return highWatermark < 0 ? undefined : highWatermark;
  }

  /** Commits where this consumer stands, or the given offsets, for its group. */
  async commit(offsets?: readonly (TopicPartition & { readonly offset: number })[]): Promise<void> {
    const group = this.mustHaveGroup();
    const all = offsets ?? this.fetcher.all().map((c) => ({ ...keyOf(c), offset: c.position }));
    if (all.length === 0) return;
    const answers = await this.deps.view.call(
      'commitOffsets',
      { group, offsets: all },
      { deadlineMs: this.requestTimeoutMs, retryUnknown: true },
    );
    const refused = answers.find((a) => a.error !== undefined);
    if (refused?.error !== undefined) throw refused.error;
  }

  /** The group's committed offsets for the assignment. */
  async committed(): Promise<readonly CommittedOffset[]> {
    await this.start();
    return await this.fetchCommitted(this.assignment());
  }

  /** Ends every loop. Idempotent. */
  close(): Promise<void> {
    this.isClosed = true;
    this.fetcher.close();
    return Promise.resolve();
  }

  private get requestTimeoutMs(): number {
    return this.options.requestTimeoutMs ?? 30_000;
  }

  /** Makes `current` a batch with something left to hand out. False at the end of all. */
  private async advance(): Promise<boolean> {
    await this.start();
    for (;;) {
      if (this.isClosed) return false;
      const current = this.current;
      if (current !== undefined && current.at < current.batch.records.length) {
        if (!current.cursor.isPaused) return true;
        // Paused amid a batch: its rest is read again after the pause.
        this.fetcher.seek(current.cursor, current.cursor.position);
      }
      this.current = undefined;
      const next = await this.fetcher.take();
      if (next === undefined) return false;
      const { generation } = next.cursor;
      const batch = await this.decode(next.cursor, next.batch);
      // A seek or an assignment while it was decoded makes it stale.
      const isStale = this.fetcher.get(next.cursor) !== next.cursor;
      if (batch === undefined || isStale || next.cursor.generation !== generation) continue;
      if (batch.records.length === 0) {
        next.cursor.position = batch.nextOffset;
        continue;
      }
      this.current = { cursor: next.cursor, batch, at: 0 };
    }
  }

  /** Undefined if the batch is damaged: the cursor then fails. */
  private async decode(
    cursor: PartitionCursor,
    { header, bytes }: RawBatch,
  ): Promise<ConsumedBatch | undefined> {
    try {
      const stored = bytes.subarray(BATCH_HEADER_BYTES);
      const codec = header.attributes & ATTRIBUTE_CODEC_MASK;
      const plain = codec === 0 ? stored : await this.deps.codecs.decompress(codec, stored);
      const isControl = (header.attributes & ATTRIBUTE_CONTROL) !== 0;
      let records: readonly StoredRecord[] = isControl ? [] : decodeRecords(header, plain);
      const first = records[0]?.offset ?? cursor.position;
      const nextOffset = header.baseOffset + header.lastOffsetDelta + 1;
      if (first < cursor.position || nextOffset > cursor.end) {
        records = records.filter((r) => r.offset >= cursor.position && r.offset < cursor.end);
      }
      return {
        ...keyOf(cursor),
        records,
        nextOffset,
        highWatermark: cursor.highWatermark,
        leaderEpoch: header.leaderEpoch,
        bytes: bytes.length,
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

  private async begin(): Promise<void> {
    const { options } = this;
    const partitions = await this.partitionsToRead();
    const from =
      options.from ??
      (options.group === undefined ? 'beginning' : { committedOr: 'beginning' as const });
    const cursors = await this.cursorsFor(partitions, from);
    if (options.stopAtEnd === true) {
      const ends = await this.resolve(partitions, 'end');
      for (const [i, cursor] of cursors.entries()) this.stopAt(cursor, ends[i] ?? 0);
    }
    this.fetcher.assign(cursors);
  }

  private stopAt(cursor: PartitionCursor, end: number): void {
    cursor.end = end;
    if (cursor.position <= end) return;
    const policy = this.options.onOutOfRange ?? 'error';
    if (policy === 'error') {
      const text = `offset ${cursor.position} of ${cursor.topic}/${cursor.partition} is beyond the end, ${end}`;
      throw new BrokerError('OFFSET_OUT_OF_RANGE', text, { highWatermark: end });
    }
    cursor.position = policy === 'end' ? end : 0;
    cursor.nextFetch = cursor.position;
  }

  private async partitionsToRead(): Promise<TopicPartition[]> {
    const { topic, partitions } = this.options;
    if (partitions !== undefined) {
      return partitions.map((p) => {
        if (typeof p !== 'number') return keyOf(p);
        check(topic !== undefined, 'partition numbers need a topic');
        return { topic: topic ?? '', partition: p };
      });
    }
    if (topic === undefined) return [];
    const info = await this.deps.view.loadTopic(topic, this.requestTimeoutMs);
    return info.partitions.map(({ partition }) => ({ topic, partition }));
  }

  private async cursorsFor(
    partitions: readonly TopicPartition[],
    from: StartAt,
  ): Promise<PartitionCursor[]> {
    const ids = new Map<string, string>();
    for (const topic of new Set(partitions.map((p) => p.topic))) {
      const info = await this.deps.view.loadTopic(topic, this.requestTimeoutMs);
      ids.set(topic, info.topicId);
      for (const p of partitions) {
        if (p.topic !== topic || (p.partition >= 0 && p.partition < info.partitions.length))
          continue;
        const text = `topic ${topic} has partitions 0 to ${info.partitions.length - 1}`;
        throw new BrokerError('UNKNOWN_PARTITION', `${text}, not ${p.partition}`);
      }
    }
    const offsets = await this.resolve(partitions, from);
    const nowMs = this.deps.world.clock.monotonicMs();
    return partitions.map(
      (p, i) => new PartitionCursor(p, ids.get(p.topic) ?? '', offsets[i] ?? 0, nowMs),
    );
  }

  /** The offsets that a place to start means, partition by partition. */
  private async resolve(partitions: readonly TopicPartition[], to: StartAt): Promise<number[]> {
    if (partitions.length === 0) return [];
    if (to === 'beginning') return await this.listOffsets(partitions, 'earliest');
    if (to === 'end') return await this.listOffsets(partitions, 'latest');
    if ('offset' in to) {
      check(Number.isSafeInteger(to.offset) && to.offset >= 0, 'offset must be 0 or more');
      return partitions.map(() => to.offset);
    }
    if ('timestampMs' in to) {
      return await this.listOffsets(partitions, { timestampMs: to.timestampMs });
    }
    if ('last' in to) {
      check(Number.isSafeInteger(to.last) && to.last >= 0, 'last must be 0 or more');
      const first = await this.listOffsets(partitions, 'earliest');
      const end = await this.listOffsets(partitions, 'latest');
      return end.map((e, i) => Math.max(first[i] ?? 0, e - to.last));
    }
    const committed = await this.fetchCommitted(partitions);
    const fallback = await this.resolve(partitions, to.committedOr);
    return partitions.map((p, i) => {
      const own = committed.find((c) => c.topic === p.topic && c.partition === p.partition);
      return own?.offset ?? fallback[i] ?? 0;
    });
  }

  /** Linearizable: sees everything acknowledged before the call. Asks again for those that failed. */
  private async listOffsets(
    partitions: readonly TopicPartition[],
    at: OffsetAt,
  ): Promise<number[]> {
    const { clock, timers } = this.deps.world;
    const endMs = clock.monotonicMs() + this.requestTimeoutMs;
    const found = new Map<string, number>();
    for (;;) {
      const open = partitions.filter((p) => !found.has(`${p.topic}/${p.partition}`));
      const queries = open.map((p): OffsetQuery => ({ ...keyOf(p), at }));
      const leftMs = Math.max(1, endMs - clock.monotonicMs());
      const answers = await this.deps.view.call(
        'listOffsets',
        { queries, linearizable: true },
        { deadlineMs: leftMs, retryUnknown: true },
      );
      let failure: BrokerError | undefined;
      const late: TopicPartition[] = [];
      for (const a of answers) {
        if (a.error !== undefined) failure = worse(failure, a.error);
        else if (a.offset === undefined) late.push(keyOf(a));
        else found.set(`${a.topic}/${a.partition}`, a.offset);
      }
      if (late.length > 0) {
        // No record is that late: the end of the partition is where such records will come.
        const ends = await this.listOffsets(late, 'latest');
        for (const [i, p] of late.entries()) found.set(`${p.topic}/${p.partition}`, ends[i] ?? 0);
      }
      if (failure === undefined) {
        return partitions.map((p) => found.get(`${p.topic}/${p.partition}`) ?? 0);
      }
      if (!failure.retriable || clock.monotonicMs() + RETRY_MS >= endMs) throw failure;
      await new Promise<void>((resolve) => timers.after(RETRY_MS, resolve));
    }
  }

  private async fetchCommitted(
    partitions: readonly TopicPartition[],
  ): Promise<readonly CommittedOffset[]> {
    const group = this.mustHaveGroup();
    return await this.deps.view.call(
      'fetchOffsets',
      { group, partitions },
      { deadlineMs: this.requestTimeoutMs, retryUnknown: true },
    );
  }

  private mustGet(at: TopicPartition): PartitionCursor {
    const cursor = this.fetcher.get(at);
    if (cursor !== undefined) return cursor;
    const text = `partition ${at.topic}/${at.partition} is not assigned to this consumer`;
    throw new BrokerError('INVALID_ARGUMENT', text);
  }

  private mustHaveGroup(): string {
    const { group } = this.options;
    if (group === undefined) {
      throw new BrokerError('INVALID_ARGUMENT', 'committed offsets need the option group');
    }
    return group;
  }
}

const RETRY_MS = 100;

function keyOf({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition };
}

function check(holds: boolean, text: string): void {
  if (!holds) throw new BrokerError('INVALID_ARGUMENT', text);
}

/** Of two errors, the one that asking again will not cure. */
function worse(a: BrokerError | undefined, b: BrokerError): BrokerError {
  return a === undefined || (a.retriable && !b.retriable) ? b : a;
}
