import { deferred, type Deferred } from '../base/deferred.js';
import type { Clock } from '../ports/world.js';
import { isAborted, onAbort, type Abortable } from './abort.js';
import { checkArgument } from './check-argument.js';
import type { Fetcher } from './fetcher.js';
import type { GroupHoldings, Held } from './group-holdings.js';
import { KeyedWork, type WorkContext } from './keyed-work.js';
import type { CurrentBatch } from './record-reader.js';
import type { ConsumedRecord } from './records.js';

export interface RunOptions extends Abortable {
  /** Records that are processed at a time; those of one key never are. Default: 1. */
  readonly parallelism?: number | undefined;
  /**
   * Of each partition, how many records there may be from the first that is not done to the last that was
   * begun: what is processed again at most after a crash, and what is kept in memory. Default: 1,000.
   */
  readonly windowMax?: number | undefined;
}

/** Done when it returns, or when what it returns has resolved. */
export type RecordHandler<K, V> = (record: ConsumedRecord<K, V>, context: WorkContext) => unknown;

export interface GroupRunDeps<K, V> {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly fetcher: Fetcher;
  readonly holdings: GroupHoldings;
  readonly reader: {
    readonly open: CurrentBatch | undefined;
    forget(cursor: CurrentBatch['cursor']): void;
  };
  /** Waits for something to hand out. False: nothing will come, or the signal has aborted. */
  advance(signal: AbortSignal): Promise<boolean>;
  heldBy(current: CurrentBatch | undefined): Held | undefined;
  nextRecord(current: CurrentBatch): ConsumedRecord<K, V> | undefined;
}

const PARALLELISM_MAX = 10_000;
const WINDOW_MAX = 1_000_000;

/**
 * One run of a handler over the records of a member of a group, several at a time: takes records from the
 * reader into {@link KeyedWork} and lets partitions rest of which too much is open.
 *
 * Invariant: when it is over, no handler of a partition that is still held runs, and the partition
 * stands at its first record that is not done, so that whoever reads next gets that one.
 */
export class GroupRun<K, V> {
  private readonly deps: GroupRunDeps<K, V>;
  private readonly work: KeyedWork<Held, ConsumedRecord<K, V>>;
  private readonly signal: AbortSignal | undefined;
  /** Nothing more is taken in. */
  private readonly stopping = new AbortController();
  private readonly resting = new Set<Held>();
  private waker: Deferred<undefined> | undefined;

  /** Throws INVALID_ARGUMENT, and names the option. */
  constructor(handler: RecordHandler<K, V>, options: RunOptions, deps: GroupRunDeps<K, V>) {
    const { parallelism = 1, windowMax = 1_000, signal } = options;
    checkArgument(
      Number.isInteger(parallelism) && parallelism >= 1 && parallelism <= PARALLELISM_MAX,
      `parallelism must be a whole number, 1 to ${PARALLELISM_MAX}`,
    );
    checkArgument(
      Number.isInteger(windowMax) && windowMax >= parallelism && windowMax <= WINDOW_MAX,
      `windowMax must be a whole number, parallelism to ${WINDOW_MAX}`,
    );
    this.deps = deps;
    this.signal = signal;
    this.work = new KeyedWork({
      ...{ parallelism, windowMax, clock: deps.clock, handle: handler },
      isPaused: ({ cursor }) => cursor?.isPaused === true,
      changed: () => this.changed(),
    });
  }

  /** Since when a handler is busy; undefined: none is. */
  get busySinceMs(): number | undefined {
    return this.work.busySinceMs;
  }

  /** Begins nothing until told to go on. */
  hold(isHeld: boolean): void {
    this.work.hold(isHeld);
  }

  /** Partitions were paused or resumed. */
  look(): void {
    this.work.look();
  }

  /** Begins nothing more; what is running goes on. */
  stop(): void {
    this.stopping.abort();
    this.work.stop();
    this.deps.fetcher.wake();
  }

  /** Resolves when there is nothing more to come, or after {@link stop}; rejects as the handler does. */
  async run(): Promise<void> {
    const { holdings } = this.deps;
    const unlisten = onAbort(this.signal, () => this.stop());
    if (isAborted(this.signal)) this.stop();
    holdings.workWith(this.work);
    try {
      await this.takeInAll();
    } finally {
      this.work.stop();
      while (this.work.isRunning) await this.somethingEnds();
      unlisten();
      this.rewind();
      holdings.workWith(undefined);
    }
    if (this.work.failure !== undefined) throw this.work.failure.error;
  }

  private get isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Until nothing more comes and all is done. What was taken in before an error of the reader still is. */
  private async takeInAll(): Promise<void> {
    for (;;) {
      try {
        await this.takeIn();
      } catch (thrown) {
        while (!this.isStopping && !this.work.isIdle) await this.somethingEnds();
        throw thrown;
      }
      if (this.isStopping || this.work.isIdle) return;
      await this.somethingEnds();
    }
  }

  private async takeIn(): Promise<void> {
    const { signal } = this.stopping;
    while (!this.isStopping && (await this.deps.advance(signal))) {
      const current = this.deps.reader.open;
      const held = this.deps.heldBy(current);
      if (current === undefined || held === undefined) continue;
      // A handler that is begun may seek, pause or close; one that fails stops all.
      while (current === this.deps.reader.open && !isAborted(signal)) {
        const admission = this.work.admission(held);
        if (admission === 'rest') {
          this.letRest(held);
          break;
        }
        if (admission === 'wait') await this.somethingEnds();
        else if (!this.takeNext(held, current)) break;
      }
    }
  }

  /** False: the batch is at its end. */
  private takeNext(held: Held, current: CurrentBatch): boolean {
    const record = this.deps.nextRecord(current);
    if (record === undefined) return false;
    // What was skipped before it has no part in this.
    this.work.add(held, record, current.batch.table.key(current.at - 1));
    return true;
  }

  private letRest(held: Held): void {
    if (held.cursor === undefined) return;
    this.resting.add(held);
    this.deps.reader.forget(held.cursor);
    this.deps.fetcher.rest(held.cursor);
  }

  private changed(): void {
    const { fetcher, holdings } = this.deps;
    if (this.work.failure !== undefined && !this.isStopping) this.stop();
    for (const held of this.resting) {
      if (!this.work.hasRoom(held)) continue;
      this.resting.delete(held);
      if (held.cursor !== undefined) fetcher.endRest(held.cursor);
    }
    this.waker?.resolve(undefined);
    this.waker = undefined;
    holdings.workChanged();
  }

  /** Also when somebody closes or aborts. */
  private async somethingEnds(): Promise<void> {
    this.waker ??= deferred<undefined>();
    await Promise.race([this.waker.promise, this.deps.fetcher.changed()]);
  }

  /** What was taken in and is not done is read again by whoever reads next. */
  private rewind(): void {
    const { fetcher, holdings, reader } = this.deps;
    for (const held of holdings.all()) {
      const { cursor } = held;
      const open = this.work.lowestOpen(held);
      if (cursor === undefined) continue;
      fetcher.endRest(cursor);
      if (open === undefined) continue;
      reader.forget(cursor);
      if (held.phase === 'reading') fetcher.seek(cursor, open);
      else cursor.position = open;
    }
  }
}
