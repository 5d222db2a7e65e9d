import { runSeed, type RunOptions, type RunResult } from './run.js';
import { isAmbient } from './swarm.js';

/** What a shorter list of faults still leads to. */
export interface Shrunk {
  readonly result: RunResult;
  readonly without: ReadonlySet<string>;
  readonly runs: number;
}

export interface ShrinkOptions extends Pick<RunOptions, 'level'> {
  /** Runs that may be spent. */
  readonly runsMax: number;
  readonly report: (text: string) => void;
}

/**
 * Leaves out faults of a failing seed for as long as it fails the same way: first whole kinds, then
 * ever smaller parts of the list (ddmin, Zeller and Hildebrandt 2002). Undefined: the seed does not fail.
 */
export async function shrink(seed: number, options: ShrinkOptions): Promise<Shrunk | undefined> {
  let runs = 0;
  let without: ReadonlySet<string> = new Set<string>();
  let best = await runSeed(seed, { level: options.level });
  runs += 1;
  const { failure } = best;
  if (failure === undefined) return undefined;
  options.report(`${failure} after ${best.strikes.length} faults`);
  const fails = async (more: readonly string[]): Promise<boolean> => {
    if (more.length === 0 || runs >= options.runsMax) return false;
    const candidate = new Set([...without, ...more]);
    const result = await runSeed(seed, { level: options.level, without: candidate });
    runs += 1;
    if (result.failure !== failure) return false;
    without = candidate;
    best = result;
    options.report(`still without ${more.join(' ')}: ${best.strikes.length} faults`);
    return true;
  };
  const hasStruck = (kind: string): boolean => best.strikes.some(({ what }) => what === kind);
  for (const kind of best.kinds) if (isAmbient(kind) || hasStruck(kind)) await fails([kind]);
  for (let parts = 1; parts <= best.strikes.length && runs < options.runsMax;) {
    const names = best.strikes.map(({ name }) => name);
    const size = Math.ceil(names.length / parts);
    let hasShrunk = false;
    for (let at = 0; at < names.length; at += size) {
      hasShrunk = (await fails(names.slice(at, at + size))) || hasShrunk;
    }
    if (!hasShrunk && size === 1) break;
    parts = hasShrunk ? 1 : parts * 2;
    parts = Math.min(parts, Math.max(1, best.strikes.length));
  }
  return { result: best, without, runs };
}
