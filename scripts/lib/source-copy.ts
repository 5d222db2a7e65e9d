import { cp, mkdtemp, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's own folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ALWAYS_COPIED = [
  'src',
  'test/unit/raft',
  'test/support',
  'test/data',
  'package.json',
  'tsconfig.json',
];

/**
 * A copy of the sources to be changed and run, in a new folder that the caller removes; with the
 * scenarios of the consensus core, and with `more` of the project's folders.
 */
export async function copySources(name: string, more: readonly string[] = []): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), `millrace-${name}-`));
  for (const part of [...ALWAYS_COPIED, ...more]) {
    await cp(path.join(ROOT, part), path.join(directory, part), { recursive: true });
  }
  await symlink(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
  return directory;
}
