import { BrokerError } from '../model/errors.js';
import type { Cancel } from '../ports/world.js';
import { abortable, isAborted, onAbort, overOrAborted, type Abortable } from './abort.js';
import type { BatchView } from './batch-view.js';
import { checkArgument } from './check-argument.js';
import { mustHaveGroup, type StartAt } from './offset-lookup.js';
import { PartitionConsumer, type ConsumerDeps } from './partition-consumer.js';
import { PartitionCursor } from './partition-cursor.js';
import { Replay } from './replay.js';
import { checkReplay, type ReplayOptions } from './replay-clock.js';
import { readSettingsOf, type ReadOptions, type ReadSettings } from './read-options.js';
import type { Deserializers } from './record-coding.js';
import type { ConsumedBatch, ConsumedRecord } from './records.js';
import type { CommittedOffset, TopicPartition } from './types.js';
import { mustAnswerAll } from './unanswered.js';

export type { StartAt } from './offset-lookup.js';

/** What to read, from where, and how. */
export interface ConsumerOptions<K = Uint8Array, V = Uint8Array>
  extends ReadOptions, Deserializers<K, V> {
  /** All partitions of this topic, unless `partitions` says which. */
  readonly topic?: string | undefined;
  readonly partitions?: readonly (number | TopicPartition)[] | undefined;
  /** Default: 'beginning', or with a group where it stands, else the beginning. */
  readonly from?: StartAt | undefined;
  /**
   * Hands records out as they were written: with the same time between them (`speed` 1), or shorter; several
   * partitions in the order of their timestamps. Default: as fast as they are read.
   */
  readonly replay?: ReplayOptions | undefined;
  /** Whose committed offsets `commit` and `committed` mean. */
  readonly group?: string | undefined;
}

/**
 * Reads partitions that the caller names, each in order. Only committed records are seen, and none is
 * ever skipped silently: an offset that is not there any more, a gap or damage is an error.
 *
 * One loop at a time reads, over records or over batches; leaving a loop loses nothing. A change of
 * leader is no event at all. Invariant: `position` of a partition is the offset after the last record
 * that was handed out.
 */
export class Consumer<K = Uint8Array, V = Uint8Array> extends PartitionConsumer<K, V> {
  private readonly options: ConsumerOptions<K, V>;
  private readonly settings: ReadSettings;
  private readonly replay: Replay | undefined;
  private readonly onAbort = (): void => void this.close();
  private starting: Promise<void> | undefined;
  private hasBegun = false;
  /** Rises with each assignment of the caller: a start that is under way then has no effect. */
  private assignments = 0;
  private unfollow: Cancel | undefined;

