import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** As deep as every built file, whose way to proto/ is as long as its source's. */
const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));

const built = new Map<string, Promise<string>>();

/**
 * A script as one file, made as the build makes its own: loading and translating hundreds of sources
 * takes a process longer than anything else. Gone with this process.
 */
export function bundled(entry: string): Promise<string> {
  let file = built.get(entry);
  if (file === undefined) {
    file = bundle(entry);
    built.set(entry, file);
  }
  return file;
}

async function bundle(entry: string): Promise<string> {
  const name = `${path.basename(entry, '.ts')}-${process.pid}.js`;
  const outfile = path.join(DIST, 'scripts', name);
  mkdirSync(path.dirname(outfile), { recursive: true });
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  });
  process.once('exit', () => rmSync(outfile, { force: true }));
  return outfile;
}
