import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/** Makes the names inside a directory durable: files that appeared, vanished or were renamed. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the files right inside that have this ending durable, and their names; what vanishes meanwhile is not missed. */
export async function syncFiles(directory: string, ending: string): Promise<void> {
  const names = (await namesIn(directory)).filter((name) => name.endsWith(ending));
  await Promise.all(names.map((name) => syncFile(path.join(directory, name))));
  await syncDirectory(directory);
}

async function syncFile(file: string): Promise<void> {
  try {
    const handle = await open(file, 'r');
    try {
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/** Replaces a file durably: after a crash there is the old content or the new, never a mixture. */
export async function writeFileDurably(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx');
    try {
      for (const part of parts) await handle.writeFile(part);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(path.dirname(file));
}

/** undefined if there is no such file; other errors are thrown. */
export async function readFileIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The code Node or LevelDB put on an error; undefined if there is none. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Sizes of the files right inside, or of those with that ending; what vanishes meanwhile counts nothing. */
export async function directoryBytes(directory: string, ending = ''): Promise<number> {
  const names = (await namesIn(directory)).filter((name) => name.endsWith(ending));
  // All at once: one after another, each would queue behind the writes of a busy broker.
  const sizes = await Promise.all(names.map((name) => fileBytes(path.join(directory, name))));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

async function fileBytes(file: string): Promise<number> {
  try {
    const found = await stat(file);
    return found.isFile() ? found.size : 0;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return 0;
  }
}

/** Nothing if there is no such directory. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
