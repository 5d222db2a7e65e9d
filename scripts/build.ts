/**
 * Builds dist/: declarations as the compiler writes them, and the programs bundled from src/ into few
 * files, as loading hundreds takes longer than running them. Entry points share what they have in
 * common, so that a class is one class whichever of them it came from; packages of others stay outside.
 * Nothing is copied: dist/ finds proto/ where src/ does, two folders up from every file.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = path.join(ROOT, 'dist');
/** What importing the client may load. */
const CLIENT_SOURCE = /^src\/(base|model|ports|rpc|client)\//;

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

/** The sources of what package.json says that the package has. */
function entryPoints(): string[] {
  const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as Manifest;
  const exported = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [] : [target.default],
  );
  const built = new Set(
    [...Object.values(manifest.bin), ...exported].map((f) => path.normalize(f)),
  );
  return [...built].map((file) => file.replace(/^dist(.*)\.js$/, 'src$1.ts'));
}

/** Sources in everything that importing this file loads at once. */
function sourcesBehind(entry: string, { outputs }: Metafile): Set<string> {
  const sources = new Set<string>();
  const files = new Set([entry]);
  for (const file of files) {
    const output = outputs[file];
    for (const source of Object.keys(output?.inputs ?? {})) sources.add(source);
    for (const { path: imported, kind, external } of output?.imports ?? []) {
      if (kind === 'import-statement' && external !== true) files.add(imported);
    }
  }
  return sources;
}

rmSync(DIST, { recursive: true, force: true });
try {
  const tsc = path.join(ROOT, 'node_modules/.bin/tsc');
  const args = ['-p', 'tsconfig.json', '--emitDeclarationOnly'];
  execFileSync(tsc, args, { cwd: ROOT, stdio: 'inherit' });
  const { metafile } = await build({
    metafile: true,
    absWorkingDir: ROOT,
    entryPoints: entryPoints(),
    outbase: 'src',
    outdir: DIST,
    // As deep as the entry points.
    chunkNames: 'parts/[name]-[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
  });
  const strange = [...sourcesBehind('dist/client/index.js', metafile)].filter(
    (source) => !CLIENT_SOURCE.test(source),
  );
  if (strange.length > 0) {
    process.stderr.write(`the client loads what is not its own:\n${strange.join('\n')}\n`);
    process.exit(1);
  }
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
