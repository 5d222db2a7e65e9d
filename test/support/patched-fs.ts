import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/** What the file system is made to do instead, until `run` has ended. */
export interface FsPatch {
  readonly writeSync?: (real: typeof fs.writeSync) => unknown;
  readonly rm?: (real: typeof promises.rm) => unknown;
  readonly readFile?: (real: typeof promises.readFile) => unknown;
  readonly readdir?: (real: typeof promises.readdir) => unknown;
}

/** Runs with some of Node's functions replaced, also where they were imported by name before. */
export async function withPatchedFs<T>(patch: FsPatch, run: () => Promise<T>): Promise<T> {
  const { writeSync } = fs;
  const { rm, readFile, readdir } = promises;
  if (patch.writeSync) Object.assign(fs, { writeSync: patch.writeSync(writeSync) });
  if (patch.rm) Object.assign(promises, { rm: patch.rm(rm) });
  if (patch.readFile) Object.assign(promises, { readFile: patch.readFile(readFile) });
  if (patch.readdir) Object.assign(promises, { readdir: patch.readdir(readdir) });
  syncBuiltinESMExports();
  try {
    return await run();
  } finally {
    Object.assign(fs, { writeSync });
    Object.assign(promises, { rm, readFile, readdir });
    syncBuiltinESMExports();
  }
}

/** As the system says it. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: as a test wants it`), { code });
}
