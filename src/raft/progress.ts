import { invariant } from '../base/assert.js';
import { logIndex, type BrokerId, type Incarnation, type LogIndex } from '../model/ids.js';
import type { RaftConfig } from './config.js';

/**
 * Append messages on their way to one peer, bounded by count and bytes: a queue of (last index,
 * bytes), ascending. An acknowledgement frees every message it covers.
 */
export class Inflights {
  private readonly countMax: number;
  private readonly bytesMax: number;
  private messages: { readonly last: LogIndex; readonly bytes: number }[] = [];
  private head = 0;
  private totalBytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.countMax = countMax;
    this.bytesMax = bytesMax;
  }

  get count(): number {
    return this.messages.length - this.head;
  }

  get bytes(): number {
    return this.totalBytes;
  }

  /** One message may exceed the byte limit alone, or a large entry could never be sent. */
  get isFull(): boolean {
    return this.count >= this.countMax || (this.count > 0 && this.totalBytes >= this.bytesMax);
  }

  add(last: LogIndex, bytes: number): void {
    invariant(!this.isFull, 'the in-flight window has room', { count: this.count });
    const before = this.messages.at(-1)?.last ?? 0;
    invariant(last > before, 'in-flight appends ascend', { last, before });
    this.messages.push({ last, bytes });
    this.totalBytes += bytes;
  }

  freeTo(index: LogIndex): void {
    for (let first = this.messages[this.head]; first !== undefined && first.last <= index;) {
      this.totalBytes -= first.bytes;
      first = this.messages[++this.head];
    }
    if (this.head === this.messages.length) this.reset();
    else if (this.head > 64 && this.head * 2 > this.messages.length) this.compact();
  }

  reset(): void {
    this.messages = [];
    this.head = 0;
    this.totalBytes = 0;
  }

  private compact(): void {
    this.messages = this.messages.slice(this.head);
    this.head = 0;
  }
}

export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/**
 * One follower or learner as its leader sees it. Owned by the leader's term of office.
 *
 *   probe      where the logs agree is not known: one message at a time
 *   replicate  pipelined: `next` runs ahead of `match` by what is in flight
 *   snapshot   the entries it needs are gone: nothing is sent until the snapshot is reported
 *
 * Invariants: match < next; everything in (match, next) is in flight while replicating; match never
 * falls, except to 0 when the peer's store turns out to be another one.
 */
export class Progress {
  readonly id: BrokerId;
  /** Highest index known to be durable there and equal to the leader's entry. */
  match: LogIndex = logIndex(0);
  next: LogIndex;
  state: ProgressState = 'probe';
  readonly inflights: Inflights;
  /** Probing: a message is out, or the peer did not answer; lifted by any answer. */
  isPaused = false;
  /** Probing: what the message on its way brings, at most. */
  private probeEnd: LogIndex = logIndex(0);
  private probeBytes = 0;
  /** First index of the catch-up read under way; at most one. */
  readFrom: LogIndex | undefined = undefined;
  /** When, in the leader's ticks, it last answered anything. */
  heardAtTick = -Infinity;
  /** When it became a member, if it did so under this leader: until it can have answered, it is not silent. */
  joinedAtTick = -Infinity;
  /** Highest commit index sent that the peer could act on. */
  sentCommit: LogIndex = logIndex(0);
  /** Latest read round it confirmed. */
  readRound = 0;
  /** When, in the leader's ticks, it last acknowledged something or was sent something to. */
  movedAtTick = 0;
  /** Which life of its store speaks; undefined until it spoke. */
  incarnation: Incarnation | undefined = undefined;
  isRepairing = false;
  /** A life under repair was seen: an unknown life that claims to be whole is an older one. */
  wasRepairing = false;
  repairTarget: LogIndex = logIndex(0);

  constructor(id: BrokerId, next: LogIndex, config: RaftConfig) {
    invariant(next >= 1, 'the log starts at 1', { next });
    this.id = id;
    this.next = next;
    this.inflights = new Inflights(config.inflightMax, config.inflightBytesMax);
  }

