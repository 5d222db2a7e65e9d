import { hexOf } from '../base/bytes.js';
import { Deque } from '../base/deque.js';
import type { Clock } from '../ports/world.js';

/** What a handler is told beside its record. */
export interface WorkContext {
  /** Aborted once the record's partition is not this member's any more: what it does is done again. */
  readonly signal: AbortSignal;
}

export interface KeyedWorkOptions<P, R> {
  /** Records that are processed at a time. */
  readonly parallelism: number;
  /** Of one partition: from the first record that is not done to the last that was taken in. */
  readonly windowMax: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  handle(record: R, context: WorkContext): unknown;
  /** Nothing of the partition is to be begun at the moment. */
  isPaused(partition: P): boolean;
  /** Something ended, or may go on. */
  changed(): void;
}

/** A record that was taken in. */
interface Item<R> {
  readonly record: R;
  isDone: boolean;
}

/** Records that have to be processed one after the other. */
interface Lane<P extends object, R> {
  readonly name: string;
  readonly share: Share<P, R>;
  readonly waiting: Deque<Item<R>>;
}

/** The records of one partition, from the first that is not done on, in the order of their offsets. */
interface Share<P extends object, R> {
  readonly partition: P;
  readonly open: Deque<Item<R>>;
  readonly lanes: Map<string, Lane<P, R>>;
  readonly controller: AbortController;
  /** Taken in and not begun. */
  waiting: number;
  running: number;
  /** Nothing more of it is begun. */
  isStopped: boolean;
  /** Nobody waits for what still runs. */
  isForgotten: boolean;
  /** Whoever said so, everything below counts as done. */
  floor: number;
  /** For records without a key. */
  turn: number;
}

/** For each handler, so many records may wait behind records of the same keys. */
const WAITING_PER_HANDLER = 16;
const WAITING_MIN = 256;

/**
 * Processes records of equal keys in order and of different keys side by side, up to a number of
 * handlers; records without a key take turns on as many lanes as there are handlers. Knows for each
 * partition the first record that is not done, which is how far it may be committed.
 *
 * Invariants: at most `parallelism` handlers run, and for one key of a partition at most one while the
 * partition is held and not sought in (a handler that does not heed its signal may outlive that); what
 * is remembered of a partition is never longer than `windowMax`, however slow one of its records is;
 * once a handler has failed, or its partition was stopped, nothing more is begun.
 */
export class KeyedWork<P extends object, R extends { readonly offset: number }> {
  private readonly options: KeyedWorkOptions<P, R>;
  private readonly waitingMax: number;
  private readonly shares = new Map<P, Share<P, R>>();
  /** Lanes with something to begin and nothing running; those of paused partitions stand aside. */
  private readonly ready = new Deque<Lane<P, R>>();
  private paused: Lane<P, R>[] = [];
  /** When each handler that runs was begun, the oldest first; also of partitions that are gone. */
  private readonly begun = new Map<Item<R>, number>();
  private waiting = 0;
  /** Of partitions that are not gone. */
  private awaited = 0;
  private isHeld = false;
  private failed: { readonly error: unknown } | undefined;

  constructor(options: KeyedWorkOptions<P, R>) {
    this.options = options;
    this.waitingMax = Math.max(WAITING_MIN, WAITING_PER_HANDLER * options.parallelism);
  }

  /** What the first handler that failed threw. */
  get failure(): { readonly error: unknown } | undefined {
    return this.failed;
  }

  /** A handler runs whose record is still ours. */
  get isRunning(): boolean {
    return this.awaited > 0;
  }

  get isIdle(): boolean {
    return this.waiting === 0 && this.awaited === 0;
  }

  /** Since when the handler that was begun first is busy; undefined: none is. */
  get busySinceMs(): number | undefined {
    for (const sinceMs of this.begun.values()) return sinceMs;
    return undefined;
  }

  /**
   * Whether another record of the partition may be taken in. wait: not before something ends. rest: other
   * partitions come first, because all that this one could add would only wait.
   */
  admission(partition: P): 'take' | 'wait' | 'rest' {
    const share = this.shares.get(partition);
    const isFull = (share?.open.length ?? 0) >= this.options.windowMax;
    if (!isFull && this.waiting < this.waitingMax) return 'take';
    // There is enough to do: what rests would have to be fetched again.
    if (this.begun.size >= this.options.parallelism) return 'wait';
    return isFull || (share?.waiting ?? 0) > 0 ? 'rest' : 'take';
  }

