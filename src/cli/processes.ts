import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Of the same kind as this file, whether that is a source or a part of what is built. */
const MAIN = fileURLToPath(new URL(`../cli/main${extname(import.meta.url)}`, import.meta.url));

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

/** Ports that were free a moment ago, all different. */
export async function freePorts(host: string, count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      async (server) =>
        await new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, host, () => {
            const address = server.address();
            if (address === null || typeof address === 'string') reject(new Error('no port'));
            else resolve(address.port);
          });
        }),
    ),
  );
  await Promise.all(
    servers.map(
      async (server) => await new Promise<void>((resolve) => server.close(() => resolve())),
    ),
  );
  return ports;
}
