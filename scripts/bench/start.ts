import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';

import { median } from './statistics.js';

const ENTRY = new URL('../../dist/testing/index.js', import.meta.url).href;
const TIMES = 10;

/** One start, in a process of its own: milliseconds, and those of them that it computed. */
interface Start {
  readonly importMs: number;
  readonly firstMs: number;
  readonly secondMs: number;
  readonly cpuMs: number;
}

const PROGRAM = `
const begunMs = performance.now();
const { startCluster } = await import(${JSON.stringify(ENTRY)});
const importedMs = performance.now();
const cluster = await startCluster({ brokers: 3 });
const startedMs = performance.now();
const { user, system } = process.cpuUsage();
const another = await startCluster({ brokers: 3 });
const anotherMs = performance.now();
await Promise.all([cluster.close(), another.close()]);
console.log(JSON.stringify({
  importMs: importedMs - begunMs,
  firstMs: startedMs - importedMs,
  secondMs: anotherMs - startedMs,
  cpuMs: (user + system) / 1000,
}));`;

async function startOnce(): Promise<Start> {
  const args = ['--input-type=module', '--eval', PROGRAM];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Start;
}

/**
 * How long a test file waits for `startCluster({ brokers: 3 })` of what is in dist, in ten fresh processes:
 * the import, the first cluster, one more in the same process, and the CPU time up to the first, Node's
 * own start included.
 */
export async function benchStart(asJson: boolean): Promise<void> {
  const starts: Start[] = [];
  for (let i = 0; i < TIMES; i += 1) starts.push(await startOnce());
  if (asJson) {
    process.stdout.write(`${JSON.stringify({ starts })}\n`);
    return;
  }
  const line = (what: string, of: (start: Start) => number): string => {
    const values = starts.map(of);
    return `${what.padEnd(24)} best ${Math.min(...values).toFixed(0)} ms, median ${median(values).toFixed(0)} ms\n`;
  };
  process.stdout.write(
    line('import millrace/testing', ({ importMs }) => importMs) +
      line('first startCluster()', ({ firstMs }) => firstMs) +
      line('both', ({ importMs, firstMs }) => importMs + firstMs) +
      line('another startCluster()', ({ secondMs }) => secondMs) +
      line('CPU up to the first', ({ cpuMs }) => cpuMs),
  );
}