  /** @internal */
  constructor(options: ConsumerOptions<K, V>, deps: ConsumerDeps) {
    const settings = readSettingsOf(options);
    super(settings, options, deps);
    this.options = options;
    this.settings = settings;
    if (options.replay !== undefined) {
      checkReplay(options.replay);
      const { fetcher, reader } = this;
      this.replay = new Replay(options.replay, { world: deps.world, fetcher, reader });
    }
    if (options.signal?.aborted === true) this.onAbort();
    else options.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** Looks up where to start; the first read does it by itself. */
  async start(options: Abortable = {}): Promise<void> {
    await abortable(options.signal, async () => await this.begun());
  }

  /** Record by record, until the signal is aborted or the consumer is closed. */
  async *records({ signal }: Abortable = {}): AsyncGenerator<
    ConsumedRecord<K, V>,
    void,
    undefined
  > {
    const unlisten = onAbort(signal, () => this.fetcher.wake());
    try {
      while (await this.advance(signal)) {
        const current = this.reader.open;
        // The loop's body may seek, pause, assign or abort.
        while (current !== undefined && current === this.reader.open && !isAborted(signal)) {
          const record = this.reader.nextRecord(current);
          if (record === undefined) break;
          yield record;
          // Each has its own time.
          if (this.replay !== undefined) break;
        }
      }
    } finally {
      unlisten();
    }
  }

  /** Batch by batch: far cheaper per record. */
  batches({ signal }: Abortable = {}): AsyncGenerator<ConsumedBatch<K, V>, void, undefined> {
    return this.each(signal, (upTo) => {
      const batch = this.reader.takeBatch(upTo);
      return batch !== undefined && batch.records.length > 0 ? batch : undefined;
    });
  }

  /** Batch by batch, as bytes: the cheapest way to read. No serde is asked. */
  views({ signal }: Abortable = {}): AsyncGenerator<BatchView, void, undefined> {
    return this.each(signal, (upTo) => this.reader.takeView(upTo));
  }

  private async *each<T>(
    signal: AbortSignal | undefined,
    take: (upTo: number | undefined) => T | undefined,
  ): AsyncGenerator<T, void, undefined> {
    const unlisten = onAbort(signal, () => this.fetcher.wake());
    try {
      while (await this.advance(signal)) {
        if (isAborted(signal)) break;
        const { open } = this.reader;
        if (open === undefined) continue;
        const taken = take(this.replay?.end(open));
        if (taken !== undefined) yield taken;
      }
    } finally {
      unlisten();
    }
  }

  /** Partitions that are read. */
  assignment(): TopicPartition[] {
    return this.fetcher.all().map(keyOf);
  }

  /** Replaces the assignment. */
  async assign(
    partitions: readonly TopicPartition[],
    from: StartAt = 'beginning',
    { signal }: Abortable = {},
  ): Promise<void> {
    const find = async (): Promise<PartitionCursor[]> => await this.cursorsFor(partitions, from);
    const cursors = await abortable(signal, find);
    this.starting = Promise.resolve();
    this.assignments += 1;
    this.unfollow?.();
    this.replay?.reset();
    this.reader.forget();
    this.fetcher.assign(cursors);
  }

  /** Goes on reading a partition elsewhere; clears its error, if it has one. */
  async seek(at: TopicPartition, to: StartAt, { signal }: Abortable = {}): Promise<void> {
    await this.start({ signal });
    const cursor = this.mustGet(at);
    const [offset] = await this.lookup.resolve([at], to, this.options.group, signal);
    this.replay?.reset();
    this.reader.forget(cursor);
    this.fetcher.seek(cursor, offset ?? 0);
  }

  /**
   * Commits where this consumer stands, or the given offsets, for its group. Rejects with the reason for
   * the first that was refused; its outcome is none only if nothing at all was committed.
   */
  async commit(
    offsets?: readonly (TopicPartition & { readonly offset: number })[],
    { signal }: Abortable = {},
  ): Promise<void> {
    const group = mustHaveGroup(this.options.group);
    const all = offsets ?? this.fetcher.all().map((c) => ({ ...keyOf(c), offset: c.position }));
    if (all.length === 0) return;
    const answers = await this.deps.view.commitOffsets(
      { group, offsets: all },
      { deadlineMs: this.settings.requestTimeoutMs, retryUnknown: true, signal },
    );
    try {
      mustAnswerAll(all, answers);
    } catch (thrown) {
      const refusal = BrokerError.from(thrown);
      const isMaybePartial = answers.some(({ error }) => error?.outcome !== 'none');
      throw isMaybePartial ? refusal.inDoubt() : refusal;
    }
  }

  /** The group's committed offsets for the assignment. */
  async committed({ signal }: Abortable = {}): Promise<readonly CommittedOffset[]> {
    await this.start({ signal });
    return await this.lookup.committed(this.options.group, this.assignment(), signal);
  }

  /** Ends every loop. Idempotent. */
  close(): Promise<void> {
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.unfollow?.();
    this.lookup.close();
    this.fetcher.close();
    this.deps.closed?.();
    return Promise.resolve();
  }

  private async advance(signal: AbortSignal | undefined): Promise<boolean> {
    if (isAborted(signal)) return false;
    if (!this.fetcher.isClosed && !this.hasBegun) {
      const begun = Promise.race([this.begun(), this.fetcher.whenClosed]);
      await overOrAborted(signal, begun);
      if (isAborted(signal)) return false;
      await begun;
    }
    return await (this.replay ?? this.reader).advance(signal);
  }

  private async begun(): Promise<void> {
    const starting = (this.starting ??= this.begin());
    try {
      await starting;
      this.hasBegun = true;
    } catch (thrown) {
      if (this.starting === starting) this.starting = undefined;
      throw thrown;
    }
  }

  private async begin(): Promise<void> {
    const { options, assignments } = this;
    const partitions = await this.partitionsToRead();
    const from =
      options.from ??
      (options.group === undefined ? 'beginning' : { committedOr: 'beginning' as const });
    const cursors = await this.cursorsFor(partitions, from);
    if (options.stopAtEnd === true) {
      const ends = await this.lookup.resolve(partitions, 'end', undefined);
      for (const [i, cursor] of cursors.entries()) this.stopAt(cursor, ends[i] ?? 0);
    }
    if (assignments !== this.assignments || this.fetcher.isClosed) return;
    this.fetcher.assign(cursors);
    const { topic } = options;
    const isWhole = topic !== undefined && options.partitions === undefined;
    if (isWhole && options.stopAtEnd !== true) this.followGrowth(topic, partitions.length, from);
  }

  /**
   * Partitions that are added to the topic are read as well, and from their beginning: whatever is in
   * them was written after this consumer began.
   */
  private followGrowth(topic: string, count: number, from: StartAt): void {
    const start = startOfGrowth(from);
    let known = count;
    let isAdding = false;
    const add = async (missing: readonly TopicPartition[]): Promise<void> => {
      const { assignments } = this;
      const cursors = await this.cursorsFor(missing, start);
      if (assignments !== this.assignments) return;
      known += missing.length;
      this.fetcher.add(cursors);
    };
    this.unfollow?.();
    this.unfollow = this.deps.view.follow(topic, ({ partitions }) => {
      if (isAdding || partitions.length <= known) return;
      isAdding = true;
      const missing = partitions.slice(known).map(({ partition }) => ({ topic, partition }));
      // What failed is tried again with the next news.
      add(missing)
        .catch(() => undefined)
        .finally(() => {
          isAdding = false;
        })
        .catch(() => undefined);
    });
  }

  private stopAt(cursor: PartitionCursor, end: number): void {
    cursor.end = end;
    if (cursor.position <= end) return;
    const policy = this.settings.onOutOfRange;
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
        checkArgument(topic !== undefined, 'partition numbers need a topic');
        return { topic: topic ?? '', partition: p };
      });
    }
    if (topic === undefined) return [];
    const info = await this.deps.view.loadTopic(topic, this.settings.requestTimeoutMs);
    return info.partitions.map(({ partition }) => ({ topic, partition }));
  }

  private async cursorsFor(
    partitions: readonly TopicPartition[],
    from: StartAt,
  ): Promise<PartitionCursor[]> {
    const ids = new Map<string, string>();
    for (const topic of new Set(partitions.map((p) => p.topic))) {
      const info = await this.deps.view.loadTopic(topic, this.settings.requestTimeoutMs);
      ids.set(topic, info.topicId);
      for (const p of partitions) {
        if (p.topic !== topic || (p.partition >= 0 && p.partition < info.partitions.length))
          continue;
        const text = `topic ${topic} has partitions 0 to ${info.partitions.length - 1}`;
        throw new BrokerError('UNKNOWN_PARTITION', `${text}, not ${p.partition}`);
      }
    }
    const offsets = await this.lookup.resolve(partitions, from, this.options.group);
    const nowMs = this.deps.world.clock.monotonicMs();
    return partitions.map(
      (p, i) => new PartitionCursor(p, ids.get(p.topic) ?? '', offsets[i] ?? 0, nowMs),
    );
  }

  protected mustGet(at: TopicPartition): PartitionCursor {
    const cursor = this.fetcher.get(at);
    if (cursor !== undefined) return cursor;
    const text = `partition ${at.topic}/${at.partition} is not assigned to this consumer`;
    throw new BrokerError('INVALID_ARGUMENT', text);
  }
}

/** Where a group stands in what is new it stands; "at the end" was said of what there was. */
function startOfGrowth(from: StartAt): StartAt {
  if (typeof from !== 'object') return 'beginning';
  if ('committedOr' in from) return { committedOr: 'beginning' };
  return 'timestampMs' in from ? from : 'beginning';
}

function keyOf({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition };
}
