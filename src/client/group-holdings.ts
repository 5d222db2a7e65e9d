import { deferred, type Deferred } from '../base/deferred.js';
import { BrokerError } from '../model/errors.js';
import type { World } from '../ports/world.js';
import { RETRY_BACKOFF, backoffMs } from './backoff.js';
import { partitionKey } from './connection.js';
import type { Fetcher } from './fetcher.js';
import { PartitionCursor } from './partition-cursor.js';
import { isFenced } from './group-commits.js';
import type { MemberAssignment, TopicPartitions } from './group-types.js';
import type { RecordReader } from './record-reader.js';
import type { TopicPartition } from './types.js';

/** A partition that the member holds. */
export interface Held extends TopicPartition {
  readonly topicId: string;
  /**
   * starting: finding out where to begin. revoking: nothing of it is handed out any more. lost: taken
   * away, or dropped; not held any more.
   */
  phase: 'starting' | 'reading' | 'revoking' | 'lost';
  /** The application was told that it has it, and not yet that it has it no more. */
  isAnnounced: boolean;
  /** Undefined until it is known where to begin. */
  cursor: PartitionCursor | undefined;
  /** Where it began or was last committed: need not be committed again. */
  settled: number;
  /** How often it was sought elsewhere. */
  seeks: number;
}

export interface HoldingsEvents {
  /** Where to begin, partition by partition. May reject. */
  startOf(held: readonly Held[]): Promise<readonly StartOfPartition[]>;
  /** Has a place to begin; reading starts once this resolves. */
  assigned(held: readonly Held[]): Promise<void>;
  /** Nothing more is handed out; what was processed is to be committed by then. Then it is released. */
  revoked(held: readonly Held[], endMs: number): Promise<void>;
  /** What is held has become less. */
  released(): void;
  /** It cannot be found out where to begin. */
  failed(error: BrokerError): void;
}

export interface StartOfPartition {
  readonly offset: number;
  /** Do not read this offset or any after it. */
  readonly end: number;
}

interface HandedOut {
  readonly held: Held;
  /** Next offset to read if what was handed out counts as not processed. */
  readonly from: number;
}

/** Records of held partitions that are processed side by side. */
export interface WorkInHand {
  /** Where the partition may be committed at most; undefined: there is no record that is not done. */
  lowestOpen(held: Held): number | undefined;
  isBusy(among: readonly Held[]): boolean;
  /** Nothing more of it is begun. */
  stop(held: Held): void;
  forget(held: Held): void;
  settled(held: Held, offset: number): void;
}

export interface HoldingsDeps {
  readonly world: World;
  readonly fetcher: Fetcher;
  readonly reader: Pick<RecordReader<unknown, unknown>, 'forget'>;
}

/** Of the time to give partitions up: for all of it, with some left to tell the coordinator, */
const REVOKE_SHARE = 0.9;
/** and at most for waiting until the application has nothing of them in hand. */
const BACK_SHARE = 0.5;

/**
 * The partitions a member holds, brought in line with what the coordinator assigns: what is new is
 * started, what is gone is first no longer handed out, then given up once the application is done with
 * it. Both go on side by side, and neither disturbs the partitions that stay.
 *
 * Invariants: everything in the assignment is held from the moment it is taken in, and until its
 * release; nothing is handed out of a partition whose phase is not `reading`; at most one record or
 * batch is handed out and not yet processed.
 */
export class GroupHoldings {
  private readonly deps: HoldingsDeps;
  private readonly events: HoldingsEvents;
  private readonly rebalanceTimeoutMs: number;
  /** By topic id and partition. */
  private readonly held = new Map<string, Held>();
  /** The same by topic name: of two incarnations of a topic the one that came last. */
  private readonly byName = new Map<string, Held>();
  private target = new Map<string, TopicPartition & { readonly topicId: string }>();
  /** Partitions of the assignment that others have yet to release. */
  private pendingCount = 0;
  private hasAssignment = false;
  /** Rises when everything is dropped: what was under way for an earlier life has no effect. */
  private life = 0;
  private handed: HandedOut | undefined;
  private work: WorkInHand | undefined;
  private loops = 0;
  private backWaiter: Deferred<undefined> | undefined;

  constructor(deps: HoldingsDeps, events: HoldingsEvents, rebalanceTimeoutMs: number) {
    this.deps = deps;
    this.events = events;
    this.rebalanceTimeoutMs = rebalanceTimeoutMs;
  }

  all(): Held[] {
    return [...this.held.values()];
  }

  /** By name: the topic's current incarnation if two are held. */
  get({ topic, partition }: TopicPartition): Held | undefined {
    return this.byName.get(partitionKey(topic, partition));
  }