  /** What counts in quorums: nothing while its log is damaged. */
  get countedMatch(): LogIndex {
    return this.isRepairing ? logIndex(0) : this.match;
  }

  get mayNotSend(): boolean {
    if (this.readFrom !== undefined) return true;
    switch (this.state) {
      case 'probe':
        return this.isPaused;
      case 'replicate':
        return this.isPaused || this.inflights.isFull;
      case 'snapshot':
        return true;
    }
  }

  /** Has everything up to `last`, whole, and nothing is on its way. */
  isEven(last: LogIndex): boolean {
    const isWhole = !this.isRepairing && this.incarnation !== undefined;
    const isSettled = this.state === 'replicate' && !this.isPaused && this.readFrom === undefined;
    return isWhole && isSettled && this.match === last && this.inflights.count === 0;
  }

  becomeProbe(next: LogIndex = logIndex(this.match + 1)): void {
    invariant(next > this.match, 'match < next', { match: this.match, next });
    this.state = 'probe';
    this.next = next;
    this.isPaused = false;
    this.probeEnd = logIndex(0);
    this.probeBytes = 0;
    this.inflights.reset();
  }

  /** Nothing is sent before the peer is heard again; then at once. */
  pauseUntilAnswer(): void {
    this.isPaused = true;
    this.movedAtTick = -Infinity;
  }

  /**
   * The logs agree. If it was the probe that was answered, its entries are taken even where they are
   * not durable yet: they count as in flight, and need not be sent twice.
   */
  becomeReplicate(isProbeAnswered: boolean): void {
    const { probeEnd, probeBytes } = this;
    this.state = 'replicate';
    this.isPaused = false;
    this.next = logIndex(this.match + 1);
    if (isProbeAnswered && probeEnd > this.match) {
      this.inflights.add(probeEnd, probeBytes);
      this.next = logIndex(probeEnd + 1);
    }
  }

  becomeSnapshot(): void {
    this.state = 'snapshot';
    this.isPaused = false;
    this.readFrom = undefined;
    this.inflights.reset();
  }

  /** An acknowledgement; false if it tells nothing new. */
  maybeAdvance(match: LogIndex): boolean {
    if (match <= this.match) return false;
    this.match = match;
    if (this.next <= match) this.next = logIndex(match + 1);
    return true;
  }

  /**
   * A refusal of the append after `rejected`; `hint` is where the logs may still agree. False if it
   * is stale: it speaks of something already acknowledged, or of an earlier probe (RB04, RB10).
   */
  maybeBackOff(rejected: LogIndex, hint: LogIndex): boolean {
    if (this.state === 'snapshot') return false;
    if (rejected <= this.match) return false;
    if (this.state === 'replicate') {
      this.becomeProbe();
      return true;
    }
    if (rejected !== this.next - 1) return false;
    this.becomeProbe(logIndex(Math.max(Math.min(rejected, hint + 1), this.match + 1)));
    return true;
  }

  /** Entries up to `last` were sent. */
  sent(last: LogIndex, bytes: number, tick: number): void {
    if (this.state === 'probe') {
      this.isPaused = true;
      this.movedAtTick = tick;
      this.probeEnd = last;
      this.probeBytes = bytes;
      return;
    }
    invariant(this.state === 'replicate', 'nothing is sent beside a snapshot', { id: this.id });
    invariant(last >= this.next, 'entries are sent once', { last, next: this.next });
    if (this.inflights.count === 0) this.movedAtTick = tick;
    this.inflights.add(last, bytes);
    this.next = logIndex(last + 1);
  }

  /** The peer's store is another one: what it acknowledged is void. */
  forget(incarnation: Incarnation, next: LogIndex): void {
    this.incarnation = incarnation;
    this.match = logIndex(0);
    this.readFrom = undefined;
    this.readRound = 0;
    this.sentCommit = logIndex(0);
    this.becomeProbe(next);
  }
}
