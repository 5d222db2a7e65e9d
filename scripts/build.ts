/**
 * Compiles src/ to dist/. Nothing is copied: dist/ finds proto/ where src/ does, one directory up, and
 * the package ships both. What src/ no longer has is removed from dist/.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';
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
if (existsSync(bin)) chmodSync(bin, 0o755);