  /** Everything held, as the coordinator is told. */
  report(): TopicPartitions[] {
    const byTopic = new Map<string, { topic: string; topicId: string; partitions: number[] }>();
    for (const { topic, topicId, partition } of this.held.values()) {
      const entry = byTopic.get(topicId) ?? { topic, topicId, partitions: [] };
      entry.partitions.push(partition);
      byTopic.set(topicId, entry);
    }
    for (const { partitions } of byTopic.values()) partitions.sort((a, b) => a - b);
    return [...byTopic.values()];
  }

  /** Everything that will come is there and is being read. */
  get isSettled(): boolean {
    const isReading = this.all().every((h) => h.phase === 'reading' && h.cursor !== undefined);
    return this.hasAssignment && this.pendingCount === 0 && isReading;
  }

  /** Takes an assignment in: it is acted upon from now on. */
  assign(assignment: MemberAssignment): void {
    this.hasAssignment = true;
    this.pendingCount = assignment.pending.reduce((sum, t) => sum + t.partitions.length, 0);
    this.target = new Map();
    for (const { topic, topicId, partitions } of assignment.partitions) {
      for (const partition of partitions) {
        this.target.set(keyOf(topicId, partition), { topic, topicId, partition });
      }
    }
    const gone = this.all().filter((h) => !this.isTarget(h) && h.phase !== 'revoking');
    // What has not begun is simply not begun.
    for (const h of gone.filter((g) => g.cursor === undefined)) this.forget(h);
    const revoked = gone.filter((h) => h.cursor !== undefined);
    const fresh: Held[] = [];
    for (const [key, at] of this.target) {
      if (this.held.has(key)) continue;
      fresh.push(this.take(at));
    }
    if (revoked.length > 0) void this.revoke(revoked);
    if (fresh.length > 0) void this.begin(fresh);
  }

  /** Lets go of everything at once, without a commit. Returns what that was. */
  drop(): Held[] {
    const dropped = this.all();
    this.life += 1;
    for (const h of dropped) {
      this.stop(h);
      h.phase = 'lost';
      this.work?.forget(h);
    }
    this.held.clear();
    this.byName.clear();
    this.target.clear();
    this.hasAssignment = false;
    this.handed = undefined;
    this.wakeWaiter();
    return dropped;
  }

  // ---- What the application has in hand ----

  heldBy(cursor: PartitionCursor): Held | undefined {
    const held = this.held.get(keyOf(cursor.topicId, cursor.partition));
    return held?.cursor === cursor ? held : undefined;
  }

  /** A record, or a batch, goes to the application; what it had before counts as processed. */
  handedOut(held: Held, from: number): void {
    this.handed = { held, from };
  }

  /** The application came for more: what it had counts as processed. */
  cameBack(): void {
    this.handed = undefined;
    this.wakeWaiter();
  }

  enteredLoop(): void {
    this.loops += 1;
  }

  /** Whatever was in hand counts as not processed until the application reads again. */
  leftLoop(): void {
    this.loops -= 1;
    this.wakeWaiter();
  }

  /** Records are handed out to work that is done side by side from now on, or no more. */
  workWith(work: WorkInHand | undefined): void {
    this.work = work;
  }

  get isWorking(): boolean {
    return this.work !== undefined;
  }

  /** Some of that work was done. */
  workChanged(): void {
    this.wakeWaiter();
  }

  /** Where the partition may be committed: before what the application still has in hand. */
  processed(held: Held): number | undefined {
    const open = this.work?.lowestOpen(held);
    if (open !== undefined) return open;
    return this.handed?.held === held ? this.handed.from : held.cursor?.position;
  }

  /** It is read elsewhere from now on. */
  sought(held: Held): void {
    held.seeks += 1;
    this.work?.forget(held);
  }

  /** Committed up to there, after `seeks` others: see {@link passed}. */
  settled(held: Held, offset: number, seeks = held.seeks): void {
    held.settled = offset;
    this.passed(held, offset, seeks);
  }

  /**
   * Committed up to there, or maybe: what is in hand below it is no longer open, whoever decided that, and
   * a commit of what was processed does not go back behind it. But not what was sought since the commit
   * went out, after `seeks` others: that is to be done again.
   */
  passed(held: Held, offset: number, seeks: number): void {
    if (held.seeks !== seeks) return;
    this.work?.settled(held, offset);
    if (this.handed?.held === held && offset > this.handed.from) {
      this.handed = { held, from: offset };
    }
  }

