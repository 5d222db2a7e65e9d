import { logIndex, type LogIndex } from '../model/ids.js';
import { entryBytes, type LogEntry } from '../model/log-entry.js';
import { PrefixTruncatedError } from '../ports/log-store.js';

export interface ScrubPace {
  readonly bytesPerSecondMax: number;
  readonly signal?: AbortSignal;
}

/** The log that is scrubbed, which goes on changing. */
export interface ScrubbedLog {
  first(): LogIndex;
  /** From `from` on, at least one entry and none after `upTo`; nothing where the log ends by now. */
  read(from: LogIndex, upTo: LogIndex, bytesMax: number): Promise<readonly LogEntry[]>;
}

/** Between two rests: small entries cost more than their bytes say. */
const SLICE_BYTES = 128 * 1024;
/** What is verified takes no more of the time than this, however small it is. */
const TIME_SHARE_MAX = 0.1;

/**
 * Reads, and so verifies, everything from the log's start to `upTo`, slowly. Returns how many entries.
 * Rejects as the log's reads do, and with the signal's reason.
 */
export async function scrub(upTo: LogIndex, pace: ScrubPace, log: ScrubbedLog): Promise<number> {
  let at = log.first();
  let verified = 0;
  for (;;) {
    pace.signal?.throwIfAborted();
    if (at > upTo) return verified;
    const began = performance.now();
    const entries = await sliceAt(at, upTo, log);
    if (entries === undefined) {
      at = log.first();
      continue;
    }
    // A new leader truncated the tail: what it writes instead is checked as it comes.
    if (entries.length === 0) return verified;
    verified += entries.length;
    at = logIndex(at + entries.length);
    const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    const tookMs = performance.now() - began;
    const atLeastMs = (bytes / pace.bytesPerSecondMax) * 1000;
    const restMs = Math.max(atLeastMs - tookMs, tookMs * (1 / TIME_SHARE_MAX - 1));
    if (at <= upTo) await pause(restMs, pace.signal);
  }
}

/** Whoever reads this much in one go lets others read for as long as the pace demands. */
export async function restAfter(bytes: number, pace: ScrubPace): Promise<void> {
  await pause((bytes / pace.bytesPerSecondMax) * 1000, pace.signal);
  pace.signal?.throwIfAborted();
}

/** Undefined: these entries were truncated from the front meanwhile. */
async function sliceAt(
  at: LogIndex,
  upTo: LogIndex,
  log: ScrubbedLog,
): Promise<readonly LogEntry[] | undefined> {
  try {
    return await log.read(at, upTo, SLICE_BYTES);
  } catch (error) {
    if (error instanceof PrefixTruncatedError) return undefined;
    throw error;
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms <= 0) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}
