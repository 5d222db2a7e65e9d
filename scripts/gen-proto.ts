/**
 * Writes the types of proto/ to src/rpc/gen. With --check, writes nothing and fails if what is there
 * is not what proto/ says.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUT = path.join(ROOT, 'src/rpc/gen');

/** Paths of all files below `directory`, relative to it, sorted. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
}

function generate(into: string): void {
  const protoDir = path.join(ROOT, 'proto');
  // Files without a service come along with those that use them.
  const protos = filesBelow(protoDir).filter((file) =>
    /^service /m.test(readFileSync(path.join(protoDir, file), 'utf8')),
  );
  const tool = path.join(ROOT, 'node_modules/.bin/proto-loader-gen-types');
  // The same options as LOADER_OPTIONS in src/rpc/proto.ts.
  const shape = ['--longs=Number', '--enums=String', '--defaults', '--oneofs'];
  const style = ['--grpcLib=@grpc/grpc-js', '--importFileExtension=.js'];
  execFileSync(tool, [...shape, ...style, '-I', 'proto', '-O', into, ...protos], {
    // Relative paths: the tool writes them into what it generates.
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Names of files that differ between two directories. */
function differences(left: string, right: string): string[] {
  const names = new Set([...filesBelow(left), ...filesBelow(right)]);
  const read = (directory: string, name: string): string | undefined => {
    try {
      return readFileSync(path.join(directory, name), 'utf8');
    } catch {
      return undefined;
    }
  };
  return [...names].filter((name) => read(left, name) !== read(right, name));
}

const fresh = mkdtempSync(path.join(os.tmpdir(), 'millrace-gen-'));
try {
  generate(fresh);
  if (process.argv.includes('--check')) {
    const stale = differences(fresh, OUT);
    if (stale.length > 0) {
      process.stderr.write(`src/rpc/gen is stale, run npm run gen:\n${stale.join('\n')}\n`);
      process.exitCode = 1;
    }
  } else {
    rmSync(OUT, { recursive: true, force: true });
    cpSync(fresh, OUT, { recursive: true });
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
