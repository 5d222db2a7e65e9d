import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { CommandError } from './io.js';

export interface InputFile {
  readonly stream: Readable;
  /** Undefined where the size means nothing, as that of a pipe. */
  readonly bytes: number | undefined;
}

/** Opens a file to read all of it. Rejects with one clear line if it cannot be read. */
export async function openInputFile(file: string, readBytes?: number): Promise<InputFile> {
  try {
    const handle = await open(file, 'r');
    try {
      const info = await handle.stat();
      if (info.isDirectory()) throw new Error('it is a directory');
      const stream = handle.createReadStream({ highWaterMark: readBytes ?? 64 * 1024 });
      return { stream, bytes: info.isFile() ? info.size : undefined };
    } catch (thrown) {
      await handle.close();
      throw thrown;
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`cannot read ${file}: ${why}`, { cause });
  }
}
