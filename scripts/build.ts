/**
 * Compiles src/ to dist/. Nothing is copied: dist/ finds proto/ where src/ does, one directory up, and
 * the package ships both. What src/ no longer has is removed from dist/.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = path.join(ROOT, 'dist');

rmSync(DIST, { recursive: true, force: true });
try {
  execFileSync(path.join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.json'], {
    cwd: ROOT,
    stdio: 'inherit',
  });
} catch {
  // The compiler has said what is wrong.
  process.exit(1);
}
const bin = path.join(DIST, 'cli/main.js');
chmodSync(bin, 0o755);

// npm links the programs of dependencies, not those of the package itself: with this, `npx millrace`
// finds ours at once, instead of linking the whole package into its cache first.
const binFolder = path.join(ROOT, 'node_modules/.bin');
if (existsSync(binFolder) && process.platform !== 'win32') {
  const link = path.join(binFolder, 'millrace');
  rmSync(link, { force: true });
  symlinkSync('../../dist/cli/main.js', link);
}
