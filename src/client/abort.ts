import { BrokerError } from '../model/errors.js';
import type { Cancel } from '../ports/world.js';

/** Every call that may have to wait takes this as its last options. */
export interface Abortable {
  /**
   * Aborted: the call rejects at once with CANCELLED. What it had begun may still take effect, unless
   * the error's outcome is `none`.
   */
  readonly signal?: AbortSignal | undefined;
}

export function cancelled(signal: AbortSignal, outcome: 'none' | 'unknown'): BrokerError {
  const cause: unknown = signal.reason;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BrokerError('CANCELLED', `cancelled by the caller: ${why}`, { outcome }, { cause });
}

/** What `run` does, unless the signal aborts before that is over. Nothing is run if it already has. */
export async function abortable<T>(
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> {
  if (signal === undefined) return await run();
  if (signal.aborted) throw cancelled(signal, 'none');
  return await new Promise<T>((resolve, reject) => {
    const unlisten = onAbort(signal, () => reject(cancelled(signal, 'unknown')));
    run().then(resolve, reject).finally(unlisten);
  });
}

/** Resolves when the promise is over, whichever way, or the signal aborts. */
export async function overOrAborted(
  signal: AbortSignal | undefined,
  promise: Promise<unknown>,
): Promise<void> {
  await abortable(signal, async () => await promise).catch(() => undefined);
}

/** Asked anew each time: the compiler takes what was once false to stay so. */
export function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

export function onAbort(signal: AbortSignal | undefined, run: () => void): Cancel {
  signal?.addEventListener('abort', run, { once: true });
  return () => signal?.removeEventListener('abort', run);
}

/**
 * Many waits for one signal, as when each of ten thousand sends is given the same one: a signal looks
 * through all its listeners to forget one, so it is given a single one here.
 */
export class AbortWatch {
  private readonly waits = new WeakMap<
    AbortSignal,
    { readonly all: Set<() => void>; readonly unlisten: Cancel }
  >();

  /** The signal has not aborted yet. It is listened to only as long as somebody waits. */
  watch(signal: AbortSignal, run: () => void): Cancel {
    const waits = this.waits.get(signal) ?? this.listen(signal);
    waits.all.add(run);
    return () => {
      if (!waits.all.delete(run) || waits.all.size > 0) return;
      waits.unlisten();
      this.waits.delete(signal);
    };
  }

  private listen(signal: AbortSignal): {
    readonly all: Set<() => void>;
    readonly unlisten: Cancel;
  } {
    const all = new Set<() => void>();
    const unlisten = onAbort(signal, () => {
      this.waits.delete(signal);
      for (const run of [...all]) run();
    });
    const waits = { all, unlisten };
    this.waits.set(signal, waits);
    return waits;
  }
}