  /** Whether a partition that had to rest has room again, and not only for one record. */
  hasRoom(partition: P): boolean {
    const share = this.shares.get(partition);
    if (share === undefined) return true;
    const isRoomy = share.open.length <= this.options.windowMax / 2;
    return isRoomy && (share.waiting === 0 || this.waiting <= this.waitingMax / 2);
  }

  /** Takes in the partition's next record; `key` is as stored. */
  add(partition: P, record: R, key: Uint8Array | undefined): void {
    const share = this.shareOf(partition);
    const item: Item<R> = { record, isDone: false };
    share.open.push(item);
    const name = key === undefined ? this.nextTurn(share) : `k${hexOf(key)}`;
    let lane = share.lanes.get(name);
    if (lane === undefined) {
      lane = { name, share, waiting: new Deque() };
      share.lanes.set(name, lane);
      this.ready.push(lane);
    }
    lane.waiting.push(item);
    share.waiting += 1;
    this.waiting += 1;
    this.begin();
  }

  /** Begins nothing until told to go on. */
  hold(isHeld: boolean): void {
    this.isHeld = isHeld;
    this.begin();
  }

  /** Partitions were paused or resumed. */
  look(): void {
    for (const lane of this.paused.splice(0)) this.ready.push(lane);
    this.begin();
  }

  /** Begins nothing more of this partition, or of any; what is running goes on. */
  stop(partition?: P): void {
    for (const share of this.shares.values()) {
      if (partition === undefined || share.partition === partition) this.stopShare(share);
    }
    this.options.changed();
  }

  /** The partition is not ours any more, or is read from elsewhere: nobody waits for its records. */
  forget(partition: P): void {
    const share = this.shares.get(partition);
    if (share === undefined) return;
    this.stopShare(share);
    this.shares.delete(partition);
    share.isForgotten = true;
    this.awaited -= share.running;
    share.controller.abort();
    this.options.changed();
  }

  /** Everything below counts as done. */
  settled(partition: P, offset: number): void {
    const share = this.shares.get(partition);
    if (share !== undefined) share.floor = Math.max(share.floor, offset);
  }

  /** The first record that is not done; undefined: all that were taken in are. */
  lowestOpen(partition: P): number | undefined {
    const share = this.shares.get(partition);
    const first = share?.open.at(0);
    if (share === undefined || first === undefined) return undefined;
    return Math.max(first.record.offset, share.floor);
  }

  isBusy(among: readonly P[]): boolean {
    return among.some((partition) => (this.shares.get(partition)?.running ?? 0) > 0);
  }

  private shareOf(partition: P): Share<P, R> {
    let share = this.shares.get(partition);
    if (share === undefined) {
      share = {
        ...{ partition, open: new Deque(), lanes: new Map(), controller: new AbortController() },
        ...{ waiting: 0, running: 0, isStopped: false, isForgotten: false, floor: 0, turn: 0 },
      };
      this.shares.set(partition, share);
    }
    return share;
  }

  private nextTurn(share: Share<P, R>): string {
    share.turn = (share.turn + 1) % this.options.parallelism;
    return `t${share.turn}`;
  }

  private stopShare(share: Share<P, R>): void {
    share.isStopped = true;
    this.waiting -= share.waiting;
    share.waiting = 0;
    for (const lane of share.lanes.values()) lane.waiting.clear();
  }

  private begin(): void {
    const { parallelism } = this.options;
    while (!this.isHeld && this.failed === undefined && this.begun.size < parallelism) {
      const lane = this.ready.shift();
      if (lane === undefined) return;
      if (lane.share.isStopped || lane.waiting.length === 0) continue;
      if (this.options.isPaused(lane.share.partition)) this.paused.push(lane);
      else void this.run(lane);
    }
  }

  /** Never rejects. */
  private async run(lane: Lane<P, R>): Promise<void> {
    const { share } = lane;
    const item = lane.waiting.shift();
    if (item === undefined) return;
    share.waiting -= 1;
    share.running += 1;
    this.waiting -= 1;
    this.awaited += 1;
    this.begun.set(item, this.options.clock.monotonicMs());
    try {
      await this.options.handle(item.record, { signal: share.controller.signal });
      item.isDone = true;
    } catch (error) {
      // Of a partition that others have by now, nobody here is interested in it.
      if (!share.isForgotten) this.failed ??= { error };
    }
    share.running -= 1;
    if (!share.isForgotten) this.awaited -= 1;
    this.begun.delete(item);
    while (share.open.at(0)?.isDone === true) share.open.shift();
    if (lane.waiting.length > 0) this.ready.push(lane);
    else share.lanes.delete(lane.name);
    this.begin();
    this.options.changed();
  }
}
