import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

import { bookOf, type Books, type Watched } from './books.js';
import type { DriverMessage, Job, JobResult } from './driver/job.js';

const DRIVER = fileURLToPath(new URL('driver/main.ts', import.meta.url));
const COMPLAINTS_CHARACTERS = 2_000;
const DIST = fileURLToPath(new URL('../../dist/bench', import.meta.url));

/** What a job came to, and what every process used for it, by name. */
export type Measured = Omit<JobResult, 'eventLoopDelayP99Ms'> & Books;

const built = new Map<string, Promise<string>>();

/**
 * A driver's program as plain JavaScript; by default that of Millrace's own client. It lies beside the
 * built client, which it loads.
 */
export function driverProgram(name = 'driver', source = DRIVER): Promise<string> {
  const known = built.get(name);
  if (known !== undefined) return known;
  const building = buildDriver(source, path.join(DIST, `${name}.js`));
  built.set(name, building);
  return building;
}

async function buildDriver(source: string, outfile: string): Promise<string> {
  await build({
    ...{ entryPoints: [source], outfile, bundle: true, platform: 'node', format: 'esm' },
    ...{ packages: 'external', target: 'node20.19', logLevel: 'warning' },
  });
  return outfile;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Millrace's own driver, for this job. */
export async function ownDriver(bootstrap: readonly string[], job: Job): Promise<Command> {
  const program = await driverProgram();
  return {
    program: process.execPath,
    args: [program, bootstrap.join(','), JSON.stringify(job)],
    // The same as the brokers have.
    env: { UV_THREADPOOL_SIZE: '16' },
  };
}

/**
 * Runs a driver and books what it and the watched processes use while it measures. The driver's process
 * is gone when this ends, however it ends.
 */
export async function drive(command: Command, watched: readonly Watched[]): Promise<Measured> {
  const child = spawn(command.program, command.args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...command.env },
  });
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  // Clients of others chatter here; of interest only when they fail.
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaints = `${complaints}${chunk.toString()}`.slice(-COMPLAINTS_CHARACTERS);
  });
  try {
    return await listen(child, watched);
  } catch (cause) {
    throw new Error(`${(cause as Error).message}\n${complaints}`.trim(), { cause });
  } finally {
    process.off('exit', onExit);
    child.kill('SIGKILL');
  }
}

async function listen(
  child: ChildProcess & { stdout: NodeJS.ReadableStream },
  watched: readonly Watched[],
): Promise<Measured> {
  const failedToStart = new Promise<never>((_, reject) => {
    child.once('error', reject);
  });
  failedToStart.catch(() => undefined);
  const all = [...watched, { name: 'client', pid: child.pid ?? 0 }];
  const lines = createInterface({ input: child.stdout });
  const told = (async (): Promise<Measured> => {
    const booking = bookOf(all);
    try {
      for await (const line of lines) {
        // Clients of others print what they like.
        if (!line.startsWith('{"kind":')) continue;
        const message = JSON.parse(line) as DriverMessage;
        switch (message.kind) {
          case 'begins':
            await booking.begin();
            break;
          case 'ends':
            await booking.end();
            break;
          case 'failed':
            throw new Error(`the client of the benchmark failed: ${message.error}`);
          case 'result': {
            const { eventLoopDelayP99Ms, ...result } = message.result;
            const books = booking.books();
            const delays = eventLoopDelayP99Ms === undefined ? {} : { client: eventLoopDelayP99Ms };
            return { ...result, ...books, loopDelayP99Ms: { ...books.loopDelayP99Ms, ...delays } };
          }
        }
      }
    } finally {
      booking.close();
    }
    throw new Error('the client of the benchmark ended without a result');
  })();
  return await Promise.race([told, failedToStart]);
}
