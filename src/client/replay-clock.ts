import { checkArgument } from './check-argument.js';

/** How fast, and with which pauses, records are replayed. */
export interface ReplayOptions {
  /** 1: as fast as the records came, by their timestamps; 10: ten times that. */
  readonly speed: number;
  /** No wait for a next record is longer, however long nothing was written. Default: no bound. */
  readonly idleMaxMs?: number | undefined;
}

/** Late by no more, what comes next is handed out the sooner; the rest of a delay is not made up for. */
const CATCH_UP_MS = 100;

/** Throws INVALID_ARGUMENT, and names the option. */
export function checkReplay({ speed, idleMaxMs = Infinity }: ReplayOptions): void {
  checkArgument(Number.isFinite(speed) && speed > 0, 'replay.speed must be a positive number');
  checkArgument(idleMaxMs >= 0, 'replay.idleMaxMs must not be negative');
}

/**
 * Says when a record is due if the records are to come in the rhythm in which they were written, from the
 * first on. It stands still while the reader is away, or has nothing to read, so that a pause is not
 * followed by all that came to be due meanwhile.
 *
 * Invariant: it never runs back: a record older than one before it is due at once, and moves nothing.
 */
export class ReplayClock {
  private readonly speed: number;
  private readonly idleMaxMs: number;
  /** The latest timestamp handed out, and when that was due. */
  private last: { readonly timestampMs: number; readonly dueMs: number } | undefined;

  constructor({ speed, idleMaxMs = Infinity }: ReplayOptions) {
    this.speed = speed;
    this.idleMaxMs = idleMaxMs;
  }

  /** The next record is a first one again. */
  reset(): void {
    this.last = undefined;
  }

  /** When a record of this time is due; -Infinity: at once. */
  dueMs(timestampMs: number): number {
    const { last } = this;
    if (last === undefined || timestampMs <= last.timestampMs) return -Infinity;
    const gapMs = (timestampMs - last.timestampMs) / this.speed;
    return last.dueMs + Math.min(gapMs, this.idleMaxMs);
  }

  /** It is handed out to a reader who was ready for it since then. */
  handedOut(timestampMs: number, readySinceMs: number): void {
    // Whoever writes no time at all does not say when anything was.
    if (timestampMs < 0 || timestampMs < (this.last?.timestampMs ?? 0)) return;
    const dueMs = this.last === undefined ? readySinceMs : this.dueMs(timestampMs);
    const atLeastMs = readySinceMs - CATCH_UP_MS;
    const plannedMs = dueMs === -Infinity ? (this.last?.dueMs ?? readySinceMs) : dueMs;
    this.last = { timestampMs, dueMs: Math.max(plannedMs, atLeastMs) };
  }
}
