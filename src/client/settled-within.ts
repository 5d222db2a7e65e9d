import type { Timers } from '../ports/world.js';

/** Waits until the promise is settled, either way, but not longer. False: it is not settled yet. */
export async function settledWithin(
  timers: Timers,
  promise: Promise<unknown>,
  withinMs: number,
): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const cancel = timers.after(withinMs, () => resolve(false));
    const settled = (): void => {
      cancel();
      resolve(true);
    };
    promise.then(settled, settled);
  });
}