  /** Waits, but not for ever, until the application has nothing of these in hand. */
  async whenBack(among: readonly Held[], withinMs: number): Promise<void> {
    const { clock, timers } = this.deps.world;
    const endMs = clock.monotonicMs() + withinMs;
    const isBusy = (): boolean => {
      const { handed, work } = this;
      const isInHand = this.loops > 0 && handed !== undefined && among.includes(handed.held);
      return isInHand || work?.isBusy(among) === true;
    };
    while (isBusy() && clock.monotonicMs() < endMs) {
      this.backWaiter ??= deferred<undefined>();
      const { promise } = this.backWaiter;
      const leftMs = endMs - clock.monotonicMs();
      const cancel = timers.after(leftMs, () => this.wakeWaiter());
      await promise;
      cancel();
    }
  }

  private wakeWaiter(): void {
    this.backWaiter?.resolve(undefined);
    this.backWaiter = undefined;
  }

  // ---- Giving up and taking up ----

  /** Never rejects. */
  private async revoke(gone: readonly Held[]): Promise<void> {
    const { life, rebalanceTimeoutMs } = this;
    const endMs = this.deps.world.clock.monotonicMs() + rebalanceTimeoutMs * REVOKE_SHARE;
    for (const h of gone) this.stop(h);
    await this.whenBack(gone, rebalanceTimeoutMs * BACK_SHARE);
    if (life === this.life) await this.events.revoked(gone, endMs);
    if (life !== this.life) return;
    const again: Held[] = [];
    for (const h of gone) {
      this.forget(h);
      // Assigned anew in the meantime: it never stopped being held.
      if (this.isTarget(h)) again.push(this.take(h));
    }
    this.events.released();
    if (again.length > 0) await this.begin(again);
  }

  /** Never rejects. */
  private async begin(fresh: readonly Held[]): Promise<void> {
    const { life } = this;
    const { clock } = this.deps.world;
    for (let attempt = 1; ; attempt += 1) {
      const open = fresh.filter((h) => this.isStill(h, 'starting'));
      if (life !== this.life || open.length === 0) return;
      let starts: readonly StartOfPartition[];
      try {
        starts = await this.events.startOf(open);
      } catch (thrown) {
        const error = BrokerError.from(thrown);
        if (life !== this.life) return;
        // Fenced: whatever is behind it, the coordinator is about to tell.
        if (!error.retriable && !isFenced(error)) this.events.failed(error);
        await this.pause(attempt);
        continue;
      }
      if (life !== this.life) return;
      const nowMs = clock.monotonicMs();
      const ready: Held[] = [];
      for (const [i, h] of open.entries()) {
        if (!this.isStill(h, 'starting')) continue;
        ready.push(h);
        const start = starts[i];
        h.cursor = new PartitionCursor(h, h.topicId, start?.offset ?? 0, nowMs);
        h.cursor.end = start?.end ?? Infinity;
        h.settled = h.cursor.position;
      }
      if (ready.length === 0) return;
      await this.events.assigned(ready);
      if (life !== this.life) return;
      const reading = ready.filter((h) => this.isStill(h, 'starting'));
      for (const h of reading) h.phase = 'reading';
      this.deps.fetcher.add(reading.flatMap((h) => h.cursor ?? []));
      return;
    }
  }

  private take({ topic, topicId, partition }: TopicPartition & { readonly topicId: string }): Held {
    const held: Held = {
      ...{ topic, topicId, partition },
      ...{ phase: 'starting', isAnnounced: false, cursor: undefined, settled: 0, seeks: 0 },
    };
    this.held.set(keyOfHeld(held), held);
    this.byName.set(partitionKey(topic, partition), held);
    return held;
  }

  private forget(held: Held): void {
    this.work?.forget(held);
    this.held.delete(keyOfHeld(held));
    const name = partitionKey(held.topic, held.partition);
    if (this.byName.get(name) === held) this.byName.delete(name);
  }

  /** From now on nothing of it is handed out. */
  private stop(held: Held): void {
    held.phase = 'revoking';
    this.work?.stop(held);
    if (held.cursor === undefined) return;
    this.deps.reader.forget(held.cursor);
    this.deps.fetcher.remove(held.cursor);
  }

  private isStill(held: Held, phase: Held['phase']): boolean {
    return this.held.get(keyOfHeld(held)) === held && held.phase === phase;
  }

  private isTarget(held: Held): boolean {
    return this.target.has(keyOfHeld(held));
  }

  private async pause(attempt: number): Promise<void> {
    const { timers, random } = this.deps.world;
    const delayMs = backoffMs(RETRY_BACKOFF, attempt, random);
    await new Promise<void>((resolve) => timers.after(delayMs, resolve));
  }
}

function keyOf(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}

function keyOfHeld(held: Held): string {
  return keyOf(held.topicId, held.partition);
}
