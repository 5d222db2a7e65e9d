import process from 'node:process';

/** What the work below takes of an idle processor of the kind that limits were chosen on. */
const USUAL_MS = 20;
const TRIES = 3;

/** Milliseconds of processor time that this process spent meanwhile, all of its threads together. */
export function computedMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** The least of several tries: what comes on top of that is others' doing, not the work's. */
export function leastComputedMs(work: () => void): number {
  return Math.min(...Array.from({ length: TRIES }, () => computedMs(work)));
}

/**
 * How many times as long as usual this machine computes at the moment, at least 1: limits of processor
 * time count for so many times themselves. A busy neighbour on the same core costs processor time too.
 */
export function slowness(): number {
  return Math.max(1, leastComputedMs(fixedWork) / USUAL_MS);
}

/** Maps, strings and sorting: what most of our code does. */
function fixedWork(): void {
  const seen = new Map<string, number>();
  for (let i = 0; i < 60_000; i += 1) {
    const key = `key ${(i * 7_919) % 20_011}`;
    seen.set(key, (seen.get(key) ?? 0) + i);
  }
  const sorted = [...seen].sort(([a], [b]) => (a < b ? -1 : 1));
  if (sorted.length !== 20_011) throw new Error('the yardstick is broken');
}
