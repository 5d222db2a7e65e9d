import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect } from 'chai';

const ROOT = new URL('../../../', import.meta.url);

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

interface Loaded {
  /** Files of the package, from its root. */
  readonly files: readonly string[];
  /** Names of the npm packages. */
  readonly packages: readonly string[];
  /** Native modules, at the import and by the end. */
  readonly native: { readonly atImport: readonly string[]; readonly atEnd: readonly string[] };
}

/** Everything a process loads that imports the entry point, and then does what `then` says. */
async function load(entry: string, then: string): Promise<Loaded> {
  const hooks = `
    import { writeSync } from 'node:fs';
    export async function resolve(specifier, context, next) {
      const found = await next(specifier, context);
      writeSync(1, 'url ' + found.url + '\\n');
      return found;
    }`;
  const script = `
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
    const client = await import(${JSON.stringify(sourceOf(entry).href)});
    const atImport = [...native];
    ${then}
    for (const file of Object.keys(createRequire(import.meta.url).cache)) {
      if (!before.has(file)) console.log('url ' + pathToFileURL(file));
    }
    console.log('native ' + JSON.stringify({ atImport, atEnd: native }));
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

/** Everything of a client that a program has before it needs a codec. */
const USE = `
  const millrace = new client.MillraceClient({ bootstrap: '127.0.0.1:1' });
  millrace.producer();
  millrace.consumer({ topic: 't' });
  await millrace.close();`;
/** What gRPC brings along; the loaders are those of the test. */
const PACKAGES =
  /^(@grpc\/(grpc-js|proto-loader)|protobufjs|@protobufjs\/\w+|long|lodash\.camelcase|@js-sdsl\/ordered-map|tsx|esbuild|get-tsconfig|resolve-pkg-maps)$/;

describe('the entry point millrace/client', function () {
  this.timeout(120_000);

  for (const entry of ['./client', '.']) {
    it(`${entry} loads no native module and nothing of the broker`, async () => {
      const { files, packages, native } = await load(entry, USE);
      expect(files).to.include('src/client/index.ts');
      expect(files.filter((f) => !/^src\/(base|model|ports|rpc|client)\//.test(f))).to.be.empty;
      expect(packages).to.include('@grpc/grpc-js');
      expect(packages.filter((name) => !PACKAGES.test(name))).to.be.empty;
      expect(native.atEnd).to.be.empty;
    });
  }

  it('loads a native codec when it is first used', async () => {
    const codecs = new URL('src/client/compression/codecs.ts', ROOT).href;
    const { packages, native } = await load(
      './client',
      `const { Codecs } = await import(${JSON.stringify(codecs)});
      await new Codecs().compress('snappy', new Uint8Array(100));`,
    );
    expect(packages).to.include('snappy');
    expect(native.atImport).to.be.empty;
    expect(native.atEnd.join()).to.match(/snappy.*\.node/);
  });
});
