import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect } from 'chai';

const ROOT = new URL('../../', import.meta.url);

interface Manifest {
  readonly exports: Readonly<
    Record<string, string | { readonly types: string; readonly default: string }>
  >;
}

/** The source file that an entry point of the package is built from. */
function sourceOf(entry: string): URL {
  const text = readFileSync(new URL('package.json', ROOT), 'utf8');
  const target = (JSON.parse(text) as Manifest).exports[entry];
  if (target === undefined || typeof target === 'string') throw new Error(`${entry} has no types`);
  expect(target.types).to.equal(target.default.replace(/\.js$/, '.d.ts'));
  return new URL(target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts'), ROOT);
}

export interface Loaded {
  /** Files of the package, from its root. */
  readonly files: readonly string[];
  /** Names of the npm packages. */
  readonly packages: readonly string[];
  /** Native modules, at the import and by the end. */
  readonly native: { readonly atImport: readonly string[]; readonly atEnd: readonly string[] };
}

/** Everything a process loads that imports the entry point, and then does what `then` says. */
export async function load(entry: string, then: string): Promise<Loaded> {
  const hooks = `
    import { writeSync } from 'node:fs';
    export async function resolve(specifier, context, next) {
      const found = await next(specifier, context);
      writeSync(1, 'url ' + found.url + '\\n');
      return found;
    }`;
  const script = `
    import { writeSync } from 'node:fs';
    import { createRequire, register } from 'node:module';
    import { pathToFileURL } from 'node:url';
    const before = new Set(Object.keys(createRequire(import.meta.url).cache));
    const dlopen = process.dlopen;
    const native = [];
    process.dlopen = (module, file, ...rest) => {
      native.push(file);
      return dlopen.call(process, module, file, ...rest);
    };
    register('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(hooks))});
    const entry = await import(${JSON.stringify(sourceOf(entry).href)});
    const atImport = [...native];
    ${then}
    for (const file of Object.keys(createRequire(import.meta.url).cache)) {
      if (!before.has(file)) writeSync(1, 'url ' + pathToFileURL(file) + '\\n');
    }
    // Written when this returns: what a stream still holds is lost with the process.
    writeSync(1, 'native ' + JSON.stringify({ atImport, atEnd: native }) + '\\n');
    process.exit(0);`;
  const args = ['--import=tsx', '--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  const urls = [...stdout.matchAll(/^url (file:.*)$/gm)].map(([, url = '']) => url);
  const packages = urls.flatMap((url) => {
    const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
    return name === undefined ? [] : [name];
  });
  const files = urls.flatMap((url) => {
    const isOurs = url.startsWith(ROOT.href) && !url.includes('/node_modules/');
    return isOurs ? url.slice(ROOT.href.length).replace(/\?.*/, '') : [];
  });
  const native = JSON.parse(/^native (.*)$/m.exec(stdout)?.[1] ?? '') as Loaded['native'];
  return { files, packages: [...new Set(packages)], native };
}
