import { deferred } from '../base/deferred.js';
import { BrokerError } from '../model/errors.js';
import type { World } from '../ports/world.js';
import type { Held } from './group-holdings.js';
import type { GroupConsumerOptions } from './group-options.js';
import type { CommitReport } from './group-types.js';
import { settledWithin } from './settled-within.js';
import type { TopicPartition } from './types.js';

export type ToldOptions = Pick<
  GroupConsumerOptions,
  'onAssigned' | 'onRevoked' | 'onLost' | 'onCommit'
>;

interface TimeToRun {
  readonly withinMs: number;
  /** The time includes waiting for one's turn: half of it at most, then it is taken anyway. */
  readonly isUrgent: boolean;
}

/**
 * Tells the application what becomes of its partitions. What a callback throws, and that it was not
 * done in time, is raised for the next read; nothing here rejects.
 *
 * Invariants: callbacks run one after the other, except that nobody waits for one whose time is over,
 * and a revocation not for one that leaves it no time: a callback may itself be waiting for the
 * consumer to close. A partition is told to be revoked or lost at most once, and only if it was told
 * to be assigned.
 */
export class GroupCallbacks {
  private readonly options: ToldOptions;
  private readonly world: World;
  private readonly raise: (error: Error) => void;
  /** Of the latest callback: it ended, or its time did. */
  private last: Promise<unknown> = Promise.resolve();
  private isEnding = false;

  constructor(options: ToldOptions, world: World, raise: (error: Error) => void) {
    this.options = options;
    this.world = world;
    this.raise = raise;
  }

  /** From now on nothing is told to be assigned. */
  end(): void {
    this.isEnding = true;
  }

  async assigned(held: readonly Held[], withinMs: number): Promise<void> {
    await this.inTurn('onAssigned', { withinMs, isUrgent: false }, () => {
      const fresh = held.filter((h) => h.phase === 'starting' && !this.isEnding);
      for (const h of fresh) h.isAnnounced = true;
      return fresh.length === 0 ? undefined : this.options.onAssigned?.(partitionsOf(fresh));
    });
  }

  async revoked(held: readonly Held[], withinMs: number): Promise<void> {
    // What is lost meanwhile is told to be lost.
    const due = (): Held[] => held.filter((h) => h.isAnnounced && h.phase !== 'lost');
    if (due().length === 0) return;
    await this.inTurn('onRevoked', { withinMs, isUrgent: true }, () => {
      const gone = takeBack(due());
      return gone.length === 0 ? undefined : this.options.onRevoked?.(partitionsOf(gone));
    });
  }

  async lost(held: readonly Held[], error: BrokerError, withinMs: number): Promise<void> {
    await this.inTurn('onLost', { withinMs, isUrgent: false }, () => {
      const gone = takeBack(held.filter((h) => h.isAnnounced));
      return gone.length === 0 ? undefined : this.options.onLost?.(partitionsOf(gone), error);
    });
  }

  /** Nobody waits for this one: what became of a commit does not depend on who hears of it. */
  committed(report: CommitReport): void {
    const { onCommit } = this.options;
    void this.guarded(() => onCommit?.(report));
  }

  private async inTurn(name: string, time: TimeToRun, run: () => unknown): Promise<void> {
    const { clock, timers } = this.world;
    const endMs = clock.monotonicMs() + time.withinMs;
    const before = this.last;
    const over = deferred<undefined>();
    this.last = over.promise;
    if (time.isUrgent) await settledWithin(timers, before, time.withinMs / 2);
    else await before;
    const leftMs = time.isUrgent ? Math.max(1, endMs - clock.monotonicMs()) : time.withinMs;
    if (!(await settledWithin(timers, this.guarded(run), leftMs))) {
      const text = `${name} was not done within ${Math.round(leftMs)} ms`;
      this.raise(new BrokerError('DEADLINE_EXCEEDED', text));
    }
    over.resolve(undefined);
  }

  private async guarded(run: () => unknown): Promise<void> {
    try {
      await run();
    } catch (thrown) {
      this.raise(thrown instanceof Error ? thrown : BrokerError.from(thrown));
    }
  }
}

function takeBack(held: readonly Held[]): readonly Held[] {
  for (const h of held) h.isAnnounced = false;
  return held;
}

export function partitionsOf(held: readonly TopicPartition[]): TopicPartition[] {
  return held.map(({ topic, partition }) => ({ topic, partition }));
}
