import { Deque } from '../base/deque.js';
import type { LogIndex, Offset } from '../model/ids.js';
import type { PartitionState } from './partition-state.js';

/** A partition as it was right after one entry. */
export interface PastState {
  readonly index: LogIndex;
  /** All records up to that entry lie below. */
  readonly highWatermark: Offset;
  /** PartitionState.encode() at that entry. */
  readonly state: Uint8Array;
}

export interface PastStatesLimits {
  /** Bytes of log from one to the next, at least. */
  readonly strideBytes: number;
  /** More than these halve their number and double the stride; few of them halve it. */
  readonly statesMax: number;
  readonly stateBytesMax: number;
}

const LIMITS: PastStatesLimits = {
  strideBytes: 4 * 1024 * 1024,
  statesMax: 32,
  stateBytesMax: 128 * 1024,
};

/**
 * States of one partition's past, spread evenly over its log. A truncation starts from one of them
 * instead of applying again, and so reading, everything that it drops.
 *
 * Invariants: they rise by index; each is what applying the log up to its index gives, since what is
 * noted was applied. A convenience of one process: without any, as for logs whose state is large, what
 * is dropped is read.
 */
export class PastStates {
  private readonly limits: PastStatesLimits;
  private states = new Deque<PastState>();
  private stride: number;
  private bytes = 0;
  private notedAt = 0;

  constructor(limits: PastStatesLimits = LIMITS) {
    this.limits = limits;
    this.stride = limits.strideBytes;
  }

  get length(): number {
    return this.states.length;
  }

  /** Something was applied: keeps the state if the last one lies a stride behind. */
  note(state: PartitionState): void {
    const { bytesTotal } = state.index;
    if (bytesTotal - this.notedAt < this.stride) return;
    this.notedAt = bytesTotal;
    const encoded = state.encode();
    if (encoded.length > this.limits.stateBytesMax) return;
    this.push({
      index: state.appliedIndex,
      highWatermark: state.highWatermark,
      state: encoded,
    });
    while (this.isTooMuch()) this.thin();
  }

  /** The newest whose records all lie below `logStart`. */
  newestBelow(logStart: Offset): PastState | undefined {
    for (let at = this.states.length - 1; at >= 0; at -= 1) {
      const past = this.states.at(at);
      if (past !== undefined && past.highWatermark <= logStart) return past;
    }
    return undefined;
  }

  /** The log is truncated up to there. */
  dropUpTo(index: LogIndex): void {
    for (;;) {
      const oldest = this.states.at(0);
      if (oldest === undefined || oldest.index > index) return;
      this.states.shift();
      this.bytes -= oldest.state.length;
      const { strideBytes, statesMax, stateBytesMax } = this.limits;
      const isRoomy = this.states.length * 4 < statesMax && this.bytes * 4 < stateBytesMax;
      if (isRoomy) this.stride = Math.max(strideBytes, this.stride / 2);
    }
  }

  /** What is applied next may be another past, or the same once more. */
  clear(): void {
    this.states.clear();
    this.stride = this.limits.strideBytes;
    this.bytes = 0;
    this.notedAt = 0;
  }

  private push(past: PastState): void {
    this.states.push(past);
    this.bytes += past.state.length;
  }

  private isTooMuch(): boolean {
    const { statesMax, stateBytesMax } = this.limits;
    return this.states.length > statesMax || this.bytes > stateBytesMax;
  }

  /** Keeps every other one. */
  private thin(): void {
    const all = this.states.clear();
    this.bytes = 0;
    this.stride *= 2;
    for (let at = 1; at < all.length; at += 2) {
      const past = all[at];
      if (past !== undefined) this.push(past);
    }
  }
}
