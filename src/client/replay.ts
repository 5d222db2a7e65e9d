import { deferred } from '../base/deferred.js';
import type { World } from '../ports/world.js';
import { isAborted } from './abort.js';
import type { Fetcher } from './fetcher.js';
import type { PartitionCursor } from './partition-cursor.js';
import type { CurrentBatch, RecordReader } from './record-reader.js';
import { ReplayClock, type ReplayOptions } from './replay-clock.js';

export interface ReplayDeps {
  readonly world: Pick<World, 'clock' | 'timers'>;
  readonly fetcher: Fetcher;
  readonly reader: Pick<
    RecordReader<unknown, unknown>,
    'advance' | 'setAside' | 'takeUp' | 'takeNextOf'
  >;
}

/** For a partition that is known to have more and does not give it, the others wait no longer. */
const LAGGARD_MS = 2_000;

/**
 * Hands out records in the rhythm in which they were written, those of several partitions in the order of
 * their timestamps. Within a partition the order of offsets always holds. A consumer drives it in place
 * of its reader.
 *
 * Invariants: of each partition at most one batch stands aside; a batch of a partition that was sought,
 * paused or taken away is dropped, and read again where it was left.
 */
export class Replay {
  private readonly deps: ReplayDeps;
  private readonly clock: ReplayClock;
  private readonly aside = new Map<PartitionCursor, CurrentBatch>();
  /** Since when the application waits and there is something for it. */
  private readySinceMs: number | undefined;

  constructor(options: ReplayOptions, deps: ReplayDeps) {
    this.deps = deps;
    this.clock = new ReplayClock(options);
  }

  /** The next record is a first one again. */
  reset(): void {
    this.clock.reset();
  }

  /** Waits until the next record is due. False: nothing more comes, or the signal has aborted. */
  async advance(signal?: AbortSignal): Promise<boolean> {
    const { clock } = this.deps.world;
    this.readySinceMs = clock.monotonicMs();
    for (;;) {
      const current = await this.earliest(signal);
      if (current === undefined) return false;
      const timestampMs = timeOf(current);
      const nowMs = clock.monotonicMs();
      this.readySinceMs ??= nowMs;
      const waitMs = this.clock.dueMs(timestampMs) - nowMs;
      if (waitMs <= 0) {
        this.clock.handedOut(timestampMs, this.readySinceMs);
        return true;
      }
      // Ends early when something changes: another partition may have come to be the earliest.
      await this.changedWithin(waitMs);
    }
  }

  /** Of the batch at hand, up to the first record that is not due yet, or not the earliest. */
  end(current: CurrentBatch): number {
    const nowMs = this.deps.world.clock.monotonicMs();
    const { table, end: batchEnd } = current.batch;
    let end = current.at + 1;
    for (; end < batchEnd; end += 1) {
      const timestampMs = table.timestampMs(end);
      const isEarliest = [...this.aside.values()].every((other) => timestampMs <= timeOf(other));
      if (!isEarliest || this.clock.dueMs(timestampMs) > nowMs) break;
      this.clock.handedOut(timestampMs, this.readySinceMs ?? nowMs);
    }
    return end;
  }

  /** The batch whose next record is the oldest is at hand then. Undefined as {@link advance} says. */
  private async earliest(signal: AbortSignal | undefined): Promise<CurrentBatch | undefined> {
    const { fetcher, reader, world } = this.deps;
    const startedMs = world.clock.monotonicMs();
    for (;;) {
      if (fetcher.isClosed || isAborted(signal)) return undefined;
      fetcher.rethrow();
      this.putAside();
      if (await this.fill()) continue;
      const leftMs = startedMs + LAGGARD_MS - world.clock.monotonicMs();
      // Where the room for batches is full, nothing would come by waiting.
      if (leftMs > 0 && this.aside.size > 0 && !fetcher.isFull && this.hasLaggard()) {
        this.readySinceMs = undefined;
        await this.changedWithin(leftMs);
        continue;
      }
      let best: CurrentBatch | undefined;
      for (const each of this.aside.values()) {
        if (best === undefined || timeOf(each) < timeOf(best)) best = each;
      }
      if (best !== undefined) {
        this.aside.delete(best.cursor);
        reader.takeUp(best);
        return best;
      }
      this.readySinceMs = undefined;
      if (!(await reader.advance(signal))) return undefined;
    }
  }

  private putAside(): void {
    const { fetcher, reader } = this.deps;
    const current = reader.setAside();
    if (current !== undefined) this.aside.set(current.cursor, current);
    for (const [cursor, { generation, at, batch }] of this.aside) {
      const isStale = fetcher.get(cursor) !== cursor || cursor.generation !== generation;
      if (isStale || at >= batch.end) this.aside.delete(cursor);
    }
  }

  /** True: something may have happened meanwhile. */
  private async fill(): Promise<boolean> {
    const { fetcher, reader } = this.deps;
    for (const cursor of fetcher.all()) {
      if (this.aside.has(cursor) || cursor.isQuiet || cursor.buffered.length === 0) continue;
      const next = await reader.takeNextOf(cursor);
      if (next !== undefined) this.aside.set(cursor, next);
      return true;
    }
    return false;
  }

  private hasLaggard(): boolean {
    return this.deps.fetcher.all().some((cursor) => {
      const isUnheard = cursor.highWatermark < 0;
      const hasMore = isUnheard || cursor.nextFetch < cursor.highWatermark;
      return hasMore && cursor.wantsData && !this.aside.has(cursor);
    });
  }

  private async changedWithin(ms: number): Promise<void> {
    const over = deferred<undefined>();
    const cancel = this.deps.world.timers.after(ms, () => over.resolve(undefined));
    await Promise.race([over.promise, this.deps.fetcher.changed()]);
    cancel();
  }
}

function timeOf({ batch, at }: CurrentBatch): number {
  return batch.table.timestampMs(at);
}
