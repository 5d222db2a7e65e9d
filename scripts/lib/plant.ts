import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Edit, Mutant } from '../../test/simulation/mutants/list.js';
import { copySources } from './source-copy.js';

/** The sources with a bug in them, and with all tests, in a directory that the caller removes. */
export async function planted(mutant: Pick<Mutant, 'id' | 'edits'>): Promise<string> {
  const directory = await copySources(mutant.id, ['scripts', 'test']);
  for (const edit of mutant.edits) await plant(directory, edit);
  return directory;
}

async function plant(directory: string, edit: Edit): Promise<void> {
  const file = path.join(directory, edit.file);
  const source = await readFile(file, 'utf8');
  const count = source.split(edit.find).length - 1;
  if (count !== 1) {
    throw new Error(`${edit.file}: expected once, found ${count} times: ${edit.find}`);
  }
  await writeFile(
    file,
    source.replace(edit.find, () => edit.replace),
  );
}
