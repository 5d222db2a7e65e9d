import { setTimeout as delay } from 'node:timers/promises';

/** Waits until the condition holds, looking every few milliseconds; fails after withinMs. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 5_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await delay(2);
  }
}
