import { setTimeout as delay } from 'node:timers/promises';

const TURN_MS = 5;

/**
 * Waits until the condition holds, looking every few milliseconds; fails after withinMs. That is for how
 * long a test that fails goes on, and no bound of what it tests: a busy machine may take its time.
 */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await delay(2);
  }
}

/**
 * As eventually, for what has to be quick: within so many milliseconds that this process was awake for.
 * They count in turns of the event loop, so that a machine which holds the process up, and all that
 * happens in it, has taken one turn and not the time that it was held up for.
 */
export async function soon(
  what: string,
  withinMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  for (let turns = Math.ceil(withinMs / TURN_MS); !(await condition()); turns -= 1) {
    if (turns === 0) throw new Error(`not within ${withinMs} ms of being awake: ${what}`);
    await delay(TURN_MS);
  }
}
