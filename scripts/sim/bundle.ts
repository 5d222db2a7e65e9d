import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { isAlive } from '../../src/cli/processes.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface WorkerBundle {
  /** The one file that a worker process runs. */
  readonly file: string;
  /** Names the sources: equal for equal ones, wherever they lie. */
  readonly fingerprint: string;
}

/**
 * The simulator and all that it runs as plain JavaScript, read once: workers start quickly, and nobody
 * who edits sources meanwhile changes what a sweep runs. The file lies where packages are found.
 */
export async function bundleWorker(): Promise<WorkerBundle> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['test/simulation/worker.ts'],
    bundle: true,
    write: false,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'warning',
  });
  const [output] = outputFiles;
  if (output === undefined) throw new Error('the simulator could not be bundled');
  const fingerprint = createHash('sha256').update(output.contents).digest('hex').slice(0, 16);
  const directory = path.join(realpathSync(path.join(ROOT, 'node_modules')), '.cache', 'sim');
  mkdirSync(directory, { recursive: true });
  dropAbandoned(directory);
  const file = path.join(directory, `${fingerprint}-${process.pid}.mjs`);
  writeFileSync(file, output.contents);
  return { file, fingerprint };
}

/** A sweep that was cut off leaves its file behind. */
function dropAbandoned(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = Number(/-(\d+)\.mjs$/.exec(name)?.[1]);
    if (!isAlive(pid)) rmSync(path.join(directory, name), { force: true });
  }
}
