import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, syncDirectory } from './durable-files.js';
import { generationDirectory, replicaDirectory } from './generation.js';
import { isSetAside } from './room.js';
import type { StoreContext } from './store-context.js';

/** Damaged generations kept for whoever wants to look; older ones go. */
const DAMAGED_KEPT_MAX = 2;

/** Puts a damaged generation away, under a name that no opening looks at. */
export async function setAside(
  context: StoreContext,
  old: Parameters<typeof generationDirectory>[1],
): Promise<void> {
  const parent = replicaDirectory(context, old.groupId);
  const from = generationDirectory(context.replicasDirectory, old);
  try {
    await rename(from, path.join(parent, `damaged-${old.generation}`));
  } catch (error) {
    // Gone already: that may be the very damage.
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  await syncDirectory(parent);
  const kept = newestFirst(await readdir(parent));
  for (const name of kept.slice(DAMAGED_KEPT_MAX)) {
    await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

function newestFirst(names: readonly string[]): string[] {
  const generationOf = (name: string): number => Number(name.slice(name.indexOf('-') + 1));
  return names.filter(isSetAside).sort((a, b) => generationOf(b) - generationOf(a));
}
