import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import { runSeed, type Level, type RunResult } from '../../test/simulation/run.js';
import { shrink } from '../../test/simulation/shrink.js';
import { isAmbient } from '../../test/simulation/swarm.js';
import { timelinePage, timelineText } from '../../test/simulation/timeline.js';
import { replay } from './summary.js';

/** Of one seed, before what is left of its faults counts as the least. */
const SHRINK_RUNS_MAX = 120;

/** One seed, to be looked at. */
export interface Single {
  readonly level: Level | undefined;
  readonly isVerbose: boolean;
  readonly timeline: string | undefined;
  readonly without: ReadonlySet<string>;
}

/** Runs it in this process, and says all that is asked for. */
export async function runOne(seed: number, single: Single): Promise<void> {
  const { level, isVerbose, timeline, without } = single;
  process.stdout.write(`seed ${seed}\n`);
  const narrator = isVerbose ? (line: string) => void process.stdout.write(`${line}\n`) : undefined;
  const hasChronicle = timeline !== undefined;
  const result = await runSeed(seed, { level, narrator, without, hasChronicle });
  if (timeline !== undefined) await writeTimeline(timeline, result);
  const { error } = result;
  process.stdout.write(`${JSON.stringify(withoutLists(result))}\n`);
  if (error === undefined) return;
  process.stdout.write(`FAILED ${error}\nreplay: ${replay(seed, level)}\n`);
  process.exitCode = 1;
}

function withoutLists(result: RunResult): object {
  const { strikes, kinds, notes } = result;
  const counts = { strikes: strikes.length, kinds: kinds.length, notes: notes.length };
  return { ...result, error: undefined, ...counts };
}

async function writeTimeline(file: string, { seed, level, notes }: RunResult): Promise<void> {
  const title = `seed ${seed}, ${level} level`;
  await writeFile(file, timelineText(title, notes));
  await writeFile(`${file}.html`, timelinePage(title, notes));
}

/** Leaves out faults for as long as it fails in the same way. */
export async function shrinkOne(seed: number, { level, timeline }: Single): Promise<void> {
  const report = (text: string): void => void process.stdout.write(`${text}\n`);
  const shrunk = await shrink(seed, { level, runsMax: SHRINK_RUNS_MAX, report });
  if (shrunk === undefined) {
    report(`seed ${seed} does not fail`);
    return;
  }
  const { result, without, runs } = shrunk;
  report(`\n${result.error ?? ''}\n\nfaults that are left, after ${runs} runs:`);
  for (const { name, atMs, what } of result.strikes) {
    report(`${String(atMs).padStart(9)} ms  ${name.padEnd(5)} ${what}`);
  }
  report(`for the whole run: ${result.kinds.filter(isAmbient).join(' ') || 'nothing'}`);
  const names = without.size === 0 ? '' : ` --without ${[...without].join(',')}`;
  report(`replay: ${replay(seed, level)}${names}`);
  if (timeline !== undefined) {
    await writeTimeline(timeline, await runSeed(seed, { level, without, hasChronicle: true }));
  }
  process.exitCode = 1;
}
