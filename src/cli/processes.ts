import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Of the same kind as this file, whether that is a source or a part of what is built. */
const MAIN = fileURLToPath(new URL(`../cli/main${extname(import.meta.url)}`, import.meta.url));
const FREE_PORTS_FROM = 12_000;
const OUTGOING_PORTS_FROM = 32_768;
const FREE_PORT_TRIES = 10_000;

/**
 * Starts this program again as a broker, in the background: it outlives us, and Ctrl-C on our
 * terminal does not reach it. LevelDB works on libuv's threads, of which it gets enough here, as
 * inside the program it would be too late. Returns its process id.
 */
export function spawnBroker(configFile: string, logFile: string): number {
  const log = openSync(logFile, 'a');
  try {
    const child = spawn(
      process.execPath,
      [...process.execArgv, MAIN, 'broker', '--config', configFile],
      {
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, UV_THREADPOOL_SIZE: String(Math.max(16, os.cpus().length * 4)) },
      },
    );
    child.on('error', () => undefined);
    child.unref();
    return child.pid ?? 0;
  } finally {
    closeSync(log);
  }
}

/** Is this process the broker of that config file? A process id alone may be somebody else's by now. */
export function isBrokerRunning(pid: number, configFile: string): boolean {
  if (!isAlive(pid)) return false;
  const command = commandLine(pid);
  // A process that is just ending has lost its command line, but not yet its ports and locks.
  return command === undefined || command === '' || command.includes(configFile);
}

/** Sends a signal; false if there is no such process. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

export function isAlive(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return !isZombie(pid);
}

/**
 * A child that ended and was not waited for yet still has its id. It counts as gone only with its last
 * thread: until then its ports and its lock on the data directory are held.
 */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const isEnded = stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
    return isEnded && readdirSync(`/proc/${pid}/task`).length === 1;
  } catch {
    return false;
  }
}

/** Undefined where it cannot be found out. */
function commandLine(pid: number): string | undefined {
  if (existsSync(`/proc/${pid}/cmdline`)) {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return undefined;
    }
  }
  const ps = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  return ps.status === 0 ? ps.stdout : undefined;
}

/** Can a server listen there right now? */
export async function isPortFree(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/**
 * Ports that are free, all different. None is such as a system gives to outgoing connections (from 32,768
 * on Linux, from 49,152 elsewhere: RFC 6335 section 6), or one could be taken before it is listened on.
 */
export async function freePorts(host: string, count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries === FREE_PORT_TRIES) throw new Error(`no ${count} free ports on ${host}`);
    const port = randomInt(FREE_PORTS_FROM, OUTGOING_PORTS_FROM);
    if (!ports.has(port) && (await isPortFree(host, port))) ports.add(port);
  }
  return [...ports];
}
